"""Reading preference files as people have them. Expected rows are written out by hand."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orpo_compat.errors import DataError
from orpo_compat.sources import read_source

ROWS = [
    {"prompt": "Capital of Japan?", "chosen": "Tokyo, of course.", "rejected": "Kyoto"},
    {"prompt": 'Say "hi"', "chosen": "hi\nthere", "rejected": "no"},
]
QUOTED = '"Capital of Japan?","Tokyo, of course.",Kyoto\n"Say ""hi""","hi\nthere",no\n'


def write(path: Path, text: str, encoding: str = "utf-8") -> str:
    path.write_bytes(text.encode(encoding))
    return str(path)


@pytest.mark.parametrize(
    ("name", "text", "encoding"),
    [
        ("plain.csv", "prompt,chosen,rejected\n" + QUOTED, "utf-8"),
        ("windows.csv", ("prompt,chosen,rejected\n" + QUOTED).replace('e"\n', 'e"\r\n'), "utf-8"),
        ("bom.csv", "prompt,chosen,rejected\n" + QUOTED, "utf-8-sig"),
        ("excel.csv", "prompt,chosen,rejected\n" + QUOTED, "utf-16"),
        ("semicolon.csv", "prompt;chosen;rejected\n" + QUOTED.replace('",', '";'), "utf-8"),
        ("tabs.csv", "prompt\tchosen\trejected\n" + QUOTED.replace('",', '"\t'), "utf-8"),
        ("tabs.tsv", "prompt\tchosen\trejected\n" + QUOTED.replace('",', '"\t'), "utf-8"),
        ("blank_lines.csv", "prompt,chosen,rejected\n\n" + QUOTED + "\n\n", "utf-8"),
        ("no_mark.csv", "prompt,chosen,rejected\n" + QUOTED, "utf-16-le"),
        ("announced.csv", "sep=;\r\nprompt;chosen;rejected\n" + QUOTED.replace('",', '";'), "utf-8"),
        ("empty_cells_behind.csv", "prompt,chosen,rejected\n" + QUOTED.replace("Kyoto", "Kyoto,,"), "utf-8"),
        ("not_really.csv.gz", "prompt,chosen,rejected\n" + QUOTED, "utf-8"),
    ],
)
def test_delimited_files_give_the_same_rows(tmp_path: Path, name: str, text: str, encoding: str) -> None:
    assert read_source(write(tmp_path / name, text, encoding)).rows == ROWS


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("list.json", json.dumps(ROWS)),
        ("wrapped.json", json.dumps({"version": 1, "data": ROWS})),
        ("columns.json", json.dumps({key: [row[key] for row in ROWS] for key in ROWS[0]})),
        ("viewer.json", json.dumps({"features": [], "rows": [{"row_idx": 0, "row": row} for row in ROWS]})),
        ("lines.jsonl", "\n".join(map(json.dumps, ROWS)) + "\n"),
        ("lines_called.json", "\n".join(map(json.dumps, ROWS))),
        ("list_called.jsonl", json.dumps(ROWS)),
        ("splits.json", json.dumps({"train": ROWS, "test": ROWS[:1]})),
        ("blank.jsonl", "\n\n" + "\n\n".join(map(json.dumps, ROWS))),
    ],
)
def test_json_files_give_the_same_rows_whatever_their_wrapping(tmp_path: Path, name: str, document: str) -> None:
    assert read_source(write(tmp_path / name, document)).rows == ROWS


def test_gzipped_files_are_unpacked_on_the_way(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, ROWS)).encode()))
    (tmp_path / "b.jsonl").write_bytes((tmp_path / "a.jsonl.gz").read_bytes())
    assert read_source(str(tmp_path / "a.jsonl.gz")).rows == read_source(str(tmp_path / "b.jsonl")).rows == ROWS


def test_parquet_and_saved_datasets_give_the_same_rows(tmp_path: Path) -> None:
    from datasets import Dataset, DatasetDict

    data = Dataset.from_list(ROWS)
    data.to_parquet(str(tmp_path / "a.parquet"))
    data.save_to_disk(str(tmp_path / "saved"))
    DatasetDict({"train": data, "test": data.select([1])}).save_to_disk(str(tmp_path / "splits"))
    assert read_source(str(tmp_path / "a.parquet")).rows == ROWS
    assert read_source(str(tmp_path / "saved")).rows == ROWS
    assert read_source(str(tmp_path / "splits"), split="test").rows == ROWS[1:]


def test_a_folder_gives_its_training_files_and_says_what_it_left(tmp_path: Path) -> None:
    write(tmp_path / "train-1.jsonl", json.dumps(ROWS[0]))
    write(tmp_path / "train-2.jsonl", json.dumps(ROWS[1]))
    write(tmp_path / "test.jsonl", json.dumps(ROWS[1]))
    source = read_source(str(tmp_path))
    assert source.rows == ROWS
    assert source.notes == ("read train-1.jsonl, train-2.jsonl", "left aside test.jsonl")
    assert read_source(str(tmp_path), split="test").rows == ROWS[1:]


def test_a_cloned_hub_dataset_keeps_its_files_further_down(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write(tmp_path / "data" / "train-00000-of-00001.jsonl", "\n".join(map(json.dumps, ROWS)))
    write(tmp_path / "data" / "test-00000-of-00001.jsonl", json.dumps(ROWS[1]))
    write(tmp_path / "README.md", "---\n---\n")
    assert read_source(str(tmp_path)).rows == ROWS
    assert read_source(str(tmp_path), split="test").rows == ROWS[1:]


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ("[:3]", [0, 1, 2]),
        ("train[:20%]", [0, 1]),
        ("[7:]", [7, 8, 9]),
        ("[-2:]", [8, 9]),
        (None, list(range(10))),
    ],
)
def test_splits_slice_as_datasets_does(tmp_path: Path, split: str | None, expected: list[int]) -> None:
    path = write(tmp_path / "a.jsonl", "\n".join(json.dumps({"chosen": str(i)}) for i in range(10)))
    source = read_source(path, split=split)
    assert [int(str(row["chosen"])) for row in source.rows] == expected
    assert source.places == [i + 1 for i in expected]


def test_places_are_lines_even_where_cells_span_several(tmp_path: Path) -> None:
    text = "prompt,chosen,rejected\n" + QUOTED + "a,b,c\n"
    source = read_source(write(tmp_path / "a.csv", text))
    assert source.places == [2, 3, 5]
    assert read_source(write(tmp_path / "b.csv", "sep=,\n" + text)).places == [3, 4, 6]
    assert source.unit == "line"


def test_an_unbalanced_quote_in_a_tsv_is_taken_literally(tmp_path: Path) -> None:
    source = read_source(write(tmp_path / "a.tsv", 'prompt\tchosen\trejected\n"So" he said\t"b\tc\n'))
    assert source.rows == [{"prompt": '"So" he said', "chosen": '"b', "rejected": "c"}]
    assert "literally" in source.notes[0]


@pytest.mark.parametrize(
    ("name", "content", "fragments"),
    [
        ("ragged.csv", b"prompt,chosen,rejected\na,b,c\na,b,c,d\n", ["line 3", "4 cells", "--delimiter"]),
        ("open.csv", b'prompt,chosen,rejected\na,"b,c\nd,e,f\n', ["begins on line 2", "to line 3", "quotation mark"]),
        (
            "latin.csv",
            "prompt,chosen,rejected\na,b,c\né,b,c\n".encode("cp1252"),
            ["line 3", "0xe9", "--encoding cp1252"],
        ),
        ("twins.csv", b"prompt,chosen,chosen,rejected\na,b,c,d\n", ["'chosen' more than once", "columns 2 and 3"]),
        (
            "cut.csv.gz",
            gzip.compress(b"prompt,chosen,rejected\na,b,c\n", mtime=0)[:-9],
            ["damaged", "download it again"],
        ),
        ("empty.csv", b"", ["empty"]),
        ("header.csv", b"prompt,chosen,rejected\n", ["no rows"]),
        ("broken.json", b'[{"prompt": "a"}\n{"prompt": "b"}]', ["line 2, column 1", "json.tool"]),
        ("comma.json", b'[{"prompt": "a"},\n]', ["comma"]),
        ("comma.jsonl", b'{"prompt": "a"}\n{"prompt": "b",}\n', ["line 2", "comma"]),
        ("list.jsonl", b'[{"prompt": "a"},', ["line 1, column", "json.tool"]),
        ("none.json", b"[]", ["no rows"]),
        ("broken.jsonl", b'{"prompt": "a"}\n{"prompt": \n', ["line 2", "one complete JSON object"]),
        ("scalar.jsonl", b"3\n", ["row 1", "named columns"]),
        ("scalar.json", b'{"a": 1}', ["no list of rows", "'a'"]),
        ("data.xlsx", b"PK", ["format from the name", "save the sheet as CSV"]),
        ("data.dat", b"a", ["format from the name", ".csv"]),
        ("fake.parquet", b"PAR0", ["not a Parquet file"]),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_a_next_step(
    tmp_path: Path, name: str, content: bytes, fragments: list[str]
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_source(str(tmp_path / name))
    assert name in str(caught.value)
    assert "Next:" in str(caught.value)
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_a_misspelt_path_is_answered_with_the_nearest_name(tmp_path: Path) -> None:
    write(tmp_path / "prefs.csv", "prompt,chosen,rejected\na,b,c\n")
    with pytest.raises(DataError, match=r"did you mean .*prefs\.csv"):
        read_source(str(tmp_path / "pref.csv"))


def test_a_slice_that_leaves_nothing_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "prompt,chosen,rejected\na,b,c\n")
    with pytest.raises(DataError, match="leaves none of the 1 rows"):
        read_source(path, split="[5:]")


# Python 3.10's csv writes and reads no NUL.
UNWRITABLE = "" if sys.version_info >= (3, 11) else "\0"


@given(
    st.lists(
        st.tuples(
            *[st.text(st.characters(exclude_categories=["Cs"], exclude_characters=UNWRITABLE), min_size=1, max_size=20)]
            * 3
        ),
        min_size=1,
    )
)
def test_any_text_survives_a_csv_round_trip(
    tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[str, ...]]
) -> None:
    import csv

    path = tmp_path_factory.mktemp("csv") / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("prompt", "chosen", "rejected"), *cells])
    assert [tuple(row.values()) for row in read_source(str(path)).rows] == cells


def test_the_digest_follows_the_bytes(tmp_path: Path) -> None:
    first = read_source(write(tmp_path / "a.csv", "prompt,chosen,rejected\na,b,c\n")).digest
    again = read_source(write(tmp_path / "b.csv", "prompt,chosen,rejected\na,b,c\n")).digest
    other = read_source(write(tmp_path / "c.csv", "prompt,chosen,rejected\na,b,d\n")).digest
    assert first == again != other

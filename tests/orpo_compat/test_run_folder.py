"""What a run leaves behind: histories read back, pages that stand alone, pictures of every metric."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from orpo_compat.errors import RunError
from orpo_compat.history import Series, from_log, read_history
from orpo_compat.plots import PANELS, drawable, save_plots
from orpo_compat.run_folder import json_safe, latest_checkpoint, write_atomically, write_run
from orpo_compat.run_report import render, write_report

LOG = [
    *({"step": s, "epoch": s / 5, "loss": 5.0 - s, "nll_loss": 4.9 - s, "learning_rate": 1e-3 / s} for s in (1, 2, 3)),
    {"step": 3, "epoch": 0.6, "eval_loss": 2.5, "eval_nll_loss": 2.4},
    {"step": 3, "train_runtime": 1.0, "train_loss": 3.0},
]


def test_logs_are_sorted_into_training_and_evaluation() -> None:
    history = from_log(LOG)
    assert history.series("loss") == Series((1, 2, 3), (4.0, 3.0, 2.0))
    assert history.series("loss", "eval") == Series((3,), (2.5,))
    assert history.names == ["learning_rate", "loss", "nll_loss"]
    assert (history.last_step, history.epochs) == (3, 0.6)


def test_a_series_knows_its_ends_its_extremes_and_its_noise() -> None:
    series = Series(tuple(range(10)), (9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0))
    assert (series.head, series.tail) == (8.0, 1.0)
    assert series.extreme(max) == (9.0, 0)
    assert series.extreme(min) == (1.0, 7)
    assert series.noise == pytest.approx(1 / math.sqrt(2))


def test_numbers_that_json_lacks_survive_the_file(tmp_path: Path) -> None:
    lines = [json.dumps(json_safe({"step": 1, "loss": value})) for value in (math.nan, math.inf, 1.5)]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    values = [point["loss"] for point in read_history(tmp_path).train]
    assert math.isnan(values[0])
    assert values[1:] == [math.inf, 1.5]


def test_settings_come_from_run_json_and_an_adapter_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text(json.dumps(LOG[0]))
    write_run(tmp_path, {"settings": {"beta": 0.3}})
    (tmp_path / "adapter_config.json").write_text("{}")
    assert dict(read_history(tmp_path).settings) == {"beta": 0.3, "lora": True}


def test_the_newest_checkpoint_is_found_by_number(tmp_path: Path) -> None:
    for step in (9, 10, 2):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text('{"log_history": []}')
    assert latest_checkpoint(tmp_path).name == "checkpoint-10"
    with pytest.raises(RunError, match="no checkpoint"):
        latest_checkpoint(tmp_path / "checkpoint-2")


def test_files_are_replaced_whole_with_the_usual_rights(tmp_path: Path) -> None:
    path, beside = tmp_path / "a.json", tmp_path / "b.json"
    beside.write_text("x")
    write_atomically(path, "first")
    write_atomically(path, "second")
    assert path.read_text() == "second"
    assert path.stat().st_mode == beside.stat().st_mode
    assert {entry.name for entry in tmp_path.iterdir()} == {"a.json", "b.json"}


def test_every_panel_with_data_is_a_picture(tmp_path: Path) -> None:
    history = from_log(LOG)
    assert [panel.stem for panel in drawable(history)] == ["loss", "nll", "learning_rate"]
    paths = save_plots(history, tmp_path / "plots")
    assert [path.name for path in paths] == ["overview.png", "loss.png", "nll.png", "learning_rate.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)
    assert save_plots(from_log([]), tmp_path / "none") == []
    assert len({panel.stem for panel in PANELS}) == len(PANELS)


def test_the_page_stands_alone_and_escapes_what_it_shows(tmp_path: Path) -> None:
    record = {
        "settings": {"model": "<script>alert(1)</script>", "beta": 0.1, "learning_rate": 1e-5},
        "troubles": [{"title": "T", "evidence": ["step 3"], "cause": "C", "remedies": ["R"]}],
        "data": {"source": "p.csv", "rows": 3, "dropped": {"a part is empty": {"pairs": 1, "first": [2]}}},
    }
    page = write_report(tmp_path, from_log(LOG), record).read_text("utf-8")
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("data:image/svg+xml;base64,") == 3
    for text in ("a part is empty", "step 3", "2.4", "&lt;script&gt;"):
        assert text in page


def test_a_page_about_nothing_still_renders() -> None:
    assert "No trouble seen." in render(from_log([]), {}, curves=False)

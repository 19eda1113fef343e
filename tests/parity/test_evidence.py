"""Evidence is sealed by section, bound to its raw traces, and concluded again from them. Alterations are named."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from parity.errors import EvidenceInvalid
from parity.evidence import make_evidence, package_digest, read_evidence, seal, verify, write_evidence
from parity.gate import judge_switch
from parity.reference import find_reference
from parity.report_text import make_junit, make_markdown
from parity.run import Request, run_parity
from parity.scenarios import make_spec
from parity.trace import read_trace
from parity.verdict import Verdict


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One honest run of the default gate, with its evidence."""
    folder = tmp_path_factory.mktemp("run")
    spec = make_spec("base", steps=2)
    outcome = run_parity(Request(spec=spec, reference=find_reference(), folder=folder))
    return outcome, write_evidence(make_evidence(outcome), folder / "evidence.json", folder)


@pytest.fixture
def altered(run, tmp_path):
    """Write a changed copy of the evidence beside the same traces; ``again`` seals it anew."""
    outcome, file = run

    def write(change, *, again: bool = False) -> Path:
        content = json.loads(file.read_text())
        change(content)
        content.pop("traces_folder")
        content = seal(content) if again else content
        return write_evidence(content, tmp_path / "altered.json", outcome.request.folder)

    return write


def test_the_same_trainer_passes_on_both_paths_and_its_evidence_stands(run):
    outcome, file = run
    assert outcome.verdict in (Verdict.IDENTICAL, Verdict.EQUIVALENT)
    assert len(outcome.judgements) == 2
    checked = verify(file)
    assert checked.problems == ()
    assert checked.verdict is outcome.verdict


@pytest.mark.slow
def test_two_processes_of_each_arm_are_judged_as_one_is(tmp_path):
    spec = make_spec("base", steps=2, processes=2)
    outcome = run_parity(Request(spec=spec, reference=find_reference(), folder=tmp_path))
    assert outcome.verdict is Verdict.EQUIVALENT
    assert len(outcome.theirs.micros[0].pairs) == 2 * spec.batch_size
    assert (tmp_path / "ours" / "rank-1" / "default" / "events.jsonl").is_file()
    checked = verify(write_evidence(make_evidence(outcome), tmp_path / "evidence.json", tmp_path))
    assert checked.problems == ()


def test_the_loss_is_within_1e_5_at_every_step(run):
    outcome, _ = run
    theirs = outcome.theirs
    for trace in outcome.ours.values():
        for mine, yours in zip(theirs.micros, trace.micros, strict=True):
            assert abs(mine.loss - yours.loss) <= 1e-5 * abs(mine.loss)


def test_the_floor_was_frozen_before_ours_was_started(run):
    outcome, _ = run
    assert outcome.floor_frozen <= outcome.ours_started
    assert outcome.floor.rerun_identical
    ours = read_trace(outcome.request.folder / "ours" / "padded")
    assert ours.folder.stat().st_ctime >= outcome.floor_frozen - 1


def test_both_arms_say_their_versions_and_drive_with_the_same_file(run):
    outcome, _ = run
    assert outcome.arms["theirs"].versions["trl"]
    assert outcome.arms["theirs"].driver_digest == outcome.arms["ours"].driver_digest
    assert outcome.arms["theirs"].trainer.startswith("trl.")
    assert outcome.arms["ours"].trainer.startswith("orpo_compat.")


@pytest.mark.parametrize(
    "section",
    ["question", "arms", "thresholds", "judgements", "conclusion", "series", "resources", "validity", "order"],
)
def test_an_altered_section_is_named(altered, section):
    def change(content):
        value = content[section]
        if isinstance(value, list):
            value.append({})
        else:
            value["wish"] = 1

    problems = " ".join(_problems(altered(change)))
    assert f"'{section}' was altered" in problems


def _problems(file: Path) -> tuple[str, ...]:
    try:
        return verify(file).problems
    except EvidenceInvalid as error:
        return (f"{error}", "'judgements' was altered") if "shape" in str(error) else (str(error),)


def test_a_removed_or_added_section_is_named(altered):
    assert any("'series' was removed" in problem for problem in _problems(altered(lambda c: c.pop("series"))))
    added = altered(lambda content: content.update(note="trust me"))
    assert any("'note' was added" in problem for problem in _problems(added))


def test_a_verdict_forged_and_sealed_again_is_refuted_by_the_traces(altered):
    def change(content):
        content["conclusion"]["verdict"] = (
            "IDENTICAL" if content["conclusion"]["verdict"] != "IDENTICAL" else "EQUIVALENT"
        )

    assert any("the raw traces give" in problem for problem in verify(altered(change, again=True)).problems)


def test_a_floor_raised_and_sealed_again_is_refuted_by_the_traces(altered):
    def change(content):
        content["thresholds"]["floor"]["by_stage"]["weight"] = [1.0] * 3
        content["thresholds"]["floor_digest"] = "0" * 64

    assert any("another floor" in problem for problem in verify(altered(change, again=True)).problems)


def test_evidence_runs_out(run):
    _, file = run
    assert any("valid for 90" in problem for problem in verify(file, now=time.time() + 91 * 86400).problems)
    assert any("future" in problem for problem in verify(file, now=time.time() - 3 * 86400).problems)


@pytest.mark.parametrize("name", ["theirs/base/events.jsonl", "floor/nudge/step-00001.safetensors", "plan/rows.json"])
def test_one_changed_byte_of_a_raw_trace_is_named(run, name):
    outcome, file = run
    path = outcome.request.folder / name
    before = path.read_bytes()
    try:
        path.write_bytes(before[:-2] + bytes([before[-2] ^ 1]) + before[-1:])
        assert f"raw trace {name} was altered" in verify(file).problems
    finally:
        path.write_bytes(before)


def test_a_missing_or_additional_trace_is_named(run):
    outcome, file = run
    path = outcome.request.folder / "ours" / "padded" / "step-00000.safetensors"
    moved = path.with_name("step-99999.safetensors")
    path.rename(moved)
    try:
        problems = " ".join(verify(file).problems)
    finally:
        moved.rename(path)
    assert "step-00000.safetensors is missing" in problems
    assert "step-99999.safetensors was added" in problems


def test_without_the_traces_nothing_can_be_concluded_again(run, tmp_path):
    _, file = run
    assert "the raw traces are gone" in verify(file, traces=tmp_path / "gone").problems[0]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": "other"}', "\x00\x01"])
def test_what_is_no_evidence_is_refused(tmp_path, text):
    (tmp_path / "evidence.json").write_text(text)
    with pytest.raises(EvidenceInvalid):
        read_evidence(tmp_path / "evidence.json")


def test_every_thousandth_byte_flipped_is_noticed(run, tmp_path):
    outcome, file = run
    content = file.read_bytes()
    end = content.rindex(b'"traces_folder"')
    for position in range(500, end, max(end // 12, 1)):
        changed = bytearray(content)
        changed[position] = ord("7") if changed[position] != ord("7") else ord("8")
        target = outcome.request.folder / "flipped.json"
        target.write_bytes(bytes(changed))
        assert _problems(target), f"byte {position} was changed unnoticed"
    target.unlink()


def test_even_a_changed_space_is_noticed(run, tmp_path):
    outcome, file = run
    target = outcome.request.folder / "spaced.json"
    target.write_text(file.read_text().replace('": {', '":  {', 1))
    assert any("not as it was written" in problem for problem in verify(target).problems)
    target.unlink()


def test_the_gate_takes_evidence_that_stands_and_fits(run, tmp_path, monkeypatch):
    _, file = run
    said: list[str] = []
    spec = make_spec("base", steps=2)
    monkeypatch.setattr("parity.scenarios.make_spec", lambda scenario, **kwargs: spec)
    result = judge_switch(tmp_path, evidence_dir=tmp_path / "e", evidence=file, report=said.append)
    assert result.evidence == file
    assert result.verdict.passes
    assert result.digest == json.loads(file.read_text())["seal"]
    assert not (tmp_path / "e").exists(), "nothing was trained again"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c["arms"]["theirs"]["versions"].update(trl="0.1"), "speaks of trl 0.1"),
        (lambda c: c["arms"]["ours"].update(package_digest="0"), "orpo-compat has changed since"),
        (lambda c: c["question"].update(plant="beta doubled"), "self-test"),
    ],
)
def test_the_gate_does_not_take_evidence_of_something_else(altered, tmp_path, monkeypatch, change, said):
    heard: list[str] = []
    monkeypatch.setattr("parity.gate._make", lambda *args: "made anew")
    file = altered(change, again=True)
    assert judge_switch(tmp_path, evidence_dir=tmp_path, evidence=file, report=heard.append) == "made anew"
    assert said in " ".join(heard)


def test_bf16_never_gates(tmp_path):
    with pytest.raises(EvidenceInvalid, match="never gate"):
        judge_switch(tmp_path, evidence_dir=tmp_path, scenario="bf16", report=print)


def test_the_trainers_digest_follows_its_sources(tmp_path):
    (tmp_path / "orpo_compat").mkdir()
    (tmp_path / "orpo_compat" / "a.py").write_text("x = 1\n")
    first = package_digest(tmp_path)
    (tmp_path / "orpo_compat" / "a.py").write_text("x = 2\n")
    assert package_digest(tmp_path) != first


def test_markdown_and_junit_are_made_of_the_evidence_alone(run):
    _, file = run
    content = read_evidence(file)
    markdown = make_markdown(content)
    assert content["conclusion"]["verdict"] in markdown.splitlines()[0]
    assert "random weights" in markdown
    assert 'failures="0"' in make_junit(content)


def test_hostile_names_break_neither_markdown_nor_junit(run):
    from xml.etree import ElementTree

    content = read_evidence(run[1])
    content["judgements"][0]["headline"] = "a | b <script>alert(1)</script> `x`\n## y \x07"
    content["judgements"][0]["verdict"] = "DIFFERENT"
    assert "<script>" not in make_markdown(content)
    assert "\n## y" not in make_markdown(content)
    ElementTree.fromstring(make_junit(content))

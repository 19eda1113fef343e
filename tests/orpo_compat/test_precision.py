"""Expected values follow from the rules in ``settle``'s docstring, worked out for each kind of machine by hand."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orpo_compat import config as config_module
from orpo_compat.config import ORPOConfig
from orpo_compat.precision import Device, Precision, settle, this_cpu, this_device

PLAIN_CPU = Device("cpu")
AMX_CPU = Device("cpu", bf16=True)
AMPERE = Device("cuda", bf16=True, tf32=True)
TURING = Device("cuda")
DEVICES = [PLAIN_CPU, AMX_CPU, AMPERE, TURING, Device("mps", bf16=True)]

WISHES = st.builds(
    Precision,
    bf16=st.sampled_from([None, True, False]),
    fp16=st.booleans(),
    bf16_full_eval=st.booleans(),
    tf32=st.sampled_from([None, True, False]),
    use_cpu=st.booleans(),
)


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACCELERATE_MIXED_PRECISION", raising=False)


@pytest.mark.parametrize(
    ("device", "bf16", "use_cpu", "lines"),
    [(PLAIN_CPU, False, False, 1), (AMX_CPU, True, True, 0), (AMPERE, True, False, 0), (TURING, False, False, 1)],
)
def test_an_unset_bf16_follows_the_device(device: Device, bf16: bool, use_cpu: bool, lines: int) -> None:
    settled, notes = settle(Precision(), device, PLAIN_CPU)
    assert (settled.bf16, settled.use_cpu, len(notes)) == (bf16, use_cpu, lines)


def test_an_unset_bf16_gives_way_to_fp16() -> None:
    assert settle(Precision(fp16=True), AMPERE, PLAIN_CPU) == (Precision(bf16=False, fp16=True), [])


def test_the_cpu_is_judged_when_it_was_asked_for() -> None:
    settled, notes = settle(Precision(use_cpu=True), AMPERE, PLAIN_CPU)
    assert settled.bf16 is False
    assert "cpu" in notes[0]
    assert settle(Precision(use_cpu=True), AMPERE, AMX_CPU)[0].bf16 is True


def test_an_explicit_bf16_is_kept_on_a_cpu() -> None:
    settled, notes = settle(Precision(bf16=True), PLAIN_CPU, PLAIN_CPU)
    assert (settled.bf16, settled.use_cpu, notes) == (True, True, [])


def test_an_explicit_bf16_is_left_to_transformers_on_a_gpu_without_it() -> None:
    assert settle(Precision(bf16=True), TURING, PLAIN_CPU) == (Precision(bf16=True), [])


def test_fp16_without_an_accelerator_trains_in_float32_and_says_so() -> None:
    settled, notes = settle(Precision(fp16=True), PLAIN_CPU, PLAIN_CPU)
    assert (settled.fp16, settled.bf16) == (False, False)
    assert "fp16=True needs an accelerator" in notes[0]


def test_tf32_is_dropped_with_a_line_where_there_is_none() -> None:
    settled, notes = settle(Precision(bf16=False, tf32=True), TURING, PLAIN_CPU)
    assert settled.tf32 is None
    assert "tf32=True has no effect" in notes[0]
    assert settle(Precision(bf16=False, tf32=True), AMPERE, PLAIN_CPU) == (Precision(bf16=False, tf32=True), [])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wish=WISHES, device=st.sampled_from(DEVICES), cpu=st.sampled_from([PLAIN_CPU, AMX_CPU]))
def test_settling_is_final_and_never_turns_a_format_on_that_was_turned_off(
    wish: Precision, device: Device, cpu: Device
) -> None:
    settled, _ = settle(wish, device, cpu)
    assert isinstance(settled.bf16, bool)
    assert settle(settled, device, cpu) == (settled, [])
    assert not (settled.bf16 and wish.bf16 is False)
    assert settled.fp16 <= wish.fp16


@pytest.mark.parametrize(
    "given",
    [{}, {"bf16": True}, {"fp16": True}, {"tf32": True}, {"bf16_full_eval": True}, {"bf16": True, "tf32": True}],
)
def test_no_precision_argument_is_an_error_on_a_machine_without_a_gpu(
    given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    config = ORPOConfig(str(tmp_path), **given)
    assert config.fp16 is False
    assert config.bf16 is (given.get("bf16") or (not given.get("fp16") and this_cpu().bf16))


def test_the_line_about_float32_comes_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(config_module, "_said", set())
    monkeypatch.setattr(config_module, "this_device", lambda: PLAIN_CPU)
    with caplog.at_level(logging.WARNING, logger="orpo_compat"):
        for _ in range(3):
            assert ORPOConfig(str(tmp_path)).bf16 is False
    said = [record.message for record in caplog.records if "float32" in record.message]
    assert len(said) == 1
    assert said[0].startswith("bfloat16 does not pay on this device (cpu): training in float32")


def test_a_launchers_precision_is_not_contradicted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    assert settle(Precision(), PLAIN_CPU, PLAIN_CPU) == (Precision(bf16=False), [])
    monkeypatch.setattr(config_module, "this_device", lambda: PLAIN_CPU)
    assert ORPOConfig(str(tmp_path)).mixed_precision == "bf16"


def test_the_machine_is_looked_at_without_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert this_device().kind
    monkeypatch.setenv("ACCELERATE_USE_CPU", "1")
    assert this_device() == this_cpu()

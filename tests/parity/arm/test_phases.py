"""A phase is measured by itself."""

from __future__ import annotations

import json

import pytest

from parity.arm.events import Events
from parity.arm.phases import phase


def test_a_peak_is_measured_within_its_phase(tmp_path):
    events = Events(tmp_path / "events.jsonl")
    with phase(events, "large"):
        block = bytearray(64 << 20)
        block[::4096] = b"x" * len(block[::4096])
        del block
    with phase(events, "small"):
        pass
    events.close()
    large, small = (json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines())
    if not large["resettable"]:
        pytest.skip("this system cannot reset the high-water mark")
    assert large["rss_peak"] - large["rss_before"] > 50 << 20
    assert small["rss_peak"] < large["rss_peak"]

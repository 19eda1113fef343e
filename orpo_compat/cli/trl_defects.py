"""What TRL's ORPO trainer cannot do, by release, beside the defects of its numbers that `parity.known` lists.

Each line was seen on the first and the last release it names. `doctor` shows those of the installed TRL.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something that fails or misleads, in releases ``first`` to ``last``, and what to do about it there."""

    first: str
    last: str
    what: str
    advice: str


_ALL = ("0.8.2", "1.16.0")

OBSTACLES = (
    Obstacle(*_ALL, "args=None, the documented default, and a plain TrainingArguments raise AttributeError",
             "pass an ORPOConfig; orpo_compat takes all three."),
    Obstacle(*_ALL, "a dict of evaluation sets raises AttributeError", "pass a DatasetDict; orpo_compat takes both."),
    Obstacle(*_ALL, "a streamed dataset raises TypeError (num_proc)", "load it whole; orpo_compat takes streams."),
    Obstacle("0.9.6", "1.16.0", "model_init raises AttributeError", "pass the model; orpo_compat takes model_init."),
    Obstacle(*_ALL, "disable_dropout, on by default, also sets lora_dropout to 0 without a word",
             "disable_dropout=False keeps it; here disable_dropout='base' keeps the adapter's alone."),
)  # fmt: skip


def obstacles(trl: str) -> list[Obstacle]:
    """Those of one release, development and patch releases between the two ends included."""
    from packaging.version import Version

    return [each for each in OBSTACLES if Version(each.first) <= Version(trl) <= Version(each.last)]

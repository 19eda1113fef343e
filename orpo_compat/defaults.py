"""What a named TRL release started from: the defaults that moved between 0.8.2, the first with ORPO, and 1.16.0.

A table of changes, newest last. Only TRL's own defaults are here; those of ``TrainingArguments`` move with
transformers. Where an old default was ``None`` and the trainer then used a number, the number is written.
"""

from __future__ import annotations

from bisect import bisect

from packaging.version import InvalidVersion, Version

from orpo_compat.errors import ConfigError

RELEASES: tuple[str, ...] = tuple(
    """
    0.8.2 0.8.3 0.8.4 0.8.5 0.8.6 0.9.2 0.9.3 0.9.4 0.9.6 0.10.1 0.11.0 0.11.1 0.11.2 0.11.3 0.11.4 0.12.0
    0.12.1 0.12.2 0.13.0 0.14.0 0.15.0 0.15.1 0.15.2 0.16.0 0.16.1 0.17.0 0.18.0 0.18.1 0.18.2 0.19.0 0.19.1
    0.20.0 0.21.0 0.22.0 0.22.1 0.22.2 0.23.0 0.23.1 0.24.0 0.25.0 0.25.1 0.26.0 0.26.1 0.26.2 0.27.0 0.27.1
    0.27.2 0.28.0 0.29.0 0.29.1 1.0.0 1.1.0 1.2.0 1.3.0 1.4.0 1.5.0 1.5.1 1.6.0 1.7.0 1.7.1 1.8.0 1.9.0 1.9.1
    1.9.2 1.10.0 1.11.0 1.12.0 1.13.0 1.14.0 1.14.1 1.14.2 1.15.0 1.16.0
    """.split()  # noqa: SIM905 (73 quoted strings read worse)
)

CHANGES: tuple[tuple[str, dict[str, object]], ...] = (
    (
        "0.8.2",
        {
            "learning_rate": 5e-5,
            "logging_steps": 500,
            "bf16": False,
            "gradient_checkpointing": False,
            "max_length": 512,
            "max_prompt_length": 128,
            "truncation_mode": "keep_end",
        },
    ),
    ("0.12.0", {"learning_rate": 1e-6}),
    ("0.14.0", {"max_length": 1024, "max_prompt_length": 512}),
    ("0.19.0", {"logging_steps": 10, "bf16": None}),
    ("0.22.0", {"gradient_checkpointing": True}),
    ("0.28.0", {"max_prompt_length": None, "truncation_mode": None}),
)
"""Each entry: the first release with these defaults, and the defaults. ``bf16=None`` lets the device decide.

0.28.0 stopped cutting prompts, which is why the two lengths of its rule end there."""


def defaults_of(release: str) -> dict[str, object]:
    """The defaults of one TRL release, for every argument whose default ever moved.

    Raises:
        ConfigError: no such release; the message names the nearest ones.
    """
    known = [Version(name) for name in RELEASES]
    try:
        asked = Version(release)
    except InvalidVersion:
        raise ConfigError(f"{release!r} is not a version of TRL; give one such as '{RELEASES[-1]}'") from None
    if asked not in known:
        place = bisect(known, asked)
        near = " and ".join(RELEASES[max(place - 1, 0) : place + 1])
        raise ConfigError(
            f"TRL {release} is not a release with ORPO ({RELEASES[0]} to {RELEASES[-1]}); nearest: {near}"
        )
    settled: dict[str, object] = {}
    for since, changed in CHANGES:
        if Version(since) <= asked:
            settled.update(changed)
    return settled

"""A config is built from what a release knows; what it lacks is told."""

from __future__ import annotations

from parity.arm.trainers import make_config


def test_settings_that_a_release_lacks_are_told_and_old_spellings_are_used():
    class Config:
        def __init__(self, evaluation_strategy="no", beta=0.1):
            self.values = {"evaluation_strategy": evaluation_strategy, "beta": beta}

    config, refused = make_config(Config, {"eval_strategy": "steps", "beta": 0.5, "max_prompt_length": 3})
    assert config.values == {"evaluation_strategy": "steps", "beta": 0.5}
    assert refused == {"max_prompt_length": 3}

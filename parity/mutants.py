"""Classic trainer bugs, planted one at a time into a live trainer: what the harness must be able to see.

Each plant changes an instance after construction, inside the wrapping that observes it, so that the trace shows what a
real bug would show. The arm loads this file by path; it imports nothing of ours. Each entry names the stage that must
notice it first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Plant = Callable[[Any], None]


def _wrap(trainer: Any, name: str, around: Callable[..., Any]) -> None:
    inner = getattr(trainer, name)
    setattr(trainer, name, lambda *args, **kwargs: around(inner, *args, **kwargs))


def beta_doubled(trainer: Any) -> None:
    """The odds term weighs twice what the config says."""
    trainer.beta = 2 * trainer.beta


def labels_shifted(trainer: Any) -> None:
    """The response seems to begin one token late."""

    def around(inner: Callable[..., Any], model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        changed = dict(inputs)
        for side in ("chosen", "rejected"):
            labels = inputs[f"{side}_labels"].clone()
            for row in labels:
                row[int((row != -100).nonzero()[0])] = -100
            changed[f"{side}_labels"] = labels
        if "pair_lengths" in inputs:
            changed["pair_lengths"] = [(c, r, cp + 1, rp + 1) for c, r, cp, rp in inputs["pair_lengths"]]
        return inner(model, changed, *args, **kwargs)

    _wrap(trainer, "compute_loss", around)


def prompt_masked(trainer: Any) -> None:
    """The NLL counts the response alone."""
    trainer.args.nll_scope = "response"


def odds_sign(trainer: Any) -> None:
    """The rejected response is preferred."""

    def around(inner: Callable[..., Any], chosen: Any, rejected: Any, *args: Any, **kwargs: Any) -> Any:
        losses, *rest = inner(chosen, rejected, *args, **kwargs)
        return (-losses, *rest)

    _wrap(trainer, "odds_ratio_loss", around)


def odds_in_half_precision(trainer: Any) -> None:
    """Each pair's odds loss is rounded to half precision; for batches of 2, 4, 8 ... no gradient is."""

    def around(inner: Callable[..., Any], chosen: Any, rejected: Any, *args: Any, **kwargs: Any) -> Any:
        losses, *rest = inner(chosen, rejected, *args, **kwargs)
        return (losses.half().to(losses.dtype), *rest)

    _wrap(trainer, "odds_ratio_loss", around)


def learning_rate_plus_one_percent(trainer: Any) -> None:
    """Every step is one percent too long."""
    trainer.args.learning_rate *= 1.01


def weight_decay_off(trainer: Any) -> None:
    """Weights no longer shrink."""
    trainer.args.weight_decay = 0.0


def adam_epsilon(trainer: Any) -> None:
    """AdamW's epsilon is a hundred times its value."""
    trainer.args.adam_epsilon *= 100


def adam_beta2(trainer: Any) -> None:
    """AdamW forgets gradients' squares ten times faster."""
    trainer.args.adam_beta2 = 0.99


def no_clipping(trainer: Any) -> None:
    """Gradients go to the optimizer as they are."""
    trainer.args.max_grad_norm = 1e9


def scheduler_off_by_one(trainer: Any) -> None:
    """The schedule is one step ahead."""

    def around(inner: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        scheduler = inner(*args, **kwargs)
        scheduler.step()
        return scheduler

    _wrap(trainer, "create_scheduler", around)


def accumulation_not_divided(trainer: Any) -> None:
    """Gradients grow with the number of micro-batches."""

    def around(inner: Callable[..., Any], loss: Any, *args: Any, **kwargs: Any) -> Any:
        return inner(loss * trainer.args.gradient_accumulation_steps, *args, **kwargs)

    _wrap(trainer.accelerator, "backward", around)


def dropout_left_on(trainer: Any) -> None:
    """Dropout that the config says is off still drops."""
    import torch

    for module in trainer.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.1


def row_dropped(trainer: Any) -> None:
    """The second row is never seen."""
    kept = [0, *range(2, len(trainer.train_dataset)), 0]
    trainer.train_dataset = trainer.train_dataset.select(kept)


def pad_counted(trainer: Any) -> None:
    """Padding of the chosen rows is trained as text."""

    def around(inner: Callable[..., Any], model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        changed = dict(inputs)
        mask = inputs["chosen_attention_mask"].clone()
        mask[:] = 1
        changed["chosen_attention_mask"] = mask
        return inner(model, changed, *args, **kwargs)

    _wrap(trainer, "compute_loss", around)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One planted bug and what must notice it."""

    name: str
    plant: Plant
    stages: tuple[str, ...]
    """The stages of which one must be the first to differ."""
    scenario: str = "base"
    packed: bool = True
    """Whether it can be planted into the packed path as well; otherwise into the padded one only."""
    trains: bool = True
    """Whether it moves the weights; otherwise it changes the values alone that are logged."""


PANEL = (
    Mutant("beta doubled", beta_doubled, ("rewards", "loss")),
    Mutant("labels shifted", labels_shifted, ("logps",)),
    Mutant("prompt masked", prompt_masked, ("nll",)),
    Mutant("odds sign", odds_sign, ("odds_loss",)),
    Mutant("odds in half precision", odds_in_half_precision, ("odds_loss",), trains=False),
    Mutant("learning rate +1%", learning_rate_plus_one_percent, ("learning_rate",)),
    Mutant("weight decay off", weight_decay_off, ("optimizer",)),
    Mutant("AdamW eps x100", adam_epsilon, ("optimizer",)),
    Mutant("AdamW beta2", adam_beta2, ("optimizer",)),
    Mutant("no clipping", no_clipping, ("clipping",)),
    Mutant("scheduler off by one", scheduler_off_by_one, ("learning_rate",)),
    Mutant("accumulation not divided", accumulation_not_divided, ("gradient", "gradient_norm")),
    Mutant("dropout left on", dropout_left_on, ("logps", "nll"), scenario="lora"),
    Mutant("one row dropped", row_dropped, ("batch",)),
    Mutant("pad counted", pad_counted, ("nll",), packed=False),
)

PLANTS: dict[str, Plant] = {mutant.name: mutant.plant for mutant in PANEL}

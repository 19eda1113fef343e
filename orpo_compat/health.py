"""Names a run's trouble: what is seen, the likely cause, what to change. Pure functions of a history.

`diagnose` gives the troubles of a run, each with its evidence; `TROUBLES` is the handbook behind it, from which
docs/troubleshooting.md is written (``python -m orpo_compat.health > docs/troubleshooting.md``). Knows nothing of
trainers, files or terminals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from orpo_compat import health_checks as checks
from orpo_compat.history import History

Check = Callable[[History], checks.Evidence | None]


@dataclass(frozen=True, slots=True)
class Trouble:
    """One entry of the handbook."""

    code: str
    title: str
    looks: str
    """What a user notices."""
    cause: str
    remedies: tuple[str, ...]
    """What to change, the most promising first."""
    check: Check
    early: bool = False
    """Worth saying while the run goes on; the others need the whole run."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A trouble found in a run, with what shows it."""

    code: str
    title: str
    evidence: tuple[str, ...]
    cause: str
    remedies: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """Plain values, for JSON."""
        return {
            "code": self.code,
            "title": self.title,
            "evidence": list(self.evidence),
            "cause": self.cause,
            "remedies": list(self.remedies),
        }


TROUBLES: tuple[Trouble, ...] = (
    Trouble(
        "not-finite",
        "NaN or infinite numbers",
        "The loss, a metric or the gradient norm is NaN or infinite; from the next update on every number is.",
        "One batch gave a loss or gradient that is not a number, and the update wrote it into the weights. Most often "
        "the learning rate is too high for the precision (fp16 overflows at 65504), or one row is damaged: an empty "
        "response, a token the embedding does not cover.",
        (
            "Look at the named row with `orpo-compat data inspect`, and drop or mend it.",
            "Train in bf16 instead of fp16 (`--bf16`), or in float32 to find out.",
            "Lower the learning rate tenfold and keep `--max-grad-norm 1.0`.",
            "Resume from the last checkpoint before that step: the weights after it are lost.",
        ),
        checks.not_finite,
        early=True,
    ),
    Trouble(
        "accumulation-mismatch",
        "The loss is multiplied by the accumulation steps",
        "The logged loss is a whole multiple of nll_loss - beta * log_odds_ratio, and so are the gradients.",
        "The trainer did not divide by gradient_accumulation_steps: TRL 0.14 to 0.19 with transformers 4.46 or later, "
        "or a subclass that sets model_accepts_loss_kwargs. In effect the learning rate (before clipping) is that "
        "many times higher.",
        (
            "Train with orpo_compat's ORPOTrainer, or TRL 0.20 or later.",
            "In a subclass, leave model_accepts_loss_kwargs at False.",
            "When comparing with such a run, multiply max_grad_norm, not the learning rate: Adam hides the factor, "
            "clipping does not.",
        ),
        checks.accumulation_mismatch,
        early=True,
    ),
    Trouble(
        "collapse",
        "Both probabilities collapse",
        "Chosen and rejected responses become improbable together; generated text falls apart.",
        "The odds term outweighs the NLL term, or the steps are too long: pushing the rejected response down drags "
        "along what the chosen one shares with it.",
        (
            "Lower beta (0.1 is the usual value, try 0.05).",
            "Lower the learning rate; full weights take 5e-6 to 2e-5, adapters about ten times that.",
            "Check that chosen responses are good text: `orpo-compat data inspect` shows them as the model sees them.",
        ),
        checks.collapse,
        early=True,
    ),
    Trouble(
        "learning-rate-too-low",
        "The learning rate is too low",
        "Loss, margins and log-odds stay where they began, within their noise.",
        "TRL's default of 1e-6 was chosen for preference training of full weights; with LoRA it moves next to "
        "nothing. The authors of ORPO used 5e-6 to 2e-5 on full weights.",
        (
            "With LoRA, `--learning-rate 5e-5` to `2e-4`; with full weights, 5e-6 to 2e-5.",
            "Check the schedule: a long warm-up or a short run may never reach the peak.",
        ),
        checks.learning_rate_too_low,
    ),
    Trouble(
        "no-preference",
        "No preference is learned",
        "rewards/accuracies stays near 0.5 and log_odds_chosen does not rise, though the run was long enough.",
        "Beta is too low for the NLL term beside it, or the pairs carry no consistent preference: labels at random, "
        "columns swapped in part of the data, differences only in what truncation cuts off.",
        (
            "Look at ten pairs with `orpo-compat data inspect`; would you choose as the labels do?",
            "See there how many pairs are cut off before chosen and rejected begin to differ.",
            "Raise beta to 0.2 or 0.3 (small models: 0.5 to 1), or train longer; ORPO takes three to five epochs.",
        ),
        checks.no_preference,
    ),
    Trouble(
        "good-preference-bad-nll",
        "Good preference, bad language",
        "rewards/accuracies is high, yet nll_loss rises: the model ranks responses well and writes them worse.",
        "The odds term wins over the NLL term, which alone keeps the model writing: beta is too high, or the chosen "
        "responses are not worth imitating.",
        (
            "Lower beta, by half at a time.",
            "Lower the learning rate, or train longer at the lower beta so that the NLL comes down.",
            "Check the quality of the chosen responses.",
        ),
        checks.bad_nll,
    ),
    Trouble(
        "saturated-margin",
        "The margin is saturated",
        "log_odds_ratio is all but 0 and accuracies are 1: the odds term no longer has a gradient.",
        "Every pair is told apart with near certainty. Either the pairs are told apart by something trivial (a "
        "template, a length, a refusal phrase), or the data has been seen too often.",
        (
            "Stop earlier: fewer epochs, or `--load-best-model-at-end` with `--eval-fraction 0.1`.",
            "Compare with the held-out accuracy: if that is low, the model has memorised the pairs.",
            "Look for a give-away in the rejected responses with `orpo-compat data inspect` (length bias, a fixed "
            "opening).",
        ),
        checks.saturated,
    ),
    Trouble(
        "overfitting",
        "The held-out loss has turned",
        "Evaluation loss rises again while training loss goes on falling.",
        "The model begins to memorise the training pairs.",
        (
            "Take the checkpoint with the lowest eval_loss (`--load-best-model-at-end --metric-for-best-model loss`).",
            "Fewer epochs, more pairs, or a lower learning rate.",
        ),
        checks.overfitting,
    ),
)


def diagnose(history: History, *, early: bool = False) -> list[Diagnosis]:
    """Name the troubles of a run, the gravest first; an empty list means that none was seen.

    Args:
        history: the run so far.
        early: only those that can be told before the run has ended.
    """
    found = []
    for trouble in TROUBLES:
        if early and not trouble.early:
            continue
        evidence = trouble.check(history)
        if evidence:
            found.append(Diagnosis(trouble.code, trouble.title, evidence, trouble.cause, trouble.remedies))
    return _without_consequences(found)


def _without_consequences(found: list[Diagnosis]) -> list[Diagnosis]:
    """Drop what another finding already explains: a run that does not move learns no preference either."""
    codes = {diagnosis.code for diagnosis in found}
    explained = {"no-preference"} if codes & {"learning-rate-too-low", "not-finite"} else set()
    return [diagnosis for diagnosis in found if diagnosis.code not in explained]


def handbook(troubles: Iterable[Trouble] = TROUBLES) -> str:
    """The troubleshooting page, as Markdown."""
    parts = [
        "# Troubleshooting",
        "<!-- Generated by `python -m orpo_compat.health`; do not edit. -->",
        "`orpo-compat train` watches for these while it runs, and `orpo-compat diagnose out/` looks for them in any "
        "finished run, TRL's included (it reads `trainer_state.json`). Each comes with the steps and values that "
        "show it.",
    ]
    for trouble in troubles:
        remedies = "\n".join(f"{number}. {remedy}" for number, remedy in enumerate(trouble.remedies, start=1))
        parts += [
            f"## {trouble.title}",
            f"`{trouble.code}`",
            f"**Looks like.** {trouble.looks}",
            f"**Likely cause.** {trouble.cause}",
            f"**What to change.**\n\n{remedies}",
            f"**Rule.** {' '.join((trouble.check.__doc__ or '').split())}",
        ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    print(handbook(), end="")

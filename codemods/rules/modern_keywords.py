"""Write arguments of ORPOTrainer and ORPOConfig by their present names.

``tokenizer`` became ``processing_class`` in TRL 0.12; transformers renamed ``evaluation_strategy`` in 4.41 and dropped
the old name in 4.51, and more in 5.0 and 5.15. Ours accepts all of them, so this is opt-in; only calls that can be
nothing else are touched.
"""

from __future__ import annotations

import libcst as cst

from codemods.call_sites import CallSite, call_sites
from codemods.catalog import TRAINER
from codemods.context import Context, literal
from codemods.findings import Severity
from codemods.keywords import CONFIG_FLAGS, CONFIG_INERT, CONFIG_RENAMES, TRAINER_RENAMES
from codemods.options import Options
from codemods.rules import Example, Phase, Rule

RULE = Rule(
    code="OC006",
    title="retired argument names (`--modernize`)",
    why="`tokenizer` is `processing_class` since TRL 0.12, `evaluation_strategy` is gone from transformers 4.51",
    message="renamed at calls that are proven to be ORPO's",
    example=Example(
        "from trl import ORPOConfig\n\nargs = ORPOConfig('out', evaluation_strategy='steps')\n",
        "from orpo_compat import ORPOConfig\n\nargs = ORPOConfig('out', eval_strategy='steps')\n",
        Options(modernize=True),
    ),
    phase=Phase.EDIT,
    edits=True,
)


def apply(context: Context) -> None:
    """Rename keywords at proven call sites."""
    if not context.options.modernize or not context.forward:
        return
    for site in call_sites(context):
        for name, arg in site.keywords.items():
            if site.name == TRAINER:
                _rename(context, site, arg, TRAINER_RENAMES.get(name))
            else:
                _modernize_field(context, site, name, arg)


def _rename(context: Context, site: CallSite, arg: cst.Arg, new: str | None) -> None:
    """Replace the keyword, unless the new name is given as well."""
    assert arg.keyword is not None
    if new is None or new in site.keywords or context.silenced(arg, RULE.code):
        return
    context.replace(*context.syntax.span(arg.keyword), new, RULE.code)


def _modernize_field(context: Context, site: CallSite, name: str, arg: cst.Arg) -> None:
    if name in CONFIG_RENAMES:
        _rename(context, site, arg, CONFIG_RENAMES[name])
    elif name == "warmup_ratio" and _is_share(arg.value):
        _rename(context, site, arg, "warmup_steps")
    elif name in CONFIG_FLAGS and _is_true(arg.value):
        new, value = CONFIG_FLAGS[name]
        if new not in site.keywords and not context.silenced(arg, RULE.code):
            _rename(context, site, arg, new)
            context.replace(*context.syntax.span(arg.value), value, RULE.code)
    elif name == "model_init_kwargs" and isinstance(arg.value, cst.Dict):
        _modernize_dtype(context, arg.value)
    elif name in CONFIG_INERT:
        context.report(
            "OC124", arg, f"{name} means nothing any more; it is accepted and ignored.", "Drop it.", Severity.INFO
        )


def _modernize_dtype(context: Context, node: cst.Dict) -> None:
    """``torch_dtype`` is ``dtype`` in TRL 0.23 and transformers 4.56."""
    keys = [one.key for one in node.elements if isinstance(one, cst.DictElement)]
    if any(literal(key) == "dtype" for key in keys):
        return
    for key in keys:
        if isinstance(key, cst.SimpleString) and key.raw_value == "torch_dtype":
            start = context.syntax.span(key)[0] + len(key.prefix) + len(key.quote)
            context.replace(start, start + len("torch_dtype"), "dtype", RULE.code)


def _is_true(node: cst.BaseExpression) -> bool:
    return isinstance(node, cst.Name) and node.value == "True"


def _is_share(node: cst.BaseExpression) -> bool:
    """A literal between 0 and 1: as ``warmup_steps`` it means the same share of the run."""
    return isinstance(node, cst.Float) and 0 < float(node.value) < 1

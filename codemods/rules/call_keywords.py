"""Report arguments that neither TRL's nor our classes know, and uses of the config whose fields come from elsewhere.

ORPOTrainer never took ``ref_model``, ``beta`` or ``max_length``; unknown keywords are a TypeError in every TRL
release. Older spellings of known arguments (``tokenizer`` before 0.12, ``max_prompt_length`` before 0.28) are
accepted by ours and not worth a finding.
"""

from __future__ import annotations

from difflib import get_close_matches

import libcst as cst

from codemods.call_sites import CallSite, call_sites
from codemods.catalog import CONFIG, TRAINER
from codemods.context import Context, callee
from codemods.findings import Severity
from codemods.keywords import CONFIG_KEYWORDS, TRAINER_KEYWORDS, TRAINER_RENAMES
from codemods.rules import Example, Phase, Rule

RULE = Rule(
    code="OC124",
    title="arguments that differ",
    why="no TRL release accepts them; on TRL 1.16 the call is a TypeError",
    message="the call stays as it is",
    example=Example(
        "from trl import ORPOTrainer\n\nORPOTrainer(model, ref_model=None)\n",
        "from orpo_compat import ORPOTrainer\n\nORPOTrainer(model, ref_model=None)\n",
    ),
    phase=Phase.REPORT,
)

KNOWN = {TRAINER: frozenset({*TRAINER_KEYWORDS, *TRAINER_RENAMES}), CONFIG: CONFIG_KEYWORDS}
_PARSERS = {"HfArgumentParser", "TrlParser", "H4ArgumentParser"}


def apply(context: Context) -> None:
    """Compare proven calls with the signatures, and look for parsers and subclasses of the config."""
    for site in call_sites(context):
        for name, arg in site.keywords.items():
            if name not in KNOWN[site.name]:
                _report_unknown(context, site, name, arg)
        if site.name == CONFIG and site.positional > 1:
            context.report(
                "OC124",
                site.call,
                "ORPOConfig is called with more than output_dir by position; the order of its fields is no interface.",
                "Name the arguments.",
            )
    _report_parsers(context)
    _report_config_subclasses(context)


def _report_unknown(context: Context, site: CallSite, name: str, arg: cst.Arg) -> None:
    near = get_close_matches(name, KNOWN[site.name], 1, 0.6)
    other = CONFIG if site.name == TRAINER and name in CONFIG_KEYWORDS else None
    if other is not None:
        advice = f"It is a field of {other}: set it there."
    else:
        advice = f"Did you mean {near[0]}? Otherwise drop it." if near else "Drop it, or see what it was meant to do."
    context.report("OC124", arg, f"{site.name} takes no argument {name!r}, in no release of TRL.", advice)


def _report_parsers(context: Context) -> None:
    for fact in context.survey.calls:
        call = fact.node
        assert isinstance(call, cst.Call)
        if callee(call).rpartition(".")[2] not in _PARSERS or not call.args:
            continue
        first = call.args[0].value
        nodes = [one.value for one in first.elements] if isinstance(first, (cst.Tuple, cst.List)) else [first]
        if any(context.names.is_moved_class(node, fact.scope) == CONFIG for node in nodes):
            context.report(
                "OC124",
                call,
                "The fields of ORPOConfig come from a command line or a YAML file that is not looked at here.",
                "Old spellings in it are accepted; check the numbers that no longer are TRL's old defaults.",
                Severity.INFO,
            )


def _report_config_subclasses(context: Context) -> None:
    for fact in context.survey.classes:
        node = fact.node
        assert isinstance(node, cst.ClassDef)
        if not any(context.names.is_moved_class(base.value, fact.scope) == CONFIG for base in node.bases):
            continue
        fields = [name for name in _fields(node) if name in CONFIG_KEYWORDS]
        again = f" and sets {', '.join(fields)} anew" if fields else ""
        context.report(
            "OC124",
            node,
            f"{node.name.value} derives from ORPOConfig{again}; fields it does not name take our defaults.",
            "Compare the defaults it relies on with those of the TRL release it was written for.",
            Severity.INFO,
        )


def _fields(node: cst.ClassDef) -> list[str]:
    names = []
    for line in node.body.body:
        for statement in line.body if isinstance(line, cst.SimpleStatementLine) else ():
            if isinstance(statement, cst.AnnAssign) and isinstance(statement.target, cst.Name):
                names.append(statement.target.value)
    return names

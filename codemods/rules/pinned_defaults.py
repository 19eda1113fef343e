"""Compare the defaults of the pinned TRL release with ours where a call leaves a field out.

TRL changed what a bare ``ORPOConfig(output_dir=...)`` means: learning rate 5e-5 until 0.11, 1e-6 since 0.12; logging
every 500 steps until 0.18, bfloat16 since 0.19, gradient checkpointing since 0.22, 1024 tokens since 0.14, and no cut
of prompts since 0.28. Ours are those of 1.16. ``--pin-defaults`` writes the old value into the call.
"""

from __future__ import annotations

import libcst as cst

from codemods.call_sites import CallSite, call_sites
from codemods.catalog import CONFIG
from codemods.context import Context
from codemods.keywords import CONFIG_RENAMES, drifted
from codemods.options import Options
from codemods.rules import Example, Phase, Rule

RULE = Rule(
    code="OC008",
    title="defaults that moved since the pinned release (`--pin-defaults`)",
    why="learning_rate 5e-5 before TRL 0.12, logging_steps 500 and float32 before 0.19, checkpointing off before 0.22",
    message="reported as OC124 with both values, or written at the call",
    example=Example(
        "from trl import ORPOConfig\n\nargs = ORPOConfig(output_dir='out', max_prompt_length=9)\n",
        "from orpo_compat import ORPOConfig\n\nargs = ORPOConfig(output_dir='out', max_prompt_length=9, "
        'gradient_checkpointing=False, truncation_mode="keep_end")\n',
        Options(pin_defaults=True, trl_version="0.19.1"),
    ),
    phase=Phase.EDIT,
    edits=True,
)


def apply(context: Context) -> None:
    """Look at every proven call of the config whose arguments are all visible."""
    if context.options.trl_version is None or not context.forward:
        return
    for site in call_sites(context):
        if site.name != CONFIG:
            continue
        missing = _missing(context, site)
        if not missing:
            continue
        if context.options.pin_defaults and not site.unpacks and not context.silenced(site.call, RULE.code):
            _write(context, site, [f"{name}={theirs}" for name, (theirs, _) in missing.items()])
            continue
        pairs = ", ".join(f"{name} {theirs} (now {ours})" for name, (theirs, ours) in missing.items())
        hidden = ", unless what it unpacks sets them" if site.unpacks else ""
        context.report(
            "OC124",
            site.call,
            f"The call relies on defaults of TRL {context.options.trl_version} that have changed{hidden}: {pairs}.",
            "Write the values you want; --pin-defaults writes the old ones.",
        )


def _missing(context: Context, site: CallSite) -> dict[str, tuple[str, str]]:
    given = {CONFIG_RENAMES.get(name, name) for name in site.keywords}
    if "fp16" in given:
        given.add("bf16")
    return {name: pair for name, pair in drifted(context.options.trl_version).items() if name not in given}


def _write(context: Context, site: CallSite, arguments: list[str]) -> None:
    """Add keyword arguments after the last one, in the layout of the call."""
    args = site.call.args
    source = context.source
    if not args:
        closing = context.syntax.span(site.call)[1] - 1
        context.replace(closing, closing, ", ".join(arguments), RULE.code)
        return
    start, end = context.syntax.span(args[-1].keyword or args[-1].value)[0], _end(context, args[-1])
    comma = args[-1].comma
    if not isinstance(comma, cst.Comma):
        context.replace(end, end, "".join(f", {text}" for text in arguments), RULE.code)
        return
    after = context.syntax.span(comma)[1]
    closing_line = source.position(context.syntax.span(site.call)[1] - 1)[0]
    line = source.position(start)[0]
    if closing_line == source.position(after)[0]:
        context.replace(after, after, "".join(f" {text}," for text in arguments), RULE.code)
        return
    text = source.utf8[source.line_starts[line - 1] : start].decode("utf-8")
    indent = text[: len(text) - len(text.lstrip(" \t"))]
    at, eol = source.line_end(after), source.eol_at(after)
    context.replace(at, at, "".join(f"{eol}{indent}{one}," for one in arguments), RULE.code)


def _end(context: Context, arg: cst.Arg) -> int:
    """Where the argument ends, its closing parentheses included."""
    return context.syntax.span(arg)[1]

"""Report imports whose availability the program asks about.

``try: ... except ImportError``, ``find_spec("trl")``, ``suppress(ImportError)`` and ``is_trl_available()`` once said
whether TRL has ORPO (it has not at the top level since 0.29). After the move they ask about the wrong package, or
their second branch is dead. The answer may be held by a flag, or asked before the import and left by ``raise``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import libcst as cst

from codemods.context import Context, callee
from codemods.probes import IMPORT_ERRORS, Probes, catches
from codemods.rules import Example, Phase, Rule
from codemods.scopes import Scope

RULE = Rule(
    code="OC107",
    title="availability probe or import guard",
    why="the guard was written for TRL's presence, and for paths that come and go between 0.26 and 0.29",
    message="the import moves, the guard stays",
    example=Example(
        "try:\n    from trl import ORPOTrainer\nexcept ImportError:\n    ORPOTrainer = None\n",
        "try:\n    from orpo_compat import ORPOTrainer\nexcept ImportError:\n    ORPOTrainer = None\n",
    ),
    phase=Phase.REPORT,
)

ALSO = (
    Rule(
        code="OC107",
        title="flag that says whether TRL is there",
        why="without TRL the flag is false, and the program leaves out what no longer needs TRL",
        message="the import moves; the branch, early exit or skip that a probe of TRL decides stays",
        example=Example(
            "OK = find_spec('trl') is not None\nif OK:\n    from trl import ORPOTrainer\n",
            "OK = find_spec('trl') is not None\nif OK:\n    from orpo_compat import ORPOTrainer\n",
        ),
        phase=Phase.REPORT,
    ),
)

_LEAVERS = frozenset({"exit", "quit", "_exit", "abort", "skip", "SkipTest", "skipTest", "fail", "xfail"})
_ASKERS = frozenset({"importorskip", "requires_backends", "require_version", "require", "check_min_version"})


def apply(context: Context) -> None:
    """Look at what surrounds every import that changes, and at what comes before it."""
    probes = Probes(context)
    scopes = {fact.node: fact.scope for fact in context.survey.imports}
    for plan in context.plans.values():
        if plan.changes:
            for guard in _guards_of(context, probes, plan.node, scopes[plan.node]):
                _report(context, guard, "an import")
    for use in context.survey.uses():
        if any(change.rule == "OC002" and change.start == use.start for change in context.changes):
            for parent, child in context.ancestors(use.node):
                expects = isinstance(parent, cst.Try) and catches(parent, frozenset({"AttributeError"}))
                if isinstance(parent, cst.Try) and child is parent.body and expects:
                    _report(context, parent, "a use")


def _report(context: Context, guard: cst.CSTNode, what: str) -> None:
    context.report(
        "OC107",
        guard,
        f"This guards {what} that now comes from {context.move.target}.",
        f"Ask for {context.move.target}, or drop the guard: it is a dependency now.",
    )


def _guards_of(context: Context, probes: Probes, node: cst.CSTNode, scope: Scope) -> Iterator[cst.CSTNode]:
    """What decides whether the import runs: what is around it, and what in the blocks around it comes first."""
    within = True
    for parent, child in context.ancestors(node):
        if isinstance(parent, (cst.FunctionDef, cst.ClassDef)):
            within = False
            yield from (one for one in parent.decorators if probes.asks(one.decorator, scope))
        elif isinstance(parent, (cst.If, cst.While)):
            if child is not parent.test and probes.asks(parent.test, scope):
                yield parent
        elif isinstance(parent, cst.Match):
            if child is not parent.subject and probes.asks(parent.subject, scope):
                yield parent
        elif within and _catches_it(parent, child):
            yield parent
        if isinstance(parent, (cst.IndentedBlock, cst.Module)):
            yield from _exits(context, probes, parent.body, child, scope)


def _catches_it(parent: cst.CSTNode, child: cst.CSTNode) -> bool:
    if isinstance(parent, (cst.Try, cst.TryStar)):
        return child is not parent.finalbody and catches(parent, IMPORT_ERRORS)
    if isinstance(parent, cst.With):
        calls = [item.item for item in parent.items if isinstance(item.item, cst.Call)]
        return any(callee(call).rpartition(".")[2] == "suppress" for call in calls)
    return False


def _exits(
    context: Context, probes: Probes, statements: Sequence[cst.CSTNode], until: cst.CSTNode, scope: Scope
) -> Iterator[cst.CSTNode]:
    """Statements before ``until`` that leave the block, or the test run, when TRL is missing."""
    for one in statements:
        if one is until:
            return
        if isinstance(one, cst.If):
            if _leaves(one.body) and probes.asks(one.test, scope):
                yield one
        elif isinstance(one, cst.SimpleStatementLine):
            yield from (small for small in one.body if _demands(probes, small, scope))


def _leaves(block: cst.BaseSuite) -> bool:
    last = block.body[-1] if block.body else None
    if isinstance(last, cst.SimpleStatementLine):
        last = last.body[-1]
    if isinstance(last, cst.Expr) and isinstance(last.value, cst.Call):
        return callee(last.value).rpartition(".")[2] in _LEAVERS
    return isinstance(last, (cst.Raise, cst.Return, cst.Continue, cst.Break))


def _demands(probes: Probes, statement: cst.BaseSmallStatement, scope: Scope) -> bool:
    """Whether a statement by itself stops when TRL is missing, or has pytest skip the module."""
    if isinstance(statement, cst.Assert):
        return probes.asks(statement.test, scope)
    if isinstance(statement, cst.Assign) and isinstance(statement.targets[0].target, cst.Name):
        return statement.targets[0].target.value == "pytestmark" and probes.asks(statement.value, scope)
    call = statement.value if isinstance(statement, cst.Expr) else None
    return isinstance(call, cst.Call) and callee(call).rpartition(".")[2] in _ASKERS and probes.mentions(call)

"""Read ORPOTrainer and ORPOConfig from the orpo_compat module where they were read from one of TRL's.

``trl.ORPOTrainer`` is an AttributeError since TRL 0.29 (PR 4480 moved it in 0.26), and plain ``import trl`` never
made ``trl.experimental.orpo`` reachable. Uses follow the scopes of Python; types written as strings are uses too.
The import itself is swapped when nothing else needs it, else ``import orpo_compat`` comes right after it.
"""

from __future__ import annotations

from codemods.context import Context
from codemods.module_moves import ModuleMove
from codemods.rules import Example, Phase, Rule

RULE = Rule(
    code="OC002",
    title="import of a module, class read from it",
    why="`trl.ORPOTrainer` is an AttributeError since TRL 0.29",
    message="uses and import move; `import trl` stays where something else needs it",
    example=Example(
        "import trl\n\nargs = trl.ORPOConfig()\nmodel = trl.ModelConfig()\n",
        "import trl\nimport orpo_compat\n\nargs = orpo_compat.ORPOConfig()\nmodel = trl.ModelConfig()\n",
    ),
    phase=Phase.DECIDE,
    edits=True,
)

ALSO = (
    Rule(
        code="OC106",
        title="module handed on, rebound or deleted",
        why="who receives the module may read `ORPOTrainer` from it, which fails since TRL 0.29",
        message="a module handed on keeps its import; the uses of a name with two meanings stay",
        example=Example(
            "import trl\n\nshow(trl)\nargs = trl.ORPOConfig()\n",
            "import trl\nimport orpo_compat\n\nshow(trl)\nargs = orpo_compat.ORPOConfig()\n",
        ),
        phase=Phase.DECIDE,
    ),
    Rule(
        code="OC110",
        title="`orpo_compat` names something else",
        why="the uses that TRL 0.29 broke would be written with a name that is taken",
        message="the uses stay",
        example=Example("import trl\n\norpo_compat = load()\nargs = trl.ORPOConfig()\n", None),
        phase=Phase.DECIDE,
    ),
)


def apply(context: Context) -> None:
    """Decide for every name that is bound to a module of interest, those of inner scopes first."""
    for group in sorted(context.names.groups, key=lambda one: -one.home.depth):
        ModuleMove(context, group).decide()

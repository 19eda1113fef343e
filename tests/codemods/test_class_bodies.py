"""Class bodies look names up as they run: what that means for imports inside a class and around it.

The expected texts were worked out by hand from the language reference (a class block's free and bound names go through
its own namespace, then the module's); the programs of ``test_python_agrees`` are run to confirm the reading.
"""

from __future__ import annotations

import pytest

from tests.codemods.checks import check_noop, check_refuses, check_rewrites


def test_an_import_in_a_class_and_one_of_the_module_both_move_at_once() -> None:
    check_rewrites(
        "import trl\na = trl.ORPOTrainer\nclass C:\n    import trl\n    b = trl.ORPOTrainer\n",
        "import orpo_compat\na = orpo_compat.ORPOTrainer\nclass C:\n    import orpo_compat\n"
        "    b = orpo_compat.ORPOTrainer\n",
    )


def test_a_module_imported_from_its_package_in_a_class_moves_beside_another_import() -> None:
    check_rewrites(
        "import trl\na = trl.ORPOTrainer\nclass C:\n    from trl import trainer\n    b = trainer.ORPOConfig\n",
        "import orpo_compat\na = orpo_compat.ORPOTrainer\nclass C:\n    import orpo_compat\n"
        "    b = orpo_compat.ORPOConfig\n",
    )


def test_one_line_classes_are_bodies_too() -> None:
    check_rewrites(
        "import trl\na = trl.ORPOConfig\nclass C: import trl; b = trl.ORPOTrainer\n",
        "import orpo_compat\na = orpo_compat.ORPOConfig\nclass C: import orpo_compat; b = orpo_compat.ORPOTrainer\n",
    )


@pytest.mark.parametrize(
    "inside",
    [
        "    if side:\n        import trl\n",
        "    try:\n        import trl\n    except ImportError:\n        pass\n",
        "    import trl\n    del trl\n",
        "    for trl in mods:\n        pass\n",
        "    if side:\n        trl = fake()\n",
        "    try:\n        pass\n    except E as trl:\n        pass\n",
    ],
)
def test_a_use_that_may_fall_through_to_the_module_keeps_both_imports(inside: str) -> None:
    after = "class C:\n" + inside + "    b = trl.ORPOTrainer\n"
    done = check_rewrites(
        "import trl\na = trl.ORPOConfig\n" + after,
        "import trl\nimport orpo_compat\na = orpo_compat.ORPOConfig\n" + after,
        *({"OC106"} if "import" in inside else {"OC126"}),
    )
    use = done.source.splitlines().index(b"    b = trl.ORPOTrainer") + 1
    assert use in {finding.line for finding in done.findings}


def test_a_use_above_the_class_s_own_import_is_the_module_s() -> None:
    check_rewrites(
        "import trl\nclass C:\n    a = trl.ORPOConfig\n    import trl\n    b = trl.ORPOTrainer\n",
        "import orpo_compat\nclass C:\n    a = orpo_compat.ORPOConfig\n    import orpo_compat\n"
        "    b = orpo_compat.ORPOTrainer\n",
    )


def test_a_loop_may_come_back_with_the_class_s_own_import() -> None:
    check_refuses(
        "import trl\nclass C:\n    for i in (1, 2):\n        a = trl.ORPOConfig\n        trl = fake(i)\n",
        "OC126",
    )


def test_a_function_between_class_and_module_is_passed_over() -> None:
    check_noop("def f():\n    trl = fake()\n    class C:\n        a = trl.ORPOConfig\n        trl = 1\n")
    check_rewrites(
        "import trl\ndef f():\n    trl = fake()\n    class C:\n        a = trl.ORPOConfig\n        trl = 1\n",
        "import orpo_compat\ndef f():\n    trl = fake()\n    class C:\n        a = orpo_compat.ORPOConfig\n"
        "        trl = 1\n",
    )


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("    a = x\n    x = 'class'\n", "module"),
        ("    x = 'class'\n    a = x\n", "class"),
        ("    x = 'class'\n    del x\n    a = x\n", "module"),
        ("    if False:\n        x = 'class'\n    a = x\n", "module"),
    ],
)
def test_python_agrees(body: str, found: str) -> None:
    inner = "".join(f"    {line}\n" for line in ("class C:\n" + body).splitlines())
    space: dict[str, object] = {}
    exec("x = 'module'\ndef f():\n    x = 'function'\n" + inner + "    return C.a\nseen = f()\n", space)
    assert space["seen"] == found

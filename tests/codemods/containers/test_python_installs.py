"""Python that has TRL installed is told where it stands; a message that says so is not."""

from __future__ import annotations

import pytest

from codemods.containers.python_installs import python_installs
from codemods.discover import is_telling
from codemods.options import Options
from tests.codemods.containers.laws import lines_with, rewritten

INSTALLS = [
    'session.install("pytest", {0})\n',
    'session.install({0}, "-r", "dev.txt")\n',
    'session.run("python", "-m", "pip", "install", {0})\n',
    'subprocess.run([sys.executable, "-m", "pip", "install", {0}], check=True)\n',
    'subprocess.check_call(["pip", "install", "-q", {0}])\n',
    'pip.main(["install", {0}])\n',
    'subprocess.run(["uv", "add", {0}])\n',
    'image = modal.Image.debian_slim().pip_install("torch", {0})\n',
    "image = image.uv_pip_install([{0}])\n",
    'ray.init(runtime_env={{"pip": ["torch", {0}]}})\n',
    'ray.init(runtime_env={{"pip": {{"packages": [{0}]}}}})\n',
    "@dsl.component(packages_to_install=[{0}])\ndef train(): ...\n",
    'op = PythonVirtualenvOperator(task_id="t", requirements=[{0}])\n',
    "REQUIREMENTS = [{0}]\n",
    'DEPS: list[str] = ["torch"] + [{0}]\n',
    "def f():\n    install_packages({0})\n",
]
COMMANDS = [
    'os.system("pip install -q {0}")\n',
    'subprocess.run("pip install {0}", shell=True)\n',
    'c.run(f"{{python}} -m pip install {0}")\n',
    'image = image.run_commands("pip install {0}")\n',
    'task = sky.Task(setup="pip install {0}", run="python train.py")\n',
    'step = BashOperator(task_id="x", bash_command="pip install {0}")\n',
    'c.run("""\n    pip install torch\n    pip install {0}\n""")\n',
]


@pytest.mark.parametrize("name", ['"trl"', "'trl==0.9.6'", '"trl[peft]>=0.8,<0.29"', '"trl @ git+https://x/y"'])
@pytest.mark.parametrize("source", INSTALLS)
def test_a_place_that_installs_trl_is_found_until_it_installs_ours_too(source: str, name: str) -> None:
    assert len(python_installs(source.format(name).encode())) == 1
    assert python_installs(source.format(f'{name}, "orpo-compat"').encode()) == []
    assert python_installs(source.format('"trlx"').encode()) == []


@pytest.mark.parametrize("source", COMMANDS)
def test_a_command_in_a_string_is_found_until_it_installs_ours_too(source: str) -> None:
    assert len(python_installs(source.format("trl").encode())) == 1
    assert len(python_installs(source.format("'trl<0.29' peft").encode())) == 1
    assert python_installs(source.format("trl orpo-compat").encode()) == []
    assert python_installs(source.format("torch").encode()) == []


@pytest.mark.parametrize(
    "source",
    [
        'raise ImportError("pip install trl")\n',
        'print("run pip install trl first")\n',
        'parser.add_argument("--trl", help="needs pip install trl")\n',
        '"""Train.\n\npip install trl\n"""\n',
        'HINT = "pip install trl"\n',
        'logging.getLogger("trl").setLevel(20)\n',
        'importlib.util.find_spec("trl")\n',
        'pytest.importorskip("trl")\n',
        'tags = ["trl", "orpo"]\n',
        'api.create_repo(name, library_name="trl")\n',
        'pipeline(model, pipeline_tag="trl")\n',
        'subprocess.run(["trl", "sft"])\n',
        'subprocess.run(["pip", "uninstall", "trl", "-y"])\n',
        'x = = "trl"\n',
    ],
)
def test_other_strings_install_nothing(source: str) -> None:
    assert python_installs(source.encode()) == []
    assert not is_telling("m.py", source.replace("orpo", "x").encode())


def test_each_function_is_an_environment_of_its_own() -> None:
    source = (
        'def tests(session):\n    session.install("trl")\n    session.install("orpo-compat")\n\n\n'
        'def docs(session):\n    session.install("trl")\n'
    )
    assert [node.lineno for node in python_installs(source.encode())] == [7]


def test_the_report_names_the_line_and_what_to_do() -> None:
    source = "\ufeffimport nox\n\n\n@nox.session\ndef tests(session):\n    session.install('é', 'trl')\n".encode()
    assert is_telling("noxfile.py", source)
    done = rewritten("noxfile.py", source, Options())
    (finding,) = done.findings
    assert (finding.code, finding.line) == ("OC120", 6)
    assert "session.install" in finding.message
    assert "pip install orpo-compat" in finding.advice
    assert not done.changed


def test_a_file_that_also_trains_is_moved_and_told() -> None:
    source = b'import os\nos.system("pip install trl")\nfrom trl import ORPOTrainer\n'
    done = rewritten("colab.py", source, Options())
    assert done.result == source.replace(b"from trl", b"from orpo_compat")
    assert lines_with(done, "OC120") == [2]


def test_setup_py_is_told_once() -> None:
    source = b"from setuptools import setup\nsetup(install_requires=['trl'])\n"
    assert lines_with(rewritten("setup.py", source, Options()), "OC120") == [2]
    added = rewritten("setup.py", source, Options(deps=True))
    assert lines_with(rewritten("setup.py", added.result, Options()), "OC120") == []

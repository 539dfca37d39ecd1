"""What README, CONTRIBUTING and CHANGELOG say is there: their examples run, and what they name exists."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from messages_api import MessagesAPI
from rig.kernel import Kernel

import claude_magic
from claude_magic import errors
from claude_magic._kernel.options import cell_options
from claude_magic._kernel.options.settings import Settings
from claude_magic._kernel.session_words import word_table
from claude_magic.sdk import config

ROOT = Path(__file__).parent.parent
PACKAGE = Path(claude_magic.__file__).parent
TEXTS = {name: (ROOT / f"{name}.md").read_text(encoding="utf-8") for name in ("README", "CONTRIBUTING", "CHANGELOG")}

FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)

SETUP = """\
import sys, types
from dataclasses import dataclass

import pandas as pd
from IPython import get_ipython

@dataclass
class City:
    name: str

@dataclass
class Label:
    about: str

def is_right(row, reply):
    return "said" in reply

df = pd.DataFrame({"text": ["one", "two"]})
get_ipython().register_magic_function(lambda line: None, magic_name="pip")
colab = types.ModuleType("google.colab")
colab.userdata = {"ANTHROPIC_API_KEY": "sk-dummy"}
sys.modules["google.colab"] = colab"""
"""What the README's cells take for granted: names of a person, Colab's module, and an index to install from."""


@dataclass(frozen=True)
class Example:
    """A block of code, and what says so before it."""

    document: str
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.document}: {self.code.splitlines()[0][:60]}"


def examples(*languages: str) -> list[Example]:
    """Return the blocks of code in these languages, in the order of the documents."""
    found = []
    for document, text in TEXTS.items():
        for indent, language, code in FENCE.findall(text):
            if language in languages:
                found.append(Example(document, language, "\n".join(line.removeprefix(indent) for line in code.splitlines())))
    return found


def section(document: str, title: str) -> str:
    """Return what stands below a heading of a document."""
    return TEXTS[document].partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def commands() -> Iterator[list[str]]:
    """Yield the words of each command that a document gives."""
    for example in examples("bash"):
        for line in example.code.splitlines():
            yield from (shlex.split(command) for command in line.split(" && "))


def answer(prompt: str) -> str:
    """Return what the model says to an example that wants data."""
    if "Clean up this list of cities" in prompt:
        return '<<tool StructuredOutput {"value": [{"name": "Bern"}]}>>'
    return '<<tool StructuredOutput {"about": "numbers"}>>' if "What is this text about?" in prompt else "<<say It is said.>>"


@pytest.fixture(scope="module")
def module_api() -> Iterator[MessagesAPI]:
    """The scripted API, with answers for the examples."""
    with MessagesAPI(answer) as api:
        yield api


def test_every_block_is_of_a_kind_that_is_tried() -> None:
    """A block is a notebook cell, Python or commands; no other kind of example is left untried."""
    assert {language for text in TEXTS.values() for _, language, _ in FENCE.findall(text)} <= {"", "python", "bash"}


@pytest.mark.long
def test_cells_run(fresh_kernel: Kernel) -> None:
    """Each cell and each piece of Python in the README runs, from the first to the last, in one notebook."""
    setup = fresh_kernel.run(SETUP)
    assert setup.ok, setup.errors
    for example in examples("", "python"):
        if example.document == "README":
            code = example.code.replace("userdata.get(", "userdata.__getitem__(")
            result = fresh_kernel.run(code, timeout_s=200)
            assert result.ok, (example.code, result.errors)
    assert fresh_kernel.value("cities.structured[0].name") == "Bern"
    assert fresh_kernel.value("[label.about for label in labels.values]") == ["numbers", "numbers"]
    assert fresh_kernel.value("trial.to_frame()['score'].tolist()") == [1.0] * 8


@pytest.mark.parametrize("example", [example for example in examples("python") if example.document == "CONTRIBUTING"], ids=str)
def test_rows_fit_their_tables(example: Example) -> None:
    """What CONTRIBUTING shows as a row is one: of the table of options, of the CLI's flags or of the words."""
    homes = {"Option(": cell_options, "_flag(": config, "Word(": word_table}
    home = next(module for start, module in homes.items() if start in example.code)
    names = dict(vars(home))
    if home is word_table:
        word = eval(example.code, names)
        assert (word.name, word.forms) == ("count", {"count": "say how many turns this kernel has"})
        return
    body = "\n".join(f"    {line}" for line in example.code.splitlines())
    exec(f"from dataclasses import dataclass\n@dataclass\nclass Row:\n{body}", names)
    (row,) = names["Row"].__dataclass_fields__.values()
    assert row.metadata


@pytest.mark.parametrize("command", list(commands()), ids=shlex.join)
def test_commands_can_be_typed(command: list[str]) -> None:
    """A command names a program of ours or of an extra, files that are there, and extras that exist."""
    program, *words = command
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    if program == ".ci/run":
        assert shutil.which(str(ROOT / program))
        return
    extras = project["optional-dependencies"]
    wanted = {re.split(r"[^\w-]", requirement)[0] for extra in extras.values() for requirement in extra}
    assert program in {"python", "pip"} or {program, f"{program}lab"} & wanted
    for word in words:
        if "/" in word:
            assert (ROOT / word).exists()
        if match := re.fullmatch(r"\.\[(\w+)\]", word):
            assert match[1] in extras


def test_the_shell_reads_the_commands() -> None:
    """The shell finds no fault in any block of commands."""
    for example in examples("bash"):
        assert subprocess.run(["bash", "-n", "-c", example.code], capture_output=True, check=False).stderr == b""


def test_readme_names_what_can_be_chosen() -> None:
    """The README's table of magics has each option and each word, and every setting it names is one."""
    table = section("README", "Magics")
    words = set(re.findall(r"[\w-]+", table))
    assert [option.name for option in cell_options.OPTIONS if option.names[-1] not in words] == []
    assert [word.name for word in word_table.WORDS if word.name not in words] == []
    named = set(re.findall(r"ClaudeMagics\.(\w+)", "".join(TEXTS.values())))
    assert named <= set(Settings.class_trait_names())


def test_readme_s_messages_are_said() -> None:
    """Each message that the README explains is one that the package says."""
    rows = re.findall(r"^\| `([^`]+)` \|", section("README", "Messages, and what to do"), re.MULTILINE)
    said = "\n".join(
        node.value
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    assert len(rows) >= 5
    # Behind the first figure stands what differs each time.
    assert [row for row in rows if re.split(r"\d", row)[0].strip() not in said] == []


@pytest.mark.parametrize("document", TEXTS)
def test_files_that_are_named_exist(document: str) -> None:
    """Each path and each link of a document leads to something, and each heading that is linked is there."""
    text = TEXTS[document]
    paths = re.findall(r"`((?:claude_magic|tests|notebooks)/[\w./-]*)`", text)
    links = re.findall(r"\]\(([\w./-]+)(?:#([\w-]+))?\)", text)
    assert [path for path in (*paths, *(link for link, _ in links)) if not (ROOT / path).exists()] == []
    for link, anchor in links:
        headings = re.findall(r"^#+ (.+)$", (ROOT / link).read_text(encoding="utf-8"), re.MULTILINE) if anchor else [anchor]
        assert anchor in {heading.lower().replace(" ", "-") for heading in headings}


def test_every_folder_is_drawn() -> None:
    """The drawing in CONTRIBUTING has each folder of the package that has modules."""
    drawn = set(re.findall(r"(\w+)/", section("CONTRIBUTING", "Where things live")))
    assert {path.parent.name for path in PACKAGE.rglob("*.py")} <= drawn


def test_tree_of_errors() -> None:
    """The tree that is drawn in the docstring of `errors` is that of the classes."""
    parents: list[str] = []
    drawn = {}
    for indent, name in re.findall(r"^    ([ │├└─]*)(\w+)", errors.__doc__ or "", re.MULTILINE):
        parents[len(indent) // 4 :] = [name]
        drawn[name] = parents[-2] if len(parents) > 1 else "Exception"
    classes = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, errors.ClaudeError)]
    assert drawn == {kind.__name__: kind.__bases__[0].__name__ for kind in classes}


def test_the_version_stands_in_one_place() -> None:
    """No other file of the package or the build says the version."""
    texts = [ROOT / "pyproject.toml", *PACKAGE.rglob("*.py")]
    said = [path for path in texts if f'"{claude_magic.__version__}"' in path.read_text(encoding="utf-8")]
    assert said == [PACKAGE / "_version.py"]
    assert f"## {claude_magic.__version__} " in TEXTS["CHANGELOG"]


def test_docstrings_hold_no_example_that_is_not_run() -> None:
    """No docstring has a block of Python: such an example belongs into a document or a notebook, where it is run."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                assert not re.search(r">>> |```|::\n", ast.get_docstring(node) or ""), path

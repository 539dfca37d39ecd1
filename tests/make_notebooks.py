"""Execute the notebooks that we ship, against the scripted API, and save them with their settled outputs.

python tests/make_notebooks.py [NAME ...]

A notebook that names a cassette is executed twice: to record the cassette anew, and to be saved with the outputs that it
gives by itself: played, or live where it plays only without a login. So is one that names a checkpoint, which answers its
rows.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import nbformat
from lessons import LESSONS, SCRIPTED, answer
from messages_api import MessagesAPI
from nbclient import NotebookClient
from rig.environment import isolated_environment, offline_environment

from claude_magic.sdk._cli.command_line import find_cli

TEMPORARY = re.compile(re.escape(tempfile.gettempdir()) + r"/tmp\w+")
"""The directories that a lesson is executed in, which mean nothing to a reader."""

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"

READING_HZ = 30.0
"""Words of an answer in a second, in a cassette that is shipped: about as a model writes."""
AT_ONCE_HZ = 10_000.0

_MODE = re.compile(r"(cassette_mode = ).+")


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a notebook is executed: `config` is its IPython configuration."""

    config: str = ""
    live: bool = True
    words_hz: float = AT_ONCE_HZ


LIVE = Machine()
OFFLINE = Machine('c.ClaudeMagics.cli_path = "/nowhere/claude"\nc.ClaudeMagics.cassette_speed = 0\n', live=False)
"""No CLI, no login, and nothing that answers."""


def execute(name: str, directory: Path, machine: Machine = LIVE, *, recording: bool = False) -> nbformat.NotebookNode:
    """Return the notebook as it is after Run All in `directory`, in a real kernel, with nobody there to answer.

    :param recording: whether its cassette is recorded, whatever it says itself.
    """
    shutil.copy(NOTEBOOKS / name, directory)
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    cassette = cassette_of(name)
    for kept in (cassette, checkpoint_of(name)):
        if kept.exists() and not recording:
            shutil.copy(kept, directory)
    if (table := (NOTEBOOKS / name).with_suffix(".csv")).exists():
        shutil.copy(table, directory)
    if recording:
        notebook.cells = [cell for cell in notebook.cells if "not-recorded" not in cell.metadata.get("tags", [])]
        for cell in notebook.cells:
            cell.source = _MODE.sub(r'\1"record"', cell.source)
    with tempfile.TemporaryDirectory() as home, MessagesAPI(answer, words_hz=machine.words_hz) as api:
        environment = isolated_environment(Path(home), api.url) if machine.live else offline_environment(Path(home))
        profile = Path(environment["IPYTHONDIR"], "profile_default")
        profile.mkdir(parents=True)
        (profile / "ipython_config.py").write_text(machine.config, encoding="utf-8")
        if machine.live:
            # Else the panel would name the place of this machine's CLI.
            programs = Path(home, "bin")
            programs.mkdir()
            programs.joinpath("claude").symlink_to(find_cli(None))
            environment["PATH"] = f"{programs}{os.pathsep}{environment['PATH']}"
        client = NotebookClient(
            notebook,
            kernel_name="python3",
            # As JupyterLab does: `--redo` asks for the turn of this very cell.
            on_cell_start=lambda cell, cell_index: client.kc.session.metadata.update(cellId=cell.id),
            timeout=600,
            coalesce_streams=True,
            resources={"metadata": {"path": str(directory)}},
        )
        client.execute(env=environment)
    return notebook


def cassette_of(name: str) -> Path:
    """Return where the cassette of a notebook is, if it has one."""
    return (NOTEBOOKS / name).with_suffix(".jsonl")


def checkpoint_of(name: str) -> Path:
    """Return where the checkpoint of a notebook is, if it has one."""
    return (NOTEBOOKS / name).with_suffix(".sqlite")


def record_checkpoint(name: str, directory: Path) -> Path:
    """Answer the rows of a notebook anew, and return the file, made small: of a reply's usage only the counts stay."""
    execute(name, directory, recording=True)
    path = directory / checkpoint_of(name).name
    connection = sqlite3.connect(path, isolation_level=None)
    counts = "json_object('input_tokens', usage ->> 'input_tokens', 'output_tokens', usage ->> 'output_tokens')"
    connection.execute(f"UPDATE answers SET usage = {counts}, content = '', duration_s = round(duration_s, 2)")
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("VACUUM")
    connection.close()
    return path


def record(name: str, directory: Path, words_hz: float = READING_HZ) -> str:
    """Record a notebook's cassette and return its text, which says in its first line who wrote the answers."""
    execute(name, directory, Machine(words_hz=words_hz), recording=True)
    header, turns = (directory / cassette_of(name).name).read_text(encoding="utf-8").split("\n", 1)
    return f"{json.dumps(json.loads(header) | {'note': SCRIPTED}, ensure_ascii=False)}\n{turns}"


def has_cassette(name: str) -> bool:
    """Tell whether a notebook names a cassette that we ship."""
    return f'"{cassette_of(name).name}"' in (NOTEBOOKS / name).read_text(encoding="utf-8").replace('\\"', '"')


def has_checkpoint(name: str) -> bool:
    """Tell whether a notebook names a checkpoint that we ship."""
    return f"--checkpoint {checkpoint_of(name).name}" in (NOTEBOOKS / name).read_text(encoding="utf-8")


def tidy(notebook: nbformat.NotebookNode) -> None:
    """Take out what differs from run to run and means nothing to a reader."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)


def main(names: list[str]) -> None:
    for name in names or list(LESSONS):
        if has_cassette(name):
            with tempfile.TemporaryDirectory() as directory:
                # A script takes its replies whole.
                words_hz = AT_ONCE_HZ if name == "sessions.ipynb" else READING_HZ
                cassette_of(name).write_text(record(name, Path(directory), words_hz), encoding="utf-8")
        if has_checkpoint(name):
            with tempfile.TemporaryDirectory() as directory:
                shutil.copy(record_checkpoint(name, Path(directory)), checkpoint_of(name))
        with tempfile.TemporaryDirectory() as directory:
            notebook = execute(name, Path(directory), OFFLINE if has_checkpoint(name) else LIVE)
        tidy(notebook)
        (NOTEBOOKS / name).write_text(TEMPORARY.sub("~/lesson", nbformat.writes(notebook)) + "\n", encoding="utf-8")
        print(f"wrote {name}")


if __name__ == "__main__":
    main(sys.argv[1:])

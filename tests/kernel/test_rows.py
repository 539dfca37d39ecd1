"""Many rows in a notebook: `%%claude --each` and `ask_each()`, their progress, their table, and an interrupt."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cells import SETTLED, WIDGET, usage_error
from messages_api import MessagesAPI
from rig.kernel import Kernel
from test_headless import CASSETTE

from claude_magic._render.live.row_progress import Lines
from claude_magic._render.settled.row_table import settled_rows
from claude_magic.errors import APIError
from claude_magic.sdk import Results, RowOutcome, Trial, TurnOptions
from claude_magic.sdk._rows.limits import Progress
from claude_magic.sdk._rows.request import Arm
from claude_magic.sdk._rows.work import Template

ROWS = "rows = [{'text': 'one'}, {'text': 'two'}, {'text': 'three'}]"


@pytest.mark.long
def test_each(shared_session: Kernel, api: MessagesAPI) -> None:
    """A cell asks about every row; its bar becomes the table of the results, and `-o` names them."""
    shared_session.run(ROWS)
    cell = shared_session.run("%%claude --each rows -o out --concurrency 2\nsay {{ text }}")
    assert cell.ok, cell
    assert sorted(prompts[-1] for prompts in api.prompts()) == ["say one", "say three", "say two"]
    assert all(body["tools"] == [] for body in api.requests)
    shown = cell.bundle
    assert shown.keys() >= SETTLED
    assert WIDGET not in shown
    assert "You said: say two" in shown["text/html"]
    assert "3 rows, $" in shown["text/plain"]
    assert (
        shared_session.run("[v for v in out.values]").text
        == "['You said: say one', 'You said: say two', 'You said: say three']"
    )
    assert shared_session.run("list(out.to_frame().columns)").text == "['text', 'reply']"


def test_ask_each_in_a_cell(shared_session: Kernel, api: MessagesAPI) -> None:
    """`ask_each()` returns what shows as a table; the settings of the kernel hold for how the CLI is started."""
    cell = shared_session.run("from claude_magic import ask_each\nask_each('{{ row }}', ['<b>bold</b>', 'two'], concurrency=1)")
    assert cell.ok, cell
    assert "&lt;b&gt;bold&lt;/b&gt;" in cell.bundle["text/html"]
    assert "2 rows, $" in cell.bundle["text/plain"]


@pytest.mark.long
def test_trial(shared_session: Kernel, api: MessagesAPI) -> None:
    """A cell asks every row in every way, also where a model is configured, and shows what is noise and what differs."""
    shared_session.run(f"{ROWS}\nlong = lambda row, reply: len(reply) > 17 + len(row['text'])")
    shared_session.run("%config ClaudeMagics.model = 'haiku'")
    try:
        cell = shared_session.run(
            "%%claude --each rows --vary tone='so, so',plain --compare sonnet,opus --score long -o trial\n"
            "{{ tone }}: {{ text }}"
        )
    finally:
        shared_session.run("%config ClaudeMagics.model = None")
    assert cell.ok, cell
    assert len(api.requests) == 12
    assert {body["model"].split("-")[1] for body in api.requests} == {"sonnet", "opus"}
    shown = cell.bundle
    assert shown.keys() >= SETTLED
    assert WIDGET not in shown
    first, second = shown["text/plain"].splitlines()[1:3]
    assert first.split()[:2] == ["so,", "so"]
    assert second.split()[:2] == ["so,", "so"]
    assert "No difference can be told from noise" in shown["text/html"]
    assert "You said: plain: one" in shown["text/markdown"]
    assert "3 rows in 4 ways, 12 replies, $" in shown["text/plain"]
    assert shared_session.run("trial.best.prompt({'text': 'x'})").text == "'so, so: x'"
    assert "3 rows in 4 ways" in shared_session.run("trial").bundle["text/plain"]


def test_a_score_that_is_interrupted(shared_session: Kernel, api: MessagesAPI) -> None:
    """An interrupt of a score stops the run; no reply that has come is lost, and nothing is scored after it."""
    shared_session.run("from claude_magic import ask_each\nscored = []")
    shared_session.run(
        "def score(row, reply):\n  scored.append(row)\n  if len(scored) == 2: raise KeyboardInterrupt\n  return 1"
    )
    cell = shared_session.run("trial = ask_each('{{ row }}', list('abcdef'), score=score, concurrency=1)")
    assert cell.ok, cell
    assert shared_session.run("trial.stopped, trial.table[0].n, len(scored)").text == "('interrupted', 1, 2)"
    assert shared_session.value("sum(outcome.asked for outcome in trial)") >= 2


@pytest.mark.long
@pytest.mark.parametrize("call", ["%%claude --each rows -o out --concurrency 1\n{{ row }}", "CALL"], ids=["cell", "function"])
def test_interrupt(call: str, shared_session: Kernel, api: MessagesAPI) -> None:
    """An interrupt stops the run and gives back what is done."""
    shared_session.run("from claude_magic import ask_each\nrows = ['one', '<<wait>><<say two>>', 'three']")
    running = shared_session.start(call.replace("CALL", "out = ask_each('{{ row }}', rows, concurrency=1)"))
    api.wait_for_requests(2)
    shared_session.interrupt()
    result = running.wait()
    assert result.ok, result
    assert shared_session.run("out.values[0], out.stopped, len(out)").text == ("('You said: one', 'interrupted', 1)")


@pytest.mark.long
def test_headless(shared_session: Kernel, api: MessagesAPI) -> None:
    """Where nobody watches there are lines of text and the table, and no widget."""
    shared_session.run("rows = list('abcdefghij')")
    cell = shared_session.run("%%claude --each rows --concurrency 2\n{{ row }}", allow_stdin=False)
    assert cell.ok, cell
    assert "of 10 rows" in cell.stdout
    shown = cell.bundle
    assert shown.keys() >= SETTLED
    assert WIDGET not in shown
    assert "2 more rows" in shown["text/html"]


@pytest.mark.parametrize("choice", ["--quiet", ""], ids=["quiet", "shown"])
def test_a_run_that_stops_says_so(choice: str, shared_session: Kernel, api: MessagesAPI) -> None:
    """A spent budget fails no cell, but the cell says how far the run came, also with `--quiet`."""
    shared_session.run(ROWS)
    cell = shared_session.run(f"%%claude --each rows -o out --budget 0.0001 {choice}\n{{{{ text }}}}", allow_stdin=False)
    assert cell.ok, cell
    said = cell.stdout if choice else cell.bundle["text/plain"]
    assert "1 of 3 rows, $" in said
    assert "; partial: the next row would exceed the budget of $0.0001" in said
    assert shared_session.run("out.stopped").text == "'the next row would exceed the budget of $0.0001'"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--each nothing", "there is no variable nothing"),
        ("--each rows --new", "--new cannot be used with --each"),
        ("--each rows --samples 2", "--samples cannot be used with --each"),
        ("--each rows --tool len", "--tool cannot be used with --each"),
        ("--each rows --notebook full", "--notebook cannot be used with --each"),
        ("--concurrency 3", "--concurrency works only with --each"),
        ("--vary tone=a,b", "--vary works only with --each; name rows, such as --each df"),
        ("--score len", "--score works only with --each; name rows, such as --each df"),
        ("--each rows --score nothing.here", "there is no function or text nothing.here"),
        ("--each rows --score rows", "neither a function nor a text"),
        ("--each rows --vary tone=one", "'tone=one' is not a name and different values"),
        ("--checkpoint a.sqlite", "--checkpoint works only with --each"),
    ],
)
def test_options_that_do_not_fit(line: str, said: str, shared_session: Kernel, api: MessagesAPI) -> None:
    """Options that mean nothing together are refused, and nothing is sent."""
    shared_session.run(ROWS)
    assert said in usage_error(shared_session.run(f"%%claude {line}\n{{{{ text }}}}"))
    assert api.requests == []


def test_a_column_that_is_not_there(shared_session: Kernel, api: MessagesAPI) -> None:
    """A run that an error ends is not called interrupted."""
    shared_session.run(ROWS)
    cell = shared_session.run("%%claude --each rows\n{{ nothing }}")
    assert "There is no column nothing" in cell.text + str(cell.errors)
    assert "interrupted" not in cell.text
    assert api.requests == []


@pytest.mark.long
def test_in_a_script(environment: dict[str, str], tmp_path: Path, api: MessagesAPI) -> None:
    """`ask_each()` needs no kernel: in a script it prints lines where there is no terminal."""
    code = "from claude_magic import ask_each\nprint(ask_each('{{ row }}', ['one'], checkpoint='c.sqlite').values)"
    env = environment | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == "['You said: one']"
    assert "1 of 1 rows" in ran.stdout


def test_played(shared_session: Kernel, api: MessagesAPI, notebook_dir: Path) -> None:
    """Where all else is played from a cassette, rows are refused and not asked live."""
    (notebook_dir / "none.jsonl").write_text(CASSETTE)
    shared_session.run(ROWS)
    shared_session.run("%config ClaudeMagics.cassette = 'none.jsonl'\n%config ClaudeMagics.cassette_mode = 'replay'")
    try:
        cell = shared_session.run("%%claude --each rows\n{{ text }}")
    finally:
        shared_session.run("%config ClaudeMagics.cassette = None\n%config ClaudeMagics.cassette_mode = 'auto'")
    assert cell.errors[0]["ename"] == "ConfigError"
    assert api.requests == []


def test_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """About ten lines tell of a run: rows, how fast, what it costs so far and in all, and the time left; none of kept rows."""
    now = 0.0
    lines, progress = Lines(200, with_table=False, clock=lambda: now), Progress(total=200)
    for position in range(200):
        now += 0.5
        progress.add(RowOutcome(position, "", "", APIError("no") if position == 3 else None, cost_usd=0.01))
        lines.update(progress)
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 10
    Lines(1, with_table=False).update(Progress(total=1, done=1, kept=1))
    assert capsys.readouterr().out == ""
    assert printed[0] == "20 of 200 rows, 2.0 a second, 1 failed, $0.2000 of about $2.0000, 01:30 left"


@pytest.mark.long
def test_a_trial_is_small_and_harmless() -> None:
    """However large a trial is, what is shown of it is small, and nothing in it is more than text."""
    arms = tuple(Arm({"tone": f"<b>{number}</b>"}, "m" * 500) for number in range(20))
    trial = Trial(arms, Template("{{ tone }} {{ row }}"), TurnOptions(), score=lambda row, reply: len(reply) % 2)
    for position in range(200):
        trial.add(RowOutcome(position, {"text": "<script>x</script>" * 500}, "<img src=x>" * (position * 7 % 5 + 1) * 50))
    bundle = settled_rows(trial)
    assert len(json.dumps(bundle)) < 30_000
    assert "<script" not in bundle["text/html"] + bundle["text/markdown"]
    assert "<img" not in bundle["text/html"] + bundle["text/markdown"]


def test_the_table_is_small() -> None:
    """However many rows there are, the table is small, harmless, and shows what failed first."""
    results = Results()
    for position in range(100_000 // 100):
        failure = APIError("refused") if position == 900 else None
        results.add(RowOutcome(position, {"text": "<script>x</script>" * 50, "n": position}, "y" * 10_000, failure))
    bundle = settled_rows(results)
    assert len(json.dumps(bundle)) < 20_000
    assert "<script" not in bundle["text/html"]
    assert bundle["text/plain"].splitlines()[1].startswith("900")
    assert "992 more rows" in bundle["text/plain"]

"""One prompt over many rows: order, isolation, errors in their places, budgets, checkpoints, back-pressure."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy
import pandas
import polars
import pytest
from messages_api import MessagesAPI
from rig.environment import isolated_environment
from watching import MakeConfig, Run

from claude_magic.errors import APIError, CheckpointError, ClaudeError, ConfigError
from claude_magic.sdk import Results, RowOutcome, RowsRequest, ask_each, stream_each
from claude_magic.sdk._rows.checkpoint import Answer, Checkpoint
from claude_magic.sdk._rows.limits import Brake, Progress
from claude_magic.sdk._rows.request import rules_of
from claude_magic.sdk._rows.work import Rows, Template


@pytest.fixture
def each(make_config: MakeConfig, run_async: Run) -> Any:
    """Run `ask_each` to its end, with the scripted API."""

    def ask(template: str, rows: Any, **choices: Any) -> Results:
        return run_async(ask_each(template, rows, config=make_config(), **choices), timeout_s=240)

    return ask


def last_prompts(api: MessagesAPI) -> list[str]:
    """Return what each request asked."""
    return [prompts[-1] for prompts in api.prompts()]


def test_each_row_is_alone(each: Any, api: MessagesAPI, home: Path) -> None:
    """Each row is a conversation of its own, the requests are alike but for the prompt, order is kept, nothing is left."""
    before = set((home / ".claude").rglob("*.jsonl"))
    rows = [f"secret-{number:02}-{'x' * number}" for number in range(12)]
    results = each("<<say {{ row }}>>", rows, concurrency=2, system="Be brief.")
    assert results.values == rows
    assert sorted(map(tuple, api.prompts())) == sorted((f"<<say {row}>>",) for row in rows)
    bodies = []
    for body in api.requests:
        text = json.dumps({name: part for name, part in body.items() if name != "metadata"})
        [own] = [row for row in rows if f"{row}>>" in text]
        assert not [row for row in rows if row != own and f"{row[:9]}" in text]
        bodies.append(text.replace(own, "ROW"))
    assert len(set(bodies)) == 1
    assert len(bodies[0]) < 2_500
    assert set((home / ".claude").rglob("*.jsonl")) == before
    assert results.usage["input_tokens"] == 12 * 100
    assert results.cost_usd == pytest.approx(sum(outcome.cost_usd for outcome in results))


def test_rows_are_data(each: Any, api: MessagesAPI, workdir: Path) -> None:
    """What stands in a row is sent as it is: no template, no path, no command."""
    (workdir / "secret.txt").write_text("the hidden words")
    rows = ["/context", "@secret.txt", "{{ 7 * 7 }}", "{% raw %}", "a\x00b", "two\nlines"]
    each("{{ row }}", rows, concurrency=1)
    assert last_prompts(api) == ["/context", "@secret.txt", "{{ 7 * 7 }}", "{% raw %}", "a\x00b", "two\nlines"]
    assert "the hidden words" not in json.dumps(api.requests)


@dataclass
class Label:
    """What a text is about."""

    topic: str
    sure: float


def test_frames_and_schemas(each: Any, api: MessagesAPI) -> None:
    """A frame comes back with its own columns and index, and the schema's fields; a row that does not fit is an error."""
    frame = pandas.DataFrame({"text": ["good", "bad"], "topic": ["a", "b"]}, index=[10, 20])
    good = json.dumps({"topic": "cats", "sure": 0.5})
    template = "{% if text == 'good' %}<<tool StructuredOutput " + good + ">>{% else %}<<say no>>{% endif %}"
    results = each(template, frame, schema=Label, concurrency=2)
    assert results.values[0] == Label("cats", 0.5)
    assert list(results.errors) == [1]
    table = results.to_frame()
    assert list(table.index) == [10, 20]
    assert list(table.columns) == ["text", "topic", "reply_topic", "sure", "error"]
    assert table.loc[10, "reply_topic"] == "cats"
    assert frame.columns.tolist() == ["text", "topic"]


def test_a_checkpoint_that_is_changed_while_it_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement that never ends, because another program has put something into the file, is an error after a while."""
    monkeypatch.setattr("claude_magic.sdk._rows.checkpoint._LONGEST_S", 0.2)
    with contextlib.closing(Checkpoint(tmp_path / "rows.sqlite", ("work",))) as kept:
        with contextlib.closing(sqlite3.connect(tmp_path / "rows.sqlite")) as other:
            other.execute(
                "CREATE TRIGGER endless BEFORE INSERT ON answers BEGIN SELECT count(*) FROM"
                " (WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n); END"
            )
            other.commit()
        with pytest.raises(CheckpointError, match="interrupted"):
            kept.put(b"key", Answer("reply"))


def test_rows_with_the_same_label() -> None:
    """A table whose index holds a label more than once, as after `concat`, comes back with each reply in its row."""
    frame = pandas.DataFrame({"a": range(4)}, index=[0, 1, 0, 1])
    results = Results(frame)
    for position in range(4):
        results.add(RowOutcome(position, None, f"reply {position}"))
    results.add(RowOutcome(3, None, {"reply": "reply 3", "self": 1}))
    table = results.to_frame()
    assert table["self"].tolist()[-1] == 1
    assert table["reply"].tolist() == ["reply 0", "reply 1", "reply 2", "reply 3"]
    assert table["a"].tolist() == [0, 1, 2, 3]
    assert table.index.tolist() == [0, 1, 0, 1]


def test_columns_with_the_same_name() -> None:
    """Of two columns of one name a template could mean either; nothing is sent."""
    for names in (["a", "a"], [0, "0"]):
        with pytest.raises(ConfigError, match=f"Two columns are named {names[0]}"):
            Rows.of(pandas.DataFrame([[1, 2]], columns=names))


@pytest.mark.parametrize("missing", [None, float("nan"), numpy.float32("nan"), Decimal("nan"), pandas.NaT, pandas.NA], ids=repr)
def test_missing_values(missing: object) -> None:
    """A missing value leaves its place in the prompt empty, and is `null` in a whole row."""
    row = {"a": 1, "b": missing}
    assert Template("[{{ b }}] {{ row }}").fill(row) == '[] {"a": 1, "b": null}'


def test_tables_are_of_the_kind_that_was_given() -> None:
    """Rows of polars become polars, all others pandas; a run that was stopped has the rows that it came to."""
    frame = polars.DataFrame({"a": [1, 2, 3]})
    for rows, kind in ((frame, polars.DataFrame), (frame.to_dicts(), pandas.DataFrame)):
        work = Rows.of(rows)
        results = Results(work.frame)
        results.stopped = "the budget is spent"
        for position, row in enumerate(work.items):
            if position != 1:
                results.add(RowOutcome(position, row, f"reply {row['a']}"))
        assert isinstance(results.to_frame(), kind)
        assert list(results.to_frame()["reply"])[::2] == ["reply 1", "reply 3"]
        assert [str(error.message) for error in results.errors.values()] == ["Not answered: the budget is spent."]


@pytest.mark.parametrize(
    ("template", "rows", "said"),
    [
        ("{{ row }}", [], "There are no rows"),
        ("{{ row }}", iter(()), "There are no rows"),
        ("{{ row }}", pandas.DataFrame({"a": []}), "There are no rows"),
        ("{{ row }}", "a text", "cannot be of type str"),
        ("{{ row }}", 5, "cannot be of type int"),
        ("hello", ["a"], "names no column"),
        ("", ["a"], "empty"),
        ("{{ a", ["a"], "cannot be read"),
        ("{{ b }}", [{"a": 1}], "There is no column b"),
        ("{{ a.b.c }}", [{"a": 1}], "does not fill the template"),
    ],
)
def test_bad_input(template: str, rows: Any, said: str, each: Any, api: MessagesAPI) -> None:
    """What cannot be meant is said before anything is sent."""
    with pytest.raises(ConfigError, match=said):
        each(template, rows)
    assert api.requests == []


@pytest.mark.parametrize("choice", [{"concurrency": 0}, {"max_retries": -1}, {"budget_usd": 0}, {"on_error": "ignore"}])
def test_bad_limits(choice: dict[str, Any], each: Any, api: MessagesAPI) -> None:
    """Limits that cannot be meant are refused by name."""
    with pytest.raises(ConfigError, match=next(iter(choice))):
        each("{{ row }}", ["a"], **choice)
    assert api.requests == []


def test_a_bad_row_is_an_error_in_its_place(each: Any, api: MessagesAPI) -> None:
    """A row that does not fill the template, or that the API refuses, is an error in its place, and the rest goes on."""
    rows = [{"a": None}, {"a": "one"}, {"b": "no a"}, {"a": "<<status 400>>"}, {"a": "four"}]
    results = each("{{ a + '' }}", rows, concurrency=2, max_retries=0)
    none, one, missing, refused, four = results.values
    assert (one, four) == ("You said: one", "You said: four")
    assert "TypeError" in str(none)
    assert isinstance(missing, ConfigError)
    assert isinstance(refused, APIError)
    assert list(results.errors) == [0, 2, 3]
    assert set(last_prompts(api)) == {"one", "<<status 400>>", "four"}


def test_on_error_raise(each: Any, api: MessagesAPI) -> None:
    """With `on_error="raise"` the first failure ends the run; the error holds what there is."""
    with pytest.raises(APIError) as caught:
        each("{{ row }}", ["one", "<<status 400>>", "three", "four"], concurrency=1, on_error="raise", max_retries=0)
    assert caught.value.results.values[0] == "You said: one"
    assert set(last_prompts(api)) == {"one", "<<status 400>>"}


def test_rows_that_end_with_an_error(each: Any) -> None:
    """A generator that raises half way ends the run with a clear error, which holds what was answered."""

    def rows() -> Iterator[str]:
        yield from ("one", "two")
        raise ValueError("the file is broken")

    with pytest.raises(ConfigError, match="ValueError: the file is broken") as caught:
        each("{{ row }}", rows(), concurrency=1)
    assert caught.value.results.values == ["You said: one", "You said: two"]


def test_budget_and_checkpoint(each: Any, api: MessagesAPI, tmp_path: Path) -> None:
    """A budget stops before the row that would exceed it; the next run goes on there, and sends no answered row again."""
    rows = [f"row {number}" for number in range(9)]
    price = each("{{ row }}", ["price"], concurrency=1).cost_usd
    assert price > 0
    api.begin()
    checkpoint = tmp_path / "labels.sqlite"
    first = each("{{ row }}", rows, concurrency=3, checkpoint=checkpoint, budget_usd=price * 4.5)
    assert (len(api.requests), first.cost_usd) == (4, pytest.approx(4 * price))
    assert "budget" in first.stopped
    second = each("{{ row }}", rows, concurrency=3, checkpoint=checkpoint)
    assert second.values == [f"You said: {row}" for row in rows]
    assert Counter(last_prompts(api)) == Counter(rows)
    assert second.cost_usd == pytest.approx(5 * price)
    assert sum(outcome.from_checkpoint for outcome in second) == 4
    third = each("{{ row }}", rows, checkpoint=checkpoint)
    assert (third.values, third.cost_usd, len(api.requests)) == (second.values, 0, 9)
    other = each("{{ row }}", rows[:1], checkpoint=checkpoint, system="Be brief.", concurrency=1)
    assert other.remarks == ["The checkpoint also holds 9 replies to other prompts, models or schemas; they stay."]
    assert len(api.requests) == 10


def test_failed_rows_cost(each: Any, api: MessagesAPI, tmp_path: Path) -> None:
    """A reply that does not fit counts in the cost and the budget and is not kept; the next run sends its row again."""
    rows, checkpoint = [f"row {number}" for number in range(9)], tmp_path / "c.sqlite"
    first = each("{{ row }}", rows, schema=Label, concurrency=1, max_retries=0, checkpoint=checkpoint, budget_usd=0.0001)
    assert list(first.errors) == [0]
    assert first.cost_usd > 0
    assert first.summary() == (
        f"1 of 9 rows, 1 failed, ${first.cost_usd:.4f}; partial: the next row would exceed the budget of $0.0001"
    )
    api.begin()
    again = each("{{ row }}", rows[:1], schema=Label, concurrency=1, max_retries=0, checkpoint=checkpoint)
    assert (len(again.errors), set(last_prompts(api)) >= {"row 0"}) == (1, True)


@pytest.mark.parametrize("tools", [[len], "WebSearch"], ids=["function", "text"])
def test_tools_are_rules(tools: Any, each: Any, api: MessagesAPI) -> None:
    """A text is one rule. A function is refused before anything is sent, as rows cannot call it."""
    if tools == "WebSearch":
        assert rules_of(tools) == ("WebSearch",)
    else:
        with pytest.raises(ConfigError, match=r"<built-in function len>, which is not a rule\.\nGive rules, such as WebSearch"):
            each("{{ row }}", ["one"], tools=tools)
    assert api.requests == []


def test_same_rows_are_asked_each(each: Any, api: MessagesAPI, tmp_path: Path) -> None:
    """Rows that are the same are told apart by their order, so that each has its own answer."""
    for _ in range(2):
        assert len(each("{{ row }}", ["a", "a", "b"], checkpoint=tmp_path / "c.sqlite", concurrency=1)) == 3
    assert sorted(last_prompts(api)) == ["a", "a", "b"]


def test_cancelled(make_config: MakeConfig, run_async: Run, api: MessagesAPI, tmp_path: Path) -> None:
    """A run that is cancelled leaves no process, and its checkpoint goes on; leaving a stream early is the same."""
    checkpoint = tmp_path / "c.sqlite"
    rows = ["one", "two", "<<wait>><<say three>>"]

    async def cancel() -> None:
        task = asyncio.create_task(ask_each("{{ row }}", rows, concurrency=1, checkpoint=checkpoint, config=make_config()))
        await asyncio.to_thread(api.wait_for_requests, 3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def leave() -> list[Any]:
        request = RowsRequest(template="{{ row }}", rows=rows[:2], checkpoint=checkpoint, concurrency=1)
        stream = stream_each(request, make_config())
        first = [outcome async for outcome in stream]
        await stream.aclose()
        return [outcome.value for outcome in first]

    run_async(cancel())
    assert run_async(leave()) == ["You said: one", "You said: two"]
    assert len(api.requests) == 3


def test_the_api_is_busy(each: Any, api: MessagesAPI) -> None:
    """A row that meets 429 or 529 is asked again after `retry-after`, and no other row is sent twice."""
    rows = ["<<status 429 1 1>><<say one>>", "<<status 529 1 1>><<say two>>", "three", "four"]
    results = each("{{ row }}", rows, concurrency=2)
    assert results.values == ["one", "two", "You said: three", "You said: four"]
    assert sorted(Counter(last_prompts(api)).values()) == [1, 1, 2, 2]


def test_brake(run_async: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one worker was told to wait, all of them wait, and the longest wait counts."""
    now = 100.0
    monkeypatch.setattr("claude_magic.sdk._rows.limits.anyio.current_time", lambda: now)
    brake = Brake()
    assert brake.left_s == 0
    brake.hold(30)
    brake.hold(2)
    assert brake.left_s == 30
    now += 31
    assert brake.left_s == 0
    run_async(brake.wait())


def test_projection() -> None:
    """After 20 rows it is told what the whole will cost; rows of the checkpoint cost nothing."""
    progress = Progress(total=1_000)
    for position in range(19):
        progress.add(RowOutcome(position, None, "", cost_usd=0.01))
    assert progress.projected_usd is None
    progress.add(RowOutcome(19, None, "", cost_usd=0.01))
    assert progress.projected_usd == pytest.approx(10)
    for position in range(20, 520):
        progress.add(RowOutcome(position, None, "", cost_usd=0.01, from_checkpoint=True))
    assert progress.projected_usd == pytest.approx(5)
    assert progress.cost_usd == pytest.approx(0.2)


def test_checkpoint_through_a_link(tmp_path: Path) -> None:
    """A link, such as one in a folder that somebody has sent, is not followed: nothing is made or changed where it leads."""
    (tmp_path / "c.sqlite").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CheckpointError, match="A link leads to"):
        Checkpoint(tmp_path / "c.sqlite", ("work",))
    assert not (tmp_path / "elsewhere").exists()
    (tmp_path / "elsewhere").mkdir()
    (docs := tmp_path / "sent/docs").parent.mkdir()
    docs.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CheckpointError, match="A link leads to"):
        Checkpoint(docs / "c.sqlite", ("work",))
    assert [*(tmp_path / "elsewhere").iterdir()] == []


@pytest.mark.parametrize("ending", ["-wal", "-shm", "-journal"])
def test_checkpoint_with_links_beside_it(tmp_path: Path, ending: str) -> None:
    """What SQLite would write to or read beside the file is no link, and no journal of others, which names files to delete."""
    precious, beside = tmp_path / "precious", tmp_path / f"c.sqlite{ending}"
    precious.write_text("my notes")
    kept = Checkpoint(tmp_path / "c.sqlite", ("work",))
    kept.put(b"key", Answer("said"))
    kept.close()
    beside.symlink_to(precious)
    with pytest.raises(CheckpointError, match=f"c.sqlite{ending} beside it is not from claude_magic"):
        Checkpoint(tmp_path / "c.sqlite", ("work",))
    assert precious.read_text() == "my notes"
    beside.unlink()
    Checkpoint(tmp_path / "c.sqlite", ("work",)).close()


FOR_EVER = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"
HOSTILE_SCHEMAS = {
    "a view": f"DROP TABLE answers; CREATE VIEW answers AS {FOR_EVER} SELECT x AS key, x AS work, x AS content, '' AS "
    "structured, '{}' AS usage, 0 AS cost_usd FROM n WHERE x < 0",
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON answers BEGIN DELETE FROM answers; END",
    "an index": "CREATE INDEX i ON answers (length(content))",
    "another table": "CREATE TABLE mine (a)",
    "a computed column": "DROP TABLE answers; CREATE TABLE answers (key BLOB PRIMARY KEY, work BLOB, content TEXT, structured "
    "TEXT, usage TEXT, cost_usd REAL, more AS (printf('%.*c', 900000000, 'x')))",
}


@pytest.mark.parametrize("name", HOSTILE_SCHEMAS)
def test_checkpoint_with_another_schema(tmp_path: Path, name: str) -> None:
    """A file that holds more than our table, such as code that SQLite would run, is none of ours."""
    Checkpoint(tmp_path / "c.sqlite", ("work",)).close()
    with contextlib.closing(sqlite3.connect(tmp_path / "c.sqlite")) as connection, connection:
        connection.executescript(HOSTILE_SCHEMAS[name])
    with pytest.raises(CheckpointError, match="is a database of something else"):
        Checkpoint(tmp_path / "c.sqlite", ("work",))


@pytest.mark.parametrize("change", ["usage = '{'", "usage = '[1]'", "content = x'ff'", "structured = '{'", "cost_usd = 'much'"])
def test_checkpoint_that_was_edited(tmp_path: Path, change: str) -> None:
    """An answer of another kind than was written is refused with a word, and is no answer of a row."""
    checkpoint = Checkpoint(tmp_path / "c.sqlite", ("work",))
    checkpoint.put(b"key", Answer("said"))
    checkpoint.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "c.sqlite")) as connection, connection:
        connection.execute(f"UPDATE answers SET {change}")
    checkpoint = Checkpoint(tmp_path / "c.sqlite", ("work",))
    with pytest.raises(CheckpointError, match="cannot be read"):
        checkpoint.get(b"key")
    checkpoint.close()


def test_checkpoint_of_something_else(tmp_path: Path) -> None:
    """A file that is no checkpoint is said to be none, and left as it is."""
    text, database = tmp_path / "notes.txt", tmp_path / "other.sqlite"
    text.write_text("these are my notes, and they are long enough to be taken for a header of some kind of file" * 20)
    with sqlite3.connect(database) as other:
        other.execute("CREATE TABLE mine (a)")
    other.close()
    for path in (text, database):
        before = path.read_bytes()
        with pytest.raises(CheckpointError):
            Checkpoint(path, ("work",))
        assert path.read_bytes() == before
    with pytest.raises(CheckpointError):
        Checkpoint(tmp_path / "no" / "such" / "folder.sqlite", ("work",))


def test_full_disk(tmp_path: Path) -> None:
    """An answer that cannot be written is a clear error, and what was written before is there."""
    checkpoint = Checkpoint(tmp_path / "c.sqlite", ("work",))
    kept = checkpoint.key("a")
    checkpoint.put(kept, Answer("short"))
    checkpoint._connection.execute("PRAGMA max_page_count = 4")
    with pytest.raises(CheckpointError, match="full"):
        checkpoint.put(checkpoint.key("b"), Answer("long " * 100_000))
    assert checkpoint.get(kept) == Answer("short")
    checkpoint.close()


def test_two_runs_on_one_checkpoint(tmp_path: Path) -> None:
    """Two runs that write to one file at the same time lose nothing."""
    one, two = (Checkpoint(tmp_path / "c.sqlite", ("work",)) for _ in range(2))
    for number in range(50):
        for run in (one, two):
            run.put(run.key(f"row {number}"), Answer(f"answer {number}"))
    one.close()
    keys = Checkpoint(tmp_path / "c.sqlite", ("work",))
    assert [keys.get(keys.key(f"row {number}")) for number in range(50)] == [Answer(f"answer {number}") for number in range(50)]
    keys.close()
    two.close()


def test_templates() -> None:
    """A template takes columns of any name, lists as JSON, and nothing for what is missing in a cell."""
    row = {"first name": "Ada", "tags": ["a", "é"], "none": None}
    template = Template('{{ row["first name"] }} {{ tags }} [{{ none }}] {{ "braces" }}')
    assert template.fill(row) == 'Ada ["a", "é"] [] braces'
    with pytest.raises(ClaudeError):
        template.fill("a text")


@pytest.mark.long
def test_killed(api: MessagesAPI, home: Path, workdir: Path) -> None:
    """A process that is killed in the middle of a run loses only what was under way: the next run asks the rest."""
    rows = 60
    script = (
        "import asyncio, sys\n"
        "from claude_magic.sdk import ask_each\n"
        f"rows = [f'row {{n}}' for n in range({rows})]\n"
        "print(len(asyncio.run(ask_each('{{ row }}', rows, concurrency=2, checkpoint='c.sqlite')).values))\n"
    )
    environment = isolated_environment(home, api.url) | {"PYTHONPATH": os.pathsep.join(sys.path)}
    running = subprocess.Popen([sys.executable, "-c", script], cwd=workdir, env=environment)
    try:
        api.wait_for_requests(rows // 2)
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait()
    again = subprocess.run([sys.executable, "-c", script], cwd=workdir, env=environment, capture_output=True, text=True)
    assert again.stdout == f"{rows}\n", again.stderr
    asked = Counter(last_prompts(api))
    assert asked.keys() == {f"row {number}" for number in range(rows)}
    assert len(api.requests) <= rows + 2

"""The file of a cassette: what is in it, what finds a turn, and what is said of a file that is not right."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from watching import Run, run_turn

from claude_magic.errors import CassetteError, CassetteMismatchError, ConfigError, TurnInterrupted
from claude_magic.sdk import Cassette, ClaudeClient, ClaudeConfig, cassette, events
from claude_magic.sdk._cassette.cassette import active_cassette
from claude_magic.sdk._cassette.cassette_file import CassetteFile
from claude_magic.sdk._cassette.line_format import (
    Asked,
    Begun,
    Called,
    Ended,
    Identity,
    RecordedTurn,
    identity_of,
    line_of,
    read_line,
)
from claude_magic.sdk._cassette.scrubbing import Scrubber, same_text
from claude_magic.sdk.config import TurnOptions
from claude_magic.sdk.content import Prompt

HEADER = {"cassette": 1, "claude_magic": "0.1.0"}
TURN = {"turn": "a1", "session": "00000000-0000-4000-8000-00000000000a", "prompt": "Sum up the table."}
TEXT = {"type": "text", "text": TURN["prompt"]}
STARTED = {"at": 0.1, "event": "SessionStarted", "session_id": TURN["session"]}
DELTA = {"at": 0.2, "event": "TextDelta", "block": 0, "text": "It is long."}
END = {"at": 0.3, "end": "answered"}
NO_CLI = ClaudeConfig(cli_path="/nowhere/claude")
EVERY_FACT: list[Any] = [
    events.SessionStarted("s", "m"),
    events.SessionReplaced("t"),
    events.TextDelta(0, 'tab\t, quote", \x1b, 😀'),
    events.ThinkingDelta(1, "\u2028"),
    events.BlockEnded(1, 0.5),
    events.BlocksDiscarded(1),
    events.ToolStarted(2, "c", "Bash"),
    events.ToolCalled(2, "c", "Bash", {"command": "ls", "deep": [{"x": None}]}, "p"),
    events.PermissionAnswered("c", "allowed once", ("Bash(ls)",), "word"),
    events.ToolReturned("c", "text", is_error=True, denied=True, images=(events.Image("image/png", "aGk="),), duration_s=1.0),
    events.Retrying(1, 10, 0.5, 529, "overloaded"),
    events.Unanswered("https://api.example.com", 10.0),
    events.Queued(),
    events.TokensCounted(1, 2),
    events.MessageEnded("m1"),
    events.Notice("note"),
    events.TurnEnded("s", False, "success", "text", 1.5, usage={"input_tokens": 1}, cost_usd=0.01, structured={"a": [1]}),
    Asked(call_id="c", tool="Bash", input={"command": "ls"}, rules=("Bash(ls)",), answer="denied", word="no"),
    Called(tool="run_code", arguments={"code": "1"}),
    Ended(outcome="failed", error="APIError", message="It failed.", status=529),
]


def written(path: Path, *lines: Any) -> Path:
    path.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))
    return path


@pytest.mark.parametrize("fact", EVERY_FACT, ids=lambda fact: type(fact).__name__)
def test_a_line_says_everything(fact: Any) -> None:
    """Every kind of thing that happens in a turn comes back from its line as it was."""
    line = line_of(0.25, fact, Scrubber({}))
    assert "\n" not in line
    assert line.startswith('{"at": 0.25, ')
    assert read_line(line.encode().decode()) == (0.25, fact)


def test_every_kind_of_event_is_tried() -> None:
    """The test before this one misses no kind of event."""
    kinds = {type(fact).__name__ for fact in EVERY_FACT}
    assert kinds >= {kind.__name__ for kind in events.Event.__args__}


BAD = {
    "cut off": ([HEADER, TURN, STARTED, '{"at": 0.2, "ev'], 4, "cut off"),
    "no JSON": ([HEADER, TURN, "Oops.\n", STARTED, END], 3, "not JSON"),
    "unknown field": ([HEADER, TURN, STARTED | {"colour": 1}, END], 3, "colour"),
    "missing field": ([HEADER, TURN, {"at": 0, "event": "TextDelta", "block": 0}, END], 3, "text"),
    "wrong type": ([HEADER, TURN, DELTA | {"block": "0"}, END], 3, "block"),
    "unknown event": ([HEADER, TURN, {"at": 0, "event": "Sang"}, END], 3, "neither"),
    "unknown option": ([HEADER, TURN | {"mood": "good"}], 2, "mood"),
    "unknown end": ([HEADER, TURN, {"at": 0, "end": "happily"}], 3, "outcome"),
    "no end": ([HEADER, TURN, STARTED, TURN, END], 4, "line 2 has no end"),
    "no beginning": ([HEADER, STARTED], 2, "belongs to no turn"),
    "no header": ([TURN, STARTED, END], 1, "header"),
    "another file": (["# Notes\n"], 1, "header"),
    "newer": ([HEADER | {"cassette": 2, "claude_magic": "3.4.5"}, TURN], 1, "format 2"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("mode", ["replay", "auto", "record"])
def test_bad_files(name: str, mode: str, tmp_path: Path) -> None:
    """The error names file and line and what can be done; the file is left as it was."""
    lines, number, said = BAD[name]
    path = written(tmp_path / "lesson.jsonl", *lines)
    before = path.read_bytes()
    with pytest.raises(CassetteError, match=rf"lesson\.jsonl, line {number}: .*{said}") as caught:
        Cassette(path, mode)
    assert "another file" in caught.value.next_step
    assert name != "newer" or "claude_magic 3.4.5" in caught.value.next_step
    assert path.read_bytes() == before


@pytest.mark.parametrize("change", ["no end", "no end, then more", "mark", "blank lines", "Windows"])
def test_what_editors_leave(change: str, tmp_path: Path) -> None:
    """A file that an editor has saved is read, and added to, whatever it does with ends of lines and the beginning."""
    path = written(tmp_path / "lesson.jsonl", HEADER, TURN, STARTED, DELTA, END)
    text = path.read_text()
    match change:
        case "mark":
            path.write_text(text, encoding="utf-8-sig")
        case "blank lines":
            path.write_text(text.replace("\n", "\n\n"))
        case "Windows":
            path.write_bytes(text.replace("\n", "\r\n").encode())
        case _:
            path.write_text(text.rstrip())
    tape = CassetteFile(path)
    tape.read()
    if change == "no end, then more":
        path.write_text(text)
        tape.read()
    assert [turn.begun.identity.prompt for turn in tape.turns] == [TURN["prompt"]]
    tape.append(turn_of("More."), Scrubber({}))
    for reader in (tape, CassetteFile(path)):
        reader.read()
        assert [turn.begun.identity.prompt for turn in reader.turns] == [TURN["prompt"], "More."]


def test_edited_while_open(tmp_path: Path) -> None:
    """What somebody changes in the file holds from the next turn on, also where its length stays the same."""
    path = written(tmp_path / "lesson.jsonl", HEADER, TURN, STARTED, DELTA, END)
    tape = CassetteFile(path)
    for said in ("It is long.", "It is wide.", "It is longer than that.", "It."):
        written(path, HEADER, TURN, STARTED, DELTA | {"text": said}, END)
        tape.read()
        (turn,) = tape.turns
        assert [fact.text for _, fact in turn.facts if isinstance(fact, events.TextDelta)] == [said]
    path.write_text("{}\n")
    with pytest.raises(CassetteError, match="line 1"):
        tape.read()
    written(path, HEADER, TURN, STARTED, END)
    tape.read()
    assert len(tape.turns) == 1


def test_no_file(tmp_path: Path) -> None:
    """A pipe is refused and not waited for, and so is a device."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/null")):
        for mode in ("replay", "record"):
            with pytest.raises(CassetteError, match="not a file"):
                Cassette(path, mode)


def test_not_a_text(tmp_path: Path) -> None:
    """What is no text at all is refused in the same way."""
    path = tmp_path / "lesson.jsonl"
    path.write_bytes(json.dumps(HEADER).encode() + b"\n\xff\xfe\n")
    with pytest.raises(CassetteError, match="line 2"):
        Cassette(path)


def test_missing_and_empty(tmp_path: Path) -> None:
    """Without anything to play, replaying says so at once; recording begins a file."""
    with pytest.raises(CassetteError, match="no cassette"):
        Cassette(tmp_path / "none.jsonl", "replay")
    with pytest.raises(CassetteError, match="no turn"):
        Cassette(written(tmp_path / "empty.jsonl"), "replay")
    Cassette(tmp_path / "none.jsonl", "record")
    assert not (tmp_path / "none.jsonl").exists()
    with pytest.raises(CassetteError, match="cannot be read"):
        Cassette(tmp_path)


@pytest.mark.parametrize(
    ("mode", "speed"),
    [("play", 1), ("", 1), ("auto", -1), ("auto", float("nan")), ("auto", float("inf")), ("auto", "fast"), ("auto", None)],
)
def test_settings_that_cannot_be_meant(mode: str, speed: Any, tmp_path: Path) -> None:
    """A mode or a speed that there is not is a ConfigError."""
    with pytest.raises(ConfigError):
        Cassette(tmp_path / "lesson.jsonl", mode, speed)


@pytest.mark.parametrize("path", [None, 3, "a\0b", "~nobody-of-that-name/x.jsonl"])
def test_paths_that_cannot_be_meant(path: Any) -> None:
    """What is no path is a ConfigError, too."""
    with pytest.raises(ConfigError):
        cassette(path)


def test_stopped_and_asked_again(tmp_path: Path, run_async: Run) -> None:
    """A lesson shows the answer that came in the end; what was never answered fails as it did."""
    stopped = [STARTED, {"at": 0.2, "end": "interrupted"}]
    again = TURN | {"turn": "a2", "parent": "a1"}
    alone = TURN | {"turn": "b1", "prompt": "Draw it."}
    path = written(
        tmp_path / "lesson.jsonl", HEADER, TURN, *stopped, again, *stopped, TURN | {"turn": "a2"}, STARTED, DELTA, END
    )
    with path.open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in (alone, *stopped))

    async def ask(prompt: str) -> str:
        async with ClaudeClient(NO_CLI) as client, Cassette(path, "replay", 0):
            return (await run_turn(client, prompt)).text

    assert run_async(ask(TURN["prompt"])) == "It is long."
    with pytest.raises(TurnInterrupted):
        run_async(ask("Draw it."))


def turn_of(prompt: str, said: str = "Yes.") -> RecordedTurn:
    identity = Identity(prompt=prompt)
    begun = Begun(turn=identity.lineage(None), session=TURN["session"], identity=identity)
    facts: list[Any] = [(0.1, events.SessionStarted(TURN["session"])), (0.2, events.TextDelta(0, said))]
    return RecordedTurn(begun, facts=facts, ended=Ended(outcome="answered"), ended_at=0.3)


def test_unfinished_turn_at_the_end(tmp_path: Path) -> None:
    """A turn without an end is left out; what is recorded after it is found."""
    path = written(tmp_path / "lesson.jsonl", HEADER, TURN, STARTED, END, TURN, STARTED)
    tape = CassetteFile(path)
    tape.read()
    assert [turn.line for turn in tape.turns] == [2]
    tape.append(turn_of("More."), Scrubber({}))
    again = CassetteFile(path)
    again.read()
    assert [turn.begun.identity.prompt for turn in again.turns] == [TURN["prompt"], "More."]


@pytest.mark.parametrize("place", ["file/lesson.jsonl", "directory", "/proc/lesson.jsonl"])
def test_disk_that_cannot_be_written(place: str, tmp_path: Path, run_async: Run) -> None:
    """Where nothing can be written nothing is asked: the error offers recording elsewhere."""
    (tmp_path / "file").write_text("")
    (tmp_path / "directory").mkdir()

    async def ask() -> None:
        async with ClaudeClient(NO_CLI) as client:
            await run_turn(client, "hello", cassette=Cassette(tmp_path / place, "record"))

    with pytest.raises(CassetteError, match="cannot be") as caught:
        run_async(ask())
    assert caught.value.next_step


def test_recorders_do_not_mix(tmp_path: Path) -> None:
    """Several that record to one file at once write whole turns, one after the other, under one header."""
    path = tmp_path / "lesson.jsonl"
    tapes = [CassetteFile(path) for _ in range(4)]

    def record(tape: CassetteFile) -> None:
        for number in range(10):
            tape.append(turn_of(f"{id(tape)} {number}", "long " * 5000), Scrubber({}))

    threads = [threading.Thread(target=record, args=[tape]) for tape in tapes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tape = CassetteFile(path)
    tape.read()
    assert len({turn.begun.identity.prompt for turn in tape.turns}) == 40


def test_prompt_that_is_not_recorded(tmp_path: Path, run_async: Run) -> None:
    """The error shows the closest recorded prompt, its line, and how it differs."""
    other = TURN | {"prompt": "Draw a plot\nof the table."}
    path = written(tmp_path / "lesson.jsonl", HEADER, TURN, STARTED, END, other, STARTED, END)

    async def ask(prompt: str, options: TurnOptions | None = None) -> Any:
        async with ClaudeClient(NO_CLI) as client:
            with cassette(path, "replay", 0):
                return await run_turn(client, prompt, options=options)

    with pytest.raises(CassetteMismatchError) as caught:
        run_async(ask("Draw a plot\nof the tables."))
    assert caught.value.line == 5
    assert caught.value.diff.splitlines()[-3:] == [" Draw a plot", "-of the table.", "+of the tables."]
    assert caught.value.diff in str(caught.value)
    with pytest.raises(CassetteMismatchError, match="other options") as caught:
        run_async(ask(TURN["prompt"], TurnOptions(model="opus")))
    assert "+model: opus" in caught.value.diff


def test_images_choose_among_recordings(tmp_path: Path, run_async: Run) -> None:
    """Images are recorded as what they are and a hash; of two recordings the one with the same image answers."""
    prompts = [
        Prompt([{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}, TEXT])
        for data in ("aaaa", "bbbb")
    ]
    lines: list[Any] = [HEADER]
    for number, prompt in enumerate(prompts):
        known = list(identity_of(prompt, TurnOptions(), Scrubber({})).attachments)
        assert [fingerprint.partition(":")[0] for fingerprint in known] == ["image/png sha256"]
        turn = TURN | {"turn": f"a{number}", "attachments": known}
        lines += [turn, STARTED, DELTA | {"text": f"image {number}"}, END]
    tape = Cassette(written(tmp_path / "lesson.jsonl", *lines), "replay", 0)

    async def ask() -> list[str]:
        async with ClaudeClient(NO_CLI) as client:
            return [(await run_turn(client, prompt, cassette=tape)).text for prompt in reversed(prompts)]

    assert run_async(ask()) == ["image 1", "image 0"]


def test_samples_that_were_asked_at_once(tmp_path: Path, run_async: Run) -> None:
    """Whichever ended first: they are played in the order in which they were asked."""
    turns = [[TURN | {"sample": number}, STARTED, DELTA | {"text": str(number)}, END] for number in (3, 1, 2)]
    tape = Cassette(written(tmp_path / "lesson.jsonl", HEADER, *(line for lines in turns for line in lines)), "replay", 0)

    async def ask() -> list[str]:
        async with ClaudeClient(NO_CLI) as client:
            return [(await run_turn(client, TURN["prompt"], cassette=tape)).text for _ in range(4)]

    assert run_async(ask()) == ["1", "2", "3", "3"]


def test_innermost_cassette_holds(tmp_path: Path, run_async: Run) -> None:
    """`with cassette(...)` holds for what is asked inside, also when it is nested, async, or named for one turn."""
    paths = [
        written(tmp_path / f"{said}.jsonl", HEADER, TURN, STARTED, DELTA | {"text": said}, END)
        for said in ("outer", "inner", "own")
    ]
    outer, inner, own = (Cassette(path, "replay", 0) for path in paths)

    async def ask() -> list[str]:
        async with ClaudeClient(NO_CLI) as client, outer:
            first = await run_turn(client, TURN["prompt"])
            with inner:
                second = await run_turn(client, TURN["prompt"])
                named = await run_turn(client, TURN["prompt"], cassette=own)
            streamed = [piece async for piece in client.stream_query(TURN["prompt"])]
        return [first.text, second.text, named.text, *streamed]

    assert run_async(ask()) == ["outer", "inner", "own", "outer"]


def test_one_cassette_several_times(tmp_path: Path, run_async: Run) -> None:
    """A cassette may be entered again inside itself, and left in another context than it was entered in."""
    outer, tape = (Cassette(written(tmp_path / f"{name}.jsonl", HEADER, TURN, STARTED, END)) for name in ("outer", "tape"))

    async def both() -> None:
        with outer:
            with tape, tape:
                assert active_cassette() is tape
            assert active_cassette() is outer
            await asyncio.gather(*(asyncio.create_task(enter()) for _ in range(2)))
            assert active_cassette() is outer
        assert active_cassette() is None

    async def enter() -> None:
        async with tape:
            await asyncio.sleep(0)
            assert active_cassette() is tape

    async def pieces() -> AsyncIterator[int]:
        with tape:
            yield 1

    async def abandon() -> None:
        generator = pieces()
        await asyncio.create_task(anext(generator))
        await generator.aclose()
        assert active_cassette() is None

    run_async(both())
    run_async(abandon())


def test_private_texts_divided_among_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is private is found also where it came in several pieces; other lines keep theirs."""
    monkeypatch.setenv("API_TOKEN", "abc123xyz")
    scrubber = Scrubber({"HOME": "/data/zaphod", "LOGNAME": "zaphod"})
    pieces = ["one ", "two\nkey: abc1", "23x", "yz!\n", "of zap", "hod's /data/za", "phod/x\n", "the", " end"]
    scrubbed = scrubber.pieces(pieces)
    assert scrubbed == ["one ", "two\nkey: [API_TOKEN]!", "", "\n", "of [user]'s ~/x", "", "\n", "the", " end"]
    assert scrubber.pieces(["plain", " text\n"]) == ["plain", " text\n"]
    assert scrubber.pieces(["half \ude00", " and more"]) == ["half \ufffd and more", ""]


def test_data_keeps_its_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of somebody's data no field is left out, whatever it is called, and no text is left as it was, keys among them."""
    monkeypatch.setenv("API_TOKEN", "abc123xyz")
    scrubber = Scrubber({"HOME": "/data/zaphod", "LOGNAME": "zaphod"})
    data = {"email": "a@b.c", "org": [{"data": "abc123xyz", "session_id": "zaphod", "/data/zaphod/x": 1}]}
    clean = {"email": "a@b.c", "org": [{"data": "[API_TOKEN]", "session_id": "[user]", "~/x": 1}]}
    schema = json.dumps({"type": "object", "properties": {"email": {"type": "string"}}, "required": ["email"]})
    assert identity_of(Prompt("hello"), TurnOptions(schema=schema), scrubber).schema == json.loads(schema)
    ended = events.TurnEnded("s", False, "success", "", 1.0, structured=data, raw={"structured_output": data, "email": "me"})
    for fact in (ended, events.ToolCalled(0, "c", "Bash", data), Asked(call_id="c", tool="Bash", input=data)):
        line = json.loads(line_of(0.0, fact, scrubber))
        assert clean in (line.get("structured"), line.get("input"))
        assert line.get("raw", {"structured_output": clean}) == {"structured_output": clean}


def test_code_that_runs_again_stays_code() -> None:
    """A login name that is a word of the code stays there, but not in a path; Python's own words are nobody's name."""
    scrubber = Scrubber({"HOME": "/data/mark", "LOGNAME": "mark", "USER": "max"})
    code = "mark = max(open('/srv/mark/a.csv')); mail('mark@b.c')"
    clean = "mark = max(open('/srv/[user]/a.csv')); mail('[user]@b.c')"
    called = events.ToolCalled(0, "c", "mcp__kernel__run_code", {"code": code})
    asked = Asked(call_id="c", tool="mcp__kernel__run_code", input={"code": code})
    for fact in (called, asked, Called(tool="run_code", arguments={"code": code})):
        line = json.loads(line_of(0.0, fact, scrubber))
        assert {"code": clean} in (line.get("input"), line.get("arguments"))
    assert scrubber.text("mark says max(1, 2)") == "[user] says max(1, 2)"


@pytest.mark.parametrize(
    ("recorded", "asked", "same"),
    [
        ("read ~/a.csv, [user]", "read /home/alice/a.csv, alice", True),
        ("read ~/a.csv", "read ~/a.csv", True),
        ("read ~/a.csv", "read /home/alice/b.csv", False),
        ("[user] it", "mark it", True),
        ("[TODO] it", "mark it", False),
        ("use [API_KEY] now", "use sk-1 now", True),
        ("a.c", "abc", False),
        ("see ~", "see C:\\Users\\alice", True),
        ("see ~ or", "see /home/a b or", False),
        ("by [user]\nat [host]", "by alice\nat box", True),
        ("by [user], at", "by a\nb, at", False),
        ("a: [user][user]", "a: bc", True),
        ("a: [user][user]", "a: b", False),
        # It stands for one word, and for no whole prompt.
        ("my [user] is 5", "my salary of today is 5", False),
        ("[user]", "hello", False),
        ("[user] ~ [API_KEY]", "read /a now", False),
        # A regular expression would take hours for these.
        (" ".join(["[user]"] * 40) + ".", " ".join(map(str, range(80))) + "!", False),
        ("~" * 40, "/" * 80 + " ", False),
    ],
)
def test_texts_of_other_machines(recorded: str, asked: str, same: bool) -> None:
    """A placeholder stands for what another machine has in its place, and everything else only for itself."""
    assert same_text(recorded, asked, asked) is same


PLUGIN_TEST = """
def test_summary(claude_cassette):
    import asyncio
    from claude_magic.sdk import ClaudeClient, ClaudeConfig

    async def ask():
        async with ClaudeClient(ClaudeConfig(cli_path="/nowhere/claude")) as client:
            return await client.query("Sum up the table.")
    assert asyncio.run(ask()).content == "It is long."
"""


PLUGIN_NAMES = """
import pytest

class TestA:
    def test_one(self, claude_cassette):
        print(claude_cassette.path.name)

class TestB(TestA):
    pass

@pytest.mark.parametrize("text", ["a+b", "a-b", "a/b", "ä", "x" * 300, "x" * 301])
def test_one(claude_cassette, text):
    print(claude_cassette.path.name)
"""


def test_each_test_has_its_own_file(tmp_path: Path) -> None:
    """No two tests of a module share a cassette, whatever their classes and parameters are called."""
    (tmp_path / "test_lesson.py").write_text(PLUGIN_NAMES)
    command = [sys.executable, "-m", "pytest", "-qs", "-p", "claude_magic.pytest_plugin", "-c", "/dev/null", "test_lesson.py"]
    env = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    ran = subprocess.run(
        [*command, "--claude-cassette=record"], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    names = [line.lstrip(".").removesuffix(".new") for line in ran.stdout.splitlines() if ".jsonl" in line]
    assert len(set(names)) == 8
    assert names[:3] == ["TestA.test_one.jsonl", "TestB.test_one.jsonl", "test_one[a+b].jsonl"]
    assert all(len(name) < 200 for name in names)


@pytest.mark.long
def test_pytest_fixture(tmp_path: Path) -> None:
    """The fixture plays what stands beside the test; without a recording the test fails and says how to make one."""
    (tmp_path / "test_lesson.py").write_text(PLUGIN_TEST)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "claude_magic.pytest_plugin", "-c", "/dev/null", "test_lesson.py"]

    def run() -> subprocess.CompletedProcess[str]:
        env = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)

    missing = run()
    assert "--claude-cassette=record 'test_lesson.py::test_summary'" in missing.stdout, missing
    (tmp_path / "cassettes/test_lesson").mkdir(parents=True)
    ended = {"at": 0.3, "event": "TurnEnded", "session_id": None, "is_error": False, "subtype": "success"}
    ended |= {"text": "It is long.", "duration_s": 1}
    written(tmp_path / "cassettes/test_lesson/test_summary.jsonl", HEADER, TURN, STARTED, DELTA, ended, END)
    assert "1 passed" in run().stdout

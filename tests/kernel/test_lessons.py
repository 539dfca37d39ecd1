"""A lesson is recorded in one kernel and played in another one: without a CLI, a network, an account or the same home."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cells import WIDGET, about, answered, ask, begin_anew, clis, failure, on_page, session_of, shown
from messages_api import MessagesAPI
from rig import CellResult
from rig.environment import offline_environment
from rig.kernel import Kernel
from rig.leaks import Ledger

from claude_magic._kernel.options.settings import Settings
from claude_magic._kernel.state.cassette_settings import CassetteSettings
from claude_magic.errors import CassetteError
from claude_magic.sdk._cli.environment import login_status

SETUP = """\
import matplotlib, pandas
from PIL import Image
df = pandas.DataFrame({"a": [1, 2]})
image = Image.new("RGB", (4, 4), "red")
Word = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}
"""
CODE = "import matplotlib.pyplot as plt\nplt.plot([1, 2, 3])\nplt.show()\nprint(6 * 7)"
PLOT = f"A plot, please. <<tool mcp__kernel__run_code {json.dumps({'code': CODE})}>><<say There.>>"
ADD = 'A cell, please. <<tool mcp__kernel__add_cell {"source": "print(1)"}>><<say Below.>>'
FIRST = "<<think Let me see.>><<say one>>"
ONLY_SAMPLE = "Say it twice."
CELLS = [
    ("", FIRST),
    ("", 'Look. <<tool Glob {"pattern": "*.csv"}>><<say None.>>'),
    ("", PLOT),
    ("", ADD),
    ("", 'Write. <<tool Write {"file_path": "made.txt", "content": "x"}>><<say Written.>>'),
    ("--at 1", "A branch."),
    ("--redo", "The last one, otherwise."),
    ("--samples 2", ONLY_SAMPLE),
    ("--compare sonnet,opus", "Who are you?"),
    ("", "What is in {{ df }}?"),
    ("--input image", "What is on it?"),
    ("--schema Word", '<<tool StructuredOutput {"word": "yes"}>><<say Done.>>'),
    ("", "/clear"),
    ("", "All of it: <<history>>"),
    ("", "<<status 400>>"),
]

SESSION = "00000000-0000-4000-8000-00000000000a"
HEADER = {"cassette": 1, "claude_magic": "0.1.0", "note": "The text was made for this test."}
TURN = {"turn": "a1", "session": SESSION, "prompt": "Take your time."}
STARTED = {"at": 0.0, "event": "SessionStarted", "session_id": SESSION, "model": "m"}
SLOW = [HEADER, TURN, STARTED, {"at": 0.1, "event": "TextDelta", "block": 0, "text": "It"}, {"at": 600, "end": "answered"}]


@dataclass(frozen=True)
class Recorded:
    path: Path
    results: list[CellResult]


def written(path: Path, *lines: Any) -> Path:
    path.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))
    return path


def use(kernel: Kernel, **settings: object) -> None:
    lines = [f"%config ClaudeMagics.{name} = {value!r}" for name, value in settings.items()]
    result = kernel.run("\n".join(lines))
    assert result.ok, result
    assert not result.outputs, result.outputs


def go_through(kernel: Kernel) -> list[CellResult]:
    """Run the cells one after the other, and allow once whatever is asked."""
    results = []
    for number, (options, prompt) in enumerate(CELLS):
        cell = kernel.start(f"%%claude {options}\n{prompt}", cell_id=f"cell-{number}")

        def questions() -> list[str]:
            buttons = kernel.widgets_named("ButtonModel")
            return [id_ for id_, state in buttons.items() if state["description"] == "Allow once" and not state["disabled"]]

        def is_on(cell: Any = cell) -> bool:
            return bool(cell.result.done or questions())

        kernel.wait_for(is_on, about=cell.result)
        while not cell.result.done:
            kernel.click(button := questions()[0])
            kernel.wait_for(lambda gone=button: gone not in kernel.widgets, about=cell.result)
            kernel.wait_for(is_on, about=cell.result)
        results.append(cell.result)
    return results


@pytest.fixture(scope="module")
def recorded(module_kernel: Kernel, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """What was live in the module's kernel."""
    path = tmp_path_factory.mktemp("lesson") / "lesson.jsonl"
    assert module_kernel.run("%load_ext claude_magic").ok
    assert module_kernel.run(SETUP).ok
    use(module_kernel, cassette=str(path), cassette_mode="record")
    results = go_through(module_kernel)
    use(module_kernel, cassette=None)
    return Recorded(path, results)


@pytest.fixture(scope="module")
def module_pupil(tmp_path_factory: pytest.TempPathFactory, ledger: Ledger) -> Iterator[Kernel]:
    environment = offline_environment(tmp_path_factory.mktemp("other-home"))
    with Kernel(tmp_path_factory.mktemp("elsewhere"), environment) as kernel, ledger.adopt(lambda: kernel.pid):
        assert kernel.run("%config ClaudeMagics.cli_path = '/nowhere/claude'\n%load_ext claude_magic\n" + SETUP).ok
        yield kernel


@pytest.fixture
def pupil(module_pupil: Kernel, recorded: Recorded) -> Kernel:
    """A kernel on another machine, at the beginning of the lesson, with nothing to wait for."""
    begin_anew(module_pupil)
    use(module_pupil, cli_path="/nowhere/claude", cassette=str(recorded.path), cassette_mode="replay", cassette_speed=0)
    return module_pupil


def test_played_as_it_was_live(recorded: Recorded, pupil: Kernel) -> None:
    """Every cell shows what it showed live, in every form, and does what may be done; only the cost is marked."""
    played = go_through(pupil)
    assert not clis(pupil)
    for live, again in zip(recorded.results, played, strict=True):
        before, after = shown(live.outputs), shown(again.outputs)
        assert before == after, "\n".join(difflib.unified_diff("".join(before).splitlines(), "".join(after).splitlines(), n=0))
        assert live.payload == again.payload
        assert live.metadata.get("claude_magic", {}).get("session_id") == again.metadata.get("claude_magic", {}).get(
            "session_id"
        )
        assert WIDGET not in again.bundle
    texts = "".join(result.text for result in played)
    assert texts.count("recorded") == sum(result.text.count("turn ") - result.text.count("from turn") for result in played)
    assert "with cell" in recorded.results[0].text
    assert "with cell" not in texts  # nothing is sent
    assert "image/png" in {form for output in played[2].displays for form in output["data"]}
    assert not (pupil.notebook_dir / "made.txt").exists()
    assert played[-1].reply["ename"] == "APIError"


def test_in_any_order(pupil: Kernel) -> None:
    """Cells may run backwards and again; a session that is begun again is another one."""
    assert "You said: A branch." in answered(pupil, "A branch.").text
    first = [session_of(answered(pupil, FIRST, "--new")) for _ in range(3)]
    assert len(set(first)) == 3
    assert answered(pupil, ONLY_SAMPLE).text.startswith("You said")


@pytest.mark.parametrize(
    ("options", "how", "does"),
    [
        ("", {"answer": "y"}, True),
        ("", {"answer": "n"}, False),
        ("", {"allow_stdin": False}, False),
        ('--allow "mcp__kernel__run_code"', {"allow_stdin": False}, True),
    ],
    ids=["input-yes", "input-no", "nobody", "allowed"],
)
def test_code_needs_a_yes_of_now(options: str, how: dict[str, Any], does: bool, pupil: Kernel) -> None:
    """Recorded code runs when the person, or a rule of theirs, allows it now; where nobody is, the rule is named."""
    result = pupil.run(f"%%time\n%%claude {options}\n{PLOT}", **how)
    assert result.ok, result.outputs
    assert ("image/png" in {form for output in result.displays for form in output["data"]}) is does
    assert ("42" in result.stdout.splitlines()) is does
    settled = next(output["data"]["text/plain"] for output in result.displays if "claude_magic" in output["metadata"])
    assert ("denied" in settled) is not does
    if how == {"allow_stdin": False} and not does:
        assert '--allow "mcp__kernel__run_code" would permit it' in settled


def test_played_sessions_are_sessions(pupil: Kernel) -> None:
    """They can be named, found by that, listed, continued, exported and deleted; a terminal knows nothing of them."""
    session = session_of(answered(pupil, FIRST))
    assert pupil.run("%claude_session name my talk").ok
    other = session_of(answered(pupil, "A branch.", "--new"))
    for wanted in ("my talk", session, session[:8]):
        assert pupil.run(f"%claude_session resume {wanted}").stdout.strip().endswith("(my talk).")
    assert session_of(answered(pupil, "A branch.", f"--resume {session[:8]}")) == session
    listed = pupil.run("%claude_session list").text
    assert "my talk" in listed
    assert other[:8] in listed
    panel = pupil.run("%claude_session", allow_stdin=False).text
    assert "2 turns" in panel
    assert "in a terminal" not in panel
    assert pupil.run("%claude_session export talk.md").stdout.startswith("Wrote 2 turns")
    assert pupil.run("%claude_session delete my talk", answer="y").ok
    assert "my talk" not in pupil.run("%claude_session list").text


def test_where_it_was_recorded(kernel: Kernel, recorded: Recorded) -> None:
    """On the teacher's machine, too, a conversation is as long as it has been played, though the CLI knows all of it."""
    begin_anew(kernel)
    use(kernel, cassette=str(recorded.path), cassette_mode="replay", cassette_speed=0)
    try:
        answered(kernel, FIRST)
        assert "1 turn " in kernel.run("%claude_session", allow_stdin=False).text
        assert kernel.run("%claude_session export played.md").stdout.startswith("Wrote 1 turn ")
    finally:
        use(kernel, cassette=None, cassette_mode="auto", cassette_speed=1.0)


def test_what_is_not_recorded(pupil: Kernel, recorded: Recorded) -> None:
    """The error shows the closest recorded prompt, and it was no turn: the next cell of the lesson is as good as ever."""
    before = recorded.path.read_bytes()
    refused = ask(pupil, "A branch, please.")
    assert "-A branch.\n+A branch, please." in failure(refused, "CassetteMismatchError")
    assert refused.text == "No turn began."
    assert about(answered(pupil, "A branch."))["turn"] == 1
    assert recorded.path.read_bytes() == before


@pytest.mark.parametrize("way", ["Stop", "interrupt", "interrupt below %%time"])
def test_slow_replay_is_stopped(way: str, pupil: Kernel, tmp_path: Path) -> None:
    """A slow answer can be stopped like a live one, at once, and what had arrived stays."""
    use(pupil, cassette=str(written(tmp_path / "slow.jsonl", *SLOW)), cassette_speed=1)
    cell = pupil.start(f"{'%%time' if 'time' in way else ''}\n%%claude\n{TURN['prompt']}".lstrip())
    cell.wait_for(lambda _: "It" in on_page(pupil))
    pupil.click("Stop") if way == "Stop" else pupil.interrupt()
    result = cell.wait()
    assert result.reply["ename"] == "TurnInterrupted"
    assert "\nIt\n" in result.text


def test_auto_and_changes_between_cells(loaded_kernel: Kernel, api: MessagesAPI, tmp_path: Path) -> None:
    """`auto` records what is missing and plays it from then on; another file or mode holds from the next cell on."""
    tape = tmp_path / "auto.jsonl"
    use(loaded_kernel, cassette=str(tape), cassette_mode="auto", cassette_speed=0)
    try:
        costs = [answered(loaded_kernel, "one", "--new").text.count("recorded") for _ in range(2)]
        assert costs == [0, 1]
        answered(loaded_kernel, "two")
        assert api.prompts()[-1] == ["one", "two"]
        use(loaded_kernel, cassette_mode="off")
        assert "recorded" not in answered(loaded_kernel, "one", "--new").text
        asked = len(api.requests)
        use(loaded_kernel, cassette_mode="replay")
        assert "recorded" in answered(loaded_kernel, "two").text
        assert len(api.requests) == asked
        assert tape.read_text().count('{"turn"') == 2
    finally:
        use(loaded_kernel, cassette=None, cassette_mode="auto", cassette_speed=1.0)


def test_cassette_of_a_block(pupil: Kernel, tmp_path: Path) -> None:
    """`with cassette(...)` in a cell holds against the setting of the kernel, which holds again behind it."""
    path = written(
        tmp_path / "own.jsonl", HEADER, TURN | {"prompt": "of the block"}, *SLOW[2:4], {"at": 0.2, "end": "answered"}
    )
    block = f"with cassette({str(path)!r}, 'replay', 0):\n    reply = ask('of the block')"
    assert pupil.run(f"from claude_magic import ask, cassette\n{block}\nask('A branch.').content").text.startswith("'You said")
    assert pupil.value("reply.text") == "It"


def test_bad_cassettes(pupil: Kernel, tmp_path: Path) -> None:
    """The cell says which line is wrong and what to do; the file is left as it was, in every mode."""
    bad = {
        "cut off": (*SLOW[:3], json.dumps(SLOW[3])[:-9]),
        "format 9": (HEADER | {"cassette": 9}, *SLOW[1:]),
        "neither": (*SLOW[:2], {"at": 0.0, "evnt": "SessionStarted"}),
        "header": ("hello\n",),
        "is not the header": ("\x00",),
    }
    for said, lines in bad.items():
        path = written(tmp_path / "bad.jsonl", *lines)
        before = path.read_bytes()
        for mode in ("replay", "auto", "record"):
            use(pupil, cassette=str(path), cassette_mode=mode)
            text = failure(ask(pupil, str(TURN["prompt"])), "CassetteError")
            assert re.search(r"line \d", text), text
            assert said in text
            assert "record to another file" in text
            assert path.read_bytes() == before
    for missing, said in ((tmp_path, "directory"), (tmp_path / "none.jsonl", "no cassette")):
        use(pupil, cassette=str(missing), cassette_mode="replay")
        assert said in failure(ask(pupil, "one"), "CassetteError")


def test_without_login(tmp_path: Path) -> None:
    """Where nobody is logged in the lesson is played, and says once where its text comes from; else it is live."""
    path = written(tmp_path / "slow.jsonl", *SLOW)
    settings = Settings(cassette=str(path), cassette_mode="without-login")
    assert CassetteSettings(settings, lambda: True).cassette() is None
    lesson = CassetteSettings(settings, lambda: False)
    tape = lesson.cassette()
    assert tape is not None
    assert tape.plays_only
    remark = lesson.remark()
    assert remark is not None
    assert "slow.jsonl. The text was made for this test. To go live" in remark
    assert lesson.remark() is None


def test_who_is_logged_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run_async: Callable[..., Any]) -> None:
    """The CLI says whether there is an account; without a CLI there is none."""
    assert not run_async(login_status()).logged_in
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-dummy")
    assert run_async(login_status()).logged_in
    assert not run_async(login_status(tmp_path / "claude")).logged_in


def test_relative_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A relative path means the directory where it was set, wherever cells go before the first turn."""
    written(tmp_path / "slow.jsonl", *SLOW)
    monkeypatch.chdir(tmp_path)
    settings = Settings(cassette_mode="replay")
    lesson = CassetteSettings(settings, lambda: False)
    settings.cassette = "slow.jsonl"
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path / "data")
    assert lesson.cassette() is not None
    settings.cassette = "slow.jsonl"  # unchanged, so it still means the first one
    assert lesson.cassette() is not None
    settings.cassette = "other.jsonl"
    with pytest.raises(CassetteError, match="no cassette"):
        lesson.cassette()

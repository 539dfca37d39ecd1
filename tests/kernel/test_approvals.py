"""Approvals: what Claude asks for stands in the running cell, and the person's answer decides."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from cells import SETTLED, answered, ask, clis, ended, failure, on_page, session_of, start, stopped_soon
from messages_api import Directive, MessagesAPI, prompts_in
from rig import CellResult, RunningCell
from rig.kernel import Kernel
from rig.pace import at_some_pace

PLANNING = "Plan mode is active"
"""The CLI's word to the model (2.1.331)."""


class ParallelAPI(MessagesAPI):
    """Take `<<tool both [[NAME, INPUT], ...]>>` for several tools in one message; they are asked for at once."""

    def stream(self, directives: list[Directive], body: dict[str, Any], number: int) -> Iterator[tuple[str, dict[str, Any]]]:
        return super().stream([single for directive in directives for single in alone(directive)], body, number)


def alone(directive: Directive) -> list[Directive]:
    if directive.verb != "tool" or not directive.argument.startswith("both "):
        return [directive]
    calls = json.loads(directive.argument.removeprefix("both "))
    return [Directive("tool", f"{name} {json.dumps(arguments)}") for name, arguments in calls]


@pytest.fixture(scope="module")
def module_api() -> Iterator[MessagesAPI]:
    with ParallelAPI() as api:
        yield api


@pytest.fixture
def unchanged(notebook_dir: Path, home: Path) -> Callable[[], bool]:
    """Say whether no settings file was written since the test began."""

    def settings() -> dict[Path, bytes]:
        own = [*(home / ".claude").glob("settings*"), home / ".claude.json"]
        below = [path for name in (".claude", ".mcp.json") for path in notebook_dir.rglob(name)]
        inside = [file for path in below if path.is_dir() for file in path.rglob("*")]
        return {path: path.read_bytes() for path in (*own, *below, *inside) if path.is_file()}

    before = settings()
    return lambda: settings() == before


def tool(name: str, /, **arguments: Any) -> str:
    return f"<<tool {name} {json.dumps(arguments)}>>"


def bash(command: str) -> str:
    return tool("Bash", command=command)


def labels(kernel: Kernel) -> list[str]:
    """Return what the open buttons say, without Stop."""
    texts = [state["description"] for state in kernel.widgets_named("ButtonModel").values()]
    return [text for text in texts if text != "Stop"]


def cards(kernel: Kernel) -> list[str]:
    """Return what one reads on the open cards, oldest first."""
    boxes = [state for state in kernel.widgets_named("VBoxModel").values() if "claude-ask" in state["_dom_classes"]]
    values = [str(kernel.widgets[state["children"][0].removeprefix("IPY_MODEL_")]["value"]) for state in boxes]
    return [html.unescape(re.sub(r"<[^>]*>", "", value)) for value in values]


def asks(cell: RunningCell, count: int = 1) -> str:
    """Wait until the cell asks; return what the newest card says."""
    cell.wait_for(lambda _: complete_cards(cell.kernel) >= count)
    return cards(cell.kernel)[-1]


def complete_cards(kernel: Kernel) -> int:
    """Count the cards that have all their parts: their box opens last."""
    boxes = kernel.widgets_named("VBoxModel").values()
    return sum("claude-ask" in state["_dom_classes"] for state in boxes)


def click(cell: RunningCell, label: str) -> None:
    """Answer the newest card, and wait until it is gone."""
    asks(cell)
    button = cell.kernel.button(label)
    cell.kernel.click(button)
    cell.wait_for(lambda _: button not in cell.kernel.widgets)


def tell(cell: RunningCell, words: str) -> None:
    """Deny with a word."""
    asks(cell)
    (text,) = cell.kernel.widgets_named("TextModel")
    cell.kernel.set_widget(text, value=words)
    click(cell, "Deny and tell")


def clicked(kernel: Kernel, prompt: str, label: str, options: str = "") -> CellResult:
    """Run a cell that asks once, answer by a button, and see it succeed."""
    cell = start(kernel, prompt, options)
    click(cell, label)
    result = cell.wait()
    assert result.ok, result.outputs
    return result


def unasked(kernel: Kernel, prompt: str, options: str = "") -> CellResult:
    """Run a cell to its end: it must not ask."""
    cell = start(kernel, prompt, options)
    kernel.wait_for(lambda: cell.result.done or complete_cards(kernel) > 0)
    if asked := labels(kernel):
        kernel.interrupt()
        cell.wait()
        pytest.fail(f"it asked: {asked}")
    assert cell.result.ok, cell.result.outputs
    return cell.result


def returned(api: MessagesAPI) -> list[str]:
    """Return the text of each tool result in the newest request, oldest first."""
    contents = [message["content"] for message in api.requests[-1]["messages"] if message["role"] == "user"]
    blocks = [block for content in contents if isinstance(content, list) for block in content]
    return [
        block["content"] if isinstance(block["content"], str) else "".join(part.get("text", "") for part in block["content"])
        for block in blocks
        if block["type"] == "tool_result"
    ]


def newest(api: MessagesAPI) -> str:
    """Return the newest prompt as the model gets it, with what the CLI adds to it."""
    messages = api.requests[-1]["messages"]
    prompted = [number for number, message in enumerate(messages) if message["role"] == "user" and prompts_in(message)]
    return json.dumps(messages[prompted[-1] :])


def in_all_forms(result: CellResult, *texts: str) -> None:
    """Assert that the settled output holds the texts in every form."""
    for form in SETTLED:
        shown = re.sub(r"<[^>]*>", "", result.bundle[form]) if form == "text/html" else result.bundle[form]
        shown = shown if form == "text/plain" else html.unescape(shown)
        for text in texts:
            assert text in shown.replace("\\", ""), f"{form}: {result.bundle[form][-500:]}"


def passed(kernel: Kernel, seconds: int) -> Callable[[CellResult], bool]:
    """Say whether the status line counts this many seconds, or more."""

    def counted() -> list[str]:
        return re.findall(r"\b(\d+) s\b", re.sub(r"<[^>]*>", " ", on_page(kernel)))

    return lambda _: any(int(number) >= seconds for number in counted())


# What is asked


def test_card_of_a_command(shared_session: Kernel, notebook_dir: Path) -> None:
    """The card says which tool, the exact command and the directory; four answers, with the rule that would be added."""
    cell = start(shared_session, bash("touch 'with  two spaces' '<b>&amp;'"))
    card = asks(cell)
    assert "Claude asks to run a command" in card
    assert "touch 'with  two spaces' '<b>&amp;'" in card
    assert str(notebook_dir) in card
    *others, session = labels(shared_session)  # in the order of their opening
    assert others == ["Allow once", "Deny", "Deny and tell"]
    assert session == "Allow this command in this session"
    click(cell, "Deny")
    assert cell.wait().ok


def test_card_of_a_file(shared_session: Kernel, notebook_dir: Path) -> None:
    """The card of a write holds the path and the whole content; that of an edit holds the diff."""
    path = notebook_dir / "written.py"
    cell = start(
        shared_session,
        tool("Write", file_path=str(path), content="value = 1\nother = 2\n")
        + tool("Edit", file_path=str(path), old_string="value = 1", new_string="value = 3"),
    )
    card = asks(cell)
    assert "Claude asks to write a file" in card
    assert str(path) in card
    assert "value = 1\nother = 2" in card
    assert not path.exists()
    click(cell, "Allow once")
    card = asks(cell)
    assert "Claude asks to change a file" in card
    assert "-value = 1\n+value = 3" in card
    click(cell, "Allow once")
    assert cell.wait().ok
    assert path.read_text() == "value = 3\nother = 2\n"


def test_card_of_code(shared_session: Kernel) -> None:
    """The card of `run_code` holds the code as it would run."""
    cell = start(shared_session, tool("mcp__kernel__run_code", code="x = 1\nfor n in range(3):\n    print(n < 2)"))
    card = asks(cell)
    assert "Claude asks to run code in this kernel" in card
    assert "x = 1\nfor n in range(3):\n    print(n < 2)" in card
    assert "Allow code in this kernel in this session" in labels(shared_session)
    click(cell, "Deny")
    assert cell.wait().ok


def test_never_cut(shared_session: Kernel) -> None:
    """A command of 50 KB is on the card to its last character."""
    lines = [f"touch {'x' * 80}{number}" for number in range(550)]
    cell = start(shared_session, bash("\n".join(lines)))
    card = asks(cell)
    for line in lines:
        assert f"{line}\n" in f"{card}\n"
    assert "left out" not in card
    click(cell, "Deny")
    assert cell.wait().ok


HIDING = {
    "OSC": "touch shown #\x1b]\ntouch hidden\n\x07",
    "open OSC": "touch shown #\x1b]0;\ntouch hidden\n",
    "DCS": "touch shown #\x1bP\ntouch hidden\n\x1b\\",
    "C1": "touch shown #\x9d\ntouch hidden\n",
}


@pytest.mark.parametrize("kind", ["async", "sync"])
@pytest.mark.parametrize("code", HIDING.values(), ids=HIDING)
def test_nothing_hides(shared_session: Kernel, code: str, kind: str) -> None:
    """What would run is on the card, and in the lines, also where a terminal would swallow it as part of a sequence."""
    prompt = tool("mcp__kernel__run_code", code=code.replace("touch ", "!touch "))
    if kind == "sync":
        result = start(shared_session, prompt, kind=kind, answer="n").wait()
        assert "touch hidden" in result.stdout
        return
    cell = start(shared_session, prompt)
    card = asks(cell)
    click(cell, "Deny")
    assert cell.wait().ok
    assert "touch hidden" in card


# Answers


@pytest.mark.short
def test_allow_once(shared_session: Kernel, notebook_dir: Path, unchanged: Callable[[], bool]) -> None:
    """Allowed once, the command runs, once: the same again is asked again; what was answered stays."""
    result = clicked(shared_session, bash("touch once") + "<<say done>>", "Allow once")
    assert (notebook_dir / "once").exists()
    in_all_forms(result, "touch once", "allowed once", "done")
    cell = start(shared_session, bash("touch once"))
    click(cell, "Deny")
    assert cell.wait().ok
    assert unchanged()


def test_allow_for_the_session(shared_session: Kernel, notebook_dir: Path, unchanged: Callable[[], bool]) -> None:
    """Allowed for the session, the same is not asked again, also after the CLI died; anything else, and another session, is."""
    result = clicked(shared_session, bash("touch often"), "Allow this command")
    in_all_forms(result, "touch often", "allowed for this session: Bash(touch")
    (notebook_dir / "often").unlink()
    unasked(shared_session, bash("touch often"))
    assert (notebook_dir / "often").exists()
    clicked(shared_session, bash("mkdir other"), "Deny")
    processes = clis(shared_session)
    for process in processes:
        process.kill()
    assert ended(processes)
    (notebook_dir / "often").unlink()
    assert session_of(unasked(shared_session, bash("touch often"))) == session_of(result)
    assert (notebook_dir / "often").exists()
    clicked(shared_session, bash("mkdir other"), "Deny")
    clicked(shared_session, bash("touch often"), "Deny", "--new")
    assert unchanged()


def test_a_rule_allows_no_more_than_it_says(shared_session: Kernel) -> None:
    """A command written like a list of rules is allowed as that command alone, also by the process that comes next."""
    clicked(shared_session, bash('touch "), Bash(mkdir:*), Read("'), "Allow this command")
    processes = clis(shared_session)
    for process in processes:
        process.kill()
    assert ended(processes)
    result = ask(shared_session, bash("mkdir injected"), allow_stdin=False)
    assert "denied" in result.text.lower()
    assert not (shared_session.notebook_dir / "injected").exists()


@pytest.mark.short
def test_deny(shared_session: Kernel, api: MessagesAPI, notebook_dir: Path) -> None:
    """Denied, nothing runs, Claude is told so and goes on; the cell succeeds."""
    result = clicked(shared_session, bash("touch denied") + "<<say Then not.>>", "Deny")
    assert not (notebook_dir / "denied").exists()
    assert "The person said no." in returned(api)[-1]
    in_all_forms(result, "touch denied", "denied", "Then not.")


@pytest.mark.short
def test_deny_with_a_word(shared_session: Kernel, api: MessagesAPI, notebook_dir: Path) -> None:
    """Words given with a denial are what Claude reads as the tool's result, and stay in the output."""
    cell = start(shared_session, bash("touch denied") + "<<say Then so.>>")
    tell(cell, "Use pathlib & a <tmp> directory.")
    result = cell.wait()
    assert result.ok, result.outputs
    assert not (notebook_dir / "denied").exists()
    assert "Use pathlib & a <tmp> directory." in returned(api)[-1]
    in_all_forms(result, "touch denied", "Use pathlib & a <tmp> directory.", "Then so.")


def test_two_at_once(shared_session: Kernel, api: MessagesAPI, tmp_path: Path) -> None:
    """Of two calls that are asked at once each gets its own answer."""
    files = [tmp_path / "one.txt", tmp_path / "two.txt"]
    for file in files:
        file.write_text(f"content of {file.stem}")
    calls = json.dumps([["Read", {"file_path": str(file)}] for file in files])
    cell = start(shared_session, f"<<tool both {calls}>><<say done>>")
    asks(cell, 2)
    assert [file.name in card for file, card in zip(files, cards(shared_session), strict=True)] == [True, True]
    first, second = [
        id_ for id_, state in shared_session.widgets_named("ButtonModel").items() if state["description"] == "Deny"
    ]
    allow = shared_session.button("Allow once")  # the newest: of the second card
    shared_session.click(first)
    cell.wait_for(lambda _: first not in shared_session.widgets)
    assert second in shared_session.widgets
    shared_session.click(allow)
    result = cell.wait()
    assert result.ok, result.outputs
    one, two = returned(api)[-2:]
    assert "The person said no." in one
    assert "content of two" in two
    in_all_forms(result, "denied", "allowed once")


def test_one_yes_for_several(shared_session: Kernel, api: MessagesAPI, tmp_path: Path) -> None:
    """A yes for the session answers what else it covers, also what is asked already; all else stays asked."""
    files = [tmp_path / "one" / "first.txt", tmp_path / "one" / "second.txt", tmp_path / "other" / "third.txt"]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"content of {file.stem}")
    calls = json.dumps([["Read", {"file_path": str(file)}] for file in files])
    cell = start(shared_session, f"<<tool both {calls}>><<say done>>")
    asks(cell, 3)
    shared_session.click("Allow files of one in this session")
    cell.wait_for(lambda _: complete_cards(shared_session) == 1)
    assert "third.txt" in cards(shared_session)[-1]
    click(cell, "Deny")
    result = cell.wait()
    assert result.ok, result.outputs
    told = "".join(returned(api)[-3:])
    assert [f"content of {file.stem}" in told for file in files] == [True, True, False]
    assert result.text.count("allowed for this session: Read(") == 2


def test_the_reason_is_said(shared_session: Kernel, tmp_path: Path) -> None:
    """The card says why it asks, in the CLI's words or ours: a place outside, a redirection that no rule covers."""
    outside = tool("Write", file_path=str(tmp_path / "outside.txt"), content="x")
    cell = start(shared_session, outside + bash("echo hi > made.txt") + "<<say done>>", "--allow Bash(echo:*)")
    assert "outside" in asks(cell).rpartition("in /")[2]
    click(cell, "Deny")
    assert "made.txt" in asks(cell).rpartition("in /")[2]
    click(cell, "Deny")
    assert cell.wait().ok


@pytest.mark.parametrize("named", ["Write", "NotebookEdit"])
def test_the_open_notebook(shared_session: Kernel, api: MessagesAPI, notebook_dir: Path, named: str) -> None:
    """Whoever is asked about the file of this very notebook is warned, and can ask for a new cell instead."""
    path = notebook_dir / "notebook.ipynb"
    cells = [nbformat.v4.new_code_cell("1 + 1", id="first")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    arguments = {
        "Write": {"file_path": str(path), "content": "x"},
        "NotebookEdit": {"notebook_path": str(path), "cell_id": "first", "new_source": "x"},
    }
    read = tool("Read", file_path=str(path))
    cell = start(shared_session, f"{read}{tool(named, **arguments[named])}<<say done>>")
    assert "This notebook is open here." in asks(cell)
    click(cell, "Ask for a new cell instead")
    assert cell.wait().ok
    assert "add_cell" in returned(api)[-1]
    cell = start(shared_session, tool("Write", file_path=str(notebook_dir / "other.ipynb"), content="x"))
    assert "open here" not in asks(cell)
    click(cell, "Deny")
    assert cell.wait().ok
    path.unlink()


# Time and interrupts


def test_waiting_is_not_the_tools_time(shared_session: Kernel) -> None:
    """While a call waits for the person its line says so, and what it then takes is the time of its work alone."""
    answered(shared_session, "warm up")
    cell = start(shared_session, bash("touch soon") + "<<say done>>")
    asks(cell)
    cell.wait_for(lambda _: re.search(r"<summary[^>]*><b>Bash.*waiting for you", on_page(shared_session)) is not None)
    cell.wait_for(passed(shared_session, 3))
    click(cell, "Allow once")
    took = re.search(r"allowed once · <?([\d.]+) s", cell.wait().text)
    assert took
    assert float(took[1]) < 2


@at_some_pace
def test_waiting_is_not_counted(shared_session: Kernel, notebook_dir: Path, pace: int) -> None:
    """A person may take longer than `--timeout`; the turn goes on with the time that was left."""
    answered(shared_session, "warm up")
    cell = start(shared_session, bash("touch patient") + "<<say done>>", f"--timeout {2 * pace}")
    asks(cell)
    cell.wait_for(passed(shared_session, 3 * pace))
    click(cell, "Allow once")
    assert cell.wait().ok
    assert (notebook_dir / "patient").exists()


@at_some_pace
def test_timeout_counts_again_after_the_answer(shared_session: Kernel, pace: int) -> None:
    """After an answer the timeout holds as before."""
    answered(shared_session, "warm up")
    cell = start(shared_session, bash("touch patient") + "<<hang>>", f"--timeout {1.5 * pace}")
    asks(cell)
    cell.wait_for(passed(shared_session, 2 * pace))
    click(cell, "Allow once")
    failure(cell.wait(), "TurnTimeoutError")


@pytest.mark.parametrize("then", ["<<say done>>", "<<hang>>"])
@at_some_pace
def test_waiting_for_two_is_not_counted(shared_session: Kernel, tmp_path: Path, then: str, pace: int) -> None:
    """While one of two questions is still open the clock stands; it goes on when both are answered."""
    answered(shared_session, "warm up")
    calls = json.dumps([["Read", {"file_path": str(tmp_path / name)}] for name in ("a", "b")])
    cell = start(shared_session, f"<<tool both {calls}>>{then}", f"--timeout {1.5 * pace}")
    asks(cell, 2)
    click(cell, "Deny")
    cell.wait_for(passed(shared_session, 3 * pace))
    click(cell, "Deny")
    if then == "<<hang>>":
        try:
            failure(cell.wait(), "TurnTimeoutError")
        except TimeoutError:
            shared_session.interrupt()
            cell.wait()
            raise
    else:
        assert cell.wait().ok


@pytest.mark.parametrize("way", ["interrupt", "Stop"])
def test_stopped_while_asking(shared_session: Kernel, api: MessagesAPI, notebook_dir: Path, way: str) -> None:
    """An interrupt, or Stop, means no, and the call's line says so: the turn ends within a second, nothing runs, the card goes.

    The next cell works.
    """
    session = session_of(answered(shared_session, "one"))
    cell = start(shared_session, "<<say Before.>>" + bash("touch stopped"))
    asks(cell)
    count = len(api.requests)
    result = stopped_soon(cell, shared_session.interrupt if way == "interrupt" else lambda: shared_session.click("Stop"))
    failure(result, "TurnInterrupted")
    assert not (notebook_dir / "stopped").exists()
    assert dict(shared_session.widgets) == {}
    assert len(api.requests) == count
    in_all_forms(result, "Before.", "touch stopped", "✗ denied")
    assert "failed" not in result.text
    assert session_of(answered(shared_session, "two")) == session
    clicked(shared_session, bash("touch allowed"), "Allow once")
    assert (notebook_dir / "allowed").exists()


# By input()


@pytest.mark.parametrize(
    ("reply", "made", "said"),
    [
        ("y", True, "allowed once"),
        ("s", True, "allowed for this session: Bash("),
        ("n", False, "denied"),
        ("", False, "denied"),
        ("Ask me later.", False, "Ask me later."),
    ],
)
def test_by_input(loaded_kernel: Kernel, api: MessagesAPI, notebook_dir: Path, reply: str, made: bool, said: str) -> None:
    """In a blocking cell the same question comes as lines with an `input()`; a word denies and is told to Claude."""
    (notebook_dir / "typed").unlink(missing_ok=True)
    cell = start(loaded_kernel, bash("touch typed") + "<<say done>>", kind="sync", answer=reply)
    result = cell.wait()
    assert result.ok, result.outputs
    assert (notebook_dir / "typed").exists() is made
    assert "Claude asks to run a command" in result.stdout
    assert "command: touch typed" in result.stdout
    assert str(notebook_dir) in result.stdout.replace("\n    … ", "")
    (prompt,) = result.prompts
    assert "[y] allow once" in prompt
    assert "[s] allow this command in this session: Bash(touch" in prompt
    assert "[n] deny" in prompt
    in_all_forms(result, "touch typed", said)
    if not made:
        assert (reply if len(reply) > 1 else "The person said no.") in returned(api)[-1]
    if reply == "s":
        assert start(loaded_kernel, bash("touch typed"), kind="sync").wait().ok


@pytest.mark.parametrize(("kind", "options"), [("sync", ""), ("async", "--quiet")], ids=["blocking", "quiet"])
def test_interrupted_at_input(shared_session: Kernel, notebook_dir: Path, kind: str, options: str) -> None:
    """An interrupt at the `input()` denies and stops the turn; the next cell works."""
    session = session_of(answered(shared_session, "one"))
    cell = start(shared_session, bash("touch interrupted"), options, kind=kind)
    cell.wait_for(lambda result: bool(result.prompts))
    cell.unanswered.clear()
    result = stopped_soon(cell, shared_session.interrupt)
    assert [error["ename"] for error in result.errors] == ["TurnInterrupted"], result.errors
    assert not (notebook_dir / "interrupted").exists()
    assert "✗ denied" in result.text or options == "--quiet"
    assert session_of(answered(shared_session, "two")) == session


def test_quiet(shared_session: Kernel, notebook_dir: Path) -> None:
    """A `--quiet` cell asks through `input()`, and shows nothing else."""
    cell = start(shared_session, bash("touch quiet"), "--quiet --output reply", answer="y")
    result = cell.wait()
    assert result.ok, result.outputs
    assert (notebook_dir / "quiet").exists()
    assert "command: touch quiet" in result.stdout
    assert not result.displays


def test_an_edit_that_the_cli_would_make_otherwise(shared_session: Kernel, api: MessagesAPI, notebook_dir: Path) -> None:
    """An Edit of a text that is not in the file as it is written is refused: the CLI would find a similar text."""
    (script := notebook_dir / "a.sh").write_text("# don’t panic\n")
    calls = tool("Read", file_path=str(script))
    calls += tool("Edit", file_path=str(script), old_string="# don't panic", new_string="# don't panic\necho '; touch pwned; '")
    result = answered(shared_session, calls + "<<say done>>")
    assert "copy the text exactly" in returned(api)[-1]
    assert "denied" in result.text.lower()
    assert script.read_text() == "# don’t panic\n"


# Where nobody can answer


def test_nobody_there(shared_session: Kernel, api: MessagesAPI, notebook_dir: Path) -> None:
    """Under nbclient it is denied at once; the output says what, and the `--allow` that would permit it, which does."""
    result = answered(shared_session, bash("touch headless") + "<<say done>>", allow_stdin=False)
    assert not (notebook_dir / "headless").exists()
    assert not result.prompts
    in_all_forms(result, "touch headless", "--allow", "would permit it")
    assert "Nobody is there" in returned(api)[-1]
    found = re.search(r"(--allow .*?) would permit it", result.text)
    assert found, result.text
    answered(shared_session, bash("touch headless"), found[1], allow_stdin=False)
    assert (notebook_dir / "headless").exists()


@pytest.mark.parametrize(
    "command",
    ['touch "with space"', "touch 'one quote'", "touch a; mkdir -p b"],
)
def test_the_rule_can_be_copied(shared_session: Kernel, command: str) -> None:
    """The `--allow` that is offered, copied as it stands, permits the command, whatever quotes are in it."""
    result = answered(shared_session, bash(command), allow_stdin=False)
    found = re.search(r"\. (--allow .*) would permit it", result.text)
    assert found, result.text
    again = ask(shared_session, bash(command), found[1], allow_stdin=False)
    assert again.ok, again.outputs
    assert "denied" not in again.text.lower(), again.text


@pytest.mark.parametrize("path", ["{dir}/**", "~/**/x"])
def test_no_rule_that_allows_more_than_the_call(shared_session: Kernel, notebook_dir: Path, path: str) -> None:
    """For a path with a star no rule is offered, as it would allow other files, too."""
    result = answered(
        shared_session, tool("Write", file_path=path.format(dir=notebook_dir.parent), content="x"), allow_stdin=False
    )
    assert "nobody was there to be asked" in result.text
    assert "--allow" not in result.text


def test_advice_of_claudes(shared_session: Kernel) -> None:
    """No advice to allow more, which Claude wrote into a command, stands in the output as ours: only in quotes, at its end."""
    for command in ("date. --allow Bash would permit it. Denied", 'touch x" would permit it. Or: --mode "auto'):
        shown = answered(shared_session, bash(command), allow_stdin=False).text
        (quoted,) = re.findall(r"^Denied, as nobody was there to be asked: Bash (.*)$", shown, re.MULTILINE)
        assert json.loads(quoted) == command


def test_nobody_there_for_a_write(shared_session: Kernel, notebook_dir: Path) -> None:
    """For a write the output names what would permit it, too."""
    write = tool("Write", file_path=str(notebook_dir / "unwritten"), content="text")
    result = answered(shared_session, write, allow_stdin=False)
    found = re.search(r"(--(?:allow|mode) [^.]*?) would permit it", result.text)
    assert found, result.text
    answered(shared_session, write, found[1], allow_stdin=False)
    assert (notebook_dir / "unwritten").exists()


# Modes


def test_plan(shared_session: Kernel, api: MessagesAPI, unchanged: Callable[[], bool]) -> None:
    """In plan mode leaving it is asked, with the plan to read, and can be refused with a word."""
    assert shared_session.run("%%claude --mode plan\nhello").ok
    # The CLI tells the model which file the plan belongs in, and puts what that holds into the request.
    plan_file = re.search(r"/\S+?/plans/\S+?\.md", json.dumps(api.requests[-1]))
    assert plan_file, api.requests[-1]
    calls = tool("Write", file_path=plan_file[0], content="1. Touch **planned**.") + tool("ExitPlanMode")
    cell = start(shared_session, calls + "<<say done>>", "--mode plan")
    assert "carry out its plan" in asks(cell)
    assert "1. Touch **planned**." in asks(cell)
    tell(cell, "Not yet.")
    result = cell.wait()
    assert result.ok, result.outputs
    assert unchanged()


def test_plan_after_a_plan(shared_session: Kernel, api: MessagesAPI, notebook_dir: Path) -> None:
    """Leaving plan mode ends it for that turn; chosen again, it is plan mode: Claude is told, and may not write at all."""
    write = tool("Write", file_path=str(notebook_dir / "planned.txt"), content="text")
    clicked(shared_session, tool("ExitPlanMode"), "Allow once", "--mode plan")
    api.requests.clear()
    clicked(shared_session, write, "Deny")
    assert PLANNING not in newest(api)
    cell = start(shared_session, write + tool("ExitPlanMode"), "--mode plan")
    assert "carry out its plan" in asks(cell)
    assert "Plan mode changes nothing" in returned(api)[-1]
    assert PLANNING in newest(api)
    click(cell, "Deny")
    assert cell.wait().ok
    assert not (notebook_dir / "planned.txt").exists()


def test_edits_for_the_session(shared_session: Kernel, notebook_dir: Path, unchanged: Callable[[], bool]) -> None:
    """Edits allowed for the session hold for its next processes too; not for commands, in plan mode, or in a new session."""

    def write(name: str) -> str:
        return tool("Write", file_path=str(notebook_dir / name), content="text")

    result = clicked(shared_session, write("granted.txt"), "Allow edits in this session")
    in_all_forms(result, "allowed for this session: Edit")
    processes = clis(shared_session)
    for process in processes:
        process.kill()
    assert ended(processes)
    assert session_of(unasked(shared_session, write("after-death.txt"))) == session_of(result)
    unasked(shared_session, write("another-model.txt"), "--model haiku")
    unasked(shared_session, write("in-plan-mode.txt"), "--mode plan")
    unasked(shared_session, write("after-plan-mode.txt"))
    clicked(shared_session, bash("rm granted.txt"), "Deny")
    clicked(shared_session, write("elsewhere.txt"), "Deny", "--new")
    written = {path.name for path in notebook_dir.glob("*.txt")}
    assert written >= {"granted.txt", "after-death.txt", "another-model.txt", "after-plan-mode.txt"}
    assert not written & {"in-plan-mode.txt", "elsewhere.txt"}
    assert unchanged()


def test_accept_edits(shared_session: Kernel, notebook_dir: Path, unchanged: Callable[[], bool]) -> None:
    """`acceptEdits` writes files of this directory without asking, and still asks for commands."""
    path = notebook_dir / "accepted.txt"
    calls = tool("Write", file_path=str(path), content="text") + bash("curl http://127.0.0.1:9")
    cell = start(shared_session, calls, "--mode acceptEdits")
    assert "curl" in asks(cell)
    assert path.exists()
    click(cell, "Deny")
    assert cell.wait().ok
    clicked(shared_session, tool("Write", file_path=str(notebook_dir / "later.txt"), content="text"), "Deny")
    assert unchanged()


def test_dont_ask(shared_session: Kernel, notebook_dir: Path, unchanged: Callable[[], bool]) -> None:
    """`dontAsk` denies what would be asked, and shows that it was denied; what `--allow` names runs."""
    result = unasked(shared_session, bash("touch silent") + "<<say done>>", "--mode dontAsk")
    assert not (notebook_dir / "silent").exists()
    in_all_forms(result, "touch silent", "denied")
    unasked(shared_session, bash("touch silent"), "--mode dontAsk --allow Bash(touch:*)")
    assert (notebook_dir / "silent").exists()
    assert unchanged()


def test_allow_trait(
    shared_session: Kernel, notebook_dir: Path, configure: Callable[[str, object], None], unchanged: Callable[[], bool]
) -> None:
    """`%config ClaudeMagics.allow` and `.mode` hold for every cell."""
    configure("allow", ["Bash(touch:*)"])
    unasked(shared_session, bash("touch configured"))
    assert (notebook_dir / "configured").exists()
    configure("mode", "dontAsk")
    unasked(shared_session, bash("mkdir configured-not"))
    assert not (notebook_dir / "configured-not").exists()
    assert unchanged()


def test_bypassing_is_marked(shared_session: Kernel) -> None:
    """Every cell that bypasses permissions says so, also when the CLI refuses to."""
    for _ in range(2):
        result = ask(shared_session, "hello", "--mode bypassPermissions")
        in_all_forms(result, "Permissions are bypassed in this cell")

"""`ask()`: a turn as a function, in cells, loops, functions and threads."""

from __future__ import annotations

import pytest
from cells import answered, failure, history, plain, sent_text, session_of
from messages_api import MessagesAPI
from rig import CellResult
from rig.kernel import Kernel

SECRET = "the secret 4711"
TOUCH = '<<tool Bash {"command": "touch made"}>><<say tried>>'


@pytest.fixture
def asking(shared_session: Kernel) -> Kernel:
    """A kernel with `ask` and `current_session`."""
    assert shared_session.run("from claude_magic import ask, current_session").ok
    return shared_session


@pytest.fixture
def asking_anew(asking: Kernel, loaded_kernel: Kernel) -> Kernel:
    """The same, in a new session."""
    return loaded_kernel


def run(kernel: Kernel, code: str) -> CellResult:
    result = kernel.run(code)
    assert result.ok, result.outputs
    return result


def last_prompts(api: MessagesAPI) -> list[str]:
    return [prompts[-1] for prompts in api.prompts()]


def test_ask(asking: Kernel, api: MessagesAPI) -> None:
    """It returns the reply, shows nothing, and goes on with the session of the cells."""
    session = session_of(answered(asking, "in a cell"))
    result = run(asking, "reply = ask('in code')\nprint(reply)")
    assert result.stdout == "You said: in code\n"
    assert result.displays == []
    assert asking.value("reply.session_id") == session
    answered(asking, "and a cell")
    assert history(api) == ["in a cell", "in code", "and a cell"]
    assert asking.value("current_session().session_id") == session
    assert asking.value("[turn.prompt for turn in current_session().turns]") == history(api)


PLACES = [
    "replies = [ask(f'number {n}').content for n in range(2)]",
    "def f(n):\n    return ask(f'number {n}').content\nreplies = [*map(f, range(2))]",
    "import asyncio\nawait asyncio.sleep(0)\nreplies = [ask('number 0').content, ask('number 1').content]",
    "async def f(n):\n    return ask(f'number {n}').content\nreplies = [await f(0), await f(1)]",
    "replies = [await asyncio.to_thread(lambda: ask(f'number {n}').content) for n in range(2)]",
]


def test_places(asking_anew: Kernel, api: MessagesAPI) -> None:
    """It works in loops, functions, async cells, coroutines and threads, and every turn continues the one before."""
    for count, code in enumerate(PLACES, 1):
        run(asking_anew, code)
        assert asking_anew.value("replies") == ["You said: number 0", "You said: number 1"]
        assert history(api) == ["number 0", "number 1"] * count


def test_nothing_is_expanded(asking: Kernel, api: MessagesAPI) -> None:
    """Its prompt may come from anywhere: no template, no path, no command in it means anything."""
    (asking.notebook_dir / "secret.txt").write_text(SECRET)
    for prompt in ("{{ nowhere }} {% x %}", "@secret.txt", "/context"):
        run(asking, f"ask({prompt!r})")
        assert sent_text(api) == prompt
    assert SECRET not in str(api.requests)


def test_choices(asking_anew: Kernel, api: MessagesAPI) -> None:
    """New sessions, branches, models, files and schemas are chosen as in a cell."""
    run(asking_anew, "ask('first'); ask('second'); here = current_session().turns[0].number")
    run(asking_anew, "ask('instead', at=here, model='haiku')")
    assert history(api) == ["first", "instead"]
    assert "haiku" in api.requests[-1]["model"]
    (asking_anew.notebook_dir / "a.txt").write_text("A of @secret.txt")
    (asking_anew.notebook_dir / "b.txt").write_text("B")
    run(asking_anew, "import pathlib\nask('of files', new=True, files=['[ab].txt', pathlib.Path('b.txt')])")
    assert history(api) == ["a.txt:\n```\nA of @secret.txt\n```", "b.txt:\n```\nB\n```", "b.txt:\n```\nB\n```", "of files"]
    assert SECRET not in str(api.requests)
    code = """reply = ask('<<tool StructuredOutput {"value": [1, 2]}>>', schema=list[int])"""
    run(asking_anew, code)
    assert asking_anew.value("list(reply.structured)") == [1, 2]


@pytest.mark.parametrize(
    "arguments",
    [
        "''",
        "3",
        "'x', wrong=1",
        "'x', new='no'",
        "'x', new=True, resume='abc'",
        "'x', new=True, fork=True",
        "'x', at='3'",
        "'x', at=True",
        "'x', model=3",
        "'x', timeout='soon'",
        "'x', timeout=float('nan')",
        "'x', budget=0",
        "'x', max_turns=0",
        "'x', effort='much'",
        "'x', mode='free'",
        "'x', allow=3",
        "'x', files=[3]",
        "'x', schema=3",
    ],
)
def test_what_cannot_be_meant(asking: Kernel, api: MessagesAPI, arguments: str) -> None:
    """What cannot be meant is an error before anything is sent."""
    for call in (f"ask({arguments})", f"list(ask.stream({arguments}))"):
        result = asking.run(call)
        assert result.reply["ename"] == "ConfigError", result.outputs
    assert api.requests == []


def test_wrong_parameter(asking: Kernel) -> None:
    """A parameter that `ask()` has not is an error that names those it has."""
    text = plain("\n".join(asking.run("ask('x', modell='opus')").errors[0]["traceback"]))
    assert "ask() has no parameter modell." in text
    assert "allow, at, bare, budget, effort, files, fork, max_turns, mcp, mode, model, new, no_kernel" in text


@pytest.mark.parametrize("name", ["ask", "ask.stream"])
def test_shift_tab(asking: Kernel, name: str) -> None:
    """Shift-Tab shows the parameters with types and defaults, and what they mean."""
    shown = plain(asking.value(f"get_ipython().object_inspect_mime({name!r})['text/plain']"))
    assert "effort: str | None = None" in " ".join(shown.split())
    assert "low, medium, high" in shown


def test_other_errors(asking: Kernel, api: MessagesAPI) -> None:
    """A turn, session or file that is not there, and a refused turn, fail as in a cell."""
    session = session_of(answered(asking, "hello"))
    failure(asking.run("ask('x', at=999)"), "TurnNotFoundError")
    failure(asking.run("ask('x', resume='nowhere')"), "SessionNotFoundError")
    failure(asking.run("ask('x', files='nowhere')"), "AttachmentError")
    failure(asking.run("ask('<<status 400>>')"), "APIError")
    assert asking.value("current_session().session_id") == session


def test_permission_is_asked_in_the_cell(asking: Kernel) -> None:
    """A permission is asked where the cell is, and the answer holds."""
    result = asking.run(f"print(ask({TOUCH!r}))", answer="n")
    assert result.stdout.endswith("tried\n")
    assert len(result.prompts) == 1
    assert not (asking.notebook_dir / "made").exists()


def test_in_a_thread(asking: Kernel, api: MessagesAPI) -> None:
    """In a thread a permission is denied at once, and Claude has no tools of the kernel."""
    code = f"import asyncio\nreply = await asyncio.to_thread(ask, {TOUCH!r}, new=True)\nprint(reply)"
    result = run(asking, code)
    assert result.stdout == "tried\n"
    assert result.prompts == []
    assert not (asking.notebook_dir / "made").exists()
    assert "mcp__kernel" not in str(api.requests[0])
    run(asking, "ask('on the main thread', new=True)")
    assert "mcp__kernel" in str(api.requests[-1])


def test_threads_at_once(asking: Kernel, api: MessagesAPI) -> None:
    """Several threads may ask at the same time."""
    code = """from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(3) as threads:
    replies = [*threads.map(lambda n: ask(f'number {n}', new=True).content, range(3))]"""
    run(asking, code)
    assert asking.value("replies") == [f"You said: number {n}" for n in range(3)]
    assert sorted(last_prompts(api)) == [f"number {n}" for n in range(3)]
    assert {len(prompts) for prompts in api.prompts()} == {1}


def test_code_of_claude_s_cannot_ask(asking: Kernel, api: MessagesAPI) -> None:
    """Code that Claude runs cannot start another turn, and is told so."""
    inner = '<<tool mcp__kernel__run_code {"code": "ask(\'inner\')"}>><<say done>>'
    for code in (f"ask({inner!r}, allow='mcp__kernel__run_code')", f"%%claude --allow mcp__kernel__run_code\n{inner}"):
        assert asking.run(code).ok
        assert "code that Claude runs cannot start another" in str(api.requests[-1]["messages"])
    assert "inner" not in last_prompts(api)


def test_stream(asking: Kernel) -> None:
    """Its text arrives piece by piece, and all of it."""
    run(asking, "pieces = [*ask.stream('<<stream 10 6 50>>')]")
    assert asking.value("len(pieces)") == 10
    assert asking.value("''.join(pieces)") == "lorem " * 10


@pytest.mark.parametrize(
    "how", ["threading.Thread(target=ask, args=['<<hang>>']).start()", "loop.run_in_executor(None, ask, '<<hang>>')"]
)
@pytest.mark.long
def test_no_thread_keeps_a_turn_alive(how: str, fresh_kernel: Kernel, api: MessagesAPI) -> None:
    """A turn that was asked in a thread ends with the kernel; what it started is looked for when the kernel is shut down."""
    setup = "import asyncio, threading\nfrom claude_magic import ask\nloop = asyncio.get_running_loop()"
    assert fresh_kernel.run("%load_ext claude_magic").ok
    assert fresh_kernel.run(f"{setup}\n_ = {how}").ok
    fresh_kernel.wait_for(lambda: bool(api.requests))


def test_stream_left_early(asking_anew: Kernel, api: MessagesAPI) -> None:
    """Who leaves it early stops the turn; it is one of the session's, which goes on."""
    run(asking_anew, "for text in ask.stream('<<say begun>><<hang>>'):\n    break")
    session = asking_anew.value("current_session().session_id")
    result = answered(asking_anew, "after it")
    assert session_of(result) == session
    assert history(api) == ["<<say begun>><<hang>>", "after it"]
    assert asking_anew.value("[turn.failed for turn in current_session().turns]") == [True, False]


def test_open_stream(asking_anew: Kernel, api: MessagesAPI) -> None:
    """In the cell in which a stream is open no other turn begins; the error says how to end it, and what failed ends it."""
    result = asking_anew.run("stream = ask.stream('<<say begun>><<hang>>')\ntext = next(stream)\nask('meanwhile')")
    assert result.reply["ename"] == "UsageError"
    assert "must first read it to its end or close it" in result.reply["evalue"]
    assert asking_anew.value("list(stream)") == []
    assert "left open" not in answered(asking_anew, "after it").text
    assert history(api) == ["<<say begun>><<hang>>", "after it"]


@pytest.mark.parametrize("code", ["%%claude\nafter it", "reply = ask('after it')"])
def test_stream_left_open(asking_anew: Kernel, api: MessagesAPI, code: str) -> None:
    """A stream can be read on in a later cell; one that asks something else ends it, and says so."""
    run(asking_anew, "stream = ask.stream('<<say begun>><<say , going on>><<hang>>')\ntext = next(stream)")
    run(asking_anew, "more = next(stream)")
    result = asking_anew.run(code)
    assert result.ok, result.outputs
    shown = result.text if code.startswith("%%") else str(asking_anew.value("[getattr(b, 'text', '') for b in reply.blocks]"))
    assert "An ask.stream() that was left open has been closed." in shown
    assert asking_anew.value("list(stream)") == []
    assert len(history(api)) == 2


@pytest.mark.parametrize("left", ["raise ValueError", "while True: pass"])
def test_stream_left_by_an_exception(asking_anew: Kernel, api: MessagesAPI, left: str) -> None:
    """A stream whose reader failed, or was interrupted, ends with its cell."""
    cell = asking_anew.start(f"for text in ask.stream('<<say begun>><<hang>>'):\n    print('read', flush=True)\n    {left}")
    if left != "raise ValueError":
        cell.wait_for(lambda result: result.stdout != "")
        asking_anew.interrupt()
    assert not cell.wait().ok
    assert "left open" not in answered(asking_anew, "after it").text
    assert asking_anew.value("[turn.failed for turn in current_session().turns]") == [True, False]


def test_not_loaded(fresh_kernel: Kernel, api: MessagesAPI) -> None:
    """Before the extension is loaded the error says how to load it."""
    for code in ("from claude_magic import ask, current_session; ask('x')", "[*ask.stream('x')]", "current_session()"):
        assert "%load_ext claude_magic" in failure(fresh_kernel.run(code), "ConfigError")
    assert api.requests == []


def test_choice_while_a_first_turn_runs(asking_anew: Kernel, api: MessagesAPI) -> None:
    """If the person chooses a session while a thread's first turn runs in a new one, the next cell goes on with the choice."""
    session = session_of(answered(asking_anew, "one"))
    run(asking_anew, "%claude_session new")
    run(asking_anew, "import threading\nthread = threading.Thread(target=lambda: ask('<<wait>><<say of the thread>>'))")
    run(asking_anew, "thread.start()")
    api.wait_for_requests(2)
    run(asking_anew, f"%claude_session resume {session[:8]}")
    api.go_on.set()
    run(asking_anew, "thread.join()")
    assert session_of(answered(asking_anew, "two")) == session
    assert history(api) == ["one", "two"]


def test_behind_a_thread(asking_anew: Kernel, api: MessagesAPI) -> None:
    """A cell that waits for the turn of a thread says so, and can be interrupted; the thread's turn goes on."""
    run(asking_anew, "import threading\nthread = threading.Thread(target=lambda: ask('<<wait>><<say of the thread>>'))")
    answered(asking_anew, "before")
    run(asking_anew, "thread.start()")
    api.wait_for_requests(2)
    cell = asking_anew.start("%%claude\nbehind it")
    asking_anew.wait_for(lambda: any("another turn" in str(state.get("value")) for state in asking_anew.widgets.values()))
    asking_anew.interrupt()
    failure(cell.wait(), "TurnInterrupted")
    api.go_on.set()
    run(asking_anew, "thread.join()")
    answered(asking_anew, "after it")
    assert history(api) == ["before", "<<wait>><<say of the thread>>", "after it"]

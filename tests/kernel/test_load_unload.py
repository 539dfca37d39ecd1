"""Loading and unloading the extension: what it imports, starts and ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from cells import about, answered, ask, clis, ended, history
from messages_api import MessagesAPI
from rig.kernel import Kernel

WATCH_IMPORTS = """
import sys, threading

class Watch:
    imported = []

    def find_spec(self, name, path=None, target=None):
        if name in ("claude_agent_sdk", "ipywidgets"):
            self.imported.append((name, threading.current_thread() is threading.main_thread()))

sys.meta_path.insert(0, Watch())
"""

LOAD_AND_LOOK = """
%load_ext claude_magic
print([name for name, on_main in Watch.imported if on_main], "ipywidgets" in sys.modules)
"""


@pytest.fixture
def plain_kernel(kernel: Kernel) -> Iterator[Kernel]:
    """The module's kernel without the extension, before and after."""
    yield kernel
    if loaded(kernel):
        kernel.run("%unload_ext claude_magic")


def loaded(kernel: Kernel) -> bool:
    return bool(kernel.value("'ClaudeMagics' in get_ipython().magics_manager.registry"))


def threads(kernel: Kernel) -> list[str]:
    return list(kernel.value("sorted(thread.name for thread in __import__('threading').enumerate())"))


def test_load_waits_for_no_import(fresh_kernel: Kernel) -> None:
    """`%load_ext` imports neither the SDK nor ipywidgets on the way; both SDK and CLI start in the background."""
    fresh_kernel.run(WATCH_IMPORTS)
    assert fresh_kernel.run(LOAD_AND_LOOK).stdout == "[] False\n"
    fresh_kernel.wait_for(lambda: bool(clis(fresh_kernel)), about="a CLI that was started ahead")
    imported = fresh_kernel.value("Watch.imported")
    assert ("claude_agent_sdk", False) in imported
    # What the first cell needs follows, there as well.
    assert set(imported) <= {("claude_agent_sdk", False), ("ipywidgets", False)}
    started_ahead = clis(fresh_kernel)
    answered(fresh_kernel, "hello")
    assert clis(fresh_kernel) == started_ahead


def test_first_cell_right_after_load(fresh_kernel: Kernel, api: MessagesAPI) -> None:
    """A cell queued directly behind `%load_ext` is answered."""
    results = fresh_kernel.run_all(["%load_ext claude_magic", "%%claude\nhello", "%claude and now?"])
    assert [result.status for result in results] == ["ok", "ok", "ok"]
    assert history(api) == ["hello", "and now?"]


def test_second_cell_remembers(plain_kernel: Kernel, api: MessagesAPI) -> None:
    """Load, ask, ask again in the next cell: the API gets the whole conversation, on one CLI process."""
    assert plain_kernel.run("%load_ext claude_magic").outputs == []
    first = answered(plain_kernel, "My name is Ada.")
    processes = clis(plain_kernel)
    second = answered(plain_kernel, "<<history>>")
    assert history(api) == ["My name is Ada.", "<<history>>"]
    assert "My name is Ada." in second.bundle["text/markdown"]
    assert about(first)["session_id"] == about(second)["session_id"]
    assert (about(first)["turn"], about(second)["turn"]) == (1, 2)
    assert clis(plain_kernel) == processes
    assert len(processes) == 1


def test_unload_ends_everything(plain_kernel: Kernel) -> None:
    """`%unload_ext` ends every process and thread that loading started, and takes the magics away."""
    plain_kernel.run("import ipywidgets")
    before = threads(plain_kernel)
    plain_kernel.run("%load_ext claude_magic")
    answered(plain_kernel, "hello")
    answered(plain_kernel, "hello", "--new")
    processes = clis(plain_kernel)
    assert len(processes) == 2
    assert threads(plain_kernel) != before
    assert plain_kernel.run("%unload_ext claude_magic").ok
    assert clis(plain_kernel) == []
    assert not any(process.is_running() for process in processes)
    assert threads(plain_kernel) == before
    for code in ("%%claude\nhello", "%claude hello", "%claude_session"):
        result = plain_kernel.run(code)
        assert result.status == "error"
        assert "not found" in result.stderr


def test_unload_right_after_load(plain_kernel: Kernel) -> None:
    """Unloading while the first CLI process still starts leaves nothing behind."""
    before = threads(plain_kernel)
    results = plain_kernel.run_all(["%load_ext claude_magic", "%unload_ext claude_magic"])
    assert [result.outputs for result in results] == [[], []]
    assert clis(plain_kernel) == []
    assert threads(plain_kernel) == before


def test_load_unload_load(plain_kernel: Kernel, api: MessagesAPI) -> None:
    """Load, unload, load works, with one copy of everything, and the session before can be resumed."""
    plain_kernel.run("%load_ext claude_magic")
    session = about(answered(plain_kernel, "before"))["session_id"]
    plain_kernel.run("%unload_ext claude_magic")
    assert plain_kernel.run("%load_ext claude_magic").ok
    answered(plain_kernel, "after")
    assert history(api) == ["after"]
    assert len(api.requests) == 2
    answered(plain_kernel, "back", f"--resume {session}")
    assert history(api) == ["before", "back"]


def test_reload(plain_kernel: Kernel, api: MessagesAPI) -> None:
    """`%reload_ext` works, loaded or not, and turns work after it."""
    for _ in range(2):
        assert plain_kernel.run("%reload_ext claude_magic").ok
        answered(plain_kernel, "hello")
    assert len(api.requests) == 2


def test_reload_keeps_the_conversation(plain_kernel: Kernel, api: MessagesAPI) -> None:
    """`%reload_ext` goes on with the conversation, its turns and their replies."""
    plain_kernel.run("%load_ext claude_magic")
    first = about(answered(plain_kernel, "first"))
    assert plain_kernel.run("%reload_ext claude_magic").ok
    second = about(answered(plain_kernel, "second"))
    assert history(api) == ["first", "second"]
    assert (second["session_id"], second["turn"]) == (first["session_id"], first["turn"] + 1)
    turns = "__import__('claude_magic').current_session().turns"
    assert plain_kernel.value(f"[turn.reply.content for turn in {turns}]") == ["You said: first", "You said: second"]


def test_loading_twice(plain_kernel: Kernel, api: MessagesAPI) -> None:
    """Loading again changes nothing: the session goes on, on the same process, and a prompt is sent once."""
    plain_kernel.run("%load_ext claude_magic")
    answered(plain_kernel, "one")
    processes = clis(plain_kernel)
    assert plain_kernel.run("%load_ext claude_magic").ok
    assert plain_kernel.run("import claude_magic\nclaude_magic.load_ipython_extension(get_ipython())").ok
    answered(plain_kernel, "two")
    assert api.prompts() == [["one"], ["one", "two"]]
    assert clis(plain_kernel) == processes


def test_unload_without_load(plain_kernel: Kernel) -> None:
    """Unloading what is not loaded is harmless."""
    assert plain_kernel.run("%unload_ext claude_magic").ok
    assert plain_kernel.run("import claude_magic\nclaude_magic.unload_ipython_extension(get_ipython())").outputs == []
    assert plain_kernel.run("1 + 1").text == "2"


def test_settings_from_the_config(plain_kernel: Kernel, api: MessagesAPI) -> None:
    """What `ipython_config.py` says of ClaudeMagics before loading holds for the first cell."""
    plain_kernel.run("get_ipython().config.ClaudeMagics.model = 'haiku'")
    try:
        plain_kernel.run("%load_ext claude_magic")
        answered(plain_kernel, "hello")
        assert "haiku" in api.requests[-1]["model"]
    finally:
        plain_kernel.run("del get_ipython().config.ClaudeMagics")


def test_wrong_settings_are_left_out(plain_kernel: Kernel) -> None:
    """What the configuration cannot mean is named, and the extension is loaded all the same, with what holds otherwise."""
    plain_kernel.run("get_ipython().config.ClaudeMagics.effort = 'hihg'\nget_ipython().config.ClaudeMagics.budget = 0")
    try:
        for line in ("%load_ext claude_magic", "%reload_ext claude_magic"):
            loaded = plain_kernel.run(line)
            assert loaded.ok, loaded.outputs
        assert answered(plain_kernel, "hello").ok
        refused = plain_kernel.run("%config ClaudeMagics.budget = -1")
        assert "ClaudeMagics.budget cannot be -1.0" in refused.stderr + refused.stdout
        assert answered(plain_kernel, "hello").ok
    finally:
        plain_kernel.run("get_ipython().config.pop('ClaudeMagics', None)")


def test_without_code_in_the_kernel(plain_kernel: Kernel) -> None:
    """A turn adds no name to the user's namespace."""
    plain_kernel.run("%load_ext claude_magic")
    names = "sorted(name for name in get_ipython().user_ns if not name.startswith('_'))"
    before = plain_kernel.value(names)
    answered(plain_kernel, "hello")
    answered(plain_kernel, "hello", "--quiet")
    assert plain_kernel.value(names) == before


@pytest.mark.long
def test_restart_ends_the_cli(fresh_kernel: Kernel, api: MessagesAPI) -> None:
    """A restarted kernel leaves no CLI behind, and picks the session up by a prefix of its ID."""
    fresh_kernel.run("%load_ext claude_magic")
    session = about(answered(fresh_kernel, "before the restart"))["session_id"]
    processes = clis(fresh_kernel)
    fresh_kernel.restart()
    assert ended(processes, 5)
    fresh_kernel.run("%load_ext claude_magic")
    answered(fresh_kernel, "after", f"-r {session[:8]}")
    assert history(api) == ["before the restart", "after"]


def test_a_killed_kernel_leaves_no_cli(tmp_path: Path, environment: dict[str, str]) -> None:
    """When the kernel is killed its CLI ends by itself."""
    with Kernel(tmp_path, environment) as kernel:
        kernel.run("%load_ext claude_magic")
        assert ask(kernel, "hello").ok
        processes = clis(kernel)
        os.kill(kernel.pid, signal.SIGKILL)
        psutil.Process(kernel.pid).wait(5) if psutil.pid_exists(kernel.pid) else None
        assert ended(processes, 10)

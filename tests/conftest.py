"""Fixtures: an isolated test run, the scripted API, real kernels, and the proof that nothing was left behind.

Scopes. A kernel takes two seconds to start and knows one API address, so `home`, `environment`, `api` and the kernel
behind `kernel` and `loaded_kernel` live as long as a test module. Each test gets them empty: `api.requests` begins at
zero, no widget is open, no cell runs. A test that needs a process of its own asks for `fresh_kernel`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from messages_api import MessagesAPI
from rig.environment import NOWHERE, activated, is_foreign, isolated_environment, own_variables
from rig.kernel import Kernel
from rig.lab import Lab, why_not
from rig.leaks import Ledger, assert_no_widgets

RUN_HOME = pytest.StashKey[Path]()
INHERITED = pytest.StashKey[dict[str, str]]()

ROOMS = ("browser", "tests", "kernel", "sdk", "render")


def pytest_configure(config: pytest.Config) -> None:
    """Isolate this process before any test module is imported; without a key, so that nobody is logged in."""
    # A shell that starts the tests in the background lets them ignore it, and their kernels and scripts inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.stash[INHERITED] = dict(os.environ)
    config.stash[RUN_HOME] = Path(tempfile.mkdtemp(prefix="claude-magic-tests-"))
    for name in filter(is_foreign, list(os.environ)):
        del os.environ[name]
    os.environ.update(own_variables(config.stash[RUN_HOME], NOWHERE) | activated(os.environ))
    del os.environ["ANTHROPIC_API_KEY"]


LONG = (
    "test_broken_characters.py",
    "test_cell_above.py",
    "test_cell_interrupt.py",
    "test_cell_live.py",
    "test_cell_sessions.py",
    "test_cell_wrong_cli.py",
    "test_claude_questions.py",
    "test_closing.py",
    "test_command_line.py",
    "test_compare.py",
    "test_concurrency.py",
    "test_doctor.py",
    "test_executors.py",
    "test_folder.py",
    "test_gate.py",
    "test_going_back.py",
    "test_hostile_cassettes.py",
    "test_hostile_notebooks.py",
    "test_lesson_everywhere.py",
    "test_lesson_with_helper.py",
    "test_lessons.py",
    "test_load_unload.py",
    "test_nested_asyncio.py",
    "test_notebook_again.py",
    "test_nothing_hangs.py",
    "test_own_functions.py",
    "test_prefix_permissions.py",
    "test_prompt_files.py",
    "test_questions_of_claude.py",
    "test_recording.py",
    "test_reply_in_reach.py",
    "test_resume.py",
    "test_secrets.py",
    "test_servers.py",
    "test_servers_in_cells.py",
    "test_session_ids.py",
    "test_sessions_on_the_page.py",
    "test_silent_pages.py",
    "test_timeouts_retries.py",
    "test_transcript.py",
    "test_trials.py",
    "test_trust.py",
    "test_vs_code.py",
)
"""Modules whose cases start processes of their own, or look closely at one thing."""

SAMPLED = (
    "test_approvals.py",
    "test_cancelling.py",
    "test_cell_errors.py",
    "test_cell_tab.py",
    "test_kernel_tools.py",
    "test_sdk_errors.py",
    "test_session_magic.py",
    "test_streaming.py",
    "test_structured.py",
)
"""Modules that are long, too, but for a few tests that are marked `short`."""

LONG_ROOMS = ("browser", "faults")
"""Folders whose tests are all long."""

NOT_LONG = "not long and not matrix"
"""What `pytest` runs by itself; see `addopts` in pyproject.toml."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import the modules of which nothing would run: they are half of what there is to import."""
    if config.option.markexpr != NOT_LONG:
        return None
    return collection_path.name in (*LONG_ROOMS, *LONG) or None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the rooms of the tests whose modules take longest first, so that no worker begins one when the others are done.

    The README's command takes five minutes. What starts a browser, or kernels and processes of its own for each case, is left
    to the long tests, but for a sample of each room; the matrix of faults has a command of its own.
    """
    for item in items:
        room, name = item.path.parent.name, item.path.name
        if name.startswith("test_matrix"):
            item.add_marker(pytest.mark.matrix)
        elif (room in LONG_ROOMS or name in LONG + SAMPLED) and not item.get_closest_marker("short"):
            item.add_marker(pytest.mark.long)
    items.sort(key=lambda item: ROOMS.index(room) if (room := item.path.parent.name) in ROOMS else 0)


def pytest_unconfigure(config: pytest.Config) -> None:
    os.environ.clear()
    os.environ.update(config.stash[INHERITED])
    shutil.rmtree(config.stash[RUN_HOME], ignore_errors=True)


@pytest.fixture(scope="session")
def ledger() -> Ledger:
    """Where longer-lived fixtures register their processes: `with ledger.adopt(lambda: kernel.pid): ...`."""
    return Ledger()


@pytest.fixture(scope="module", autouse=True)
def nothing_left_behind_by_the_module(ledger: Ledger) -> Iterator[None]:
    """Fail the last test of a module after whose fixtures a process or thread is there that was not there before."""
    ledger.look_anew()
    before = ledger.snapshot()
    yield
    ledger.look_anew()
    ledger.check(before)


@pytest.fixture(autouse=True)
def nothing_left_behind(ledger: Ledger) -> Iterator[None]:
    """Fail a test after which a process or thread is there that was not there before."""
    before = ledger.snapshot()
    yield
    ledger.check(before)


@pytest.fixture(scope="module")
def module_api() -> Iterator[MessagesAPI]:
    """The scripted API of this module, for module-scoped fixtures; tests take `api`."""
    with MessagesAPI() as api:
        yield api


@pytest.fixture
def api(module_api: MessagesAPI) -> MessagesAPI:
    """The scripted API with nothing asked of it yet in this test."""
    module_api.begin()
    return module_api


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home directory of everything that this module starts."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def notebook_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that the module's kernel runs in."""
    return tmp_path_factory.mktemp("notebooks")


@pytest.fixture(scope="module")
def environment(home: Path, module_api: MessagesAPI) -> dict[str, str]:
    """The whole environment for a process of this module."""
    return isolated_environment(home, module_api.url)


@pytest.fixture
def sdk_env(home: Path, api: MessagesAPI) -> dict[str, str]:
    """The variables for `ClaudeConfig(env=...)`: a CLI of this process asks the scripted API."""
    return own_variables(home, api.url)


@pytest.fixture
def run_async() -> Callable[..., Any]:
    """Run a coroutine to its end in a fresh event loop: `run_async(coroutine, timeout_s=60)`."""

    def run(coroutine: Coroutine[Any, Any, Any], timeout_s: float = 60) -> Any:
        return asyncio.run(asyncio.wait_for(coroutine, timeout_s))

    return run


@pytest.fixture(scope="module")
def module_kernel(notebook_dir: Path, environment: dict[str, str], ledger: Ledger) -> Iterator[Kernel]:
    """The kernel of this module, for module-scoped fixtures; tests take `kernel` or `loaded_kernel`."""
    with Kernel(notebook_dir, environment) as kernel, ledger.adopt(lambda: kernel.pid):
        yield kernel


@pytest.fixture
def kernel(module_kernel: Kernel, api: MessagesAPI) -> Iterator[Kernel]:
    """The module's kernel: names stay from test to test, running cells and widgets must not."""
    yield module_kernel
    settle(module_kernel)


@pytest.fixture
def loaded_kernel(kernel: Kernel) -> Kernel:
    """The module's kernel with the extension loaded and a new, empty session."""
    for line in ("%load_ext claude_magic", "%claude_session new"):
        result = kernel.run(line)
        assert result.ok, result
    return kernel


@pytest.fixture
def fresh_kernel(tmp_path: Path, environment: dict[str, str], api: MessagesAPI) -> Iterator[Kernel]:
    """A kernel for one test, in its `tmp_path`; its home and API are the module's."""
    with Kernel(tmp_path, environment) as kernel:
        yield kernel
        settle(kernel)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str], ledger: Ledger) -> Iterator[Lab]:
    """A JupyterLab of this module in a browser. No `run_async` beside it: Playwright's loop holds this thread."""
    if reason := why_not():
        pytest.skip(reason)
    with Lab(tmp_path_factory.mktemp("lab"), environment) as lab, ledger.adopt_all(lab.pids):
        yield lab


def settle(kernel: Kernel) -> None:
    """Assert that a test left no running cell and no widget; put the kernel right for the next one."""
    if running := kernel.running:
        kernel.restart()
        pytest.fail(f"still running: {[cell.result for cell in running]}")
    try:
        assert_no_widgets(kernel)
    finally:
        kernel.widgets.clear()

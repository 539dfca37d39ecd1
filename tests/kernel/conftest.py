"""Fixtures for the tests of the magics: settings that last for one test, a shell without a kernel."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from cells import Configure
from IPython.core.interactiveshell import InteractiveShell
from rig.kernel import Kernel
from traitlets.config import Config


@pytest.fixture
def configure(shared_session: Kernel) -> Iterator[Configure]:
    """Set a trait of ClaudeMagics: `configure("idle_timeout", 1)`; undone after the test."""
    before: dict[str, object] = {}

    def configure(name: str, value: object) -> None:
        magics = "get_ipython().magics_manager.registry['ClaudeMagics']"
        before.setdefault(name, shared_session.value(f"{magics}.{name}"))
        result = shared_session.run(f"%config ClaudeMagics.{name} = {value!r}")
        assert result.ok, result

    yield configure
    for name, value in before.items():
        shared_session.run(f"%config ClaudeMagics.{name} = {value!r}")


@pytest.fixture
def shared_session(kernel: Kernel) -> Kernel:
    """The module's kernel going on with whatever session it has, for tests to which it makes no difference: it is warm."""
    assert kernel.run("%load_ext claude_magic").ok
    return kernel


@pytest.fixture(scope="module")
def shell() -> Iterator[InteractiveShell]:
    """A shell in this process, without a history file; `__main__`, paths and hooks are as before afterwards."""
    before = sys.modules["__main__"], list(sys.path), sys.excepthook, sys.displayhook
    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell(config=config)
    # The errors of cells are looked at, not printed.
    shell.showtraceback = shell.showsyntaxerror = lambda *_, **__: None
    yield shell
    shell.restore_sys_module_state()
    sys.modules["__main__"], sys.path[:], sys.excepthook, sys.displayhook = before

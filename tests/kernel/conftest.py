"""Fixtures for the tests of the magics: settings that last for one test, a directory for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cells import Configure
from rig.kernel import Kernel


@pytest.fixture
def configure(loaded_kernel: Kernel) -> Iterator[Configure]:
    """Set a trait of ClaudeMagics: `configure("idle_timeout", 1)`; undone after the test."""
    before: dict[str, object] = {}

    def configure(name: str, value: object) -> None:
        magics = "get_ipython().magics_manager.registry['ClaudeMagics']"
        before.setdefault(name, loaded_kernel.value(f"{magics}.{name}"))
        result = loaded_kernel.run(f"%config ClaudeMagics.{name} = {value!r}")
        assert result.ok, result

    yield configure
    for name, value in before.items():
        loaded_kernel.run(f"%config ClaudeMagics.{name} = {value!r}")

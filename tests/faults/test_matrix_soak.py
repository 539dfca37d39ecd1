"""A short soak: after random turns Claude's histories, the kernel's tree and a model of it are the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.soak import soak
from messages_api import MessagesAPI


@pytest.mark.long
def test_soak(tmp_path: Path, environment: dict[str, str], api: MessagesAPI) -> None:
    """After 60 steps, interrupts and kills among them, there is no violation, and threads and descriptors are as before."""
    run = soak(60, 1, tmp_path, environment, api)
    assert run.violations == []
    assert run.after["threads"] <= run.before["threads"]
    assert run.after["descriptors"] <= run.before["descriptors"] + 2

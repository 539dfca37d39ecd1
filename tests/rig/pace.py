"""Tests of time limits: in short times first, and in longer ones where those were too short for the machine.

A limit is what such a test is about, so it must let time pass; how long everything else takes depends on the machine. The
test states all its times in a unit, the pace. What is wrong fails at every pace; what was only slow holds at a longer one.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from messages_api import MessagesAPI

from rig.kernel import Kernel

PACES = (1, 4, 16)


def at_some_pace(test: Callable[..., None]) -> Callable[..., None]:
    """Call the test with `pace=1`, and again with the next longer one when it fails."""

    @functools.wraps(test)
    def run(**fixtures: Any) -> None:
        for pace in PACES[:-1]:
            try:
                return test(**fixtures, pace=pace)
            except (Exception, pytest.fail.Exception):  # noqa: BLE001 - whatever it is, the last pace tells
                begin_again(fixtures.values())
        return test(**fixtures, pace=PACES[-1])

    signature = inspect.signature(test)
    kept = [parameter for name, parameter in signature.parameters.items() if name != "pace"]
    run.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
    return run


def begin_again(fixtures: Iterable[Any]) -> None:
    """Put right what a failed attempt has left: a running cell, a session, requests at the API."""
    for fixture in fixtures:
        match fixture:
            case Kernel():
                fixture.stop()
                fixture.run("%claude_session new")
            case MessagesAPI():
                fixture.begin()

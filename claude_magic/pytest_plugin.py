"""A pytest fixture that records the turns of a test, and replays them: `def test_summary(claude_cassette): ...`.

The cassettes are beside the test module, as `cassettes/<test module>/<test name>.jsonl`; for a test in a class, the file is
`<class>.<test name>.jsonl`. Without an option they are only played.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from claude_magic.sdk._cassette.cassette import Cassette


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--claude-cassette`."""
    group = parser.getgroup("claude_magic")
    about = "what the claude_cassette fixture does: replay (default), record anew, auto (record what is missing), or off"
    group.addoption("--claude-cassette", choices=("replay", "record", "auto", "off"), default="replay", help=about)


@pytest.fixture
def claude_cassette(request: pytest.FixtureRequest) -> Iterator[Cassette]:
    """This test's cassette: every turn of any client in the test is played from it, or recorded to it."""
    from claude_magic.sdk._cassette.cassette import cassette

    mode = request.config.getoption("--claude-cassette")
    path = request.path.parent / "cassettes" / request.path.stem / f"{_file_name(request)}.jsonl"
    if mode == "replay" and not path.exists():
        command = f"pytest --claude-cassette=record '{request.node.nodeid}'"
        pytest.fail(f"Nothing is recorded for this test.\nRecord it, with an account and a network: {command}", pytrace=False)
    if mode != "record":
        with cassette(path, mode, speed=0) as tape:
            yield tape
        return
    # The old cassette stays until the test has recorded a turn.
    fresh = path.with_suffix(".jsonl.new")
    fresh.unlink(missing_ok=True)
    with cassette(fresh, mode) as tape:
        yield tape
    if fresh.exists():
        fresh.replace(path)


def _file_name(request: pytest.FixtureRequest) -> str:
    """Return a name that no other test of the module has, and that every file system takes."""
    own = request.node.nodeid.partition("::")[2].replace("::", ".")
    name = quote(own, safe="[]+=,@ -._~")
    return name if len(name) <= 120 else f"{name[:100]}-{hashlib.sha256(own.encode()).hexdigest()[:12]}"

"""The document's examples are typed and run, in a script and in a notebook cell."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from rig.kernel import Kernel

EXAMPLES = Path(__file__).parent.parent / "documented_examples.py"
EXPECTED = """\
You said: What is 2 + 2?
session: True
cost: 0.00042
same session: True
raw: result
cleared: True
You said: Start again
wrapper: You said: And again True
You said: Tell me a story
SessionStarted
['You said: Prompt 0', 'You said: Prompt 1', 'You said: Prompt 2']
['-p', "What's new?", '-r', '11111111-2222-4333-8444-555555555555']
-p 'What'"'"'s new?' -r 11111111-2222-4333-8444-555555555555 --output-format stream-json --verbose \
--model sonnet --system-prompt-snapshot off --setting-sources user
You said: Sum column b
listed: True
timed out: True None
AttachmentError Check the path; nothing was sent.
"""


@pytest.mark.long
def test_types() -> None:
    """mypy --strict finds nothing in the examples."""
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy", "--strict", str(EXAMPLES)]
    checked = subprocess.run(command, cwd=EXAMPLES.parent.parent, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.long
def test_run_as_a_script(environment: dict[str, str], workdir: Path) -> None:
    """As a script they print what they should, and nothing on standard error."""
    command = [sys.executable, "-W", "default", str(EXAMPLES)]
    ran = subprocess.run(command, env=environment, cwd=workdir, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, EXPECTED), ran.stderr
    assert ran.stderr == ""


@pytest.mark.long
def test_run_in_a_cell(fresh_kernel: Kernel) -> None:
    """In a notebook cell that ends in asyncio.run(main()) they print the same, after %load_ext, and so with await."""
    assert fresh_kernel.run("%load_ext claude_magic").ok
    assert fresh_kernel.run(EXAMPLES.read_text().partition("if __name__")[0]).ok
    result = fresh_kernel.run("asyncio.run(main())")
    assert (result.stdout, result.errors) == (EXPECTED, [])
    assert fresh_kernel.run("await simple_query()").stdout == "".join(EXPECTED.splitlines(keepends=True)[:3])

"""What we take from others that they have not promised to keep.

Unstable classes, private attributes, formats on disk, undocumented flags and words: all of them stand here, each with the
module that uses it and why. tests/test_foreign.py looks each one up in what is installed and fails on the day that an upgrade
moves one. Nothing imports this list to work.
"""

from __future__ import annotations

from typing import Final

from claude_magic._foreign.cli import FLAGS, MESSAGES, TRANSCRIPTS, WORDS
from claude_magic._foreign.packages import PAGES, PYTHON, SHELL
from claude_magic._foreign.row import Foreign, Kind

__all__ = ["FOREIGN", "Foreign", "Kind"]

FOREIGN: Final = (*PYTHON, *SHELL, *FLAGS, *MESSAGES, *WORDS, *TRANSCRIPTS, *PAGES)
"""Everything."""

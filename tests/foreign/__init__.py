"""A list of everything that we use although its authors do not promise to keep it.

That is unstable classes, private attributes, formats on disk, undocumented flags and words, each with the module that uses it
and why. tests/test_foreign.py looks each one up in what is installed, and fails when an upgrade changes one.
"""

from __future__ import annotations

from typing import Final

from foreign.cli import FLAGS, MESSAGES, TRANSCRIPTS, WORDS
from foreign.packages import PAGES, PYTHON, SHELL
from foreign.row import Foreign, Kind

__all__ = ["FOREIGN", "Foreign", "Kind"]

FOREIGN: Final = (*PYTHON, *SHELL, *FLAGS, *MESSAGES, *WORDS, *TRANSCRIPTS, *PAGES)
"""Everything."""

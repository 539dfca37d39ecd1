"""The seal of a turn that was recorded here, by this person: nobody else can make one, and who edits the turn breaks it.

Made with a key that the person's machine keeps for itself. What has no such seal is somebody else's, whatever it says.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Final

from claude_magic._paths import our_data

_LENGTH: Final = 32


class Sealing:
    """Seal turns, and tell whose seal fits.

    :param path: of the key, by default among the person's data. It is made when something is sealed first; where it cannot be
        kept, seals fit only as long as this object lives.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or our_data() / "cassettes.key"

    def seal(self, digest: bytes) -> str:
        """Return the seal of a turn, by a hash of its lines."""
        if not self._key:
            self._make_key()
        return hmac.new(self._key, digest, "sha256").hexdigest()

    def fits(self, seal: str, digest: bytes) -> bool:
        """Whether a turn was sealed here as it is now."""
        return bool(self._key) and hmac.compare_digest(seal.encode(), self.seal(digest).encode())

    @cached_property
    def _key(self) -> bytes:
        return self._kept_key()

    def _kept_key(self) -> bytes:
        with contextlib.suppress(OSError):
            key = self._path.read_bytes()
            return key if len(key) == _LENGTH else b""
        return b""

    def _make_key(self) -> None:
        self._key = secrets.token_bytes(_LENGTH)
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Whole or not at all, readable by nobody else, and never in the place of another kernel's.
            file, name = tempfile.mkstemp(dir=self._path.parent)
            try:
                os.write(file, self._key)
                os.link(name, self._path)
            except FileExistsError:
                self._key = self._kept_key() or self._key
            finally:
                os.close(file)
                os.unlink(name)

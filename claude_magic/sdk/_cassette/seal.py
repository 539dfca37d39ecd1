"""The seal of a turn that this person recorded on this machine. Nobody else can make one, and editing the turn breaks it.

It is made with a key that never leaves the machine. A turn without a valid seal counts as recorded elsewhere.
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
    """Seal turns, and check seals.

    :param path: the file of the key, by default in the person's data directory. The key is made with the first seal. If it
        cannot be saved, seals are valid only as long as this object lives.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or our_data() / "cassettes.key"

    def seal(self, digest: bytes) -> str:
        """Return the seal of a turn.

        :param digest: the hash of its lines.
        """
        if not self._key:
            self._make_key()
        return hmac.new(self._key, digest, "sha256").hexdigest()

    def fits(self, seal: str, digest: bytes) -> bool:
        """Whether the seal was made here for a turn with this hash."""
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
            # The key is written whole or not at all, readable only by its owner, and never over another kernel's key.
            file, name = tempfile.mkstemp(dir=self._path.parent)
            try:
                os.write(file, self._key)
                os.link(name, self._path)
            except FileExistsError:
                self._key = self._kept_key() or self._key
            finally:
                os.close(file)
                os.unlink(name)

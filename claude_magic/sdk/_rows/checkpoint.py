"""Keeps answered rows in an SQLite file, so that a run that is started again does not repeat them.

Each row is committed when it is answered (WAL), so a killed process loses only the rows that were running. Runs over other rows
or with another prompt can share the file.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from claude_magic._paths import leads_out, private, shorten_home
from claude_magic._text import well_formed
from claude_magic.errors import CheckpointError

_APPLICATION_ID: Final = 0x436C4D52
"""Marks the file as ours, in the header field that SQLite has for this."""

_WAIT_S: Final = 30.0
"""How long one run waits while another one writes to the same file."""

_LONGEST_S: Final = 60.0
"""How long a statement may take before it counts as endless."""

_TABLE: Final = """CREATE TABLE answers (
    key BLOB PRIMARY KEY, work BLOB NOT NULL, content TEXT NOT NULL, structured TEXT, usage TEXT NOT NULL, cost_usd REAL,
    duration_s REAL
) WITHOUT ROWID"""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a row. `structured` is the data of a reply with a schema, `duration_s` how long the reply took."""

    content: str
    structured: Any = None
    usage: dict[str, Any] = field(default_factory=dict)
    cost_usd: float = 0.0
    duration_s: float | None = None


class Checkpoint:
    """The answers of one kind of work in a file, or of several kinds that run together.

    :param works: for each kind, the common settings of its rows: the template, model, system prompt and the like.
    :raises CheckpointError: if the file is not a checkpoint (it is left as it is) or cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str], *works: tuple[object, ...]) -> None:
        self._path = Path(path).expanduser()
        self._works = [hashlib.sha256(json.dumps(work, sort_keys=True, default=str).encode()).digest() for work in works]
        self._met: Counter[bytes] = Counter()
        self._check_place()
        # The file holds replies, and prompts only as hashes. SQLite gives its side files the same permissions.
        with contextlib.suppress(OSError):  # SQLite reports why it cannot be opened
            os.close(private(str(self._path), os.O_CREAT | os.O_EXCL | os.O_RDWR))
        with self._speaking():
            # Autocommit: each row is a transaction of its own.
            self._connection = sqlite3.connect(self._path, timeout=_WAIT_S, isolation_level=None)
            # Somebody may change the schema while we have the file open, so that a statement never ends.
            self._connection.set_progress_handler(lambda: time.monotonic() > self._late, 100_000)
        try:
            self._open()
        except BaseException:
            self._connection.close()
            raise

    def key(self, prompt: str, work: int = 0) -> bytes:
        """Return the key of a row by its prompt. Rows with the same prompt are numbered in order.

        :param work: the index of its kind of work.
        """
        alike = hashlib.sha256(self._works[work] + prompt.encode("utf-8", "surrogatepass")).digest()
        self._met[alike] += 1
        return hashlib.sha256(alike + str(self._met[alike]).encode()).digest()

    def get(self, key: bytes) -> Answer | None:
        """Return the answer to a row, `None` if there is none."""
        with self._speaking():
            found = self._connection.execute(
                "SELECT content, structured, usage, cost_usd, duration_s FROM answers WHERE key = ?", (key,)
            ).fetchone()
        if found is None:
            return None
        content, structured, usage, cost_usd, duration_s = found
        try:
            data = json.loads(structured) if structured else None
            took = None if duration_s is None else float(duration_s)
            answer = Answer(content, data, json.loads(usage), float(cost_usd or 0.0), took)
        except (ValueError, TypeError, RecursionError) as error:
            raise self._unread() from error
        if not (isinstance(content, str) and isinstance(answer.usage, dict)):
            raise self._unread()
        return answer

    def put(self, key: bytes, answer: Answer, work: int = 0) -> None:
        """Save an answer. Once this returns, a killed process does not lose it.

        :raises CheckpointError: if it cannot be written, for example on a full disk.
        """
        structured = None if answer.structured is None else json.dumps(answer.structured)
        figures = json.dumps(answer.usage), answer.cost_usd, answer.duration_s
        values = key, self._works[work], well_formed(answer.content), structured, *figures
        with self._speaking():
            self._connection.execute("INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)", values)

    def others(self) -> int:
        """Return the number of answers in the file that belong to other work."""
        with self._speaking():
            counts = self._connection.execute("SELECT work, count(*) FROM answers GROUP BY work").fetchall()
        return sum(count for work, count in counts if work not in self._works)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _check_place(self) -> None:
        """Check that SQLite will use this very file: in a downloaded folder its name may be a link."""
        if self._path.is_symlink() or leads_out(self._path):
            target = shorten_home(os.path.realpath(self._path))
            raise CheckpointError(f"{self._shown} is behind a link.", next_step=f"Name its real path, {target}.")
        # A journal can name files that SQLite would delete. We only use a WAL.
        beside = [Path(f"{self._path}{ending}") for ending in ("-wal", "-shm", "-journal")]
        if strange := [path for path in beside if path.is_symlink() or (path.exists() and path.name.endswith("-journal"))]:
            raise CheckpointError(
                f"{self._shown} cannot be used: the file {strange[0].name} beside it is not from claude_magic.",
                next_step="Name another file, or move that one away.",
            )

    def _open(self) -> None:
        with self._speaking():
            (marked,) = self._connection.execute("PRAGMA application_id").fetchone()
            found = self._connection.execute("SELECT sql FROM sqlite_master LIMIT 2").fetchall()
            # A foreign view or trigger would run code, perhaps for ever.
            if (found and (marked != _APPLICATION_ID or found != [(_TABLE,)])) or marked not in (0, _APPLICATION_ID):
                raise CheckpointError(
                    f"{self._shown} is a database of something else, or of another version; it was left as it is.",
                    next_step="Name another file.",
                )
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            self._connection.execute(_TABLE.replace("TABLE", "TABLE IF NOT EXISTS", 1))

    def _unread(self) -> CheckpointError:
        return CheckpointError(f"{self._shown} holds an answer that cannot be read.", next_step="Name another file.")

    @property
    def _shown(self) -> str:
        return f"The checkpoint {shorten_home(str(self._path))}"

    @contextlib.contextmanager
    def _speaking(self) -> Iterator[None]:
        self._late = time.monotonic() + _LONGEST_S
        try:
            yield
        except sqlite3.Error as error:
            raise CheckpointError(f"{self._shown} cannot be used: {error}.") from error

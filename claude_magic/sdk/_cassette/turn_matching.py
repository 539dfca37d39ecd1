"""Which recorded turns answer a prompt, and which one is closest if none does."""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Sequence

from claude_magic.errors import CassetteMismatchError
from claude_magic.sdk._cassette.line_format import Identity, RecordedTurn
from claude_magic.sdk._cassette.scrubbing import same_text


def answering(turns: Sequence[RecordedTurn], asked: Identity, text: str) -> list[RecordedTurn]:
    """Return the turns with the same prompt, model and schema.

    :param asked: the identity of the turn, scrubbed as it would be recorded here.
    :param text: the prompt, not scrubbed.
    """
    return [
        turn
        for turn in turns
        for own in [turn.begun.identity]
        if own.model == asked.model and own.schema == asked.schema and same_text(own.prompt, text, asked.prompt)
    ]


def samples(found: Sequence[RecordedTurn], asked: Identity, place: str | None) -> list[RecordedTurn]:
    """Return those of the matching turns to play at a point of a conversation, in the order of playing.

    All have the point and take of the nearest turn: nearest by point, then by options, then by the latest take. A turn that
    failed or was stopped is played only if its prompt was not sent again, because a lesson should show the answer.
    """

    def nearness(turn: RecordedTurn) -> tuple[int, ...]:
        own = turn.begun.identity
        same = [getattr(own, name) == getattr(asked, name) for name in ("attachments", "system", "style", "effort")]
        return (turn.begun.parent == place, *same, turn.begun.take)

    nearest = max(found, key=nearness)
    while not nearest.answered and (again := _asked_again(nearest, found)):
        nearest = again
    alike = nearest.lineage, nearest.begun.take, nearest.answered
    same = [turn for turn in found if (turn.lineage, turn.begun.take, turn.answered) == alike]
    # Turns that ran at the same time may have ended in any order.
    return sorted(same, key=lambda turn: turn.begun.sample)


def mismatch(turns: Sequence[RecordedTurn], asked: Identity, cassette: str) -> CassetteMismatchError:
    """Return the error that shows the closest of these turns; its message calls the file `cassette`."""
    # A close comparison is slow, so it is made only with the turns that share most words.
    alike = heapq.nlargest(8, turns, key=lambda turn: _shared_words(turn.begun.identity.prompt, asked.prompt))
    closest = max(alike, key=lambda turn: _likeness(turn.begun.identity.prompt, asked.prompt))
    recorded = closest.begun.identity
    if recorded.prompt == asked.prompt:
        reason = f"{cassette} holds this prompt with other options."
        before, now = f"model: {recorded.model}\nschema: {recorded.schema}", f"model: {asked.model}\nschema: {asked.schema}"
    else:
        reason = f"{cassette} holds no turn with this prompt."
        before, now = recorded.prompt, asked.prompt
    names = f"recorded (line {closest.line})", "asked"
    diff = "\n".join(difflib.unified_diff(before.splitlines(), now.splitlines(), *names, n=1, lineterm=""))
    return CassetteMismatchError(reason, diff=diff, line=closest.line)


def _asked_again(turn: RecordedTurn, found: Sequence[RecordedTurn]) -> RecordedTurn | None:
    """Return the next recorded turn with the same prompt, after this turn or instead of it; `None` if there is none."""
    later = found[found.index(turn) + 1 :]
    return next((other for other in later if turn.lineage in (other.lineage, other.begun.parent)), None)


def _shared_words(recorded: str, asked: str) -> float:
    one, other = set(recorded.split()), set(asked.split())
    return len(one & other) / (len(one | other) or 1)


def _likeness(recorded: str, asked: str) -> float:
    words = difflib.SequenceMatcher(None, recorded.split()[:500], asked.split()[:500]).ratio()
    return words + difflib.SequenceMatcher(None, recorded[:5000], asked[:5000]).quick_ratio()

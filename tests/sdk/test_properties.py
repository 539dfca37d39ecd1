"""What holds for every stream of events, and after every sequence of turns: hypothesis looks for those where it does not."""

from __future__ import annotations

import io
import itertools
from dataclasses import dataclass, replace
from typing import Any, cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from ipywidgets import VBox
from rich.console import Console

from claude_magic._kernel.options.cell_options import Options
from claude_magic._kernel.options.settings import Settings
from claude_magic._kernel.prompt.cell_request import CellRequest
from claude_magic._kernel.state.kernel_state import KernelState
from claude_magic._kernel.state.turns import Outcome, Start
from claude_magic._render.live.live_reply import LiveReply
from claude_magic._render.live.widgets import WidgetMaker
from claude_magic._render.settled.comparison import output_bundle
from claude_magic._render.settled.reply import SettledReply, reply_bundle
from claude_magic._render.terminal import TerminalView
from claude_magic.errors import APIError, ClaudeError, TurnInterrupted
from claude_magic.sdk import events
from claude_magic.sdk.content import Prompt
from claude_magic.sdk.events import Event
from claude_magic.sdk.response import SessionAwareResponse, fold

# Events

NUMBERS = st.integers(0, 4)
CALLS = st.sampled_from(["call-1", "call-2", "call-3"])
SPECIAL = [
    "`",
    "```",
    "$",
    "$$",
    "<b>",
    "&lt;",
    "|",
    "\n",
    "\n\n",
    "- ",
    "> ",
    "# ",
    "[a](b)",
    "\x1b[31m",
    "\r",
    "\0",
    "\u202e",
    "~~~",
]
TEXTS = st.one_of(st.text(max_size=20), st.lists(st.sampled_from(SPECIAL), max_size=6).map("".join))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(TEXTS, inside, max_size=3),
    max_leaves=6,
)
NAMES = (
    st.sampled_from(["Bash", "Read", "Write", "Edit", "Task", "TodoWrite", "mcp__kernel__run_code", "StructuredOutput"]) | TEXTS
)
INPUTS = st.dictionaries(
    st.sampled_from(["command", "file_path", "code", "content", "todos", "edits"]) | TEXTS, JSON, max_size=3
)
SECONDS = st.none() | st.floats(0, 1e6)

DELTAS = st.one_of(st.builds(events.TextDelta, NUMBERS, TEXTS), st.builds(events.ThinkingDelta, NUMBERS, TEXTS))
OTHERS = st.one_of(
    st.builds(events.SessionStarted, TEXTS, st.none() | TEXTS, st.none() | TEXTS),
    st.builds(events.SessionReplaced, TEXTS),
    st.builds(events.BlockEnded, NUMBERS, SECONDS),
    st.builds(events.BlocksDiscarded, NUMBERS),
    st.builds(events.ToolStarted, NUMBERS, CALLS, NAMES),
    st.builds(events.ToolCalled, NUMBERS, CALLS, NAMES, INPUTS, st.none() | CALLS),
    st.builds(events.PermissionAnswered, CALLS, st.sampled_from(["allowed once", "denied"]) | TEXTS, st.tuples(TEXTS), TEXTS),
    st.builds(
        events.ToolReturned,
        CALLS,
        TEXTS,
        st.booleans(),
        st.booleans(),
        st.just(()) | st.tuples(st.builds(events.Image, st.sampled_from(["image/png", "image/x"]) | TEXTS, TEXTS)),
        SECONDS,
    ),
    st.builds(events.Retrying, NUMBERS, NUMBERS, st.floats(0, 1e3), st.none() | st.integers(100, 599), TEXTS),
    st.builds(events.TokensCounted, st.integers(0), st.integers(0)),
    st.builds(events.MessageEnded, TEXTS),
    st.builds(events.Notice, TEXTS),
)
ENDS = st.builds(
    events.TurnEnded,
    session_id=st.none() | TEXTS,
    is_error=st.booleans(),
    subtype=TEXTS,
    text=TEXTS,
    duration_s=st.floats(0, 1e6),
    model=st.none() | TEXTS,
    usage=st.dictionaries(st.sampled_from(["input_tokens", "output_tokens", "cache_read_input_tokens"]), st.integers(0)),
    cost_usd=st.none() | st.floats(0, 1e4),
    structured=JSON,
)
STREAMS = st.tuples(st.lists(DELTAS | OTHERS, max_size=12), st.lists(ENDS, max_size=1)).map(
    lambda parts: [*parts[0], *parts[1]]
)
FAILURES = st.sampled_from([None, TurnInterrupted("Interrupted."), APIError("The API <refused>.", next_step="Run it again.")])

slow = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


def folded(stream: list[Event]) -> SessionAwareResponse:
    response = SessionAwareResponse()
    for event in stream:
        fold(response, event)
    return response


def told(response: SessionAwareResponse) -> object:
    """Return all that a response holds, as values that can be compared."""
    blocks = [
        (type(block).__name__, {name: str(getattr(block, name)) for name in block.__slots__})  # a `Growing` is its text
        for block in response.blocks
    ]
    return blocks, {name: value for name, value in vars(response).items() if name != "blocks"}


@st.composite
def split(draw: st.DrawFn, stream: list[Event]) -> list[Event]:
    """Cut the deltas of a stream into pieces, anywhere."""
    pieces: list[Event] = []
    for event in stream:
        if isinstance(event, events.TextDelta | events.ThinkingDelta):
            cuts = sorted(draw(st.lists(st.integers(0, len(event.text)), max_size=3)))
            ends = [0, *cuts, len(event.text)]
            pieces += [type(event)(event.block, event.text[first:last]) for first, last in itertools.pairwise(ends)]
        else:
            pieces.append(event)
    return pieces


@slow
@given(st.data(), STREAMS)
def test_splitting(data: st.DataObject, stream: list[Event]) -> None:
    """The response is the same however the stream is cut into deltas, and whoever reads it in between."""
    whole, response = folded(stream), SessionAwareResponse()
    for event in data.draw(split(stream)):
        fold(response, event)
        if data.draw(st.booleans()):
            assert len(response.text) >= 0
    assert repr(told(response)) == repr(told(whole))


@slow
@given(STREAMS, FAILURES, st.booleans())
def test_settled_rendering(stream: list[Event], failure: ClaudeError | None, for_audience: bool) -> None:
    """Every reply has its three forms, alone and beside another one."""
    reply = SettledReply(folded(stream), 1, failure, note="from turn 2", label="opus")
    assert all(isinstance(form, str) for form in reply_bundle(reply, for_audience=for_audience).values())
    assert len(output_bundle([reply, reply], 1, for_audience=for_audience)) == 3


@slow
@given(st.lists(STREAMS, min_size=1, max_size=2))
def test_live_rendering(streams: list[list[Event]]) -> None:
    """A reply can be painted after every event, and at the end shows all of its text."""
    maker = WidgetMaker()
    reply = LiveReply(maker)
    box = maker.make(VBox, list(reply.parts))
    response = SessionAwareResponse()
    try:
        for count, event in enumerate(itertools.chain(*streams)):
            fold(response, event)
            reply.update(response, count / 10)
        reply.update(response, 1e6)
    finally:
        maker.close(box)


@slow
@given(STREAMS, FAILURES)
def test_terminal_rendering(stream: list[Event], failure: ClaudeError | None) -> None:
    """A terminal shows every reply, too, while it grows and when it is settled."""
    view = TerminalView([""], Console(file=io.StringIO(), width=60))
    response = SessionAwareResponse()
    for event in stream:
        fold(response, event)
        view.update([response], 1.0)
    view.settle([SettledReply(response, 1, failure)], current=1, on_pick=None)
    view.close()


# The tree


@dataclass(frozen=True)
class Told:
    """What one session of the fake CLI holds: the prompts that were answered, each with the ID of its answer."""

    messages: tuple[tuple[str, str], ...] = ()


class FakeCLI:
    """Keeps histories as the CLI does: a session grows at its end, and a branch is a copy up to a message."""

    def __init__(self) -> None:
        self.sessions: dict[str, Told] = {}
        self._ids = itertools.count(1)

    def history(self, start: Start) -> tuple[str, Told]:
        """Return the session of a turn that begins there, and what was said in it before."""
        origin = start.origin
        if origin is None:
            return f"session-{next(self._ids)}", Told()
        told = self.sessions[origin.session_id]
        if not start.fork:
            return origin.session_id, told
        ids = [message_id for _, message_id in told.messages]
        kept = told.messages if origin.message_id is None else told.messages[: ids.index(origin.message_id) + 1]
        return f"session-{next(self._ids)}", Told(kept)

    def answer(self, session_id: str, told: Told, prompt: str) -> str:
        """Write a prompt and its answer down; return the answer's ID."""
        message_id = f"message-{next(self._ids)}"
        self.sessions[session_id] = Told((*told.messages, (prompt, message_id)))
        return message_id


@dataclass
class Node:
    """A turn as the model of the tree has it. `kept`: whether Claude knows of it."""

    number: int
    prompt: str
    parent: Node | None
    kept: bool = True
    cell: str = ""

    def path(self) -> list[Node]:
        return [*(self.parent.path() if self.parent else ()), self]


CELLS = st.sampled_from(["a", "b", "c"])
COMES_TO = st.sampled_from(["answer", "answer", "answer", "a part", "nothing", "refused"])


class Tree(RuleBasedStateMachine):
    """Cells run with any options and come to anything; the kernel's tree, the CLI's histories and the model agree."""

    def __init__(self) -> None:
        super().__init__()
        # No CLI is there: the state's client starts none ahead, and what a turn would ask of it the fake does.
        self.state = KernelState(Settings(cli_path="/nowhere/claude"), lambda: None, lambda: None)
        self.cli = FakeCLI()
        self.nodes: list[Node] = []
        self.current: Node | None = None
        self.prompts = (f"prompt {number}" for number in itertools.count(1))

    def teardown(self) -> None:
        self.state.client.close()

    @rule(cell=CELLS, comes_to=COMES_TO, new=st.booleans())
    def plain(self, cell: str, comes_to: str, new: bool) -> None:
        self.run(Options(new=new), cell, comes_to, None if new else self.current)

    @precondition(lambda self: self.current)
    @rule(cell=CELLS, comes_to=COMES_TO)
    def fork(self, cell: str, comes_to: str) -> None:
        self.run(Options(fork=True), cell, comes_to, self.current)

    @precondition(lambda self: any(node.kept for node in self.nodes))
    @rule(cell=CELLS, comes_to=COMES_TO, data=st.data())
    def at(self, cell: str, comes_to: str, data: st.DataObject) -> None:
        node = data.draw(st.sampled_from([node for node in self.nodes if node.kept]))
        self.run(Options(at=node.number), cell, comes_to, node)

    @precondition(lambda self: self.nodes)
    @rule(comes_to=COMES_TO, data=st.data())
    def redo(self, comes_to: str, data: st.DataObject) -> None:
        cell = data.draw(st.sampled_from(sorted({node.cell for node in self.nodes})))
        last = next(node for node in reversed(self.nodes) if node.cell == cell)
        self.run(Options(redo=True), cell, comes_to, last.parent)

    @precondition(lambda self: any(node.kept for node in self.nodes))
    @rule(data=st.data())
    def go_on_from(self, data: st.DataObject) -> None:
        node = data.draw(st.sampled_from([node for node in self.nodes if node.kept]))
        self.state.go_on_from(node.number)
        self.current = node

    @rule(cell=CELLS, comes_to=st.lists(COMES_TO, min_size=2, max_size=3))
    def compare(self, cell: str, comes_to: list[str]) -> None:
        start = self.state.start(Options(), cell)
        if start.origin is not None:
            start = replace(start, fork=True)
        self.end([self.outcome(start, cell, came, self.current) for came in comes_to])

    @invariant()
    def agrees(self) -> None:
        believed = [turn.number for turn in self.state.turns.path(self.state.current_turn)]
        assert believed == [node.number for node in (self.current.path() if self.current else ())]

    def run(self, options: Options, cell: str, comes_to: str, parent: Node | None) -> None:
        self.end([self.outcome(self.state.start(options, cell), cell, comes_to, parent)])

    def outcome(self, start: Start, cell: str, comes_to: str, parent: Node | None) -> tuple[Outcome, Node]:
        session_id, told = self.cli.history(start)
        expected = [node.prompt for node in (parent.path() if parent else ()) if node.kept]
        assert [prompt for prompt, _ in told.messages] == expected
        prompt = next(self.prompts)
        # What the background thread does when the CLI takes a turn up, and when it ends.
        request = CellRequest(prompt, Prompt(prompt), Options(), (), None, (), cast("Any", None))
        turn = self.state.begin(request, Prompt(prompt), start, cell)
        turn = self.state.sessions.placed(turn, session_id)
        # What was played is in no transcript, so the disk of this machine is not asked.
        response = SessionAwareResponse(session_id=session_id, metadata={"recorded": True})
        failure: ClaudeError | None = None
        if comes_to in ("answer", "a part"):
            fold(response, events.TextDelta(0, "Yes."))
            fold(response, events.MessageEnded(self.cli.answer(session_id, told, prompt)))
        else:
            self.cli.sessions.setdefault(session_id, told)
        if comes_to in ("a part", "nothing"):
            failure = TurnInterrupted("Interrupted.")
        elif comes_to == "refused":
            failure = APIError("No.")
        self.state.sessions.leave(turn, session_id, response.message_id, "/nowhere")
        node = Node(turn.number, prompt, parent, response.message_id is not None, cell)
        return Outcome(turn, response, failure, "/nowhere"), node

    def end(self, outcomes: list[tuple[Outcome, Node]]) -> None:
        before = self.current
        session_before = self.state.current.session_id if self.state.current else None
        self.state.end([outcome for outcome, _ in outcomes])
        self.nodes += [node for _, node in outcomes]
        chosen = next((number for number, (outcome, _) in enumerate(outcomes) if outcome.failure is None), 0)
        outcome, node = outcomes[chosen]
        # What was refused in another session leaves what was current.
        stays = before is not None and outcome.was_refused and outcome.response.session_id != session_before
        self.current = before if stays else node


def test_tree() -> None:
    """After any sequence of cells each request holds what the tree's path says, and the kernel is where the model is."""
    run_state_machine_as_test(Tree, settings=settings(slow, max_examples=40, stateful_step_count=25))

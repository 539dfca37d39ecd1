"""The rig: real kernels, real CLI, real JupyterLab for the tests; only the model is scripted.

This module holds what the frontend's side keeps: a cell and its outputs as a notebook would save them, the open widgets.
The parts around it: `environment` (nothing inherited), `kernel` (a real ipykernel), `leaks` (nothing left over), `lab`
(JupyterLab in a browser), `pace` (limits of time).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rig.kernel import Kernel

Message = dict[str, Any]
Output = dict[str, Any]
Answer = str | Callable[[str], str]
TIMEOUT_S = 60.0


class Displays:
    """Which outputs a display_id stands for, over all cells of one kernel: a later cell may update an earlier one's."""

    def __init__(self) -> None:
        self._outputs: defaultdict[str, list[Output]] = defaultdict(list)

    def add(self, display_id: str, output: Output) -> None:
        self._outputs[display_id].append(output)

    def update(self, content: dict[str, Any]) -> None:
        for output in self._outputs.get(content["transient"]["display_id"], ()):
            output["data"], output["metadata"] = content["data"], content["metadata"]

    def forget(self, outputs: list[Output]) -> None:
        """Drop outputs that were cleared: a notebook no longer updates them."""
        gone = {id(output) for output in outputs}
        for shown in self._outputs.values():
            shown[:] = [output for output in shown if id(output) not in gone]


@dataclass(slots=True)
class CellResult:
    """One request to the kernel and everything that came back for it so far.

    `outputs` is what the saved notebook would hold; `messages` is every message in order of arrival, each with
    `arrived` (seconds, monotonic clock); `prompts` are the texts of the `input()` calls.
    """

    code: str
    msg_id: str
    status: str = "running"
    outputs: list[Output] = field(default_factory=list)
    prompts: list[str] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list, repr=False)
    reply: Any = field(default=None, repr=False)
    idle: bool = False
    _clear_on_next: bool = field(default=False, repr=False)

    @property
    def done(self) -> bool:
        return self.idle and self.reply is not None

    @property
    def ok(self) -> bool:
        return self.status == "ok"

    @property
    def payload(self) -> list[dict[str, Any]]:
        """What the reply asks of the frontend: `set_next_input` is here."""
        return list((self.reply or {}).get("payload", ()))

    @property
    def errors(self) -> list[Output]:
        return [output for output in self.outputs if output["output_type"] == "error"]

    @property
    def stdout(self) -> str:
        return self._stream("stdout")

    @property
    def stderr(self) -> str:
        return self._stream("stderr")

    @property
    def displays(self) -> list[Output]:
        return [output for output in self.outputs if "data" in output]

    @property
    def bundle(self) -> dict[str, Any]:
        """The MIME bundle of the last display, empty when there is none."""
        return self.displays[-1]["data"] if self.displays else {}

    @property
    def metadata(self) -> dict[str, Any]:
        return self.displays[-1]["metadata"] if self.displays else {}

    @property
    def text(self) -> str:
        return str(self.bundle.get("text/plain", ""))

    def of_type(self, msg_type: str) -> Iterator[Message]:
        """Yield the messages of one kind in order of arrival."""
        return (message for message in self.messages if message["msg_type"] == msg_type)

    def take(self, message: Message, displays: Displays) -> None:
        """Apply one message that came back for this request."""
        self.messages.append(message)
        content = message["content"]
        match message["msg_type"]:
            case "status":
                self.idle = content["execution_state"] == "idle"
            case "execute_reply" | "kernel_info_reply":
                self.reply, self.status = content, content["status"]
            case "clear_output" if content["wait"]:
                self._clear_on_next = True
            case "clear_output":
                self._clear(displays)
            case "stream":
                self._make_room(displays)
                last = self.outputs[-1] if self.outputs else {}
                if last.get("name") == content["name"]:
                    last["text"] += content["text"]
                else:
                    self.outputs.append({"output_type": "stream", **content})
            case "error":
                self._make_room(displays)
                self.outputs.append({"output_type": "error", **content})
            case "display_data" | "execute_result" as kind:
                self._make_room(displays)
                output = {"output_type": kind, "data": content["data"], "metadata": content["metadata"]}
                self.outputs.append(output)
                if display_id := content.get("transient", {}).get("display_id"):
                    displays.add(display_id, output)

    def _stream(self, name: str) -> str:
        return "".join(output["text"] for output in self.outputs if output.get("name") == name)

    def _make_room(self, displays: Displays) -> None:
        if self._clear_on_next:
            self._clear(displays)

    def _clear(self, displays: Displays) -> None:
        displays.forget(self.outputs)
        self.outputs.clear()
        self._clear_on_next = False


class Widgets(dict[str, dict[str, Any]]):
    """The open widget models by model ID, in order of opening, each with its state."""

    def take(self, message: Message) -> None:
        content = message["content"]
        match message["msg_type"]:
            case "comm_open" if content["target_name"] == "jupyter.widget":
                self[content["comm_id"]] = {}
                self._update(content["comm_id"], content["data"], message["buffers"])
            case "comm_msg" if content["data"].get("method") in ("update", "echo_update"):
                self._update(content["comm_id"], content["data"], message["buffers"])
            case "comm_close":
                self.pop(content["comm_id"], None)

    def _update(self, model_id: str, data: dict[str, Any], buffers: Sequence[Any]) -> None:
        if model_id in self:
            state = dict(data["state"])
            for (*parents, last), buffer in zip(data.get("buffer_paths", ()), buffers, strict=False):
                place = state
                for key in parents:
                    place = place[key]
                place[last] = bytes(buffer)
            self[model_id].update(state)


class UnansweredInputError(AssertionError):
    """The cell asks by `input()` and the test has no answer for it."""


@dataclass(slots=True)
class RunningCell:
    """A cell that was sent: wait for its end, or for something in the middle of it."""

    kernel: Kernel
    result: CellResult
    answer: Answer | None = None
    unanswered: list[Message] = field(default_factory=list)
    was_interrupted: bool = False
    _next: RunningCell | None = None
    """A request after this one, which tells whether this one's reply still comes."""

    def wait(self, timeout_s: float = TIMEOUT_S) -> CellResult:
        """Return the result once the cell has ended.

        :raises UnansweredInputError: if it asks by `input()` and has no answer.
        """

        def ended() -> bool:
            if self.unanswered:
                raise UnansweredInputError(self.result.prompts[-1])
            if self.was_interrupted and self.result.idle and self.result.reply is None:
                self._note_lost_reply()
            return self.result.done and (self._next is None or self._next.result.done)

        self.kernel.wait_for(ended, timeout_s, self.result)
        return self.result

    def _note_lost_reply(self) -> None:
        """Note that no reply comes: ipykernel (7.4) sends none if an interrupt arrives behind a cell's last line."""
        if self._next is None:
            self._next = self.kernel.ask_for_info()
        elif self._next.result.reply is not None:
            self.result.reply, self.result.status = {"status": "error", "ename": "KeyboardInterrupt"}, "error"

    def wait_for(self, predicate: Callable[[CellResult], bool], timeout_s: float = TIMEOUT_S) -> CellResult:
        """Return the result so far as soon as the predicate holds, looked at after each message.

        :raises AssertionError: if the cell ends and it never did.
        """

        def happened() -> bool:
            if predicate(self.result):
                return True
            assert not self.result.done, f"it ended without that: {self.result}"
            return False

        self.kernel.wait_for(happened, timeout_s, self.result)
        return self.result

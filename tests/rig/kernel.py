"""A real ipykernel and the frontend's side of it: run cells, click, type, answer, interrupt, restart.

It owns one kernel process and the channels to it, and takes messages only while something waits: no thread, no sleep.
What a cell leaves behind is `rig.CellResult`'s business.
"""

from __future__ import annotations

import ast
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import psutil
import zmq
from jupyter_client.manager import KernelManager

from rig import TIMEOUT_S, Answer, CellResult, Displays, Message, RunningCell, Widgets
from rig.environment import require_isolated
from rig.leaks import assert_ended, tree

AFTER_CHILDREN_S = 0.5
"""How long a kernel that was asked to end, and whose children have ended, may take before it is terminated."""


class KernelDiedError(RuntimeError):
    """The kernel process ended while something waited for it."""


class Kernel:
    """One ipykernel in its own environment and directory.

    :param notebook_dir: where it runs, as JupyterLab runs it in the notebook's directory.
    :param environment: from `isolated_environment()`; anything else is refused.
    :param notebook: the notebook's name, told as `JPY_SESSION_NAME`; None as under nbclient.
    :param python: the interpreter that it runs in; by default this one.
    :param module: the module that is run as the kernel; by default ipykernel's.
    """

    def __init__(
        self,
        notebook_dir: Path,
        environment: Mapping[str, str],
        *,
        notebook: str | None = "notebook.ipynb",
        python: Path | None = None,
        module: str | None = None,
    ) -> None:
        require_isolated(environment)
        self.notebook_dir = notebook_dir
        self.widgets = Widgets()
        self.page: Literal["shows widgets", "is silent", "has no widgets"] = "shows widgets"
        """What a page says of the widgets that a cell opens: that it shows them, nothing, or that it cannot."""
        self.stray: list[Message] = []
        self._python = python
        self._module = module
        self._environment = dict(environment)
        if notebook is not None:
            self._environment["JPY_SESSION_NAME"] = str(notebook_dir / notebook)
        self._displays = Displays()
        self._cells: dict[str, RunningCell] = {}
        self._poller = zmq.Poller()

    def __enter__(self) -> Self:
        self._own = tempfile.TemporaryDirectory(prefix="kernel-")
        log = self._log = (Path(self._own.name) / "log").open("w+b")
        connection_file = str(Path(self._own.name) / "connection.json")
        self._manager: Any = KernelManager(kernel_name="python3", connection_file=connection_file)
        if self._python is not None:
            self._manager.kernel_spec.argv[0] = str(self._python)
        if self._module is not None:
            self._manager.kernel_spec.argv[1:] = ["-m", self._module, "-f", "{connection_file}"]
        self._launch = {"env": self._environment, "cwd": str(self.notebook_dir), "stdout": log, "stderr": log}
        self._manager.start_kernel(**self._launch)
        try:
            self._connect()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        children = self.children()
        self._disconnect()
        self._end(children)
        self._log.close()
        self._own.cleanup()
        assert_ended(children)

    @property
    def pid(self) -> int:
        return int(self._manager.provisioner.pid)

    @property
    def log(self) -> str:
        """What the kernel process itself wrote to its stdout and stderr."""
        return Path(self._log.name).read_text(errors="replace")

    @property
    def running(self) -> list[RunningCell]:
        return [cell for cell in self._cells.values() if not cell.result.done]

    def children(self) -> list[psutil.Process]:
        """Return the live processes below the kernel: its CLIs, and theirs."""
        return [process for process in tree(self.pid) if process.pid != self.pid]

    # Cells

    def run(self, code: str, *, timeout_s: float = TIMEOUT_S, **options: Any) -> CellResult:
        """Run a cell to its end; options as of `start`."""
        return self.start(code, **options).wait(timeout_s)

    def run_all(self, codes: Sequence[str], *, timeout_s: float = TIMEOUT_S, **options: Any) -> list[CellResult]:
        """Send all cells at once, as Run All does: behind a failed one the others are `aborted`."""
        cells = [self.start(code, **options) for code in codes]
        return [cell.wait(timeout_s) for cell in cells]

    def start(
        self,
        code: str,
        *,
        allow_stdin: bool = True,
        silent: bool = False,
        stop_on_error: bool = True,
        cell_id: str | None = None,
        answer: Answer | None = None,
        user_expressions: Mapping[str, str] | None = None,
    ) -> RunningCell:
        """Send a cell and return at once.

        :param answer: what to give to each `input()`, or a function from its prompt to that.
        """
        content = {
            "code": code,
            "silent": silent,
            "store_history": not silent,
            "user_expressions": dict(user_expressions or {}),
            "allow_stdin": allow_stdin,
            "stop_on_error": stop_on_error,
        }
        self._let_aborting_end()
        cell = self._send("execute_request", content, {"cellId": cell_id} if cell_id else None)
        cell.result.code, cell.answer = code, answer
        self._cells[cell.result.msg_id] = cell
        return cell

    def _let_aborting_end(self) -> None:
        """Return when the kernel runs cells again: for a moment behind a failed one it aborts what arrives (all ipykernels)."""
        newest = next(reversed(self._cells.values()), None)
        if newest is not None and newest.result.status == "error":
            self.sync()

    def value(self, expression: str) -> Any:
        """Return the value of a Python expression in the kernel, for values that `ast.literal_eval` reads."""
        found = self.run("", silent=True, user_expressions={"value": expression}).reply["user_expressions"]["value"]
        assert found["status"] == "ok", f"{found['ename']}: {found['evalue']}"
        return ast.literal_eval(found["data"]["text/plain"])

    def wait_for(self, happened: Callable[[], bool], timeout_s: float = TIMEOUT_S, about: object = "") -> None:
        """Take messages until something holds: a widget's state, an output of an earlier cell."""
        deadline = time.monotonic() + timeout_s
        while not happened():
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError(f"not within {timeout_s:g} s: {about}\n{self.log[-2000:]}".rstrip())
            ready = self._poller.poll(int(min(left_s, 1.0) * 1000) + 1)
            if not ready and self._manager.provisioner.process.poll() is not None:
                raise KernelDiedError(f"the kernel died: {about}\n{self.log[-2000:]}")
            for socket, _ in ready:
                self._take(socket)

    def sync(self, timeout_s: float = TIMEOUT_S) -> None:
        """Return when the kernel has handled all that was sent before, outside of cells, and its messages are here."""
        self.ask_for_info().wait(timeout_s)

    def ask_for_info(self) -> RunningCell:
        """Send what the kernel answers outside of cells, after all that was sent before."""
        request = self._send("kernel_info_request", {})
        self._cells[request.result.msg_id] = request
        return request

    # What a person does

    def answer_input(self, text: str) -> None:
        """Answer the `input()` that waits."""
        asking = next(cell for cell in self._cells.values() if cell.unanswered)
        self._reply_input(asking.unanswered.pop(0), text)

    def widgets_named(self, model_name: str) -> dict[str, dict[str, Any]]:
        """Return the open models of one kind, such as `HTMLModel`, oldest first."""
        return {id_: state for id_, state in self.widgets.items() if state.get("_model_name") == model_name}

    def button(self, description: str) -> str:
        """Return the model ID of the newest open button with this description, or one that starts with it."""
        buttons = [(state["description"], id_) for id_, state in self.widgets_named("ButtonModel").items()][::-1]
        for fits in (str.__eq__, str.startswith):
            if found := next((id_ for label, id_ in buttons if fits(label, description)), None):
                return found
        raise LookupError(f"no open button {description!r} among {[label for label, _ in buttons]}")

    def click(self, button: str) -> None:
        """Click a button, by model ID or description, once it can be. Outside of a cell, `sync()` waits for its callbacks."""
        model_id = button if button in self.widgets else self.button(button)
        self.wait_for(lambda: not self.widgets[model_id].get("disabled"), about=f"{button!r} is disabled: nobody can click it")
        self.send_to_widget(model_id, {"method": "custom", "content": {"event": "click"}})

    def set_widget(self, model_id: str, **state: Any) -> None:
        """Change a widget's state as its view would: type into a text box, pick from a list."""
        self.widgets[model_id].update(state)
        self.send_to_widget(model_id, {"method": "update", "state": state, "buffer_paths": []})

    def send_to_widget(self, model_id: str, data: dict[str, Any]) -> None:
        """Send any widget message. Of one handled while a cell runs ipykernel 7.4 reports neither busy nor idle."""
        self._send("comm_msg", {"comm_id": model_id, "data": data})

    def interrupt(self) -> None:
        """Interrupt the kernel as the stop button does: a SIGINT to its whole process group."""
        for cell in self.running:
            cell.was_interrupted = True
        self._manager.interrupt_kernel()

    def stop(self) -> None:
        """Interrupt what runs, as often as it takes."""
        for cell in self.running:
            cell.unanswered.clear()
            self.interrupt()
            cell.wait()

    def restart(self) -> None:
        """Restart the kernel; what ran is forgotten, as are the widgets. Asserts that its children ended."""
        children = self.children()
        self._disconnect()
        self._end(children, restart=True)
        assert_ended(children)
        self._manager.start_kernel(**self._launch)
        self.widgets.clear()
        self._cells.clear()
        self._displays = Displays()
        self._connect()

    # The process

    def _end(self, children: list[psutil.Process], *, restart: bool = False) -> None:
        """Ask the process to end, as a frontend does, and see that it is gone."""
        self._manager.interrupt_kernel()
        self._manager.request_shutdown(restart=restart)
        psutil.wait_procs(children, timeout=TIMEOUT_S)
        # With much imported, ipykernel 7.4 closes everything and then does not end until it is terminated.
        self._manager.finish_shutdown(waittime=2 * AFTER_CHILDREN_S, pollinterval=0.02, restart=restart)
        self._manager.cleanup_resources(restart=restart)

    # The channels

    def _connect(self) -> None:
        self._client: Any = self._manager.client()
        # The heartbeat would be a thread; whether the process lives is looked at while nothing arrives.
        self._client.start_channels(hb=False)
        for channel in self._channels():
            self._poller.register(channel.socket, zmq.POLLIN)
        self._client.wait_for_ready(timeout=TIMEOUT_S)

    def _disconnect(self) -> None:
        for channel in self._channels():
            self._poller.unregister(channel.socket)
        self._client.stop_channels()

    def _channels(self) -> tuple[Any, ...]:
        client = self._client
        return (client.iopub_channel, client.shell_channel, client.stdin_channel, client.control_channel)

    def _send(self, msg_type: str, content: dict[str, Any], metadata: dict[str, Any] | None = None) -> RunningCell:
        message = self._client.session.msg(msg_type, content, metadata=metadata)
        self._client.shell_channel.send(message)
        return RunningCell(self, CellResult(msg_type, message["header"]["msg_id"]))

    def _reply_input(self, request: Message, text: str) -> None:
        message = self._client.session.msg("input_reply", {"value": text, "status": "ok"}, parent=request["header"])
        self._client.stdin_channel.send(message)

    def _take(self, socket: zmq.Socket[bytes]) -> None:
        _, message = self._client.session.recv(socket)
        if message is None:
            return
        message["arrived"] = time.monotonic()
        self.widgets.take(message)
        if message["msg_type"] == "comm_open":
            comm_id, opened = message["content"]["comm_id"], message["content"]["data"].get("state", {})
            if self.page == "has no widgets":
                self._send("comm_close", {"comm_id": comm_id, "data": {}})
            elif self.page == "shows widgets" and opened.get("_view_count") == 0:
                self.set_widget(comm_id, _view_count=1)
        if message["msg_type"] == "update_display_data":
            self._displays.update(message["content"])
        cell = self._cells.get(message["parent_header"].get("msg_id", ""))
        if cell is None:
            self.stray.append(message)
            return
        cell.result.take(message, self._displays)
        if message["msg_type"] == "input_request":
            prompt = message["content"]["prompt"]
            cell.result.prompts.append(prompt)
            if cell.answer is None:
                cell.unanswered.append(message)
            else:
                self._reply_input(message, cell.answer if isinstance(cell.answer, str) else cell.answer(prompt))

"""A page without a browser: what a frontend would hold of the widgets and displays that a test makes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from comm.base_comm import BaseComm
from IPython.utils.capture import CapturedIO, RichOutput

VIEW = "application/vnd.jupyter.widget-view+json"


class Page:
    """The open models by ID, every message that came, and the outputs of the one cell."""

    def __init__(self) -> None:
        self.models: dict[str, dict[str, Any]] = {}
        self.comms: dict[str, BaseComm] = {}
        self.messages: list[tuple[str, str, dict[str, Any]]] = []
        self.captured: CapturedIO

    @property
    def outputs(self) -> list[RichOutput]:
        return self.captured.outputs

    def take(self, comm: BaseComm, kind: str, data: dict[str, Any]) -> None:
        model = comm.comm_id
        self.messages.append((kind, model, data))
        if kind == "comm_close":
            del self.models[model]
        else:
            self.comms[model] = comm
            self.models.setdefault(model, {"model_id": model}).update(data.get("state", {}))

    def shown(self) -> list[dict[str, Any]]:
        """List the models that are on the page, from top to bottom."""
        return list(self._below(self.outputs[-1].data[VIEW]["model_id"]))

    def html(self) -> list[str]:
        """List what the HTML widgets on the page show, without the style sheet and the empty ones."""
        values = (model["value"] for model in self.shown() if "HTML" in model["_model_name"])
        return [value for value in values if value and not value.startswith("<style>")]

    def sent(self) -> list[str]:
        """List the HTML that was sent, in order."""
        states = (data.get("state", {}) for _, _, data in self.messages)
        return [state["value"] for state in states if state.get("value")]

    def buttons(self, description: str) -> list[dict[str, Any]]:
        return [model for model in self.shown() if model.get("description") == description]

    def see(self) -> None:
        """Count the views of what asks for it, as a frontend does when it shows a widget."""
        for model in list(self.models.values()):
            if model.get("_view_count") == 0:
                self.change(model, _view_count=1)

    def refuse(self) -> None:
        """Close what is displayed, as a frontend does that has no widgets."""
        comm = self.comms[self.outputs[-1].data[VIEW]["model_id"]]
        comm.handle_close({"content": {"data": {}}})

    def change(self, model: dict[str, Any], **state: Any) -> None:
        """Send what a frontend sends when a person, or a view, changes a widget."""
        data = {"method": "update", "state": state, "buffer_paths": []}
        self.comms[model["model_id"]].handle_msg({"content": {"data": data}, "buffers": []})

    def click(self, button: dict[str, Any]) -> None:
        """Send what a frontend sends for a click."""
        data = {"method": "custom", "content": {"event": "click"}}
        self.comms[button["model_id"]].handle_msg({"content": {"data": data}, "buffers": []})

    def _below(self, model_id: str) -> Iterator[dict[str, Any]]:
        model = self.models[model_id]
        yield model
        for child in model.get("children", ()):
            yield from self._below(child.removeprefix("IPY_MODEL_"))

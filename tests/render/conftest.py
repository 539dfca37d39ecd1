"""A page without a browser: what a frontend would hold of the widgets and displays that a test makes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import comm
import pytest
from comm.base_comm import BaseComm
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import CapturedIO, RichOutput, capture_output
from traitlets.config import Config

VIEW = "application/vnd.jupyter.widget-view+json"


class Page:
    """The open models by ID, every message that came, and the outputs of the one cell."""

    def __init__(self) -> None:
        self.models: dict[str, dict[str, Any]] = {}
        self.messages: list[tuple[str, str, dict[str, Any]]] = []
        self.captured: CapturedIO

    @property
    def outputs(self) -> list[RichOutput]:
        return self.captured.outputs

    def take(self, kind: str, model: str, data: dict[str, Any]) -> None:
        self.messages.append((kind, model, data))
        if kind == "comm_close":
            del self.models[model]
        else:
            self.models.setdefault(model, {}).update(data.get("state", {}))

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

    def button(self, description: str) -> dict[str, Any]:
        (button,) = (model for model in self.shown() if model.get("description") == description)
        return button

    def _below(self, model_id: str) -> Iterator[dict[str, Any]]:
        model = self.models[model_id]
        yield model
        for child in model.get("children", ()):
            yield from self._below(child.removeprefix("IPY_MODEL_"))


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """The page, empty; a test that leaves a widget open on it fails."""
    page = Page()

    class Comm(BaseComm):
        def publish_msg(self, msg_type: str, data: Any = None, **_: Any) -> None:
            page.take(msg_type, self.comm_id, data or {})

    # The `comm` package's own seam: "intended to be replaced, so that it returns your Comm instance".
    monkeypatch.setattr(comm, "create_comm", Comm)
    InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    try:
        with capture_output(stdout=False, stderr=False) as page.captured:
            yield page
    finally:
        InteractiveShell.clear_instance()
    assert not page.models, "widgets were left open"

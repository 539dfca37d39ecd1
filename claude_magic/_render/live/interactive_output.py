"""An output that has buttons for a while and then becomes plain: the base of panel, tree of turns, picker and open question.

Without its kernel a saved widget is shown as "model not found", even if its bundle has other forms. So the buttons exist only
until the owner of the output closes it, when the next cell runs: then the same output as plain data replaces them. If the
notebook is saved before that, code hosts still find the plain data, because it is in the widget's bundle, too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from ipywidgets import Button, Widget

from claude_magic._render.live.widgets import WidgetMaker, end_reports, view_bundle
from claude_magic._render.place import Place

Key = TypeVar("Key", int, str)
"""What identifies a button: the number of a turn or a reply, or the ID of a session or of background work."""


class InteractiveOutput(ABC, Generic[Key]):
    """One output with buttons, from `show` to `close`; main thread only.

    :param on_click: called with the key of the clicked button.
    :param handle: a display whose content this output replaces; by default there is a new display.
    :param for_audience: whether it is shown to an audience.
    """

    section: ClassVar[str]
    """The section of the style sheet that it needs."""

    def __init__(self, on_click: Callable[[Key], None], handle: Place | None = None, *, for_audience: bool = False) -> None:
        self._on_click: Callable[[Key], None] = on_click
        self._handle = handle or Place()
        self._for_audience = for_audience
        self._maker = WidgetMaker()
        self._buttons: dict[Key, Any] = {}
        self._box: Widget | None = None

    def show(self) -> None:
        """Display it: in the given display, or else in the running cell."""
        self._box = self._maker.framed(self._build(), self.section, for_audience=self._for_audience)
        self._paint()
        self._handle.show(self._plain_bundle() | view_bundle(self._box), self._metadata())

    def close(self) -> None:
        """Replace the output by plain output without buttons, and close every widget; a second call changes nothing."""
        if self._box is not None:
            box, self._box = self._box, None
            end_reports(box)
            # In this order nothing flickers.
            self._handle.show(self._plain_bundle(), self._metadata())
            self._maker.close(box)

    def _repaint(self) -> None:
        """Show what has changed, if the output is displayed."""
        if self._box is not None:
            self._paint()

    def _button(self, key: Key, description: str, tooltip: str) -> Any:
        """Return the button for a key, always the same one, so that a clicked button keeps the keyboard focus."""
        if key not in self._buttons:
            self._buttons[key] = button = self._maker.make(Button, description=description, tooltip=tooltip)
            button.on_click(lambda _: self._on_click(key))
        self._buttons[key].tooltip = tooltip
        return self._buttons[key]

    @abstractmethod
    def _build(self) -> Sequence[Widget]:
        """Return the new widgets, from top to bottom."""

    @abstractmethod
    def _paint(self) -> None:
        """Show the present state on the widgets."""

    @abstractmethod
    def _plain_bundle(self) -> dict[str, Any]:
        """Return the plain output that the notebook keeps."""

    def _metadata(self) -> dict[str, Any]:
        return {}

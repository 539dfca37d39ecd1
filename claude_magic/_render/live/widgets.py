"""Trees of widgets: how they are made, the frame around them, how one is displayed, and how all of it is closed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from ipywidgets import HTML, HBox, Layout, VBox, Widget

from claude_magic._render.parts.style_sheet import AUDIENCE_CLASS, live_rules

UNHEARD_S: Final = 3.0
"""After so long without a sign of the page its clicks are not waited for: a question is asked in words."""


class WidgetMaker:
    """Makes the widgets of one display, which share what they can, and closes them.

    Each model is a message before the first word is shown, so there is one layout, and one style for each kind.
    """

    def __init__(self) -> None:
        self._layout = Layout()
        self._styles: dict[type[Widget], Widget] = {}
        self._made: list[Widget] = []

    def make(self, kind: type[Widget], *arguments: Any, **traits: Any) -> Any:
        """Make a widget with the layout of all, and with the style of its kind."""
        if kind in self._styles:
            traits["style"] = self._styles[kind]
        widget = kind(*arguments, layout=self._layout, **traits)
        if hasattr(widget, "style"):
            self._styles.setdefault(kind, widget.style)
        self._made.append(widget)
        return widget

    def framed(self, parts: Sequence[Widget], *, for_audience: bool = False) -> Any:
        """Stack widgets in a box that can be displayed, with the style sheet of all widgets.

        :param for_audience: whether it is shown to a room.
        """
        style = self.make(HTML, f"<style>{live_rules()}</style>")
        style.add_class("claude-hidden")
        inner = self.make(VBox, [style, *parts])
        inner.add_class("claude-magic")
        if for_audience:
            inner.add_class(AUDIENCE_CLASS)
        # JupyterLab has rules for HTML outputs, which the settled output will be: with their class they hold from the start.
        # The page counts the views of a box that has a count.
        outer = self.make(VBox, [inner], _view_count=0)
        outer.add_class("jp-RenderedHTMLCommon")
        return outer

    def column(self, head: Sequence[Widget], parts: Sequence[Widget]) -> Any:
        """Stack the widgets of one of several replies, below a row that says which one it is."""
        row = self.make(HBox, head)
        row.add_class("claude-column-head")
        column = self.make(VBox, [row, *parts])
        column.add_class("claude-column")
        return column

    def columns(self, columns: Sequence[Widget]) -> Any:
        """Put the columns of several replies side by side."""
        grid = self.make(VBox, columns)
        grid.add_class("claude-columns")
        return grid

    def close(self, root: Widget) -> None:
        """Close a tree of widgets from its root, and all else that was made here."""
        close_tree(*self._made, root)


class PageSigns:
    """What the page lets us know of widgets while a cell runs; main thread only.

    A page that shows a box says so within 0.2 s. That is heard where clicks are, which is not on every kernel and in every
    frontend. A JupyterLab without the widgets extension closes what it cannot show.

    :param box: from `WidgetMaker.framed`, to be displayed at once.
    :param on_refused: called when the page has no widgets.
    """

    def __init__(self, box: Widget, on_refused: Callable[[], None] = lambda: None) -> None:
        self._box = box
        self._on_refused = on_refused
        self._began_s = time.monotonic()
        self.is_refused = False
        """Whether the page has said that it shows no widgets."""
        if box.comm is not None:
            box.comm.on_close(self._refuse)

    @property
    def hears(self) -> bool:
        """Whether a click would be heard now."""
        return bool(self._box._view_count) and not self.is_refused

    @property
    def may_hear(self) -> bool:
        """Whether that is so, or cannot be known yet."""
        return self.hears or not (self.is_refused or time.monotonic() - self._began_s > UNHEARD_S)

    def _refuse(self, message: object) -> None:
        self.is_refused = True
        self._on_refused()


def view_bundle(widget: Widget) -> dict[str, Any]:
    """Give what displays a widget, for a MIME bundle."""
    return {"application/vnd.jupyter.widget-view+json": {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}}


def close_tree(*roots: Widget) -> None:
    """Close widgets with all their children, layouts and styles, the last one first."""
    waiting: list[Widget] = list(roots)
    met: set[int] = set()
    while waiting:
        widget = waiting.pop()
        if id(widget) in met:
            continue
        met.add(id(widget))
        parts = (getattr(widget, name, None) for name in ("layout", "style"))
        waiting += (*getattr(widget, "children", ()), *(part for part in parts if isinstance(part, Widget)))
        widget.close()

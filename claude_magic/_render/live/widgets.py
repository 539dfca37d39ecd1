"""Trees of widgets: how they are made, the frame around them, how one is displayed, and how all of it is closed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from ipywidgets import HTML, Button, HBox, Layout, VBox, Widget

from claude_magic._render.parts.style_sheet import AUDIENCE_CLASS, added_style, live_style

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

    def make(self, kind: type[Widget], *arguments: Any, css_class: str = "", **traits: Any) -> Any:
        """Make a widget with the layout of all, and with the style of its kind.

        :param css_class: names of classes, which a widget that was made already would be told in one more message each.
        """
        if kind in self._styles:
            traits["style"] = self._styles[kind]
        if css_class:
            traits["_dom_classes"] = tuple(css_class.split())
        widget = kind(*arguments, layout=self._layout, **traits)
        if hasattr(widget, "style"):
            self._styles.setdefault(kind, widget.style)
        self._made.append(widget)
        return widget

    def framed(self, parts: Sequence[Widget], *sections: str, for_audience: bool = False) -> Any:
        """Stack widgets in a box that can be displayed, with the style sheet of all widgets.

        :param sections: of the style sheet, for what is in it.
        :param for_audience: whether it is shown to a room.
        """
        inner = self.make(
            VBox,
            [self.make(HTML, live_style(*sections), css_class="claude-hidden"), *parts],
            css_class=f"claude-magic {AUDIENCE_CLASS if for_audience else ''}",
        )
        # JupyterLab has rules for HTML outputs, which the settled output will be: with their class they hold from the start.
        # The page counts the views of a box that has a count.
        return self.make(VBox, [inner], css_class="jp-RenderedHTMLCommon", _view_count=0)

    def rules(self, section: str, name: str) -> Any:
        """Make the widget that brings a section of the style sheet to a page, and a place there that a link can lead to."""
        return self.make(HTML, f'{added_style(section)}<i id="{name}"></i>', css_class="claude-here")

    def column(self, head: Sequence[Widget], parts: Sequence[Widget]) -> Any:
        """Stack the widgets of one of several replies, below a row that says which one it is."""
        row = self.make(HBox, head, css_class="claude-column-head")
        return self.make(VBox, [row, *parts], css_class="claude-column")

    def columns(self, columns: Sequence[Widget]) -> Any:
        """Put the columns of several replies side by side."""
        return self.make(VBox, columns, css_class="claude-columns")

    def close(self, root: Widget) -> None:
        """Close a tree of widgets from its root, and all else that was made here."""
        close_tree(*self._made, root)


class StopButton:
    """A button to stop what runs: there once a click would be heard, and clickable until `refresh` has shown that it was."""

    def __init__(
        self, maker: WidgetMaker, on_stop: Callable[[], None], description: str, tooltip: str, *, css_class: str = ""
    ) -> None:
        self._on_stop = on_stop
        self._clicked = False
        self.widget = maker.make(Button, description=description, tooltip=tooltip, css_class=f"claude-hidden {css_class}")
        self.widget.on_click(self._click)
        self._is_shown = False

    def refresh(self, *, hears: bool) -> None:
        """Show whether it can be clicked, and whether it was."""
        if hears and not self._is_shown:
            self._is_shown = True
            self.widget.remove_class("claude-hidden")
        if self._clicked:
            self.widget.disabled = True

    def _click(self, _: Button) -> None:
        self._clicked = True
        self._on_stop()


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

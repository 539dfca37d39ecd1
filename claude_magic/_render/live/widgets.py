"""Trees of widgets: how they are made, the frame around them, how one is displayed, and how all of it is closed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ipywidgets import HTML, HBox, Layout, VBox, Widget

from claude_magic._render.parts.style_sheet import AUDIENCE_CLASS, added_style, live_style


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
        return self.make(VBox, [inner], css_class="jp-RenderedHTMLCommon")

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

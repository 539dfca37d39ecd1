"""Trees of widgets: make them, put them in a frame, display them, and close all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from ipywidgets import HTML, Button, HBox, Layout, VBox, Widget

from claude_magic._render.parts.style_sheet import AUDIENCE_CLASS, live_style

UNHEARD_S: Final = 3.0
"""How long to wait for a sign from the page. Without one, clicks do not arrive, and a question needs a line of input."""


class WidgetMaker:
    """Makes the widgets of one display, and closes them. They share one layout, and one style for each kind of widget.

    Each layout or style is a message to the page, which would delay the first word.
    """

    def __init__(self) -> None:
        self._layout = Layout()
        self._styles: dict[type[Widget], Widget] = {}
        self._made: list[Widget] = []

    def make(self, kind: type[Widget], *arguments: Any, css_class: str = "", **traits: Any) -> Any:
        """Make a widget with the shared layout and the style of its kind.

        :param css_class: names of classes; adding one to an existing widget would be another message.
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

    def framed(self, parts: Sequence[Widget], *sections: str, for_audience: bool = False, reports: bool = False) -> Any:
        """Stack widgets in a box that can be displayed, with the style sheet.

        :param sections: the sections of the style sheet that these widgets need.
        :param for_audience: whether it is shown to an audience.
        :param reports: whether the page reports when it shows the box.
        """
        inner = self.make(
            VBox,
            [self.make(HTML, live_style(*sections), css_class="claude-hidden"), *parts],
            css_class=f"claude-magic {AUDIENCE_CLASS if for_audience else ''}",
        )
        # JupyterLab has rules for HTML outputs. With their class they apply now, as they will to the settled output.
        # Without a number the page does not count the views of a box.
        return self.make(VBox, [inner], css_class="jp-RenderedHTMLCommon", _view_count=0 if reports else None)

    def column(self, head: Sequence[Widget], parts: Sequence[Widget]) -> Any:
        """Stack the widgets of one of several replies, below a row with its title."""
        row = self.make(HBox, head, css_class="claude-column-head")
        return self.make(VBox, [row, *parts], css_class="claude-column")

    def close(self, root: Widget) -> None:
        """Close a tree of widgets from its root, and all other widgets that were made here."""
        close_tree(*self._made, root)


class StopButton:
    """A button that stops the turns. After a click, `refresh` disables it; before clicks are known to arrive, it is hidden."""

    def __init__(
        self, maker: WidgetMaker, on_stop: Callable[[], None], description: str, tooltip: str, *, css_class: str = ""
    ) -> None:
        self._on_stop = on_stop
        self._clicked = False
        self.widget = maker.make(Button, description=description, tooltip=tooltip, css_class=f"claude-hidden {css_class}")
        self.widget.on_click(self._click)

    def refresh(self, *, hears: bool) -> None:
        """Show the button if clicks arrive, and disable it if it was clicked."""
        if hears:
            self.widget.remove_class("claude-hidden")
        if self._clicked:
            self.widget.disabled = True

    def _click(self, _: Button) -> None:
        self._clicked = True
        self._on_stop()


class PageSigns:
    """What the page reports about widgets while a cell runs; main thread only.

    A page that shows a box reports it within 0.2 s. The report arrives only if clicks arrive, too: some kernels and frontends
    deliver neither while a cell runs. A JupyterLab without the widgets extension closes widgets that it cannot show.

    :param box: from `WidgetMaker.framed` with `reports`, displayed at once.
    :param on_refused: called when the page has no widgets.
    """

    def __init__(self, box: Widget, on_refused: Callable[[], None] = lambda: None) -> None:
        self._box = box
        self._on_refused = on_refused
        self._began_s = time.monotonic()
        self.is_refused = False
        """Whether the page has reported that it shows no widgets."""
        if box.comm is not None:
            box.comm.on_close(self._refuse)

    @property
    def hears(self) -> bool:
        """Whether clicks are known to arrive."""
        return bool(self._box._view_count) and not self.is_refused

    @property
    def may_hear(self) -> bool:
        """Whether clicks arrive, or it is too early to know."""
        return self.hears or not (self.is_refused or time.monotonic() - self._began_s > UNHEARD_S)

    def _refuse(self, message: object) -> None:
        self.is_refused = True
        self._on_refused()


def view_bundle(widget: Widget) -> dict[str, Any]:
    """Return the MIME bundle that displays a widget."""
    return {"application/vnd.jupyter.widget-view+json": {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}}


def end_reports(root: Widget) -> None:
    """Let the page no longer report whether it shows a box of this tree; called before it shows something else instead.

    When its last widget is closed, JupyterLab (4.6) ends the thread that takes reports. If one is under way, ipykernel (7.4)
    prints an error of its own into a cell.
    """
    for widget in _tree(root):
        if getattr(widget, "_view_count", None) is not None:
            widget._view_count = None


def close_tree(*roots: Widget) -> None:
    """Close widgets with all their children, layouts and styles, the last one first."""
    for widget in _tree(*roots):
        widget.close()


def _tree(*roots: Widget) -> Iterator[Widget]:
    """Yield each widget once: the roots, their children, layouts and styles."""
    waiting: list[Widget] = list(roots)
    met: set[int] = set()
    while waiting:
        widget = waiting.pop()
        if id(widget) in met:
            continue
        met.add(id(widget))
        parts = (getattr(widget, name, None) for name in ("layout", "style"))
        waiting += (*getattr(widget, "children", ()), *(part for part in parts if isinstance(part, Widget)))
        yield widget

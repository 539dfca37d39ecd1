"""Trees of widgets: the frame and style they share, how one is displayed, and how all of it is closed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ipywidgets import HTML, VBox, Widget

from claude_magic._render.parts.style_sheet import AUDIENCE_CLASS, style_element


def framed(make: Callable[..., Any], parts: Sequence[Widget], *sections: str, for_audience: bool = False) -> Any:
    """Stack widgets in a box that can be displayed, with the style sheet of all widgets.

    :param make: makes a widget of a kind, as `Shared` does.
    :param sections: of the style sheet, besides those that every display of widgets needs.
    :param for_audience: whether it is shown to a room.
    """
    style = make(HTML, style_element(*sections, "widgets"))
    style.add_class("claude-hidden")
    inner = make(VBox, [style, *parts])
    inner.add_class("claude-magic")
    if for_audience:
        inner.add_class(AUDIENCE_CLASS)
    # JupyterLab has rules for HTML outputs, which the settled output will be: with their class they hold from the start.
    outer = make(VBox, [inner])
    outer.add_class("jp-RenderedHTMLCommon")
    return outer


def view_bundle(widget: Widget) -> dict[str, Any]:
    """Give what displays a widget, for a MIME bundle."""
    return {"application/vnd.jupyter.widget-view+json": {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}}


def close_tree(*roots: Widget, keep: Sequence[Widget] = ()) -> None:
    """Close widgets with all their children, layouts and styles, except those to `keep`."""
    waiting = list(roots)
    while waiting:
        widget = waiting.pop()
        parts = (getattr(widget, name, None) for name in ("layout", "style"))
        waiting += (
            *getattr(widget, "children", ()),
            *(part for part in parts if isinstance(part, Widget) and part not in keep),
        )
        widget.close()

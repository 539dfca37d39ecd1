"""Trees of widgets: the frame and style they share, how one is displayed, and how all of it is closed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from ipywidgets import HTML, VBox, Widget

from claude_magic._render.parts.style_sheet import AUDIENCE_CLASS, STYLE

WIDGET_STYLE: Final = """
.claude-magic.widget-box, .claude-magic .widget-box { overflow: visible; }
.claude-magic .widget-hbox { gap: 8px; }
.claude-magic :is(.widget-html, .widget-htmlmath) {
  display: block; margin: 0; color: inherit; font-size: inherit; line-height: inherit;
}
.claude-magic :is(.widget-html-content, .widget-htmlmath-content) { display: flow-root; line-height: inherit; }
.claude-magic .widget-html.claude-hidden { display: none; }
.claude-magic .jupyter-button {
  flex: none; width: auto; min-width: 64px; height: 24px; margin: 0; padding: 0 12px;
  border: 1px solid var(--claude-line); border-radius: 4px; background: transparent;
  color: var(--claude-text); font-size: .93em; line-height: 22px; box-shadow: none;
}
.claude-magic .jupyter-button:hover:enabled { background: var(--claude-shade); box-shadow: none; }
.claude-magic .jupyter-button:focus-visible { outline: 2px solid var(--claude-accent); outline-offset: 1px; }
""".strip()


def style_html(*rules: str) -> str:
    """Give the style sheet of everything that is made of widgets, with more rules after it."""
    return "\n".join(("<style>", STYLE, WIDGET_STYLE, *rules, "</style>"))


def framed(make: Callable[..., Any], parts: Sequence[Widget], *rules: str, for_audience: bool = False) -> Any:
    """Stack widgets in a box that can be displayed, with the style sheet of all widgets and more rules after it.

    :param make: makes a widget of a kind, as `live.Shared` does.
    :param for_audience: whether it is shown to a room.
    """
    style = make(HTML, style_html(*rules))
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

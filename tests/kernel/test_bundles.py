"""What notebooks display, as Claude reads it: tables and text of HTML, specs of charts in short, images."""

from __future__ import annotations

import base64
import json
import time
from array import array
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import HTML, JSON, SVG, IFrame, Javascript, Math

from claude_magic._kernel.values.bundles import image_in, readable, text_in
from claude_magic._kernel.values.html_text import text_of_html
from claude_magic._kernel.values.shown_value import show_value

VEGALITE = "application/vnd.vegalite.v5+json"
PLOTLY = "application/vnd.plotly.v1+json"

HTMLS = {
    "<p>Hello <b>you</b></p><p>there</p>": "Hello you\n\nthere",
    "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>x | y</td></tr></table>": (
        "| a | b |\n| --- | --- |\n| 1 | x \\| y |"
    ),
    "<table><tr><th colspan=2>a<tr><td>1<td>2</table>": "| a | |\n| --- | --- |\n| 1 | 2 |",
    "<table><tr><td>1<td><table><tr><td>in</table></table>": "| 1 | in |\n| --- | --- |",
    "<table><caption>all</caption><tr><td>1</table>": "all\n\n| 1 |\n| --- |",
    "<ul><li>one<li>two</ul>": "- one\n- two",
    "<style>p {}</style><script>alert('<p>no</p>')</script><p hidden>no</p>yes": "yes",
    "<div style='display: none'>no <b>no</b><img src=x></div>yes": "yes",
    "a<br>b &lt;c&gt; <img src='data:image/png;base64,AAAA' alt='a cat'>": "a\nb <c> [image: a cat]",
    "x<pre>a\n  b</pre>y": "x\na\n  b\ny",
    "<select><option>no</select>yes": "yes",
    "<tr><td>loose</table></div></p>": "loose",
    "<table><tr><td>never closed": "| never closed |\n| --- |",
    "<iframe src='x'></iframe><canvas></canvas>": "",
    "": "",
}


@pytest.mark.parametrize(("html", "text"), HTMLS.items())
def test_html(html: str, text: str) -> None:
    """Of HTML there is what somebody would read: text, tables as Markdown, a word for an image."""
    assert text_of_html(html) == text


def test_a_long_cell() -> None:
    """A long cell of a table is cut, and says so."""
    assert text_of_html(f"<table><tr><td>{'x' * 300}</table>").startswith(f"| {'x' * 200}… (100 more characters) |")


@pytest.mark.parametrize("piece", ["<table>", "<td>", "<script>", "<table><tr><td colspan=99>", "<!--", "<?", "<a b='"])
def test_hostile_html(piece: str) -> None:
    """HTML that is deep, huge or broken takes a bounded time."""
    began = time.thread_time()
    text_of_html(piece * 50_000)
    assert time.thread_time() - began < 5


NOTHING = {"text/plain": "<IPython.core.display.HTML object>"}
BUNDLES: list[tuple[dict[str, Any], str]] = [
    ({"text/plain": "plain", "text/html": "<b>html</b>"}, "plain"),
    ({"text/plain": "plain", "text/markdown": "**md**"}, "**md**"),
    ({"text/html": "<b>html</b>"}, "html"),
    (NOTHING | {"text/html": ["<b>ht", "ml</b>"]}, "html"),
    ({"text/plain": "<folium.Map at 0x7f>", "text/html": "<iframe></iframe>"}, "<folium.Map at 0x7f>"),
    ({"text/plain": "alt.Chart(...)", VEGALITE: {"mark": "bar"}}, f'{VEGALITE}:\n{{"mark": "bar"}}'),
    (NOTHING | {"text/latex": "$x$"}, "$x$"),
    (NOTHING | {"application/json": {"a": 1}}, '<IPython.core.display.HTML object>\n{"a": 1}'),
    (NOTHING | {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}}, NOTHING["text/plain"]),
    ({"image/png": "AAAA"}, ""),
    ({}, ""),
]


@pytest.mark.parametrize(("bundle", "text"), BUNDLES)
def test_the_form_that_tells_most(bundle: dict[str, Any], text: str) -> None:
    """Of several forms the one is read that tells most, and what is kept for later tells the same."""
    assert text_in(bundle) == text
    assert text_in(readable(bundle)) == text
    assert image_in(readable(bundle)) == image_in(bundle)


def test_a_spec_is_short() -> None:
    """Of a chart's spec the data are cut to the first ones, and numbers in base64 are written out."""
    numbers = base64.b64encode(array("d", range(1000))).decode()
    spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "data": [{"x": {"dtype": "f8", "bdata": numbers}, "y": [{"v": n} for n in range(90_000)], "name": "n" * 900}],
        "layout": {"template": {"many": list(range(9000))}, "z": {"dtype": "?", "bdata": "!"}},
    }
    text = text_in({PLOTLY: spec, "text/plain": "Figure({...})"})
    assert len(text) < 1000
    shown = json.loads(text.partition("\n")[2])
    assert shown["data"][0]["x"] == [0.0, 1.0, 2.0, 3.0, 4.0, "… 995 more"]
    assert shown["data"][0]["y"][-1] == "… 89,995 more"
    assert shown["layout"] == {"z": "… 1 characters of base64 (?)"}


def test_a_spec_without_an_end() -> None:
    """What holds itself, or is deep, ends."""
    own: list[Any] = [1]
    own.append(own)
    deep: Any = []
    for _ in range(10_000):
        deep = [deep]
    assert len(text_in({VEGALITE: {"own": own, "deep": deep, "odd": {1: object()}}})) < 500


class Chart:
    """As Altair's."""

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        return {"text/plain": "<VegaLite 5 object>", VEGALITE: {"mark": "line", "data": {"values": list(range(500))}}}


class Fails:
    def _repr_html_(self) -> str:
        raise ValueError("no HTML today")


class Table:
    def _repr_html_(self) -> str:
        return "<table><tr><td>1</td></tr></table>"


@pytest.mark.parametrize(
    ("value", "part"),
    [
        (HTML("<p>words</p>"), "words"),
        (Table(), "| 1 |"),
        (Chart(), '"mark": "line"'),
        (JSON({"a": 1}), '{"a": 1}'),
        (Math("x^2"), "x^2"),
        (SVG("<svg xmlns='http://www.w3.org/2000/svg'><circle r='3'/></svg>"), "<circle"),
        (Javascript("alert(1)"), "alert(1)"),
        (IFrame("http://x", 1, 1), "IFrame at"),
        (Fails(), "Fails at"),
        (b"\0" * 1_000_000, "… 999,000 more bytes"),
        (bytearray(3), "bytearray(b"),
    ],
)
def test_values(shell: InteractiveShell, value: object, part: str) -> None:
    """A value that has HTML, a spec or a source only is told by that, not by its name; binary data by their beginning."""
    shown = show_value(shell, value, 3000)
    assert part in shown.text
    assert len(shown.text) < 5000

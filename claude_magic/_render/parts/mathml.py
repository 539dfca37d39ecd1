"""Formulas of settled HTML as MathML, for pages that do not typeset formulas in HTML (VS Code).

The kernel typesets formulas only here. The formula stays as text beside the MathML: a page that removes MathML, as
JupyterLab does in an untrusted notebook, finds the text again and typesets that.
"""

from __future__ import annotations

import html
import re
from functools import cache
from typing import Final

import nh3
from math_core import LatexError, LatexToMathML

from claude_magic._mathematics import tags_as_text

# A formula as `markdown_html` writes it; no other `<span>` begins like this.
_FORMULA: Final = re.compile(r"<span>(\\[(\[])(.*?)(\\[)\]])</span>", re.DOTALL)
# `\\[6pt]`, the space after a row, which math-core (0.9) does not know.
_ROW: Final = re.compile(r"(?<!\\)((?:\\\\)+)\*?\s*\[\s*[-+.\d][^\]]*\]")
_TAGS: Final = (
    "math mrow mi mn mo mtext mspace msqrt mroot mfrac msub msup msubsup munder mover munderover mtable mtr mtd mstyle mpadded "
    "mphantom menclose mmultiscripts mprescripts"
)
_ATTRIBUTES: Final = (
    "accent accentunder displaystyle fence form largeop linethickness lspace mathvariant maxsize minsize movablelimits "
    "notation rspace scriptlevel separator stretchy style symmetric width height depth voffset"
)
_STYLES: Final = (
    "text-align justify-items padding-left padding-right padding-top padding-bottom width margin-left color border-top "
    "border-right border-left border-bottom math-style math-depth"
)
_SIZE: Final = "font-size:14px"


def with_mathml(text: str) -> str:
    """Replace the formulas in settled HTML by MathML; a formula that math-core cannot read stays as it is."""
    return _FORMULA.sub(_replaced, text)


def _replaced(match: re.Match[str]) -> str:
    opening, formula, closing = match.groups()
    is_display = opening == "\\["
    tex = _ROW.sub(r"\1", tags_as_text(html.unescape(formula)))
    try:
        mathml = _converter().convert_with_local_state(tex, displaystyle=is_display)
    except LatexError:
        return match[0]
    body = _cleaner().clean(mathml).partition(">")[2].removesuffix("</math>")
    # If a page removes the elements of MathML, their letters stay: so these have font size 0, and the source is visible.
    display = ' display="block"' if is_display else ""
    return (
        f'<span style="font-size:0"><math{display} style="{_SIZE}"><semantics><mrow>{body}</mrow>'
        f'<annotation-xml encoding="text/html"><span style="{_SIZE}">{opening}{formula}{closing}</span></annotation-xml>'
        "</semantics></math></span>"
    )


_converter = cache(LatexToMathML)


@cache
def _cleaner() -> nh3.Cleaner:
    return nh3.Cleaner(
        tags=set(_TAGS.split()), attributes={"*": set(_ATTRIBUTES.split())}, filter_style_properties=set(_STYLES.split())
    )

"""Mathematics in replies: what is a formula and what is not, in every form, and at what cost."""

from __future__ import annotations

import re
from time import process_time

import pytest
from markdown_it.token import Token
from render.payloads import MACROS
from rich.console import Console

from claude_magic._markdown import finished_length, make_parser
from claude_magic._mathematics import FORMULA_LENGTH, checked
from claude_magic._render.parts.markdown_html import escape, text_html
from claude_magic._render.parts.mathml import with_mathml
from claude_magic._render.parts.safe_markdown import escape as markdown_escape
from claude_magic._render.parts.safe_markdown import text_markdown
from claude_magic._render.terminal import _prose

MATRIX = "\\begin{pmatrix}\na & b \\\\\nc & d\n\\end{pmatrix}"


def formulas(markdown: str) -> list[str | None]:
    """The formulas of a text as a typesetter gets them; `None` for one that may not be typeset."""

    def found(tokens: list[Token]) -> list[str | None]:
        return [
            formula
            for token in tokens
            for formula in ([token.meta["tex"]] if token.type.startswith("formula") else found(token.children or []))
        ]

    return found(make_parser().parse(markdown))


def typeset(html: str) -> list[str]:
    """What MathJax finds in a page: its marks in one stretch of text, outside of code."""
    outside = re.sub(r"<(pre|code)\b.*?</\1>", "", html, flags=re.DOTALL)
    marks = r"\$\$.+?\$\$|\$.+?\$|\\\(.+?\\\)|\\\[.+?\\\]|\\begin\{.+?\\end\{|\\(?:eq)?ref"
    return [match for text in re.split(r"<[^>]*>|\n\n", outside) for match in re.findall(marks, text, re.DOTALL)]


@pytest.mark.parametrize(
    ("markdown", "tex"),
    [
        ("The $x^2$ of", "x^2"),
        (r"So \(x_1 + x_2\).", "x_1 + x_2"),
        (r"(\(n\))", "n"),
        ("$$x = 1$$", "x = 1"),
        ("so $$x = 1$$ holds", "x = 1"),
        (r"so \[x = 1\] holds", "x = 1"),
        ("\\[\nx = 1\n\\]", "x = 1"),
        ("Then\n$$\nx\n+ y\n- z\n= 1\n$$\nand", "x\n+ y\n- z\n= 1"),
        ("\\[\na\n> b\n# c\n\\].", None),
        ("\\[\na\n> b\n\\].", "a\n> b."),
        ("- so\n  \\[\n  x\n  \\]\n", "x"),
        ("> $$\n> x\n> $$\n", "x"),
        (f"$${MATRIX}$$", MATRIX),
        (f"\\[\n{MATRIX}\n\\]", MATRIX),
        (MATRIX, MATRIX),
        (f"With {MATRIX} it", MATRIX),
        ("\\begin{cases} 1 & x > 0 \\\\ 0 \\end{cases}", "\\begin{cases} 1 & x > 0 \\\\ 0 \\end{cases}"),
        ("\\begin{align*}\na &= b \\\\[4pt]\n&= c\n\\end{align*}", "\\begin{aligned}\na &= b \\\\[4pt]\n&= c\n\\end{aligned}"),
        ("\\begin{equation}\\label{eq:a}\nx\n\\end{equation}", "x"),
        (
            "$$\\begin{align} a \\tag{1} \\\\ b \\nonumber \\end{align}$$",
            r"\begin{aligned} a \qquad\text{(1)} \\ b  \end{aligned}",
        ),
        ("$$a \\\\ b$$", r"\begin{gathered}a \\ b\end{gathered}"),
        ("$$a &= b \\\\ c$$", r"\begin{aligned}a &= b \\ c\end{aligned}"),
        ("the $n$th", "n"),
        ("设$x$为", "x"),
        (r"$\text{if } a_1 \text{ and so on}$", r"\text{if } a_1 \text{ and so on}"),
        (r"$100\%$ and \$5", r"100\%"),
        (r"$\bm{x} \bmod 2$", r"\boldsymbol{x} \bmod 2"),
        (r"*$a_b$*", "a_b"),
        ("| a |\n|---|\n| $x_1$ |", "x_1"),
    ],
)
def test_mathematics_is_found(markdown: str, tex: str | None) -> None:
    """A formula is found in whichever marks a model writes it, whole, with its rows and backslashes."""
    assert formulas(markdown) == [tex]
    assert len(typeset(text_html(markdown))) == (tex is not None)


@pytest.mark.parametrize(
    "markdown",
    [
        "`PATH=$HOME/bin:$PATH` is $HOME/bin:$PATH",
        "df$price*df$qty and df$a$b",
        "$A,$B and $A/$B, $1:$2",
        "${HOME}/${USER} or $(pwd)/$(ls)",
        "$_GET['a'].$_POST['b'] and $this->a.$this->b",
        "from $5 to $10, $5-$10, $5/month or US$5, 5$ and 10$",
        "I paid $20 and they gave 30$",
        "$5M,$10M and $1.50",
        "costs $$ and $$ more, $$$",
        r"escaped \[1\] and \(optional\) and \$5\$ and \$x$",
        r"use \\(x\\) there",
        "$ x $ and $x $",
        "$x\n\ny$",
        "$$ x\n\ny $$",
        "$$$$",
        r"\( \) \[ \] \(a \[b\) c\]",
        r"C:\begin{x} \begin{verbatim} a \end{verbatim}",
        "\\begin{align}\nx",
        "`$x$` and `\\(y\\)`",
        "$a `b$ c`",
        "    $$\n    x\n    $$",
        "```\n$$\nx\n$$\n\\[ y \\]\n```",
        "^foo$|^bar$",
    ],
)
def test_what_is_no_mathematics(markdown: str) -> None:
    """Prices, variables of shells, columns, escaped brackets and code are no formulas, to no frontend."""
    assert formulas(markdown) == []
    assert typeset(text_html(markdown)) == []
    rendered = re.sub("&#(36|92);", lambda match: chr(int(match[1])), text_markdown(markdown).replace(r"\$", "$"))
    without_code = re.sub(r"^```.*?^```|`[^`]+`", "", rendered, flags=re.DOTALL | re.MULTILINE)
    assert typeset(without_code) == []


@pytest.mark.parametrize("markdown", MACROS)
def test_only_listed_macros_are_typeset(markdown: str) -> None:
    """A formula that draws over the page, loads, defines, or touches files is shown as it was written, in every form."""
    assert set(formulas(markdown)) <= {None}
    assert typeset(text_html(markdown)) == []
    assert with_mathml(text_html(markdown)) == text_html(markdown)
    assert not re.search(
        r"\\(?!\$|[*_~#.)+=-])", re.sub(r"^```.*?^```|`[^`]+`", "", text_markdown(markdown), flags=re.M | re.S)
    )


@pytest.mark.parametrize(
    "text", [*MACROS, "$x$", r"\(x\)", r"\[x\]", r"\begin{align}x\end{align}", "$$x$$", r"\ref{x} \eqref{x}"]
)
def test_nothing_outside_of_prose_is_mathematics(text: str) -> None:
    """What is escaped, as names, errors and titles are, is mathematics to no frontend, in HTML or in Markdown."""
    assert typeset(escape(text)) == []
    page = markdown_escape(text).replace(r"\$", "$")
    assert typeset(re.sub("&#(36|92);", lambda match: chr(int(match[1])), page)) == []


def test_macros_of_formulas_are_listed() -> None:
    """What models write in formulas is on the list."""
    written = r"""
    \frac{a}{b} \dfrac12 \sqrt[3]{x} \sum_{i=1}^{n} \int_0^\infty e^{-x^2}\,dx \hat{\beta}
    \operatorname*{arg\,max}_\theta \mathbb{E}[X \mid Y] \left\lVert x \right\rVert_2 \xrightarrow{d}
    \mathcal{N}(0, \sigma^2) \underbrace{a+b}_{n} \boxed{x} \binom{n}{k} \lim_{n\to\infty} \overline{z}
    \Rightarrow \iff \forall \varepsilon > 0 \exists \delta \textcolor{red}{x} \pmod p \bigl( \bigr)
    \Bigg| \nabla \cdot \mathbf{F} \partial_t u \vec{v} \times \dot x \quad \text{for } x \in
    \mathbb{R}^n \mkern3mu
    """.strip()
    assert checked(written) == written


@pytest.mark.parametrize(
    ("written", "tex"),
    [
        (r"\hspace{-.5em}", "{}"),
        (r"\hspace*{ -.4 em }x", "{}x"),
        (r"\hspace{-5em}", None),
        (r"\kern-5em x", None),
        (r"\kern-.2em\kern-.31em x", None),
        (r"\mskip -3mu\hskip-1pt\mspace{-3mu}x\mkern-1mu", "{}{}{}x{}"),
        (r"\int\!\!\!\int f\!\left(x\right)", r"\int{}{}{}\int f{}\left(x\right)"),
        (r"x_{\!a}\negthinspace\negmedspace\negthickspace y", "x_{{}a}{}{}{} y"),
        (r"x^\!y", "x^{}y"),
        (r"\begin{matrix}a\\[-.1em]b\\* [ -1pt ]c\\[4pt]d\\!\end{matrix}", r"\begin{matrix}a\\b\\*c\\[4pt]d\\!\end{matrix}"),
        (r"\begin{matrix}a\\[-.1em][-.1em]b\end{matrix}", None),
        (r"\kern--.1em x", None),
        (r"\kern -.1 e m x", None),
        (r"\kern\kern-.1em-.1em x", None),
        (r"\hspace{{-.1em}}x", None),
        (r"\kern[-.1em x", None),
        (r"\!\label{a}!", "{}!"),
        (r"\hsp\label{a}ace{-.5em}x", "{}x"),
        (r"\!" * 16, "{}" * 16),
        (r"\!" * 17, None),
    ],
)
def test_no_space_goes_back(written: str, tex: str | None) -> None:
    """No formula moves what follows it over other text, however often it is repeated; spaces that go forth stay."""
    assert checked(written) == tex
    assert checked(r"\hspace{99em}x\kern1em") == r"\hspace{99em}x\kern1em"
    assert checked(r"\hspace{99em}x\kern2em") is None


def test_a_formula_has_its_bounds() -> None:
    """A formula that is too long, too deep or not balanced is text."""
    assert checked("x" * FORMULA_LENGTH) is not None
    assert checked("x" * (FORMULA_LENGTH + 1)) is None
    assert checked("{" * 40 + "x" + "}" * 40) is not None
    assert checked("{" * 400 + "x" + "}" * 400) is None
    assert checked("{x") is checked("x}") is checked(r"\begin{cases} x") is checked("x\\") is None


def test_formulas_are_written_out_in_markdown_and_in_a_terminal() -> None:
    """Markdown holds formulas as all its readers know them, a terminal shows them as they were written, row by row."""
    reply = f"So \\(x < 1\\):\n\n\\[\n{MATRIX}\n\\]\n"
    assert text_markdown(reply) == f"So $x \\lt  1$:\n\n$${' '.join(MATRIX.split())}$$"
    console = Console(width=60, color_system=None)
    with console.capture() as captured:
        console.print(_prose(reply))
    assert [line.rstrip() for line in captured.get().splitlines() if line.strip()] == [
        r"So \(x < 1\):",
        *f"\\[\n{MATRIX}\n\\]".splitlines(),
    ]


def test_mathml_stands_in_for_mathjax() -> None:
    """A page that typesets no HTML gets MathML, with the source inside for one that takes MathML out."""
    html = with_mathml(text_html(f"So $x^2$ costs $5:\n\n{MATRIX}\n\n$$a \\\\[6pt] b \\tag{{1}}$$"))
    assert "<math " in html
    assert "<msup><mi>x</mi><mn>2</mn></msup>" in html
    assert html.count('<math display="block"') == 2
    assert "6" not in re.sub("<annotation-xml.*?</annotation-xml>|<[^>]*>", "", html, flags=re.DOTALL)
    assert r'<span style="font-size:14px">\(x^2\)</span></annotation-xml>' in html
    assert with_mathml("<p>\\(x\\)</p>") == "<p>\\(x\\)</p>"


WRITTEN = [
    ("H<sub>2</sub>O", "<p>H<sub>2</sub>O</p>\n", "H₂O"),
    ("e<sup>-x/2</sup>", "<p>e<sup>-x/2</sup></p>\n", "e^(-x/2)"),
    ("<KBD>a</KBD><br>b<br/>c", "<p><kbd>a</kbd><br>\nb<br>\nc</p>\n", "a\\\nb\\\nc"),
    ("<b>a</b> <i>b</i>", "<p><strong>a</strong> <em>b</em></p>\n", "**a** *b*"),
    ("a<br>", "<p>a<br>\n</p>\n", "a"),
    ("<sub>a *b</sub> c*", None, None),
    ("<sub>a <sup>b</sub>", None, None),
    ('<sub onclick="x">a</sub>', None, None),
    ("- [ ] a\n- [X] b", "<ul>\n<li>☐ a</li>\n<li>☑ b</li>\n</ul>\n", "- ☐ a\n- ☑ b"),
    ("a[^n]\n\n[^n]: b", "<p>a<sup>[n]</sup></p>\n<p><sup>[n]</sup> b</p>\n", "a&#91;n&#93;\n\n&#91;n&#93; b"),
    (
        "<details>\n<summary>a</summary>\n\nb\n</details>",
        "<details>\n<summary>a</summary>\n<p>b</p>\n</details>\n",
        "**a**\n\nb",
    ),
]


@pytest.mark.parametrize(("written", "html", "markdown"), WRITTEN)
def test_what_models_write_beyond_markdown(written: str, html: str | None, markdown: str | None) -> None:
    """A few tags, lists of tasks, folds and footnotes are what they mean, in HTML and in Markdown; others are text."""
    shown = text_html(written)
    if html is None:
        assert "&lt;su" in shown
        assert "<sub" not in shown
    else:
        assert shown == html
        assert text_markdown(written) == markdown


@pytest.mark.parametrize(
    "written",
    ["<details>\n\n- a\n</details>\n", "> <details>\n\n</details>", "</details>", "<summary>a</summary>", "<details>"],
)
def test_a_fold_without_an_end_is_text(written: str) -> None:
    """A fold reaches out of no list or quote, and one that is not closed is shown as text."""
    shown = text_html(written)
    assert ("<details>" in shown) == (written.count("details") == 2 and written.startswith("<details>\n\n- a"))
    assert shown.count("<details>") == shown.count("</details>")


WORST = {
    "dollars": "$",
    "pairs": "$$ ",
    "pairs that begin lines": "$$ a\n",
    "formulas": "$a$ ",
    "brackets": "\\(",
    "brackets that begin lines": "\\[ a\n",
    "brackets after blank lines": "\\[ a\n\n",
    "environments": "\\begin{align}",
    "environments that begin lines": "\\begin{align}\n",
    "two environments": "\\begin{align}\\begin{cases}\n",
    "macros": "$\\mm{a}$ ",
    "text": "$\\text{ ",
    "words": "$ab cde fgh ",
    "backslashes": "\\",
    "escapes": "\\$",
    "shell": "${a}:",
    "tags": "<sub>",
    "folds": "<details>\n",
    "footnotes": "[^1]: a\n",
    "fences of Markdown": "```markdown\n```a\n```\n",
}


@pytest.mark.parametrize("worst", WORST.values(), ids=WORST.keys())
def test_reading_costs_what_the_length_is(worst: str) -> None:
    """However many formulas, folds or fences a text begins and does not end, ten times as much costs no hundred times."""

    def cost(length: int) -> float:
        text = worst * (length // len(worst))
        begin = process_time()
        text_html(text)
        text_markdown(text)
        finished_length(text)
        return process_time() - begin

    cost(1_000)
    # The best of three: what else goes on in the machine is not measured.
    assert any(cost(20_000) < 40 * cost(2_000) + 0.1 for _ in range(3))

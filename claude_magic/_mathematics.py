r"""Mathematics in a model's Markdown: where formulas start and end, and which of them may be typeset.

Owns the parser's rules for dollars, `\( \)`, `\[ \]` and bare environments, each linear in the length of the text, and the list
of macros that a formula may use. A typesetter's language can draw over a page, make elements and read files, so a formula with
any other macro is shown as its source. A token's `content` is the source with its delimiters; `meta` holds `tex`, the formula
without them (`None` if it may not be typeset), and `display`.
"""

from __future__ import annotations

import re
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

# Few formulas are longer, and the time of typesetting must be limited.
FORMULA_LENGTH: Final = 10_000
_DEPTH: Final = 60

_ROWS: Final = "aligned alignedat gathered split cases dcases rcases drcases matrix pmatrix bmatrix Bmatrix vmatrix Vmatrix"
_NUMBERED: Final = {
    "align": "aligned",
    "alignat": "alignedat",
    "flalign": "aligned",
    "gather": "gathered",
    "multline": "gathered",
}
_PLAIN: Final = ("equation", "displaymath", "math")
_ENVIRONMENTS: Final = frozenset(
    [*_ROWS.split(), *_NUMBERED, *_PLAIN, "smallmatrix", "array", "subarray", "eqnarray"]
    + [f"{name}*" for name in (*_NUMBERED, "equation", "eqnarray")]
)

# Letters, operators, relations, arrows, delimiters and accents; then macros that build a formula. Macros that move a box
# or draw one of any size (`\smash`, `\rlap`, `\raise`, `\rule`) are left out: with them a formula could cover other text.
_MACROS: Final = frozenset(
    re.findall(
        r"\w+",
        """
    alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon phi chi psi
    omega Alpha Beta Gamma Delta Epsilon Zeta Eta Theta Iota Kappa Lambda Mu Nu Xi Omicron Pi Rho Sigma Tau Upsilon Phi
    Chi Psi Omega varepsilon vartheta varkappa varpi varrho varsigma varphi varGamma varDelta varTheta varLambda varXi
    varPi varSigma varUpsilon varPhi varPsi varOmega digamma aleph beth gimel daleth ell hbar hslash imath jmath wp Re Im
    mho eth Finv Game Bbbk complement partial nabla infty emptyset varnothing forall exists nexists top bot angle
    measuredangle sphericalangle triangle square Box Diamond lozenge blacklozenge blacksquare blacktriangle
    blacktriangledown blacktriangleleft blacktriangleright bigstar star diamondsuit heartsuit clubsuit spadesuit flat
    natural sharp prime backprime degree circledR circledS checkmark maltese yen pounds copyright dag ddag S P surd neg
    lnot flat backslash AA
    pm mp times div ast cdot cdotp circ bullet cap cup uplus sqcap sqcup vee wedge lor land oplus ominus otimes oslash
    odot amalg setminus smallsetminus wr diamond bigtriangleup bigtriangledown triangleleft triangleright lhd rhd unlhd
    unrhd dagger ddagger bigcirc dotplus ltimes rtimes leftthreetimes rightthreetimes Cap Cup doublecap doublecup barwedge
    doublebarwedge veebar curlywedge curlyvee boxplus boxminus boxtimes boxdot circledast circledcirc circleddash intercal
    divideontimes centerdot sum prod coprod int iint iiint iiiint idotsint oint oiint oiiint bigcap bigcup bigcupdot
    bigsqcup bigvee bigwedge bigodot bigotimes bigoplus biguplus smallint
    le leq ge geq ne neq lt gt ll gg lll ggg leqslant geqslant leqq geqq eqslantless eqslantgtr lesssim gtrsim lessapprox
    gtrapprox lessdot gtrdot lessgtr gtrless lesseqgtr gtreqless lesseqqgtr gtreqqless equiv sim simeq approx approxeq
    cong propto varpropto doteq doteqdot Doteq fallingdotseq risingdotseq circeq triangleq eqcirc bumpeq Bumpeq backsim
    backsimeq asymp thicksim thickapprox prec succ preceq succeq preccurlyeq succcurlyeq precsim succsim precapprox
    succapprox curlyeqprec curlyeqsucc subset supset subseteq supseteq subseteqq supseteqq Subset Supset sqsubset sqsupset
    sqsubseteq sqsupseteq in ni owns notin mid nmid parallel nparallel perp vdash dashv Vdash vDash Vvdash models bowtie
    Join smile frown smallsmile smallfrown between pitchfork therefore because vartriangle vartriangleleft
    vartriangleright trianglelefteq trianglerighteq ntriangleleft ntriangleright ntrianglelefteq ntrianglerighteq nless
    ngtr nleq ngeq nleqslant ngeqslant lneq gneq lneqq gneqq lnsim gnsim lnapprox gnapprox nprec nsucc npreceq nsucceq
    precneqq succneqq precnsim succnsim precnapprox succnapprox nsim ncong nsubseteq nsupseteq subsetneq supsetneq
    subsetneqq supsetneqq varsubsetneq varsupsetneq nvdash nvDash nVdash nVDash shortmid shortparallel coloneqq eqqcolon
    coloneq colon vcentcolon
    to gets leftarrow rightarrow leftrightarrow uparrow downarrow updownarrow Leftarrow Rightarrow Leftrightarrow Uparrow
    Downarrow Updownarrow longleftarrow longrightarrow longleftrightarrow Longleftarrow Longrightarrow Longleftrightarrow
    implies impliedby iff mapsto longmapsto hookleftarrow hookrightarrow nearrow searrow swarrow nwarrow leftharpoonup
    leftharpoondown rightharpoonup rightharpoondown rightleftharpoons leftrightharpoons upharpoonleft upharpoonright
    downharpoonleft downharpoonright restriction leftleftarrows rightrightarrows leftrightarrows rightleftarrows
    upuparrows downdownarrows Lleftarrow Rrightarrow leftarrowtail rightarrowtail twoheadleftarrow twoheadrightarrow
    looparrowleft looparrowright curvearrowleft curvearrowright circlearrowleft circlearrowright Lsh Rsh leadsto
    rightsquigarrow leftrightsquigarrow multimap dashleftarrow dashrightarrow nleftarrow nrightarrow nleftrightarrow
    nLeftarrow nRightarrow nLeftrightarrow xleftarrow xrightarrow xleftrightarrow xLeftarrow xRightarrow xLeftrightarrow
    xmapsto xhookleftarrow xhookrightarrow
    left right middle big Big bigg Bigg bigl Bigl biggl Biggl bigr Bigr biggr Biggr bigm Bigm biggm Biggm lvert rvert
    lVert rVert vert Vert langle rangle lfloor rfloor lceil rceil lbrace rbrace lbrack rbrack lgroup rgroup lmoustache
    rmoustache ulcorner urcorner llcorner lrcorner
    hat widehat bar vec dot ddot dddot ddddot tilde widetilde check breve acute grave mathring overline underline
    overbrace underbrace overrightarrow overleftarrow overleftrightarrow underrightarrow underleftarrow
    underleftrightarrow underbar
    frac dfrac tfrac cfrac binom dbinom tbinom sqrt over atop choose overset underset stackrel substack sideset not boxed
    fbox cancel bcancel xcancel phantom hphantom vphantom mathstrut strut limits nolimits displaystyle textstyle
    scriptstyle scriptscriptstyle mathop mathbin mathrel mathopen mathclose mathpunct mathord mathinner operatorname color
    textcolor text textrm textbf textit textsf texttt textup textnormal mbox mathrm mathbf mathit mathsf mathtt mathbb
    mathcal mathscr mathfrak mathnormal boldsymbol bm pmb rm bf it sf tt cal tiny scriptsize small normalsize large Large
    begin end hline hdashline cr newline tag notag nonumber label
    quad qquad enspace thinspace medspace thickspace negthinspace negmedspace negthickspace nobreakspace space hspace kern
    mkern hskip mskip mspace hfill allowbreak dots ldots cdots vdots ddots iddots dotsb dotsc dotsi dotsm dotso bra ket
    braket Bra Ket Braket
    arccos arcsin arctan arg cos cosh cot coth csc deg det dim exp gcd hom inf ker lg lim liminf limsup ln log max min Pr
    sec sin sinh sup tan tanh injlim projlim varinjlim varprojlim varliminf varlimsup mod bmod pmod pod argmax argmin
    """,
    )
)
_SIGNS: Final = frozenset(",;:!>{}|\\%#&_$ /-\n")
_MACRO: Final = re.compile(r"\\([A-Za-z]+|.)", re.DOTALL)
_PARTS: Final = re.compile(r"\\(?:[A-Za-z]+|.)|[{}&]", re.DOTALL)
_ENVIRONMENT: Final = re.compile(r"\\(begin|end)\s*(?:\{([A-Za-z]+\*?)\})?")

_UNIT_EM: Final = {"em": 1, "ex": 0.45, "mu": 1 / 18, "pt": 0.1, "px": 0.0625, "mm": 0.285, "cm": 2.85, "in": 7.2, "pc": 1.2}
_SPACE: Final = re.compile(r"\\(?:hspace\*?|m?kern|[hm]skip|mspace)(?![A-Za-z])|\\\\\*?\s*(?=\[\s*[-+.\d])")
_DIMENSION: Final = re.compile(r"\s*[{\[]?\s*([-+]?(?:\d{1,4}(?:\.\d{0,9})?|\.\d{1,9}))\s*([a-z]{2})(?![a-z])")
_BACK: Final = r"-\s*[\d.]+\s*[a-z]{2}(?![a-z])\s*"
_BACKWARD: Final = re.compile(
    r"(?P<space>\\(?:!|neg(?:thin|med|thick)space(?![A-Za-z])"
    rf"|(?:hspace\*?|m?kern|[hm]skip|mspace)\s*(?:\{{\s*{_BACK}\}}|{_BACK})))"
    rf"|(?P<row>\\\\\*?)\s*\[\s*{_BACK}\]|\\(?:[A-Za-z]+|.)",
    re.DOTALL,
)
_NEGATIVE: Final = re.compile(r"\\(?:!|neg(?:thin|med|thick)space)")
_BACK_EM, _FORTH_EM = 0.5, 100
_NEGATIVES: Final = 16
_COLUMNS: Final = re.compile(r"\\begin\s*\{(?:sub)?array\}(?!\s*\{[lcr|: ]{1,80}\})")
_COUNTED: Final = re.compile(r"\\begin\s*\{align(?:ed)?at\*?\}(?!\s*\{\d{1,2}\})")
# Arguments that set attributes, a colour that is no name and no hex number, comments, and `^^`, which can write any character.
_REFUSED: Final = re.compile(
    r"\\[bx]?cancel\s*\[|\\begin\s*\{[^{}]*\}\s*\[|\\(?:text)?color(?!\s*\{\s*(?:[A-Za-z]{1,20}|#[0-9A-Fa-f]{3,8})\s*\})"
    r"|(?<!\\)(?:\\\\)*+[%#]|\^\^|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)

_LABEL: Final = re.compile(r"\\label\s*\{[^{}]*\}|\\(?:notag|nonumber)(?![A-Za-z])")
# Macros that some typesetters lack, each with a replacement.
_OTHER_WORDS: Final = {"bm": r"\boldsymbol", "argmax": r"\operatorname*{arg\,max}", "argmin": r"\operatorname*{arg\,min}"}
_OTHERS: Final = re.compile(rf"\\({'|'.join(_OTHER_WORDS)})(?![A-Za-z])")
_TAG: Final = re.compile(r"\\tag\s*(\*?)\s*\{([^{}]*)\}")
_WHOLE: Final = re.compile(r"\\begin\s*\{([a-z]+)\*?\}(.*)\\end\s*\{\1\*?\}\s*([.,;:]?)", re.DOTALL)

# A formula in dollars ends at the next dollar, even if the text up to it is no formula, so that no text is read twice.
_IN_DOLLARS: Final = re.compile(r"(?:[^\\$]|\\.)*+", re.DOTALL)
_IN_DOUBLE: Final = re.compile(r"(?:[^\\$]|\\.|\$(?!\$))*+", re.DOTALL)
_IN_BRACKETS: Final = re.compile(r"(?:[^\\]|\\[^()\[\]])*+", re.DOTALL)
_ORDINAL: Final = re.compile(r"(?:th|st|nd|rd|s|d)(?![A-Za-z0-9])")
_WORDS_INSIDE: Final = re.compile(r"\\(?:text\w*|mbox|math\w+|operatorname\*?)\s*\{[^{}]*\}|\\[A-Za-z]+")
_PROSE: Final = re.compile(r"(?<![A-Za-z])[A-Za-z]{3,}[,;:]?\s+[A-Za-z]{3,}(?![A-Za-z])")
_PRICE: Final = re.compile(r"\d[\d.,]*[KMBkmb]?[,;:]?\s+[A-Za-z]{2,}")
_MATHEMATICAL: Final = re.compile(r"[\\^_={}+<>|/*-]|[A-Za-z]\(")
_OPENING: Final = re.compile(r"\$\$(?!\$)|\\\[|\\begin\{([A-Za-z]+\*?)\}")
_END_OF_DOLLARS: Final = re.compile(r"(?:[^\\$]|\\.|\$(?!\$))*+\$\$")
_END_OF_BRACKET: Final = re.compile(r"(?:[^\\]|\\[^\[\]])*+\\(?:\]|(\[))")


def mathematics_plugin(markdown: MarkdownIt) -> None:
    """Teach a parser mathematics."""
    markdown.block.ruler.before("fence", "formula", _block_rule, {"alt": ["paragraph", "reference", "blockquote", "list"]})
    markdown.inline.ruler.before("escape", "formula", _inline_rule)


def opens_formula(line: str) -> bool:
    """Whether a formula may start at the start of a line of Markdown, after the marks of lists and quotes."""
    return _OPENING.match(line.lstrip(" \t>-*+0123456789.)")) is not None


def checked(tex: str, *, display: bool = False) -> str | None:
    r"""Return a formula in a form that every typesetter accepts, without delimiters; `None` if it may not be typeset.

    Numbered environments are replaced by those for use inside a formula (`align` by `aligned`), as LaTeX requires. Labels are
    removed, and rows without an environment get one. Small negative spaces are removed, too: they are mere fine tuning, and
    those of many formulas would add up and draw what follows over other text.
    """
    tex = _LABEL.sub("", tex).strip()
    if not tex or len(tex) > FORMULA_LENGTH or _REFUSED.search(tex) or not _is_listed(tex) or not _stays_in_place(tex):
        return None
    tex = _BACKWARD.sub(lambda match: "{}" if match["space"] else match["row"] or match[0], tex)
    if not _stays_in_place(tex, back_em=0):
        return None
    tex = _OTHERS.sub(lambda match: _OTHER_WORDS[match[1]], tex)
    if (whole := _WHOLE.fullmatch(tex)) and f"\\end{{{whole[1]}" not in whole[2]:
        name, inside = whole[1], f"{whole[2]}{whole[3]}"
        if name in _PLAIN:
            return inside.strip()
        if name in _NUMBERED:
            return f"\\begin{{{_NUMBERED[name]}}}{tags_as_text(inside)}\\end{{{_NUMBERED[name]}}}"
        if name == "eqnarray":
            return f"\\begin{{array}}{{rcl}}{tags_as_text(inside)}\\end{{array}}"
    if display and _has_bare_rows(tex):
        name = "aligned" if _has_bare_rows(tex, columns=True) else "gathered"
        return f"\\begin{{{name}}}{tags_as_text(tex)}\\end{{{name}}}"
    return tex


def tags_as_text(tex: str) -> str:
    """Return a formula with each tag, the number of an equation, replaced by a gap and a text."""
    return _TAG.sub(lambda match: f"\\qquad\\text{{{match[2] if match[1] else f'({match[2]})'}}}", tex)


def _has_bare_rows(tex: str, *, columns: bool = False) -> bool:
    depth = 0
    for part in _PARTS.findall(tex):
        depth += 1 if part in ("{", "\\begin") else -1 if part in ("}", "\\end") else 0
        if not depth and part == ("&" if columns else "\\\\"):
            return True
    return False


def _is_listed(tex: str) -> bool:
    if any(name not in (_MACROS if name.isalpha() else _SIGNS) for name in _MACRO.findall(tex)):
        return False
    depth = 0
    for brace in _PARTS.findall(tex):
        depth += {"{": 1, "}": -1}.get(brace, 0)
        if not 0 <= depth <= _DEPTH:
            return False
    open_names: list[str] = []
    for verb, name in _ENVIRONMENT.findall(tex):
        if name not in _ENVIRONMENTS or (verb == "end" and (not open_names or open_names.pop() != name)):
            return False
        if verb == "begin":
            open_names.append(name)
    return not depth and not open_names and not _COLUMNS.search(tex) and not _COUNTED.search(tex) and not tex.endswith("\\")


def _stays_in_place(tex: str, back_em: float = _BACK_EM) -> bool:
    """Whether the spaces in a formula are so small that the formula does not cover other text."""
    back, forth = 0.0, 0.0
    for space in _SPACE.finditer(tex):
        size = _DIMENSION.match(tex, space.end())
        if size is None or size[2] not in _UNIT_EM:
            return False
        em = float(size[1]) * _UNIT_EM[size[2]]
        back, forth = back - min(em, 0), forth + max(em, 0)
    return back <= back_em and forth <= _FORTH_EM and len(_NEGATIVE.findall(tex)) <= _NEGATIVES


def _inline_rule(reader: StateInline, silent: bool) -> bool:
    rule = {"$": _dollars, "\\": _backslash}.get(reader.src[reader.pos])
    return rule is not None and rule(reader, silent)


def _dollars(reader: StateInline, silent: bool) -> bool:
    text, start, end = reader.src, reader.pos, reader.posMax
    run = start
    while run < end and text[run] == "$":
        run += 1
    marks = run - start
    if marks < 3:
        found = (_IN_DOLLARS if marks == 1 else _IN_DOUBLE).match(text, run, end)
        close = found.end() if found else end
        before, inside, after = text[start - 1 : start], text[run:close], text[close + marks : close + marks + 12]
        is_closed = text.startswith("$" * marks, close, end)
        if is_closed and (_is_single(before, inside, after) if marks == 1 else _is_double(inside)):
            return _put(reader, silent, close + marks, inside, display=marks == 2)
    reader.pos = run  # no other rule reads dollars
    if not silent:
        reader.pending += text[start:run]
    return True


def _is_single(before: str, inside: str, after: str) -> bool:
    """Distinguish a formula from prices, shell variables and columns of data frames (`$HOME/bin:$PATH`, `df$a*df$b`)."""
    if not inside or inside[0].isspace() or inside[-1].isspace() or "`" in inside or _is_word(before) or after[:1] == "$":
        return False
    if _is_word(after) and not _ORDINAL.match(after):
        return False
    if after[:1] and after[0] in "({" and inside[0] == after[0]:  # `${HOME}/${USER}`, `$(a)/$(b)`
        return False
    return not _PRICE.match(inside) and not _is_prose(inside)


def _is_double(inside: str) -> bool:
    is_formula = len(inside.strip()) < 3 or _MATHEMATICAL.search(inside)
    return bool(inside.strip() and is_formula) and "`" not in inside and not _is_prose(inside)


def _is_word(text: str) -> bool:
    return text[:1].isascii() and (text[:1].isalnum() or text[:1] == "_")


def _is_prose(inside: str) -> bool:
    return _PROSE.search(_WORDS_INSIDE.sub(" + ", inside)) is not None


def _backslash(reader: StateInline, silent: bool) -> bool:
    text, start, end = reader.src, reader.pos, reader.posMax
    sign = text[start + 1 : start + 2]
    if sign and sign in "([":
        found = _IN_BRACKETS.match(text, start + 2, end)
        close = found.end() if found else end
        inside = text[start + 2 : close]
        if not text.startswith("\\)" if sign == "(" else "\\]", close, end) or not inside.strip() or "`" in inside:
            return False
        if (sign == "[" or len(inside) > 5) and not _MATHEMATICAL.search(inside):
            return False  # escaped brackets around a word or a number
        return not _is_prose(inside) and _put(reader, silent, close + 2, inside, display=sign == "[")
    opening = _OPENING.match(text, start, end)
    if opening is None or opening[1] not in _ENVIRONMENTS or _is_known_open(reader.env, text, opening[1], start):
        return False
    if (stop := _end_of_environment(text, start, end, opening[1])) is None:
        reader.env[f"formula {opening[1]}"] = text, end
        return False
    return _put(reader, silent, stop, text[start:stop], display=True)


def _put(reader: StateInline, silent: bool, stop: int, tex: str, *, display: bool) -> bool:
    if not silent:
        token = reader.push("formula", "", 0)
        token.content = reader.src[reader.pos : stop]
        token.meta = {"tex": checked(tex, display=display), "display": display}
    reader.pos = stop
    return True


def _end_of_environment(text: str, start: int, end: int, name: str) -> int | None:
    depth = 0
    for found in _ends(name).finditer(text, start, end):
        depth += 1 if found[1] else -1
        if not depth:
            return found.end()
    return None


def _ends(name: str) -> re.Pattern[str]:
    return re.compile(rf"\\(?:(begin)|end)\{{{re.escape(name)}\}}")


def _is_known_open(env: Any, where: object, kind: str, position: int) -> bool:
    """Whether the search for an end has already failed here, so that it is not repeated at each beginning."""
    place, until = env.get(f"formula {kind}", (None, -1))
    return place is where and position < until


def _block_rule(reader: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    first = reader.bMarks[start_line] + reader.tShift[start_line]
    if not reader.src.startswith(("$$", "\\"), first) or reader.is_code_block(start_line):
        return False
    opening = _OPENING.match(reader.src, first, reader.eMarks[start_line])
    if opening is None or (opening[1] and opening[1] not in _ENVIRONMENTS):
        return False
    kind = opening[1] or opening[0]
    if _is_known_open(reader.env, reader.env, kind, start_line):
        return False
    lines, is_whole = _lines(reader, start_line, end_line, opening)
    if not is_whole:
        reader.env[f"formula {kind}"] = reader.env, start_line + len(lines)
        return False
    if silent:
        return True
    source = "\n".join(lines)
    body = source.rstrip()
    mark = body[-1] if body[-1] in ".,;:" else ""
    body = body.removesuffix(mark).rstrip()
    token = reader.push("formula_block", "", 0)
    token.block, token.content, token.map = True, source, [start_line, start_line + len(lines)]
    tex = f"{body}{mark}" if opening[1] else f"{body[2:-2].strip()}{mark}"
    token.meta = {"tex": checked(tex, display=True), "display": True}
    reader.line = start_line + len(lines)
    return True


def _lines(reader: StateBlock, start_line: int, end_line: int, opening: re.Match[str]) -> tuple[list[str], bool]:
    """Read to a formula's end, or to where it cannot end; return whether it ended, with at most a punctuation mark behind."""
    lines: list[str] = []
    depth, length = 0, 0
    for line in range(start_line, end_line):
        first, last = reader.bMarks[line] + reader.tShift[line], reader.eMarks[line]
        length += last - first
        if first >= last or length > FORMULA_LENGTH or (line > start_line and reader.sCount[line] < reader.blkIndent):
            break
        text = reader.src[first:last]
        lines.append(text)
        behind = None
        if opening[1]:
            for found in _ends(opening[1]).finditer(text):
                depth += 1 if found[1] else -1
                if not depth:
                    behind = text[found.end() :]
                    break
        else:
            ending = (_END_OF_DOLLARS if opening[0] == "$$" else _END_OF_BRACKET).match(text, 2 * (line == start_line))
            if ending and opening[0] != "$$" and ending[1]:  # another formula begins
                return lines[:-1], False
            behind = text[ending.end() :] if ending else None
        if behind is not None:
            whole = "\n".join(lines)
            inside = whole[: len(whole) - len(behind)][2:-2]
            if behind.strip() in ("", ".", ",", ";", ":") and (opening[1] or inside.strip()):
                return lines, True
            return lines[:-1], False
    return lines, False

"""How a reply looks: the one style sheet, for settled output and for the live view.

Every rule stands under `.claude-magic`, so nothing else on the page changes. Colours are the frontend's own (`--jp-*`,
then `--vscode-*`), else they follow the page's text colour and its light or dark scheme. All space between blocks is
below them: pieces look the same whether they share one element or stand in widgets of their own.
"""

from __future__ import annotations

from typing import Final

# What frontends have no legible variable for: a contrast of 4.5 on white and #f5f5f5, on #111 and #2b2b2b.
_LIGHT: Final = """
  --claude-accent: #b8532f; --claude-on-accent: #fff;
  --claude-warn: #8f5f00; --claude-error: #c62828; --claude-ok: #1a7431; --claude-link: #0b57d0;
  --claude-keyword: #7132a8; --claude-string: #0a6e3c; --claude-number: #0a5fa8;
  --claude-comment: #5f6b6b; --claude-name: #0550ae;
"""
_DARK: Final = """
  --claude-accent: #e08a6d; --claude-on-accent: #111;
  --claude-warn: #f0b54a; --claude-error: #ff8a80; --claude-ok: #7fd48f; --claude-link: #8ab4f8;
  --claude-keyword: #c792ea; --claude-string: #9bd08f; --claude-number: #82b1ff;
  --claude-comment: #9aa5a5; --claude-name: #82b1ff;
"""

# Pygments' class names, by the editor variable of JupyterLab and the fallback above that mean the same.
_CODE: Final = {
    ("keyword", "keyword"): "k kc kd kn kp kr ow",
    ("builtin", "keyword"): "nb bp kt",
    ("operator", "keyword"): "o",
    ("string", "string"): "s sa sb sc dl sd s2 se sh si sx sr s1 ss",
    ("number", "number"): "m mb mf mh mi mo il l ld",
    ("comment", "comment"): "c ch cm cp cpf c1 cs",
    ("def", "name"): "nf fm nc nn nt",
    ("meta", "name"): "na nd",
}


AUDIENCE_CLASS: Final = "claude-audience"
"""Of a reply that is shown to a room: larger, and what is not the answer smaller than that."""


def _code_rule(editor: str, own: str, classes: str) -> str:
    # Mixed with the text's colour, as some editor colours (JupyterLab's comments) fall short of a contrast of 4.5.
    selector = ", ".join(f".{name}" for name in classes.split())
    colour = f"var(--jp-mirror-editor-{editor}-color, var(--claude-{own}))"
    return f".claude-magic :is({selector}) {{ color: color-mix(in srgb, {colour} 68%, var(--claude-text)); }}"


_COLOURS: Final = f"""
.claude-magic {{{_LIGHT}}}
@media (prefers-color-scheme: dark) {{ .claude-magic {{{_DARK}}} }}
:is([data-jp-theme-light="true"], .vscode-light, .vscode-high-contrast-light) .claude-magic {{{_LIGHT}}}
:is([data-jp-theme-light="false"], .vscode-dark, .vscode-high-contrast) .claude-magic {{{_DARK}}}
"""

_LAYOUT: Final = """
.claude-magic {
  --claude-text: var(--jp-content-font-color1, var(--vscode-editor-foreground, currentColor));
  --claude-muted: color-mix(in srgb, var(--claude-text) 68%, transparent);
  --claude-line: color-mix(in srgb, var(--claude-text) 14%, transparent);
  --claude-shade: color-mix(in srgb, var(--claude-text) 4%, transparent);
  --claude-mono: var(--jp-code-font-family, var(--vscode-editor-font-family, ui-monospace, Menlo, Consolas, monospace));
  box-sizing: border-box; margin: 2px 0; padding: 1px 0 1px 16px; border-left: 2px solid var(--claude-accent);
  color: var(--claude-text); line-height: 1.6; overflow-wrap: break-word;
  font-family: var(--jp-content-font-family, var(--vscode-font-family, system-ui, sans-serif));
  font-size: var(--jp-content-font-size1, var(--vscode-font-size, 14px));
}
.claude-magic.claude-audience {
  font-size: calc(1.5 * var(--jp-content-font-size1, var(--vscode-font-size, 14px)));
}
.claude-magic.claude-audience :is(code, pre) { font-size: .93em; }
.claude-magic.claude-audience :is(.claude-thinking, .claude-tool, .claude-remark, .claude-footer, .claude-status) {
  font-size: .68em;
}
.claude-magic.claude-failed { border-left-color: var(--claude-error); }

.claude-magic :is(p, ul, ol, blockquote, hr, details) { margin: 0 0 8px; }
/* JupyterLab styles these below classes of its own; our class named twice comes before that. */
.claude-magic.claude-magic :is(pre, table, h1, h2, h3, h4, h5, h6) { margin: 0 0 8px; }
.claude-magic :is(h1, h2, h3, h4, h5, h6) {
  padding-top: 6px; border: 0; color: inherit; font-size: 1em; font-weight: 600; line-height: 1.3;
}
.claude-magic h1 { font-size: 1.4em; }
.claude-magic h2 { font-size: 1.22em; }
.claude-magic h3 { font-size: 1.08em; }
.claude-magic :is(ul, ol) { padding-left: 1.6em; }
.claude-magic li > :is(ul, ol) { margin-bottom: 0; }
.claude-magic blockquote {
  padding: 0 0 0 12px; border-left: 2px solid var(--claude-line); color: var(--claude-muted); font-size: 1em;
}
.claude-magic hr { height: 0; border: 0; border-top: 1px solid var(--claude-line); }
.claude-magic a { color: var(--jp-content-link-color, var(--vscode-textLink-foreground, var(--claude-link))); }
.claude-magic.claude-magic table {
  display: block; max-width: 100%; overflow-x: auto; border: 0; border-collapse: collapse;
  font-size: 1em; font-variant-numeric: tabular-nums;
}
.claude-magic :is(tr, tbody tr:nth-child(odd), tbody tr:hover) { background: none; }
.claude-magic.claude-magic :is(th, td) {
  max-width: none; padding: 3px 16px 3px 0; border: 0; border-bottom: 1px solid var(--claude-line);
  text-align: left; vertical-align: top; white-space: normal;
}
.claude-magic th { font-weight: 600; }

.claude-magic :is(code, pre) {
  color: inherit; font-family: var(--claude-mono); font-size: var(--jp-code-font-size, 13px);
}
.claude-magic :not(pre) > code { padding: 1px 4px; border: 0; border-radius: 3px; background: var(--claude-shade); }
.claude-magic.claude-magic pre {
  padding: 8px 12px; border: 1px solid var(--claude-line); border-radius: 4px; background: var(--claude-shade);
  line-height: 1.4; overflow-x: auto; white-space: pre;
}
.claude-magic.claude-magic pre code { padding: 0; background: none; white-space: inherit; }
.claude-magic .claude-plain { font-family: inherit; white-space: pre-wrap; }
.claude-magic :is(.gi, .claude-ok) { color: var(--claude-ok); }
.claude-magic :is(.gd, .claude-bad, .claude-failure b) { color: var(--claude-error); }
.claude-magic .claude-warn { color: var(--claude-warn); }

.claude-magic :is(.claude-thinking, .claude-remark, .claude-next, .claude-rest, .claude-footer, .claude-status) {
  color: var(--claude-muted);
}
.claude-magic :is(.claude-thinking, .claude-tool, .claude-remark) { margin-bottom: 4px; }
.claude-magic :is(.claude-thinking, .claude-tool, .claude-remark) + .claude-text { padding-top: 4px; }
.claude-magic .claude-text + :is(.claude-thinking, .claude-tool, .claude-remark) { padding-top: 2px; }
.claude-magic .claude-nested { margin-left: 21px; }
.claude-magic .claude-failure b { margin-right: 6px; }
.claude-magic .claude-ask { margin: 4px 0 8px; padding: 10px 14px; border: 1px solid var(--claude-warn); border-radius: 6px; }
.claude-magic .claude-ask .claude-title { margin: 0 0 6px; font-weight: 600; }
.claude-magic.claude-magic .claude-ask pre { max-height: 20em; overflow: auto; white-space: pre-wrap; }
.claude-magic .claude-ask .claude-where { margin: 0 0 8px; color: var(--claude-muted); }
.claude-magic summary {
  display: flex; align-items: baseline; gap: 9px; margin: 0; cursor: pointer; list-style: none;
}
.claude-magic summary::-webkit-details-marker { display: none; }
.claude-magic summary::before { content: "▸"; flex: none; width: 12px; color: var(--claude-muted); }
.claude-magic details[open] > summary::before { content: "▾"; }
.claude-magic summary:focus-visible { outline: 2px solid var(--claude-accent); outline-offset: 1px; }
.claude-magic summary > b { flex: none; font-weight: 600; }
.claude-magic.claude-magic summary > code {
  min-width: 0; overflow: hidden; color: var(--claude-muted); text-overflow: ellipsis; white-space: nowrap;
}
.claude-magic .claude-outcome {
  flex: none; margin-left: auto; color: var(--claude-muted); font-variant-numeric: tabular-nums;
}
.claude-magic .claude-inside { margin: 4px 0 8px 21px; }
.claude-magic .claude-tool .claude-inside pre { max-height: 24em; overflow: auto; }
.claude-magic .claude-inside img { display: block; max-width: 100%; margin: 0 0 8px; }

.claude-magic :is(.claude-footer, .claude-status) {
  min-height: 1.6em; font-size: .93em; font-variant-numeric: tabular-nums; white-space: pre-wrap;
}
.claude-magic :is(.claude-footer, .claude-status) > span { white-space: nowrap; }
.claude-magic :is(.widget-html, .widget-html-content) {
  margin: 0; color: inherit; font-size: inherit; line-height: inherit;
}
"""

STYLE: Final = "\n".join((_COLOURS, _LAYOUT, *(_code_rule(*names, classes) for names, classes in _CODE.items()))).strip()

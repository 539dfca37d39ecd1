"""Hostile text in a real JupyterLab: in freshly run cells, which are trusted, while it streams, settled, and reopened.

The page is watched: what runs script, asks for something elsewhere or navigates trips a wire, and every element that
comes into an output is judged as it comes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from messages_api import Directive, MessagesAPI
from render.payloads import PAYLOADS
from rig.lab import Lab, LabNotebook

PART_SIZE = 20
PARTS = [PAYLOADS[start : start + PART_SIZE] for start in range(0, len(PAYLOADS), PART_SIZE)]
PAUSE_S = 0.06
"""In the middle of each text: longer than the live view waits until it paints."""

WATCH = r"""
window.offences = [];
const offend = offence => window.offences.push(offence);
Object.defineProperty(window, "pwn", {
  get: () => { offend("window.pwn was reached"); return () => 0; },
  set: () => offend("window.pwn was reached"),
});
const TAGS = "script, iframe, frame, object, embed, link, meta, base, form, svg, video, audio, source, img, template";
const WEB = /^(https?:|mailto:)/i;
const PRINTED = /^(?!\s*javascript:)/i;  // JupyterLab itself makes links of what a cell prints: of URLs and paths
function judge(element) {
  if (element.matches(TAGS) || element.id.includes("pwn") || element.matches(".jp-Dialog")) offend(element.outerHTML);
  if (element.matches("style") && element.textContent.includes("pwn")) offend(element.outerHTML);
  for (const { name, value } of element.attributes) {
    const isLink = ["href", "xlink:href", "src", "action", "formaction", "data", "poster", "background"].includes(name);
    if (/^on|^srcdoc$|^srcset$|^data-commandlinker/i.test(name)) offend(`${name}=${value}`);
    const listed = element.closest("[data-mime-type^='application/vnd.jupyter.std']") ? PRINTED : WEB;
    if (isLink && !listed.test(value)) offend(`${name}=${value}`);
    if (name === "style" && /fixed|url\(/i.test(value)) offend(`${name}=${value}`);
  }
}
new MutationObserver(records => {
  for (const { target, addedNodes } of records) {
    const inside = target.closest?.(".jp-OutputArea-output");
    for (const node of [target, ...addedNodes]) {
      if (!(node instanceof Element)) continue;
      const within = inside ? [node, ...node.querySelectorAll("*")] : node.querySelectorAll(".jp-OutputArea-output *");
      if (node !== target || inside) within.forEach(judge);
    }
  }
}).observe(document, { subtree: true, childList: true, attributes: true });
"""

# What a reader's mouse and keyboard could set off. Web links are held back: they open pages elsewhere, as links do.
TOUCH = r"""() => {
  const hold = event => { if (/^(https?|mailto):/.test(event.target.closest("a")?.href ?? "")) event.preventDefault(); };
  document.addEventListener("click", hold, true);
  for (const element of document.querySelectorAll(".jp-OutputArea-output *")) {
    for (const name of ["pointerover", "mouseover", "focus", "toggle", "animationstart"])
      element.dispatchEvent(new Event(name, { bubbles: true }));
    if (element.matches("details")) element.open = true;
    if (element.matches("a, area, button, [onclick], [data-commandlinker-command]")) element.click?.();
  }
  document.removeEventListener("click", hold, true);
}"""

CONTROLS = {
    "HTML": "from IPython.display import HTML, display\ndisplay(HTML('<img src=x onerror=window.pwn()>'))",
    "Markdown": "from IPython.display import Markdown, display\ndisplay(Markdown('<img src=x onerror=window.pwn()>'))",
    "widget": "import ipywidgets\nipywidgets.HTML('<details open ontoggle=window.pwn=1>pwn</details>')",
}
REMOTE = "from IPython.display import HTML, display\ndisplay(HTML('<img src=https://pwn.example/opened.png>'))"
LINK = "import ipywidgets\nipywidgets.HTML('<a href=\"javascript:window.pwn=1\">pwn</a>')"


class Wires:
    """What has happened in a page that must not happen."""

    def __init__(self, notebook: LabNotebook) -> None:
        self._page = page = notebook.page
        self._outside: list[str] = []
        self._url = page.url.partition("?")[0]
        page.on("request", lambda request: self._see_request(request.url))
        page.on("dialog", lambda dialog: (self._outside.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("popup", lambda popup: self._outside.append(f"opened {popup.url}"))
        page.add_init_script(WATCH)
        page.evaluate(f"() => {{ {WATCH} }}")

    def tripped(self) -> list[str]:
        """Return what has happened since the page was loaded or this was last asked."""
        moved = [] if self._page.url.partition("?")[0] == self._url else [f"went to {self._page.url}"]
        inside: list[str] = self._page.evaluate("() => window.offences.splice(0)")
        outside, self._outside = self._outside, []
        return [*inside, *outside, *moved]

    def _see_request(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and parts.hostname != "127.0.0.1":
            self._outside.append(f"asked for {url}")


def fenced(payload: str) -> str:
    """Put a text into a fence that is longer than any in it."""
    fence = "`" * (2 + max(map(len, re.findall("`+", payload)), default=1))
    return f"{fence}\n{payload}\n{fence}"


def as_code(payload: str) -> str:
    """Return what a fence shows: line ends and null characters are what Markdown makes of them."""
    return re.sub(r"\r\n?", "\n", payload).replace("\0", "\ufffd") + "\n"


def tool(called: str, /, **arguments: str) -> str:
    return f"<<tool {called} {json.dumps(arguments)}>>"


def hostile(prompt: str) -> str | None:
    """Script a turn that puts the payloads of one part into every place of a reply."""
    if not (found := re.fullmatch(r"Part (\d+)", prompt)):
        return None
    part = PARTS[int(found[1])]
    together, in_fences = "\n\n".join(part), "\n\n".join(map(fenced, part))
    return "".join(
        [
            f"<<think {together}>>",
            *(f"<<say {payload}>>" for payload in part),
            tool("mcp__kernel__inspect_variable", name=together),
            tool("mcp__kernel__run_code", code=f"print({together!r})"),
            tool("Write", file_path="pwn.html", content=together),
            f"<<say {in_fences}>>",
        ]
    )


class HostileAPI(MessagesAPI):
    """Sends each text in two halves, so that the first is painted by itself."""

    def block(
        self, directive: Directive, body: dict[str, Any], call_id: str
    ) -> tuple[dict[str, Any], Iterator[dict[str, Any]]]:
        start, deltas = super().block(directive, body, call_id)
        return start, self.halved(directive.argument) if directive.verb == "say" else deltas

    def halved(self, text: str) -> Iterator[dict[str, Any]]:
        middle = len(text) // 2
        yield {"type": "text_delta", "text": text[:middle]}
        self.closing.wait(PAUSE_S)
        yield {"type": "text_delta", "text": text[middle:]}


@pytest.fixture(scope="module")
def module_api() -> Iterator[MessagesAPI]:
    """The scripted API of this module: the model is hostile."""
    with HostileAPI(hostile) as api:
        yield api


def reopen(notebook: LabNotebook) -> None:
    """Save the notebook and load its page anew."""
    notebook.save()
    notebook.page.reload()
    panel = "window.jupyterapp?.shell?.currentWidget"
    notebook.page.wait_for_function(f"() => {panel}?.content?.widgets?.length > 0")
    notebook.page.evaluate(f"() => {panel}.sessionContext.ready")
    notebook.wait_idle()


def shown_fences(notebook: LabNotebook, index: int) -> list[str]:
    """Return the code in the last text of a cell's reply, as the page holds it."""
    last = notebook.cell(index).locator(".claude-text").last
    texts: list[str] = last.locator("pre").evaluate_all("fences => fences.map(fence => fence.textContent)")
    return texts


@pytest.mark.long
@pytest.mark.timeout(600)
def test_no_payload_does_anything(lab: Lab) -> None:
    """Whatever the model and its tools say, nothing in a cell runs, loads or links where it must not; fences show it all."""
    assert not any(">>" in payload.replace(">>>", "") for payload in PAYLOADS), "a directive would end early"
    cells = [f"%%claude --allow mcp__kernel__run_code\nPart {number}" for number in range(len(PARTS))]
    lab.write("hostile.ipynb", [("code", "%load_ext claude_magic"), *(("code", cell) for cell in cells)])
    with lab.open("hostile.ipynb") as notebook:
        wires = Wires(notebook)
        notebook.start("notebook:run-all-cells")
        for number in range(1, len(PARTS) + 1):
            notebook.cell(number).get_by_role("button", name="Deny", exact=True).click()
        notebook.wait_idle()
        assert wires.tripped() == []
        for state in ("settled", "reopened"):
            if state == "reopened":
                reopen(notebook)
            notebook.page.evaluate(TOUCH)
            for number, part in enumerate(PARTS, 1):
                assert notebook.cell(number).locator("details:has(> summary > b)").count() == 3
                assert shown_fences(notebook, number) == list(map(as_code, part))
            assert wires.tripped() == []
        assert not (lab.root / "pwn.html").exists()


@pytest.mark.long
def test_the_wires_trip(lab: Lab) -> None:
    """What is displayed without care does run, load and link, and each is noticed; also in a notebook that is reopened."""
    cells = [*CONTROLS.values(), REMOTE, LINK]
    lab.write("control.ipynb", [("code", cell) for cell in cells])
    with lab.open("control.ipynb") as notebook:
        wires = Wires(notebook)
        for index in range(len(CONTROLS)):
            notebook.run_cell(index)
            notebook.page.wait_for_function("() => window.offences.includes('window.pwn was reached')")
            assert len(wires.tripped()) > 1, "the element was not noticed"
        with notebook.page.expect_request("https://pwn.example/*"):
            notebook.run_cell(len(CONTROLS))
        assert "asked for https://pwn.example/opened.png" in wires.tripped()
        notebook.run_cell(len(CONTROLS) + 1)
        notebook.page.locator("a", has_text="pwn").wait_for()
        assert "href=javascript:window.pwn=1" in wires.tripped()
        notebook.page.evaluate(TOUCH)
        assert "window.pwn was reached" in wires.tripped()
        reopen(notebook)
        notebook.page.wait_for_function("() => window.offences.includes('window.pwn was reached')")

"""A real JupyterLab or Notebook 7 on loopback and Debian's Chromium before it.

Notebooks are opened there, run, clicked, and pictured in both themes. It owns the server process and the browser. Waiting
is the browser's: on a promise of JupyterLab's own commands, or on a condition of the page. Playwright's sync API keeps an
event loop in this thread: no `asyncio.run` while it is open.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import nbformat
import psutil

from rig.environment import require_isolated
from rig.leaks import PATIENCE_S, assert_ended, tree

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

Theme = Literal["light", "dark"]
THEMES: dict[Theme, str] = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
START_S = 120.0
WAIT_S = 60.0
"""How long the browser waits for what a test expects on the page."""
WIDTH, HEIGHT = 1000, 800


@dataclass(frozen=True, slots=True)
class Application:
    """What opens notebooks: the Python module that serves it, and the path of a notebook's page."""

    module: str
    page: str


LAB = Application("jupyterlab", "doc/tree/{name}?reset")
NOTEBOOK_7 = Application("notebook", "notebooks/{name}")

# No token and no password: the server listens on loopback only, and lives as long as the tests of a module.
SERVER_OPTIONS = (
    "--no-browser",
    "--allow-root",
    "--ServerApp.ip=127.0.0.1",
    "--ServerApp.port=0",
    "--IdentityProvider.token=",
    "--PasswordIdentityProvider.hashed_password=",
    "--ServerApp.terminals_enabled=False",
    "--LabApp.expose_app_in_browser=True",
    "--JupyterNotebookApp.expose_app_in_browser=True",
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
)
# The browser resolves no name at all, so that a page which asks for something remote fails as it would offline.
BROWSER_OPTIONS = (
    "--no-sandbox",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--disable-component-update",
)
SETTINGS = {
    # Every cell is in the page, wherever it is scrolled to: a picture of the whole notebook needs that.
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}

PANEL = "window.jupyterapp.shell.currentWidget"


def why_not() -> str | None:
    """Return why there can be no browser here, None when there can."""
    if shutil.which("chromium") is None:
        return "no chromium on the PATH"
    missing = [name for name in ("playwright", "jupyterlab", "notebook") if find_spec(name) is None]
    return f"not installed: {', '.join(missing)}" if missing else None


class Lab:
    """One server and one browser.

    :param root: the directory it serves; kernels run where their notebook is.
    :param environment: from `isolated_environment()`; the kernels inherit it.
    :param python: the interpreter of server and kernels; by default this one.
    """

    def __init__(
        self, root: Path, environment: Mapping[str, str], application: Application = LAB, *, python: Path | None = None
    ) -> None:
        require_isolated(environment)
        self._python = str(python or sys.executable)
        self.root = root
        self._application = application
        self.log: list[str] = []
        self._environment = dict(environment)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        from playwright.sync_api import expect, sync_playwright

        expect.set_options(timeout=WAIT_S * 1000)

        for name, settings in SETTINGS.items():
            path = Path(self._environment["JUPYTERLAB_SETTINGS_DIR"]) / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(settings))
        with ExitStack() as stack:
            self.url = stack.enter_context(self._server())
            before = set(psutil.Process().children())
            playwright = stack.enter_context(sync_playwright())
            (self._driver,) = set(psutil.Process().children()) - before
            self._browser: Browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=list(BROWSER_OPTIONS), env=dict(self._environment)
            )
            stack.callback(self._browser.close)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        processes = self.processes()
        self._stack.close()
        assert_ended(processes)

    @property
    def pids(self) -> tuple[int, int]:
        """The roots of everything this started: the server with its kernels, the driver with its browser."""
        return self._process.pid, self._driver.pid

    def processes(self) -> set[psutil.Process]:
        return {process for pid in self.pids for process in tree(pid)}

    def write(self, name: str, cells: list[tuple[Literal["code", "markdown"], str]]) -> Path:
        """Write a notebook of these cells under the root and return its path."""
        spec = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
        make: dict[str, Any] = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}
        notebook = nbformat.v4.new_notebook(cells=[make[kind](source) for kind, source in cells], metadata={"kernelspec": spec})
        nbformat.write(notebook, self.root / name)
        return self.root / name

    @contextmanager
    def open(self, name: str, *, theme: Theme = "light", scale: float = 1) -> Iterator[LabNotebook]:
        """Open a notebook of the root in a page of its own, with its kernel ready; both end with the context.

        :param scale: device pixels per CSS pixel, 2 for pictures to look at.
        """
        context = self._browser.new_context(
            viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=scale, reduced_motion="reduce"
        )
        context.set_default_timeout(WAIT_S * 1000)
        with context.new_page() as page:
            notebook = LabNotebook(page, self.root / name)
            page.goto(f"{self.url}/{self._application.page.format(name=name)}")
            page.wait_for_function("() => window.jupyterapp !== undefined", timeout=START_S * 1000)
            page.wait_for_function(f"() => {PANEL}?.content?.widgets?.length > 0", timeout=START_S * 1000)
            page.evaluate(f"() => {PANEL}.sessionContext.ready")
            notebook.wait_idle(START_S)
            notebook.theme(theme)
            try:
                yield notebook
            finally:
                page.evaluate(f"() => {PANEL}.sessionContext.shutdown()")
        context.close()

    @contextmanager
    def _server(self) -> Iterator[str]:
        command = [self._python, "-m", self._application.module, *SERVER_OPTIONS, f"--ServerApp.root_dir={self.root}"]
        self._process = subprocess.Popen(
            command, env=self._environment, cwd=self.root, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        decided = threading.Event()
        urls: list[str] = []

        def read() -> None:
            for line in self._process.stdout or ():
                self.log.append(line)
                if not urls and (found := re.search(r"http://127\.0\.0\.1:[1-9]\d*(?=/)", line)):
                    urls.append(found.group())
                    decided.set()
            decided.set()

        reader = threading.Thread(target=read, name="jupyterlab-log")
        reader.start()
        try:
            decided.wait(START_S)
            if not urls:
                raise RuntimeError("The server did not start:\n" + "".join(self.log[-40:]))
            yield urls[0]
        finally:
            self._process.terminate()
            try:
                self._process.wait(PATIENCE_S * 2)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            reader.join()


class LabNotebook:
    """An open notebook: what a person can do with it, and how it looks. `page` is Playwright's, for all else."""

    def __init__(self, page: Page, path: Path) -> None:
        self.page = page
        self.path = path

    def command(self, name: str, **arguments: Any) -> None:
        """Run a JupyterLab command and wait until it is done."""
        script = "([name, args]) => window.jupyterapp.commands.execute(name, args).then(() => null)"
        self.page.evaluate(script, [name, arguments])

    def start(self, name: str) -> None:
        """Run a JupyterLab command and return at once, to click while cells run."""
        self.page.evaluate("name => { void window.jupyterapp.commands.execute(name) }", name)

    def run_all(self) -> None:
        """Run all cells to their end."""
        self.command("notebook:run-all-cells")
        self.wait_idle()

    def run_cell(self, index: int, *, wait: bool = True) -> None:
        """Run one cell; without `wait` return while it runs."""
        self.page.evaluate(f"index => {{ {PANEL}.content.activeCellIndex = index }}", index)
        if wait:
            self.command("notebook:run-cell")
            self.wait_idle()
        else:
            self.start("notebook:run-cell")

    def wait_idle(self, timeout_s: float = WAIT_S) -> None:
        """Return when no cell waits or runs and the kernel is idle."""
        idle = f"() => {PANEL}.sessionContext.session?.kernel?.status === 'idle'"
        cells = f"{PANEL}.content.widgets.every(cell => (cell.model.executionState ?? 'idle') === 'idle')"
        self.page.wait_for_function(f"{idle} && {cells}", timeout=timeout_s * 1000)

    def reload(self) -> None:
        """Load the page again, and wait until the notebook has its kernel."""
        self.page.on("dialog", lambda dialog: dialog.accept())
        self.page.reload()
        self.page.wait_for_function("() => window.jupyterapp !== undefined", timeout=START_S * 1000)
        self.page.wait_for_function(f"() => {PANEL}?.content?.widgets?.length > 0", timeout=START_S * 1000)
        self.page.evaluate(f"() => {PANEL}.sessionContext.ready")

    def theme(self, theme: Theme) -> None:
        """Switch JupyterLab's theme, and with it what the browser says the person prefers."""
        self.page.emulate_media(color_scheme=theme)
        self.command("apputils:change-theme", theme=THEMES[theme])
        self.page.wait_for_function("name => document.body.dataset.jpThemeName === name", arg=THEMES[theme])

    def cell(self, index: int) -> Locator:
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index)

    def save(self) -> nbformat.NotebookNode:
        """Save and return the notebook as it is on disk."""
        self.command("docmanager:save")
        return nbformat.read(self.path, as_version=4)

    def screenshot(self, path: Path, cell: int | None = None) -> Path:
        """Take a picture of the whole notebook, or of one cell, however long it is."""
        panel = self.page.locator(".jp-WindowedPanel-outer").first
        height = panel.evaluate("panel => panel.scrollHeight")
        self.page.set_viewport_size({"width": WIDTH, "height": max(HEIGHT, int(height) + 150)})
        self.page.evaluate("() => document.fonts.ready.then(() => null)")
        if cell is None:
            box, last = panel.bounding_box(), self.page.locator(".jp-Notebook .jp-Cell").last.bounding_box()
            assert box and last, "the notebook is not visible"  # noqa: PT018
            box["height"] = last["y"] + last["height"] - box["y"] + 12
            picture = self.page.screenshot(animations="disabled", clip=box)
        else:
            picture = self.cell(cell).screenshot(animations="disabled")
        # Given the path, Playwright would start a thread to write it.
        path.write_bytes(picture)
        self.page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
        return path

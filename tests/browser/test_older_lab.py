"""An older JupyterLab, with kernels that hear clicks and with one that does not: nothing waits for what nobody can do."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from messages_api import MessagesAPI
from playwright.sync_api import expect
from rig.lab import PANEL, START_S, Lab, LabNotebook, why_not
from rig.leaks import Ledger

pytestmark = pytest.mark.timeout(600)

VERSIONS = [("4.2.*", "7.*"), ("4.2.*", "6.29.*")]
"""JupyterLab and ipykernel. With 4.2 a kernel has no subshells, and one of 6 hears no click while a cell runs."""

TOUCH = '%%claude\n<<tool Bash {"command": "touch asked"}>><<say Done.>>'
CELLS = ("%load_ext claude_magic", "%%claude\nhello", TOUCH, "%%claude\n<<say Begun. >><<hang>>", "%%claude\nagain")


@pytest.fixture(scope="module", params=VERSIONS, ids=lambda versions: "lab {}, kernel {}".format(*versions))
def kernel_version(request: pytest.FixtureRequest) -> str:
    return str(request.param[1])


@pytest.fixture(scope="module")
def lab(
    request: pytest.FixtureRequest,
    kernel_version: str,
    tmp_path_factory: pytest.TempPathFactory,
    environment: dict[str, str],
    ledger: Ledger,
) -> Iterator[Lab]:
    """A JupyterLab of an environment in which all but these packages are those of this one."""
    if reason := why_not():
        pytest.skip(reason)
    lab_version = next(lab for lab, kernel in VERSIONS if kernel == kernel_version)
    with tempfile.TemporaryDirectory(prefix="lab-") as directory:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", directory], check=True)
        python = Path(directory) / "bin" / "python"
        own = Path(sysconfig.get_path("purelib", vars={"base": directory}))
        own.joinpath("beside.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
        pinned = [f"jupyterlab=={lab_version}", f"ipykernel=={kernel_version}", "jupyterlab_widgets"]
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run([*pip, "--no-deps", "--ignore-installed", *pinned], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        there = environment | {"PATH": f"{python.parent}:{environment['PATH']}"}
        with Lab(tmp_path_factory.mktemp("lab"), there, python=python) as lab, ledger.adopt_all(lab.pids):
            yield lab


@pytest.mark.long
def test_from_load_to_reload(lab: Lab, api: MessagesAPI, kernel_version: str) -> None:
    """A cell is answered, a question by a click or in words, an interrupt stops, and a page loaded again goes on."""
    lab.write("older.ipynb", [("code", cell) for cell in CELLS])
    with lab.open("older.ipynb") as notebook:
        notebook.run_cell(0)
        notebook.run_cell(1)
        expect(notebook.cell(1)).to_contain_text("You said: hello")
        notebook.run_cell(2, wait=False)
        if kernel_version.startswith("7"):
            allow = notebook.cell(2).get_by_role("button", name="Allow once")
            expect(allow).to_be_enabled()
            allow.click()
        else:
            field = notebook.cell(2).locator(".jp-Stdin-input")
            field.fill("y")
            field.press("Enter")
        notebook.wait_idle()
        assert (lab.root / "asked").exists()
        expect(notebook.cell(2)).to_contain_text("allowed once")
        expect(notebook.cell(2).locator(".jp-OutputArea button")).to_have_count(0)
        notebook.run_cell(3, wait=False)
        expect(notebook.cell(3)).to_contain_text("Begun.")
        notebook.command("notebook:interrupt-kernel")
        notebook.wait_idle()
        expect(notebook.cell(3)).to_contain_text("TurnInterrupted")
        notebook.save()
        reload(notebook)
        expect(notebook.cell(2)).to_contain_text("allowed once")
        expect(notebook.cell(2)).not_to_contain_text("model not found")
        notebook.run_cell(4)
        expect(notebook.cell(4)).to_contain_text("You said: again")
        assert api.prompts()[-1][0] == "hello"


def reload(notebook: LabNotebook) -> None:
    """Load the page again, and wait until the notebook has its kernel."""
    page = notebook.page
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    page.wait_for_function(
        f"() => window.jupyterapp !== undefined && {PANEL}?.content?.widgets?.length > 0", timeout=START_S * 1000
    )
    page.evaluate(f"() => {PANEL}.sessionContext.ready")

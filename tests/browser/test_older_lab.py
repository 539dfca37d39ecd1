"""Older JupyterLabs, with a kernel that hears clicks and with two that do not: nothing waits for what nobody can do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from messages_api import MessagesAPI
from playwright.sync_api import expect
from rig.lab import Lab, why_not
from rig.leaks import Ledger
from rig.versions import other_versions

pytestmark = pytest.mark.timeout(600)

VERSIONS = [("4.2.*", "7.*"), ("4.2.*", "6.29.*"), ("4.3.*", "7.2.*")]
"""JupyterLab and ipykernel. These pages know no subshells, so that kernels before 7.4 hear no click while a cell runs."""

TOUCH = '%%claude\n<<tool Bash {"command": "touch asked"}>><<say Done.>>'
CELLS = ("%load_ext claude_magic", "%%claude\nhello", TOUCH, "%%claude\n<<say Begun. >><<hang>>", "%%claude\nagain")
CELLS += ("%%claude --samples 2\nhello", "%%claude\n<<history>>", "%claude_session")


@pytest.fixture(scope="module", params=VERSIONS, ids=lambda versions: "lab {}, kernel {}".format(*versions))
def versions(request: pytest.FixtureRequest) -> tuple[str, str]:
    chosen: tuple[str, str] = request.param
    return chosen


@pytest.fixture(scope="module")
def lab(
    versions: tuple[str, str],
    tmp_path_factory: pytest.TempPathFactory,
    environment: dict[str, str],
    ledger: Ledger,
) -> Iterator[Lab]:
    """A JupyterLab of an environment in which all but these packages are those of this one."""
    if reason := why_not():
        pytest.skip(reason)
    with other_versions(f"jupyterlab=={versions[0]}", f"ipykernel=={versions[1]}", "jupyterlab_widgets") as python:
        there = environment | {"PATH": f"{python.parent}:{environment['PATH']}"}
        with Lab(tmp_path_factory.mktemp("lab"), there, python=python) as lab, ledger.adopt_all(lab.pids):
            yield lab


@pytest.mark.long
def test_from_load_to_reload(lab: Lab, api: MessagesAPI, versions: tuple[str, str]) -> None:
    """Replies, a question by a click or in words, a stop, a pick and the panel work, and a page loaded again goes on."""
    hears = versions[1] == "7.*"
    lab.write("older.ipynb", [("code", cell) for cell in CELLS])
    with lab.open("older.ipynb") as notebook:
        notebook.run_cell(0)
        notebook.run_cell(1)
        expect(notebook.cell(1)).to_contain_text("You said: hello")
        notebook.run_cell(2, wait=False)
        if hears:
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
        expect(notebook.cell(3).locator(".jp-OutputArea")).to_contain_text("Begun.")
        if hears:
            notebook.cell(3).get_by_role("button", name="Stop").click()
        else:
            notebook.command("notebook:interrupt-kernel")
        notebook.wait_idle()
        expect(notebook.cell(3)).to_contain_text("TurnInterrupted")
        notebook.run_cell(5)
        notebook.cell(5).get_by_role("button", name="Continue from").click()
        expect(notebook.cell(5).locator(".claude-current")).to_contain_text("sample 2")
        notebook.run_cell(6)
        assert api.prompts()[-1][-2:] == ["hello", "<<history>>"]
        notebook.run_cell(7)
        expect(notebook.cell(7).get_by_role("button", name="Resume")).to_have_count(2)
        notebook.save()
        notebook.reload()
        expect(notebook.cell(2)).to_contain_text("allowed once")
        expect(notebook.cell(2)).not_to_contain_text("model not found")
        notebook.run_cell(4)
        expect(notebook.cell(4)).to_contain_text("You said: again")
        assert api.prompts()[-1][0] == "hello"

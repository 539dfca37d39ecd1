"""A lesson in which Claude left work running: what the CLI did by itself when that ended is recorded, and played again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cells import about, answered, begin_anew, session_of, shown
from messages_api import MessagesAPI
from rig.environment import offline_environment
from rig.kernel import Kernel

LATER = json.dumps({"command": "sleep 0.3; echo finished", "run_in_background": True})
AGENT = json.dumps({"description": "a helper", "prompt": "count to three", "subagent_type": "general-purpose"})
FIRST = {
    "Bash": f"<<tool Bash {LATER}>><<say I have begun it.>>",
    "Agent": f"<<tool Agent {AGENT}>><<say I have sent it off.>>",
}
TURNS = "get_ipython().magics_manager.registry['ClaudeMagics'].state.turns"


def use(kernel: Kernel, path: Path, mode: str) -> None:
    """Record to a cassette, or play it, without the outline: it tells what cells other tests have run in one of the kernels."""
    for setting in ("notebook = 'none'", f"cassette = {str(path)!r}", f"cassette_mode = {mode!r}", "cassette_speed = 0"):
        assert kernel.run(f"%config ClaudeMagics.{setting}").ok


def wait_for_own_turn(kernel: Kernel) -> None:
    while not kernel.value(f"{TURNS}.last().start.how == 'by itself'"):
        kernel.run("import time; time.sleep(0.05)")


@pytest.mark.parametrize("tool", [pytest.param("Bash", marks=pytest.mark.long), "Agent"])
def test_played_as_it_was_live(loaded_kernel: Kernel, api: MessagesAPI, tmp_path: Path, tool: str) -> None:
    """On another machine the same turns come in the same places, with what the next cell says of them."""
    path = tmp_path / "lesson.jsonl"
    begin_anew(loaded_kernel)
    use(loaded_kernel, path, "record")
    live = [answered(loaded_kernel, FIRST[tool], "--allow Bash --allow Agent --allow Task")]
    wait_for_own_turn(loaded_kernel)
    live += [answered(loaded_kernel, "question")]
    tree = loaded_kernel.run("%claude_session turns", allow_stdin=False).text
    assert loaded_kernel.run("%config ClaudeMagics.cassette = None").ok
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    with Kernel(elsewhere, offline_environment(home)) as pupil:
        assert pupil.run("%config ClaudeMagics.cli_path = '/nowhere/claude'\n%load_ext claude_magic").ok
        use(pupil, path, "replay")
        played = [answered(pupil, FIRST[tool], "--allow Bash --allow Agent --allow Task")]
        wait_for_own_turn(pupil)
        played += [answered(pupil, "question")]
        assert [shown(result.outputs) for result in played] == [shown(result.outputs) for result in live]
        assert "Claude went on by itself." in played[0].text
        assert [about(result)["turn"] for result in played] == [1, 3]
        assert pupil.run("%claude_session turns", allow_stdin=False).text == tree
        assert pupil.run("%claude_session export talk.md").stdout.startswith("Wrote 3 turns")
        # Once more, and faster than the helper: what it did comes before the next answer, all the same.
        again = pupil.run_all([f"%%claude --new --allow Bash\n{FIRST[tool]}", "%%claude\nquestion", "%claude_session turns"])
        assert [result.ok for result in again] == [True] * 3
        while pupil.value(f"len({TURNS})") < 6:
            pupil.run("import time; time.sleep(0.05)")
        assert session_of(again[0]) == session_of(again[1])


@pytest.mark.long
def test_auto_goes_on_behind_it(loaded_kernel: Kernel, api: MessagesAPI, tmp_path: Path) -> None:
    """Played where it was recorded, the next live cell goes on in that session, which holds what the CLI did by itself."""
    path = tmp_path / "lesson.jsonl"
    use(loaded_kernel, path, "record")
    live = answered(loaded_kernel, FIRST["Bash"], "--allow Bash")
    wait_for_own_turn(loaded_kernel)
    use(loaded_kernel, path, "auto")
    asked = len(api.requests)
    played = answered(loaded_kernel, FIRST["Bash"], "--new --allow Bash")
    assert session_of(played) == session_of(live)
    assert len(api.requests) == asked
    after = answered(loaded_kernel, "question", "--allow Bash")
    assert session_of(after) == session_of(live)
    assert "task-notification" in json.dumps(api.requests[-1]["messages"])
    assert loaded_kernel.run("%config ClaudeMagics.cassette = None").ok

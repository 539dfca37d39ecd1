"""`%claude_session doctor`: print the findings about the machine, and what this kernel's frontend can do."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

from claude_magic._kernel.advice import STEPS, say
from claude_magic._kernel.doctor.machine import NOT_TRIED, Finding, look, report, try_turn
from claude_magic._kernel.frontend import Frontend
from claude_magic._kernel.options.cell_options import Options
from claude_magic._kernel.options.settings import turn_options
from claude_magic._kernel.state.kernel_state import KernelState


def show_findings(state: KernelState, frontend: Frontend, *, with_turn: bool) -> None:
    """Print the findings about this machine and kernel, and what to do; `with_turn` tries a turn, too, which costs money."""
    call, settings = state.client.background.call, state.settings
    versions, *others = call(look, settings.cli_path)
    findings = [versions, Finding("frontend", _frontend_words(frontend)), *others]
    if settings.cassette and settings.cassette_mode != "off":
        findings.append(Finding("cassette", f"{settings.cassette}, mode {settings.cassette_mode}"))
    findings.append(call(try_turn, settings.client_config(), turn_options(Options(), settings)) if with_turn else NOT_TRIED)
    told = [replace(finding, next_step=STEPS.get(finding.next_step, finding.next_step)) for finding in findings]
    say(report(told, frontend.text_columns))


def _frontend_words(frontend: Frontend) -> str:
    """Return which frontend the running cell has, as far as that is known, and what it can do."""
    kernel: Any = getattr(frontend.shell, "kernel", None)
    if kernel is None:
        return "IPython in a terminal: text, and questions that are answered by typing"
    if not frontend.can_answer():
        return "nobody can answer (nbconvert, papermill): plain output, and every question is answered with no"
    if frontend.is_text_only:
        return "a console: text, and questions that are answered by typing"
    version: tuple[Any, ...] = getattr(sys.modules.get("ipykernel"), "version_info", (0, 0))
    has_subshells = "kernel subshells" in kernel.kernel_info.get("supported_features", ())
    if version[:2] >= (7, 4):
        clicks = "yes"
    else:
        clicks = "where the frontend has subshells" if version[0] >= 7 else "no (they need ipykernel 7.4 or later)"
    return (
        f"{_name_of(frontend)}; widgets {'can be shown' if frontend.has_widgets() else 'are not shown here'}; "
        f"clicks work while a cell runs: {clicks}; subshells of the kernel: {'yes' if has_subshells else 'no'}"
    )


def _name_of(frontend: Frontend) -> str:
    if "google.colab" in sys.modules:
        return "Google Colab"
    if "__vsc_ipynb_file__" in frontend.shell.user_ns:
        return "VS Code"
    return "JupyterLab or Notebook" if frontend.cell_id() else "a notebook that does not say its name"

"""`%claude_session`: the table of its words, from which dispatch, help and completion are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from IPython.core.error import UsageError

from claude_magic._kernel.advice import beside, closest, in_a_notebook, say
from claude_magic._kernel.frontend import Frontend
from claude_magic._kernel.options.option import Offers
from claude_magic._kernel.session_words.about_sessions import SessionWords
from claude_magic._kernel.session_words.about_turns import TurnWords
from claude_magic._kernel.state.kernel_state import KernelState


class SessionMagic:
    """The words of `%claude_session` for one kernel."""

    def __init__(self, state: KernelState, frontend: Frontend) -> None:
        self.state = state
        self.frontend = frontend
        self.turns = TurnWords(state, frontend)
        self.sessions = SessionWords(state, frontend)

    @in_a_notebook()
    def run(self, line: str) -> None:
        """Run a line.

        :raises UsageError: there is no such word, or its argument is missing.
        :raises SessionNotFoundError: there is no such session.
        """
        name, _, typed = line.strip().partition(" ")
        if name in HELP:
            say(words_usage(typed.strip(), self.frontend.text_columns))
            return
        word = _word(name or "show")
        argument = _unquoted(typed.strip())
        if word.needs and not argument:
            raise UsageError(f"%claude_session: {name} needs {word.needs}")
        word.do(self, typed if word.as_typed else argument)

    def close_panel(self) -> None:
        """Replace panel and tree by plain output; called when the next cell runs, so that no dead widget is saved."""
        self.sessions.close_panel()
        self.turns.close_tree()


@dataclass(frozen=True, slots=True)
class Word:
    """One word of `%claude_session`.

    `forms` are the ways to type it, each with its help. `do` gets the text after the word, unquoted, or with `as_typed` as it
    was typed. `needs` says what this text must be; without `needs` the word may stand alone. `offers`: what Tab offers.
    """

    name: str
    forms: Mapping[str, str]
    do: Callable[[SessionMagic, str], None]
    needs: str = ""
    offers: Offers | None = None
    as_typed: bool = False


def _show(about: SessionMagic, argument: str) -> None:
    if argument.isdecimal():
        about.turns.show_reply(argument)
    elif argument == "--prompt":
        about.turns.show_prompt()
    elif argument:
        raise UsageError(f"%claude_session: show takes the number of a turn, --prompt or nothing, not {argument!r}")
    else:
        about.sessions.show_panel()


def _trust(about: SessionMagic, argument: str) -> None:
    if argument not in ("", "show"):
        raise UsageError(f"%claude_session: trust takes show or nothing, not {argument!r}")
    about.sessions.show_unloaded() if argument else about.sessions.trust_directory()


def _doctor(about: SessionMagic, argument: str) -> None:
    if argument not in ("", "--turn"):
        raise UsageError(f"%claude_session: doctor takes --turn or nothing, not {argument!r}")
    from claude_magic._kernel.doctor.in_kernel import show_findings  # slow to import

    show_findings(about.state, about.frontend, with_turn=bool(argument))


WORDS = (
    Word(
        "show",
        {
            "": "show the current session and those of this directory",
            "show N": "show the reply of turn N again",
            "show --prompt": "print what the last turn sent, and the size of each part of a request",
        },
        _show,
        offers="turn_numbers",
    ),
    Word(
        "list",
        {
            "list [TEXT]": "list the latest sessions of this directory, or all with TEXT in name, ID or first prompt",
            "list --all": "list all sessions of this directory",
        },
        lambda about, text: about.sessions.show_list(text),
    ),
    Word(
        "code",
        {
            "code [N]": "put the Python of the last reply, or of turn N, into the next cell",
            "code N BLOCK": "put only this block of turn N's Python there; the first is 1",
        },
        lambda about, numbers: about.turns.put_code(numbers),
        offers="turn_numbers",
    ),
    Word("turns", {"turns": "draw the tree of this kernel's turns"}, lambda about, _: about.turns.show_tree()),
    Word("new", {"new": "the next cell starts another session"}, lambda about, _: about.sessions.begin_new()),
    Word(
        "resume",
        {
            "resume": "continue the session of this notebook after a restart of the kernel",
            "resume X": "continue X (name, row of the list, or first letters of an ID) and show its last turns",
        },
        lambda about, wanted: about.sessions.resume(wanted),
        offers="sessions",
    ),
    Word(
        "restore",
        {"restore [PATH]": "get back the turns whose replies are saved in this notebook, or in the one at PATH"},
        lambda about, path: about.sessions.restore(path),
    ),
    Word("fork", {"fork": "the next cell begins a branch of the current session"}, lambda about, _: about.turns.fork()),
    Word(
        "pick",
        {"pick N": "continue from answer N of the last comparison"},
        lambda about, number: about.turns.pick(number),
        needs="the number of an answer, such as: pick 2",
    ),
    Word(
        "diff",
        {"diff [N M]": "show how two answers of the last comparison differ, by default the first two"},
        lambda about, numbers: about.turns.diff(numbers),
    ),
    Word(
        "name",
        {"name TITLE": "give the current session a name"},
        lambda about, title: about.sessions.rename(title),
        needs="a title, such as: titanic clean-up",
    ),
    Word(
        "export",
        {"export PATH": "write the current session as Markdown (.md) or as a notebook (.ipynb)"},
        lambda about, path: about.sessions.export(path),
        needs="a path that ends in .md or .ipynb",
        as_typed=True,
    ),
    Word(
        "delete",
        {"delete X": "delete X (ID, name, or row of the list just shown) for good, after asking"},
        lambda about, wanted: about.sessions.delete(wanted),
        needs="a session: its ID, its name, or its row in the list just shown",
        offers="sessions",
    ),
    Word(
        "trust",
        {
            "trust": "load what this directory now holds for Claude Code: hooks, agents, skills, rules, servers",
            "trust show": "print what that would load",
        },
        _trust,
    ),
    Word(
        "doctor",
        {
            "doctor": "check versions, CLI, login, frontend and files, and say what to do; paste it in a bug report",
            "doctor --turn": "the same, and try a turn, which costs as much as any turn",
        },
        _doctor,
    ),
)


HELP = ("help", "--help", "-h")
"""Words that show the help."""


def words_usage(name: str = "", columns: int | None = None) -> str:
    """Return the help for each way to type a word, or only for the named word, in lines of at most `columns`."""
    chosen = [word for word in WORDS if word.name == name] or WORDS
    forms = {f"%claude_session {form}".rstrip(): meaning for word in chosen for form, meaning in word.forms.items()}
    return beside(forms, columns)


def _word(name: str) -> Word:
    words = {word.name: word for word in WORDS}
    if name not in words:
        close = closest(name, words)
        hint = f"did you mean {close}?" if close else f"there are {', '.join(words)}; help explains them"
        raise UsageError(f"%claude_session: {name!r} is not one of its words; {hint}")
    return words[name]


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text

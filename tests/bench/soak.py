"""Thousands of turns with random options, branches, interrupts, kills, background work and threads, beside a model of the tree.

    python tests/bench/soak.py [STEPS] [SEED]

Each request at the API is compared with the model: it must hold the prompts and answers of the path that its turn continues,
and nothing else. The kernel's own tree is compared, too. Prints each violation with its step, so that a seed can be run again.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "faults"))

import psutil
from ends_well import STATE, Notebook, conversation, kill, scripted, squeezed
from messages_api import MessagesAPI
from rig import CellResult
from rig.environment import isolated_environment
from rig.kernel import Kernel

LATER = json.dumps({"command": "python3 -c 'import time; time.sleep(0.2)'", "run_in_background": True})
OWN = "<task-notification"
"""What the CLI itself asks when background work has ended (2.1.332)."""

PROGRESS_STEPS = 100
"""After how many steps a long soak says how far it is."""

TURN = f"(lambda turn: (turn.session_id, turn.can_continue, turn.failed))({STATE}.turns.find({{}}))"
PATH = f"[turn.number for turn in {STATE}.turns.path({STATE}.current_turn) if turn.start.how != 'by itself']"
KEPT = "__import__('glob').glob(__import__('os').path.expanduser('~/.claude/projects/*/{}.jsonl'))"
ASK = """
import threading
from claude_magic import ask
answers = []
def asks(prompt, new):
    answers.append((prompt, ask(prompt, new=new)))
threads = [threading.Thread(target=asks, args=(prompt, {new})) for prompt in {prompts!r}]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
THINGS = [
    "--effort low",
    "--effort high",
    "--model claude-haiku-4-5",
    "--quiet",
    "--timeout 60",
    "--max-turns 9",
    "--no-kernel",
]
THINGS += ["-o kept", "--allow Read"]


@dataclass(eq=False)
class Node:
    """A turn as the model has it. `whole`: whether it was answered; else Claude may know of it or not."""

    number: int
    session_id: str
    prompt: str
    answer: str
    parent: Node | None
    cell_id: str
    whole: bool
    can_continue: bool

    def path(self) -> list[Node]:
        return [*(self.parent.path() if self.parent else ()), self]


@dataclass
class Soak:
    """One kernel, its API, and the model of its tree."""

    kernel: Kernel
    api: MessagesAPI
    rng: random.Random
    violations: list[str] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    current: Node | None = None
    step: int = 0
    what: str = ""
    """The name of the step."""
    counts: dict[str, int] = field(default_factory=dict)
    before: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.kernel.run("%load_ext claude_magic").ok
        self.notebook = Notebook(self.kernel, self.api)
        assert self.kernel.run("%claude_session new").ok

    def run(self, turns: int) -> None:
        """Take this many steps; most are one turn."""
        steps: list[tuple[Callable[[], None], int]] = [
            (self.answered, 60),
            (self.interrupted, 8),
            (self.interrupted_early, 4),
            (self.refused, 3),
            (self.killed, 3),
            (self.killed_idle, 4),
            (self.background, 5),
            (self.asked, 8),
            (self.queued, 20),
            (self.compared, 3),
        ]
        names, weights = zip(*steps, strict=True)
        for step in range(self.step + 1, self.step + turns + 1):
            self.step = step
            # What was said long ago is of no more interest, and would only fill the memory.
            del self.api.requests[:-8]
            (take,) = self.rng.choices(names, weights)
            self.counts[take.__name__] = self.counts.get(take.__name__, 0) + 1
            if self.what == "killed":
                self.leave_what_is_gone()
            self.what = take.__name__
            take()
            self.compare_tree()
            if step % PROGRESS_STEPS == 0:
                print(f"{step} steps, {len(self.nodes)} turns, {len(self.violations)} violations", flush=True)

    # Steps

    def answered(self) -> None:
        prompt, options, parent, cell_id = self.begun()
        self.check(self.notebook.run(prompt, options, cell_id=cell_id), prompt, parent, cell_id)

    def interrupted(self) -> None:
        prompt, options, parent, cell_id = self.begun("<<say WORDS>><<hang>>")
        above = self.rng.choice(["", "%%time\n"])
        cell = self.notebook.start(prompt, options, above=above, cell_id=cell_id, stop_on_error=False)
        said = scripted(prompt)
        cell.wait_for(lambda _: said in self.notebook.page())
        for _ in range(self.rng.choice([1, 1, 2])):
            self.kernel.interrupt()
        self.check(self.notebook.took(cell.wait()), prompt, parent, cell_id)

    def interrupted_early(self) -> None:
        prompt, options, parent, cell_id = self.begun("<<say WORDS>><<hang>>")
        above = self.rng.choice(["", "%%time\n"])
        cell = self.notebook.start(prompt, options, above=above, cell_id=cell_id, stop_on_error=False)
        cell.wait_for(lambda result: bool(result.displays))
        for _ in range(self.rng.choice([1, 1, 2])):
            self.kernel.interrupt()
        self.check(self.notebook.took(cell.wait()), prompt, parent, cell_id)

    def refused(self) -> None:
        prompt, options, parent, cell_id = self.begun("<<status 400>><<say WORDS>>")
        self.check(self.notebook.run(prompt, options, cell_id=cell_id, stop_on_error=False), prompt, parent, cell_id)

    def killed(self) -> None:
        prompt, options, parent, cell_id = self.begun("<<say WORDS>><<hang>>")
        cell = self.notebook.start(prompt, options, cell_id=cell_id, stop_on_error=False)
        said = scripted(prompt)
        cell.wait_for(lambda _: said in self.notebook.page())
        for process in self.notebook.clis():
            kill(process)
        self.check(self.notebook.took(cell.wait()), prompt, parent, cell_id)

    def killed_idle(self) -> None:
        for process in self.notebook.clis():
            kill(process)
        self.answered()

    def background(self) -> None:
        prompt, options, parent, cell_id = self.begun(f"<<tool Bash {LATER}>><<say WORDS>>")
        options = options.replace("--allow Read", "").replace("--max-turns 9", "")
        self.check(self.notebook.run(prompt, f"{options} --allow Bash", cell_id=cell_id), prompt, parent, cell_id)

    def asked(self) -> None:
        """Ask from a thread in the current session, or from several at once in sessions of their own."""
        new = self.rng.random() < 0.5
        self.ask_in_threads(self.rng.randint(2, 3) if new else 1, new)

    def queued(self) -> None:
        """Ask from many threads at once in the current session: one turn continues the other, in the order of the tree."""
        count = self.rng.randint(2, 16)
        self.ask_in_threads(count if self.current else 1, new=False)  # without a session each would begin its own

    def ask_in_threads(self, count: int, new: bool) -> None:
        prompts = [f"thread {number} of step {self.step}" for number in range(count)]
        del self.api.requests[:]
        cell = self.kernel.run(ASK.format(prompts=prompts, new=new))
        if not cell.ok:
            self.wrong(f"threads: {cell.outputs}")
            return
        parent = None if new else self.current
        told = self.kernel.value(
            f"[(prompt, reply.content, reply.session_id, [turn.number for turn in {STATE}.turns if turn.prompt == prompt])"
            " for prompt, reply in answers]"
        )
        # A turn has its number before the queue; its place on the path is the order in which Claude took it.
        path = {number: at for at, number in enumerate(self.kernel.value(PATH))}
        for prompt, content, session_id, numbers in sorted(told, key=lambda each: [path.get(n, n) for n in each[3]]):
            if content != scripted(prompt) or len(numbers) != 1:
                self.wrong(f"{prompt!r} was answered {content!r}, and is turns {numbers}")
            self.check_request(prompt, parent)
            self.nodes.append(Node(numbers[0], session_id, prompt, content, parent, "", True, True))
            parent = None if new else self.nodes[-1]
        # The one that ended last is current.
        last = self.kernel.value(PATH)[-1:]
        self.current = next((node for node in self.nodes if [node.number] == last), self.current)

    def compared(self) -> None:
        prompt, parent = f"compared in step {self.step}", self.current
        result = self.notebook.run(prompt, "--samples 2", cell_id=f"cell-{self.step}")
        if not result.ok:
            self.wrong(f"comparison: {result.outputs}")
            return
        told = result.metadata["claude_magic"]["alternatives"]
        for about in told:
            self.nodes.append(
                Node(about["turn"], about["session_id"], prompt, scripted(prompt), parent, f"cell-{self.step}", True, True)
            )
        self.check_request(prompt, parent)
        self.current = next(node for node in self.nodes if node.number == told[0]["turn"])

    # The model

    def begun(self, script: str = "") -> tuple[str, str, Node | None, str]:
        """Choose where a turn begins: return its prompt, its options, the turn that it continues, and its cell's ID."""
        words = f"Step {self.step}."
        prompt, cell_id, parent = script.replace("WORDS", words) if script else words, f"cell-{self.step}", self.current
        options = [thing for thing in THINGS if self.rng.random() < 0.06]
        places = [node for node in self.nodes[-60:] if node.can_continue]
        match self.rng.choices(["plain", "new", "fork", "at", "redo", "resume"], [60, 4, 6, 8, 8, 5])[0]:
            case "new":
                options, parent = [*options, "--new"], None
            case "fork" if self.current:
                options.append("--fork")
            case "at" if places:
                parent = self.rng.choice(places)
                options.append(f"--at {parent.number}")
            case "redo" if any(node.cell_id for node in self.nodes[-60:]):
                cell_id = self.rng.choice([node.cell_id for node in self.nodes[-60:] if node.cell_id])
                again = next(node for node in reversed(self.nodes) if node.cell_id == cell_id)
                options, parent = [*options, "--redo"], again.parent
            case "resume" if places:
                session_id = self.rng.choice(places).session_id
                parent = next(node for node in reversed(self.nodes) if node.session_id == session_id)
                options.append(f"--resume {session_id}")
                if self.rng.random() < 0.3:
                    options.append("--fork")
        if self.what not in ("answered", "killed_idle"):
            options = [option for option in options if option != "--quiet"]  # what a quiet cell comes to, it does not tell
        self.options = " ".join(options)
        return prompt, self.options, parent, cell_id

    def check(self, result: CellResult, prompt: str, parent: Node | None, cell_id: str) -> None:
        """Compare the request and the reply of a turn that has ended with the model, and put it there."""
        about = result.metadata.get("claude_magic", {})
        self.check_request(prompt, parent)
        # A second interrupt may hit IPython while it prints the error; the cell has failed all the same.
        failed = [error["ename"] for error in result.errors] or ([] if result.ok else ["KeyboardInterrupt"])
        expected = {"answered": [], "killed_idle": [], "background": [], "refused": ["APIError"], "killed": ["CLIDiedError"]}
        if failed not in ([expected[self.what]] if self.what in expected else [["TurnInterrupted"], ["KeyboardInterrupt"], []]):
            self.wrong(f"{prompt!r} ended with {failed}: {result.outputs}")
        quiet = "--quiet" in result.code
        said = scripted(prompt)
        if not failed and not quiet and squeezed(said) not in squeezed(result.text):
            self.wrong(f"{prompt!r} was answered {result.text!r}")
        # A quiet cell shows nothing; what it asked is where the kernel is now.
        number = about.get("turn") or (self.kernel.value(PATH)[-1] if quiet and not failed else None)
        if number is None:
            return
        session_id, can_continue, is_failed = self.kernel.value(TURN.format(number))
        node = Node(number, session_id, prompt, said, parent, cell_id, not is_failed, can_continue)
        elsewhere = self.current is not None and self.current.session_id != session_id
        self.nodes.append(node)
        if not (self.what == "refused" and elsewhere):
            self.current = node

    def check_request(self, prompt: str, parent: Node | None) -> None:
        """Compare what the API was asked for this prompt with the path that the turn continues."""
        for body in self.api.requests:
            seen = [(said, answer) for said, answer in conversation(body) if not said.startswith(OWN)]
            if not seen or squeezed(seen[-1][0]) != squeezed(prompt):
                continue
            left = seen[:-1]
            path = parent.path() if parent else []
            for at, node in enumerate(path):
                if left and squeezed(left[0][0]) == squeezed(node.prompt):
                    answer = squeezed(left.pop(0)[1])
                    said = squeezed(node.answer)
                    # When background work ends the script says its last part again, to the CLI's own question. On a busy
                    # machine that may be a turn later.
                    ended = sum(LATER in each.prompt for each in path[max(0, at - 1) : at + 1])
                    fits = {said * times for times in range(1, 2 + ended)} | ({said} if node.whole else {said, ""})
                    if answer not in fits:
                        self.wrong(f"{prompt!r}: Claude remembers {answer!r} of turn {node.number}")
                elif node.whole:
                    self.wrong(f"{prompt!r}: Claude does not know turn {node.number}, {node.prompt!r}")
            if left:
                self.wrong(f"{prompt!r}: Claude knows {left}, which is not on its path")

    def leave_what_is_gone(self) -> None:
        """Go back behind a turn whose session is not on disk: its CLI was killed before it had written anything.

        Then the next prompt goes on from the turn before, or begins a session; of several at once each begins its own.
        """
        if self.current is not None and not self.kernel.value(KEPT.format(self.current.session_id)):
            self.current.can_continue = False
            self.current = self.current.parent

    def compare_tree(self) -> None:
        """Compare the kernel's path with the model's."""
        believed, modelled = self.kernel.value(PATH), [node.number for node in (self.current.path() if self.current else ())]
        if believed != modelled:
            self.wrong(f"the kernel is at {believed[-5:]}, the model at {modelled[-5:]}")
            # So that one fault is one violation.
            self.current = next((node for node in self.nodes if [node.number] == believed[-1:]), None)

    def wrong(self, what: str) -> None:
        self.violations.append(f"step {self.step} ({self.what} {getattr(self, 'options', '')}): {what}"[:1000])
        print(self.violations[-1], flush=True)

    def has_no_child(self) -> bool:
        """Kill the CLIs, also one that was only being started the last time, and return whether no child lives."""
        for process in self.notebook.clis():
            kill(process)
        return self.kernel.value("1") == 1 and not self.kernel.children()

    def figures(self) -> dict[str, int]:
        """Return what the kernel holds when no CLI lives: memory in MB, file descriptors, threads."""
        self.kernel.wait_for(self.has_no_child, about="the CLIs' end")
        process = psutil.Process(self.kernel.pid)
        threads = self.notebook.now_threads()
        return {"MB": round(process.memory_info().rss / 1e6), "descriptors": process.num_fds(), "threads": len(threads)}


def soak(turns: int, seed: int, root: Path, environment: dict[str, str], api: MessagesAPI) -> Soak:
    """Run a soak in a kernel of its own; print what it came to and return it."""
    directory = root / "soak"
    directory.mkdir()
    with Kernel(directory, environment) as kernel:
        run = Soak(kernel, api, random.Random(seed))
        run.run(min(turns, 20))
        run.before, began = run.figures(), time.monotonic()
        run.run(max(0, turns - 20))
        took_s = max(time.monotonic() - began, 0.001)
        print(f"{len(run.violations)} violations in {turns} steps (seed {seed}), {len(run.nodes)} turns")
        print(f"{max(0, turns - 20) / took_s:.1f} steps a second; {run.counts}")
        run.after = run.figures()
        print(f"after 20 steps {run.before}, at the end {run.after}", flush=True)
    return run


def main() -> int:
    turns, seed = (int(argument) for argument in [*sys.argv[1:], *["1000", "1"][len(sys.argv) - 1 :]])
    with tempfile.TemporaryDirectory(prefix="claude-soak-", ignore_cleanup_errors=True) as root, MessagesAPI() as api:
        home = Path(root, "home")
        home.mkdir()
        return len(soak(turns, seed, Path(root), isolated_environment(home, api.url), api).violations) > 0


if __name__ == "__main__":
    sys.exit(main())

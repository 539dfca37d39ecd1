"""What a warm `%%claude` cell runs of this package between Enter and its settled output: functions, files, calls.

    python tests/bench/trace_cell.py [--list]

With `--list` it prints the calls a file, and the order in which files are first entered.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from common import Kernel, bench, table

WATCH = """
import sys, threading
import claude_magic
from pathlib import Path
package, calls = str(Path(claude_magic.__file__).parent), None
def note(frame, event, argument):
    if calls is not None and event == "call" and frame.f_code.co_filename.startswith(package):
        calls.append((frame.f_code.co_filename[len(package) + 1 :], frame.f_code.co_qualname))
threading.setprofile(note)
sys.setprofile(note)
"""


def main() -> None:
    os.chdir(Path(__file__).parent)
    with bench() as place, Kernel(place.directory("cell"), place.environment) as kernel:
        assert kernel.run(WATCH).ok
        assert kernel.run("%load_ext claude_magic").ok
        for _ in range(3):
            assert kernel.run("%%claude\nhello there", allow_stdin=True).ok
        assert kernel.run("calls = []").ok
        assert kernel.run("%%claude\nhello there", allow_stdin=True).ok
        assert kernel.run("calls, seen = None, calls").ok
        seen = [tuple(line.split("\t")) for line in kernel.run('print(*map("\\t".join, seen), sep="\\n")').stdout.splitlines()]
        kernel.run("%unload_ext claude_magic")
    files = dict.fromkeys(file for file, _ in seen)
    table(
        "A warm cell",
        ["functions", "files", "calls"],
        [[str(len(set(seen))), str(len(files)), str(len(seen))]],
    )
    if "--list" in sys.argv:
        rows = [
            [file, str(len({call for call in seen if call[0] == file})), str(sum(call[0] == file for call in seen))]
            for file in files
        ]
        table("By file, in the order of entering", ["file", "functions", "calls"], rows)


if __name__ == "__main__":
    main()

"""Take the README's picture: cells of the quickstart as JupyterLab shows them, answered by the scripted API.

python tests/make_picture.py
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from lessons import answer
from make_notebooks import NOTEBOOKS
from messages_api import MessagesAPI
from rig.environment import isolated_environment
from rig.lab import Lab

PICTURE = Path(__file__).parent / "picture" / "quickstart.png"


def main() -> None:
    with tempfile.TemporaryDirectory() as home, MessagesAPI(answer) as api:
        root = Path(home) / "root"
        root.mkdir()
        shutil.copy(NOTEBOOKS / "quickstart.ipynb", root)
        environment = isolated_environment(Path(home), api.url)
        with Lab(root, environment) as lab, lab.open("quickstart.ipynb", scale=2) as notebook:
            notebook.run_all()
            notebook.wait_idle()
            PICTURE.parent.mkdir(exist_ok=True)
            notebook.screenshot(PICTURE, 3)


if __name__ == "__main__":
    main()

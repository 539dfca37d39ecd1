"""A virtual environment with other versions of some packages; all else in it is that of the environment of the tests."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def other_versions(*requirements: str) -> Iterator[Path]:
    """Install exactly these packages in an environment that lives as long as the context; return its interpreter."""
    with tempfile.TemporaryDirectory(prefix="versions-") as directory:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", directory], check=True)
        python = Path(directory) / "bin" / "python"
        own = Path(sysconfig.get_path("purelib", vars={"base": directory}))
        own.joinpath("beside.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run(
            [*pip, "--no-deps", "--ignore-installed", *requirements], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        yield python

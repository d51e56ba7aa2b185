"""Running the examples as a reader runs them."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"


def command(name, *options):
    # A warning in an example would be the first thing that a reader sees: here it is an error.
    return [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), *map(str, options)]


def environment():
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}


def run(name, *options, cwd=None):
    return subprocess.run(
        command(name, *options), capture_output=True, encoding="utf-8", timeout=300, env=environment(), cwd=cwd,
        check=False,
    )  # fmt: skip

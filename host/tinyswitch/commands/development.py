"""The demo, and the project's own checks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tinyswitch import data
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate import target

Log = Callable[[str], None]


def run_demo(board: str | None, port: str, log: Log) -> None:
    from tinyswitch.evaluate import demo

    demo.run(board, port, log)


def run_tests(quick: bool, log: Log) -> None:
    """Style of Python and C, then the tests; TinyswitchError names what failed."""
    tools = Path(sys.executable).parent
    sources = sorted(
        str(f) for folder in ("firmware", "tests") for f in (target.ROOT / folder).rglob("*.[ch]")
    )
    commands = {
        "ruff check": [sys.executable, "-m", "ruff", "check", "."],
        "ruff format": [sys.executable, "-m", "ruff", "format", "--check", "."],
        "clang-format": [str(tools / "clang-format"), "--dry-run", "-Werror", *sources],
        "pytest": [sys.executable, "-m", "pytest", *(["-x"] if quick else [])],
    }
    environment = {k: v for k, v in os.environ.items() if not (quick and k == data.VARIABLE)}
    failed = []
    for name, command in commands.items():
        log(f"== {name}")
        if subprocess.run(command, cwd=target.ROOT, env=environment, check=False).returncode:
            failed.append(name)
    if failed:
        raise TinyswitchError(f"failed: {', '.join(failed)}")

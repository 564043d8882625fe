"""tasks.py as a module, and what a task says when it fails."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


@functools.cache
def load_tasks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tasks", ROOT / "tasks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def failure(capfd: pytest.CaptureFixture[str], task: Callable, **options: object) -> tuple[int, str]:
    """(exit status, stderr) of a task that must fail; stderr is a single line."""
    with pytest.raises(SystemExit) as end:
        task.body(None, **options)
    error = capfd.readouterr().err
    assert "Traceback" not in error
    return end.value.code, error.strip().splitlines()[-1]

"""Records beside the models of applications: FILE.json of FILE.tflite."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from tinyswitch.errors import TinyswitchError

R = TypeVar("R")


def read(path: Path, app: str, parse: Callable[[Any], R]) -> R:
    """What ``parse`` makes of the JSON in ``path``, the record of a model of ``app``.

    Raises TinyswitchError if that is no such record, FileNotFoundError if there is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise TinyswitchError(f"{path}: {getattr(error, 'strerror', None) or 'not JSON'}") from None
    try:
        return parse(content)
    except (LookupError, TypeError, ValueError, AttributeError):
        raise TinyswitchError(
            f"{path}: not the record of a {app} model; train it again with `invoke train --app {app}`"
        ) from None

"""What other engines need for the same models: ``models/baselines.json``, measured as its "how" says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinyswitch.errors import TinyswitchError
from tinyswitch.firmware.project import Spec
from tinyswitch.nets import MODELS

FILE = MODELS / "baselines.json"
SUFFIXES = ("-random", "_imagenet", "_quantized")  # of files of the same net
CPU_FLAG = "-mcpu="


def of_board(spec: Spec, file: Path = FILE) -> dict[str, dict[str, Any]]:
    """The file's part for the board's processor, by model; empty where there is none (the native board).

    Keys of a model: ``macs``, ``tinyengine_int_instructions``, ``tinyengine_peak_bytes``,
    ``tflm_cmsis_nn_instructions``, ``tflm_arena_bytes`` and others; any may be missing. Raises
    TinyswitchError for a file that isn't there or isn't JSON.
    """
    cpus = [f.removeprefix(CPU_FLAG) for f in spec.manifest["build"]["cpu_flags"] if f.startswith(CPU_FLAG)]
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TinyswitchError(f"{file}: {error}") from None
    return content.get(cpus[0], {}) if cpus else {}


def of_model(name: str, known: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Of the model, whatever its file's name ends with; empty if there are none."""
    while name not in known:
        shorter = next((name.removesuffix(s) for s in SUFFIXES if name.endswith(s)), name)
        if shorter == name:
            return {}
        name = shorter
    return known[name]

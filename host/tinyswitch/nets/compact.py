"""The compact form of a net: one line a block (docs/nets.md)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tinyswitch.errors import TinyswitchError
from tinyswitch.nets import check
from tinyswitch.nets.net import DATA, Net, Spec, assemble

KEYS = ("resolution", "channels", "bn_eps", "data", "checkpoint", "layers")

# kind -> (letters it must have, letters it may have)
LETTERS = {
    "conv": ("kc", "s"),
    "block": ("kc", "se"),
    "skip": ("", ""),
    "exit": ("c", ""),
    "pool": ("", ""),
    "dense": ("c", ""),
}
RANGES = {"k": check.KERNELS, "s": check.STRIDES, "e": check.CHANNELS, "c": check.CHANNELS}
MAX_LAYERS = 1024


def read(file: Path, name: str, content: dict[str, Any]) -> Net:
    """The net in ``content``; raises TinyswitchError."""
    for key in content:
        if key not in KEYS:
            hint = check.suggest(key, KEYS)
            raise TinyswitchError(f"{file}: unknown key {check.show(key)}; allowed: {', '.join(KEYS)}{hint}")
    resolution = check.get(file, "", content, "resolution")
    resolution = check.integer(file, "resolution", resolution, check.RESOLUTIONS)
    channels = check.integer(file, "channels", content.get("channels", 3), range(1, 257))
    eps = check.number(file, "bn_eps", content.get("bn_eps", 1e-5), *check.BN_EPS)
    checkpoint = content.get("checkpoint")
    if checkpoint is not None and not _is_relative(checkpoint):
        raise check.bad(file, "checkpoint", checkpoint, "a path inside models/ or the data root")
    data = content.get("data")
    if data not in (None, *DATA):
        raise check.bad(file, "data", data, ", ".join(DATA))
    lines = content["layers"]
    if not isinstance(lines, list) or len(lines) > MAX_LAYERS:
        raise check.bad(file, "layers", lines, f"a list of up to {MAX_LAYERS} lines")
    specs = [_line(file, f"layers[{index}]", line) for index, line in enumerate(lines)]
    layers, exits = assemble(file, resolution, channels, specs)
    for number, (_, head) in exits.items():
        if head.output != layers[-1].output:
            raise TinyswitchError(
                f"{file}: the exit of block {number} has {head.output[2]} classes,"
                f" the net {layers[-1].output[2]}; both must have the same"
            )
    return Net(name, resolution, channels, eps, layers, checkpoint, data, file, exits)


def _is_relative(text: Any) -> bool:
    """Whether ``text`` is a plain relative path with '/', going nowhere up."""
    return isinstance(text, str) and all(
        re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", part) for part in text.split("/")
    )


def _line(file: Path, where: str, line: Any) -> Spec:
    words = line.split() if isinstance(line, str) else []
    if not words or words[0] not in LETTERS:
        hint = check.suggest(words[0], LETTERS) if words else ""
        raise check.bad(file, where, line, f"a line that starts with {', '.join(LETTERS)}{hint}")
    kind, place = words[0], f"{where} {check.show(line)}"
    required, optional = LETTERS[kind]
    add = kind == "block" and words[-1] == "add"
    values: dict[str, int] = {}
    for word in words[1 : -1 if add else None]:
        letter = word[0]
        if letter not in required + optional or letter in values or not re.fullmatch("[0-9]{1,9}", word[1:]):
            raise check.bad(file, f"{place}: {check.show(word)}", line, _form(kind))
        values[letter] = check.integer(file, f"{place}: {letter}", int(word[1:]), RANGES[letter])
    missing = [letter for letter in required if letter not in values]
    if missing:
        raise TinyswitchError(f"{file}: {place}: {missing[0]} is missing; allowed: {_form(kind)}")
    return Spec(
        kind,
        place,
        values.get("k", 1),
        values.get("s", 1),
        values.get("e"),
        values.get("c", 0),
        add,
    )


def _form(kind: str) -> str:
    required, optional = LETTERS[kind]
    words = [kind, *(f"{letter}N" for letter in required), *(f"[{letter}N]" for letter in optional)]
    return " ".join([*words, "[add]"] if kind == "block" else words)

"""Writes plans as C: one file with the tables of all models, each once, and the model table."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from tinyswitch.compiler.plan import INPUT, FeatureMap, Plan, Records, Stage, Stride, Weights
from tinyswitch.compiler.stream import Stream
from tinyswitch.compiler.table import Known, groups, table_entry
from tinyswitch.compiler.views import View, find_views, stride

TEMPLATES = Path(__file__).resolve().parents[3] / "templates"
C_TYPES = {
    np.dtype(np.int8): "int8_t",
    np.dtype(np.uint8): "uint8_t",
    np.dtype(np.uint16): "uint16_t",
    np.dtype(np.int32): "int32_t",
    np.dtype(np.float64): "double",
}
OP_WIDE = 0xFE  # as in tinyswitch.h
OP_INPUT = 0xFF
PER_LINE = 24  # values a line of a table


def emit(
    plans: Sequence[Plan],
    folder: Path,
    known: Sequence[Known] = (),
    more: Mapping[str, Mapping[str, Any]] | None = None,
    streams: Sequence[Stream | None] = (),
) -> list[Path]:
    """Writes ``models.c`` and ``model_table.c`` into ``folder`` and removes other C files there.

    Whatever several models have in common, weights above all, is there once.

    ``known``: what is known of each model, for the model table; nothing if it is left out. ``more``: further
    files, with what the templates of their names are rendered with. ``streams``: the streaming form of each
    model, None if it has none; with any of them ``streams.c`` is written too.

    A file whose contents stay the same is not touched, so that nothing is rebuilt for it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    parts = _stream_parts(streams)
    tables = _Tables(find_views([*plans, *parts.values()]))
    named = {f"m{i}": plan for i, plan in enumerate(plans)} | parts
    models = [_ModelText(prefix, plan, tables).values() for prefix, plan in named.items()]
    sources = {"models.c": environment.get_template("models.c.j2").render(models=models)}
    sources["model_table.c"] = environment.get_template("model_table.c.j2").render(
        entries=[
            {"model": f"m{i}_model", **table_entry(k, group)}
            for i, (k, group) in enumerate(zip(known or [Known()] * len(plans), groups(plans), strict=True))
        ],
        arena_bytes=max((p.arena_bytes for p in [*plans, *streams] if p), default=8),
    )
    if streams:
        texts = [_stream_text(f"m{i}", s) if s else None for i, s in enumerate(streams)]
        sources["streams.c"] = environment.get_template("streams.c.j2").render(streams=texts)
    for name, values in (more or {}).items():
        sources[name] = environment.get_template(f"{name}.j2").render(values)
    for old in folder.glob("*.c"):
        if old.name not in sources:
            old.unlink()
    return [_write_if_new(folder / name, text) for name, text in sources.items()]


def _write_if_new(path: Path, text: str) -> Path:
    if not path.exists() or path.read_text() != text:
        partial = path.with_suffix(".partial")
        partial.write_text(text)
        os.replace(partial, path)
    return path


def _stream_parts(streams: Sequence[Stream | None]) -> dict[str, Plan]:
    """Plans of bodies and tails by the prefixes of their names."""
    parts: dict[str, Plan] = {}
    for i, stream in enumerate(streams):
        if stream:
            parts |= {f"m{i}_body": stream.body, f"m{i}_tail": stream.tail}
    return parts


def _stream_text(prefix: str, stream: Stream) -> dict[str, Any]:
    """What templates/streams.c.j2 is rendered with, a stream."""
    loop = len(_encode(stream.body.schedule[: stream.loop]))
    rounds = ", ".join(map(str, stream.rounds))
    return {"prefix": prefix, "stream": stream, "loop": loop, "rounds": rounds}


def tables_of(plans: Sequence[Plan]) -> list[set[str]]:
    """Names in ``models.c`` of what each model needs; some may be in several models' sets."""
    shared = _Tables(find_views(plans))
    texts = [_ModelText(f"m{i}", plan, shared) for i, plan in enumerate(plans)]
    return [text.values() and text.names for text in texts]


class _Tables:
    """Names of what was emitted already, by its contents."""

    def __init__(self, views: dict[Weights, View]) -> None:
        self.views = views
        self._names: dict[Hashable, str] = {}

    def name(self, contents: Hashable, name: str) -> tuple[str, bool]:
        """The name of what has these contents, and whether it is new: ``name`` then."""
        found = self._names.setdefault(contents, name)
        return found, found == name


class _ModelText:
    """Names and initialisers of one model's tables; ``values`` has those that no model before it has."""

    def __init__(self, prefix: str, plan: Plan, tables: _Tables):
        self._prefix = prefix
        self._plan = plan
        self._shared = tables
        self.names = {f"{prefix}_model", f"{prefix}_outputs"}  # of all that the model needs
        self._tables: list[dict[str, Any]] = []
        self._params: list[dict[str, Any]] = []

    def values(self) -> dict[str, Any]:
        """What templates/models.c.j2 is rendered with."""
        plan = self._plan
        index = {m: i for i, m in enumerate(plan.maps)}
        stages = [self._stage(s, index) for s in plan.stages]
        tensors = [self._tensor(m) for m in plan.maps]
        schedule = self._table(np.array(_encode(plan.schedule), np.uint8), "t")
        outputs = self._table(np.array([index[m] for m in plan.output_maps], np.uint16), "t")
        return {
            "prefix": self._prefix,
            "plan": plan,
            "tables": self._tables,
            "params": self._params,
            "tensors": self._array(tensors, "tensors"),
            "n_tensors": len(tensors),
            "stages": self._array(stages, "stages"),
            "n_stages": len(stages),
            "schedule": schedule,
            "schedule_bytes": len(_encode(plan.schedule)),
            "outputs": outputs,
            "output_quantisation": [_quantisation(m) for m in plan.output_maps],
            "input_quantisation": _quantisation(plan.input_map),
            "input": index[plan.input_map],
        }

    def _name(self, contents: Hashable, name: str) -> tuple[str, bool]:
        found, new = self._shared.name(contents, name)
        self.names.add(found)
        return found, new

    def _stage(self, stage: Stage, index: dict[FeatureMap, int]) -> str:
        params = "NULL"
        if stage.struct is not None:
            params = f"&{self._struct(stage.struct, self._initialiser(stage.params))}"
        inputs = self._table(np.array([index[m] for m in stage.inputs], np.uint16), "t")
        fields = [
            stage.kernel,
            params,
            inputs,
            len(stage.inputs),
            index[stage.output],
            self._plan.scratch.get(stage, 0),
        ]
        return "{" + ", ".join(map(str, fields)) + "}"

    def _tensor(self, m: FeatureMap) -> str:
        place = self._plan.placements.get(m)
        constant = self._table(m.constant.view(np.int8), "t") if m.constant is not None else "NULL"
        offset, slots = (place.offset, place.slots) if place else (0, m.height)
        fields = [constant, offset, m.row_bytes, slots, m.height, m.width, m.channels]
        return "{" + ", ".join(map(str, fields)) + "}"

    def _struct(self, c_type: str, text: str) -> str:
        name, new = self._name((c_type, text), f"{self._prefix}_p{len(self._params)}")
        if new:
            self._params.append({"type": c_type, "name": name, "text": text})
        return name

    def _array(self, lines: list[str], kind: str) -> dict[str, Any]:
        """Name of the array with these lines; the lines themselves if no model before has it."""
        if not lines:
            return {"name": "NULL", "lines": []}
        name, new = self._name((kind, *lines), f"{self._prefix}_{kind}")
        return {"name": name, "lines": lines if new else []}

    def _initialiser(self, value: Any) -> str:
        if isinstance(value, Weights):
            return self._weights(value)
        if isinstance(value, Stride):
            view = self._shared.views.get(value.weights)
            return str(view.stride(value.axis) if view else stride(value.weights.values.shape, value.axis))
        if isinstance(value, Records):
            return self._table(value.values, "t", value.c_type)
        if isinstance(value, np.ndarray):
            return self._table(value, "t")
        if isinstance(value, dict):
            return "{" + ", ".join(f".{k} = {self._initialiser(v)}" for k, v in value.items()) + "}"
        if isinstance(value, list):
            return "{" + ", ".join(self._initialiser(v) for v in value) + "}"
        return _literal(int(value))

    def _weights(self, weights: Weights) -> str:
        """The table, or the place in the larger one."""
        view = self._shared.views.get(weights)
        if view is None:
            return self._table(weights.values, "w")
        base = self._table(view.base.values, "w")
        return f"{base} + {view.offset}" if view.offset else base

    def _table(self, values: np.ndarray, kind: str, c_type: str | None = None) -> str:
        """Name of the table with these values; ``kind`` w for weights, t for others."""
        type_name = c_type or C_TYPES[values.dtype]
        key = (kind, type_name, values.tobytes())
        name, new = self._name(key, f"{self._prefix}_{kind}{len(self._tables)}")
        if new:
            self._tables.append({"type": type_name, "name": name, "text": _text_of(values, c_type)})
        return name


def _text_of(values: np.ndarray, c_type: str | None) -> str:
    flat = values.reshape(-1)
    if c_type is not None:
        texts = ["{" + ", ".join(map(_literal, record)) + "}" for record in values.tolist()]
    elif flat.dtype == np.float64:
        texts = [float(v).hex() for v in flat]
    else:
        texts = [_literal(v) for v in flat.tolist()]
    lines = [", ".join(texts[i : i + PER_LINE]) for i in range(0, len(texts), PER_LINE)]
    return ",\n    ".join(lines)


def _literal(value: int) -> str:
    return "INT32_MIN" if value == -(1 << 31) else str(value)


def _quantisation(m: FeatureMap) -> str:
    return f"{{{float(np.float32(m.scale)).hex()}f, {m.zero_point}, {int(m.dtype == np.uint8)}}}"


def _encode(schedule: list[int]) -> list[int]:
    """Bytes of a schedule; see TS_OP_* in tinyswitch.h."""
    encoded: list[int] = []
    for entry in schedule:
        if entry == INPUT:
            encoded.append(OP_INPUT)
        elif entry < OP_WIDE:
            encoded.append(entry)
        else:
            encoded += [OP_WIDE, entry & 0xFF, entry >> 8]
    return encoded

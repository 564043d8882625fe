"""Firmware: models compiled to C, built by PlatformIO, measured, uploaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyswitch.compiler import Known, Plan, Stream, compile_model, compile_stream, emit
from tinyswitch.errors import TinyswitchError
from tinyswitch.firmware import fit, memory, pio, project

__all__ = ["Build", "DoesNotFit", "Entry", "build", "report", "upload"]


class DoesNotFit(TinyswitchError):
    """Models need more flash or RAM than the board has."""


@dataclass(frozen=True)
class Entry:
    """A line of the firmware's model table: a ``.tflite`` and what is known of it; None: unknown."""

    path: Path
    accuracy: float | None = None  # top-1, 0..1
    cycles: int | None = None  # of one inference on the board, without other load


@dataclass(frozen=True)
class Build:
    """A firmware that was built."""

    board: str
    app: str
    elf: Path
    models: tuple[Plan, ...]  # in the order of the firmware's model table
    memory: dict[str, Any]  # what memory.json beside the ELF says; see tinyswitch.firmware.memory


def build(board: str, app: str, models: Sequence[Path | Entry]) -> Build:
    """Compiles the ``.tflite`` files and builds the firmware that holds them, in build/BOARD/APP.

    Nothing is rebuilt when nothing has changed. Raises DoesNotFit (by how much, and what would), and
    TinyswitchError for models that do not compile, for C that does not compile, and when a tool is missing.
    """
    spec = project.board(board, app)
    if not models:
        raise TinyswitchError(f"{board}: no model; name at least one .tflite file")
    entries = [model if isinstance(model, Entry) else Entry(Path(model)) for model in models]
    known = [_known(entry) for entry in entries]
    plans = tuple(compile_model(entry.path, spec.kernels) for entry in entries)
    _check_names(plans)
    more: dict[str, dict[str, Any]] = {}
    streams: list[Stream | None] = []
    if app == "gesture":
        plans, known, more = _gestures(plans, spec.is_embedded)
    elif app == "keyword":
        streams = [compile_stream(plan.source, spec.kernels) for plan in plans]
        known, more = _keywords(plans, streams, spec.is_embedded)
    with project.locked():
        spec.output.mkdir(parents=True, exist_ok=True)
        spec.memory_file.unlink(missing_ok=True)  # it describes a firmware that is about to go
        emit(plans, spec.generated, known, more, streams)
        overflow = pio.compile(spec)
        if overflow:
            raise DoesNotFit(fit.refusal(spec, plans, overflow))
        figures = memory.measure(spec, plans, streams)
        memory.write(figures, spec.memory_file)
    return Build(board, app, spec.elf, plans, figures)


def _gestures(
    compiled: Sequence[Plan], embedded: bool
) -> tuple[tuple[Plan, ...], list[Known], dict[str, dict[str, Any]]]:
    """Models that have a record, each at every sampling rate: plans, what is known of them, their table."""
    from tinyswitch.gestures import table  # whose features are C of the firmware: it imports this package

    entries = table.entries([plan.source for plan in compiled])
    plans = table.plans(entries, compiled)
    known = [table.known(entry, plan, embedded) for entry, plan in zip(entries, plans, strict=True)]
    return tuple(plans), known, {table.TEMPLATE: table.template_values(entries)}


def _keywords(
    plans: Sequence[Plan], streams: Sequence[Stream | None], embedded: bool
) -> tuple[list[Known], dict[str, dict[str, Any]]]:
    """What is known of models that listen, and their table."""
    from tinyswitch.keywords import table  # whose features are C of the firmware: it imports this package

    table.check_all(plans)
    known = [table.known(plan, stream, embedded) for plan, stream in zip(plans, streams, strict=True)]
    return known, {table.TEMPLATE: table.template_values(streams)}


def _known(entry: Entry) -> Known:
    if entry.accuracy is not None and not 0 <= entry.accuracy <= 1:
        raise TinyswitchError(f"{entry.path}: accuracy {entry.accuracy}; it is a fraction, 0 to 1")
    if entry.cycles is not None and entry.cycles < 0:
        raise TinyswitchError(f"{entry.path}: {entry.cycles} cycles; leave them out if they are unknown")
    return Known(entry.accuracy, entry.cycles)


def _check_names(plans: Sequence[Plan]) -> None:
    """A model's name is its file's; on the board it is how a user tells models apart."""
    sources: dict[str, Path] = {}
    for plan in plans:
        other = sources.setdefault(plan.name, plan.source)
        if other is not plan.source:
            raise TinyswitchError(
                f"{other} and {plan.source}: both would be called {plan.name!r} on the board; "
                "rename one of the files"
            )


def upload(build: Build, port: str | None) -> None:
    """Puts the firmware on the board: by OpenOCD, or by copying it to the board's USB drive.

    ``port`` picks one of several connected boards. Raises TinyswitchError if neither way is open or it fails.
    """
    spec = project.board(build.board, build.app)
    with project.locked():
        pio.upload(spec, port)


def report(build: Build) -> str:
    """The firmware's flash and RAM as text with bars."""
    return memory.report(build.memory)

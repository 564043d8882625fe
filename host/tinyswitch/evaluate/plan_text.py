"""A memory map as tables: segments, and what lies where when a segment needs most."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from tinyswitch.compiler.kinds import kind
from tinyswitch.compiler.memory_map import Item, MemoryMap, Segment
from tinyswitch.compiler.plan import FeatureMap
from tinyswitch.errors import TinyswitchError


def tables(memory_map: MemoryMap, segments: Sequence[Segment]) -> list[Table]:
    """All segments in one table, then one table for each of the ``segments`` asked for."""
    return [segment_table(memory_map), *(moment_table(memory_map, s) for s in segments)]


def chosen(memory_map: MemoryMap, text: str | None) -> list[Segment]:
    """``--segment``: a number, "all", or None for the one that sets the peak; else TinyswitchError."""
    if not memory_map.segments:
        return []
    if text is None:
        return [memory_map.peak]
    if text == "all":
        return memory_map.segments
    found = [s for s in memory_map.segments if str(s.index) == text]
    if not found:
        last = len(memory_map.segments) - 1
        raise TinyswitchError(
            f"--segment {text}: {memory_map.plan.name} has the segments 0 to {last}, or all"
        )
    return found


def segment_table(memory_map: MemoryMap) -> Table:
    """A line a segment. "peak" reaches highest; "most" has most bytes in use, below which no layout gets."""
    plan = memory_map.plan
    most = max((s.alive for s in memory_map.segments), default=0)
    table = Table(
        title=f"{plan.name}: {plan.arena_bytes:,} bytes",
        caption=f"most bytes in use: {most:,}; {2 * len(plan.stages)} more are step counters; "
        f"time: entries of the schedule, {len(plan.schedule):,} in all",
    )
    table.add_column("segment", justify="right")
    table.add_column("stages")
    for name in ("time", "bytes in use", "reaches", ""):
        table.add_column(name, justify="right")
    for s in memory_map.segments:
        marks = [text for text, true in (("peak", s == memory_map.peak), ("most", s.alive == most)) if true]
        style = "bold" if s == memory_map.peak else ""
        time = f"{s.first:,} to {s.last:,}"
        table.add_row(
            str(s.index),
            _stages(memory_map, s),
            time,
            f"{s.alive:,}",
            f"{s.top:,}",
            ", ".join(marks),
            style=style,
        )
    return table


def _stages(memory_map: MemoryMap, segment: Segment) -> str:
    """First and last stage, and how many of each kind."""
    kinds = [kind(memory_map.plan.stages[i]) for i in segment.stages]
    counts = ", ".join(f"{kinds.count(k)} {k}" for k in dict.fromkeys(kinds))
    return f"{segment.stages.start} to {segment.stages.stop - 1}: {counts}"


def moment_table(memory_map: MemoryMap, segment: Segment) -> Table:
    """What lies where at the entry at which ``segment`` has most bytes in use."""
    items = memory_map.at(segment.worst)
    table = Table(title=f"segment {segment.index} at entry {segment.worst:,}: {segment.alive:,} bytes in use")
    for name in ("from", "to", "bytes"):
        table.add_column(name, justify="right")
    table.add_column("what")
    table.add_column("held as")
    table.add_column("in use", justify="right")
    free_from = 0
    for item in items:
        if item.offset > free_from:
            table.add_row(*_place(free_from, item.offset), "free", "", "", style="dim")
        time = f"{item.first:,} to {item.last:,}"
        place = _place(item.offset, item.end)
        table.add_row(*place, memory_map.name(item.owner), _held(memory_map, item), time)
        free_from = max(free_from, item.end)
    return table


def _place(start: int, end: int) -> tuple[str, str, str]:
    return f"{start:,}", f"{end:,}", f"{end - start:,}"


def _held(memory_map: MemoryMap, item: Item) -> str:
    """Which rows of a map these are, and whether the place is a ring."""
    if not isinstance(item.owner, FeatureMap):
        return ""
    first, last = item.rows[0], item.rows[-1]
    rows = f"row {first}" if first == last else f"rows {first} to {last}"
    slots, height = memory_map.plan.placements[item.owner].slots, item.owner.height
    return f"{rows} of {height}" + (f", ring of {slots}" if slots < height else "")

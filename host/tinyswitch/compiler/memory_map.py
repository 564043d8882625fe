"""What lies where in a plan's arena, and when: read off the plan by replaying its schedule.

Time is an index into ``Plan.schedule``; the entry ``len(schedule)`` stands for the time when the outputs are
read. docs/bench.md shows how to read the text and the picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tinyswitch.compiler.kinds import kind
from tinyswitch.compiler.plan import INPUT, FeatureMap, Plan, Stage

Owner = FeatureMap | Stage | None  # None: the step counters


@dataclass(frozen=True)
class Block:
    """Bytes of the arena in one use."""

    owner: Owner
    offset: int
    size: int
    first: int  # schedule entries, both included
    last: int
    row: int | None  # of the map, the row that lies here; None: no map

    @property
    def end(self) -> int:
        return self.offset + self.size

    def alive(self, entry: int) -> bool:
        return self.first <= entry <= self.last


@dataclass(frozen=True)
class Segment:
    """Stages that run together, and what they need; sizes in bytes, step counters excluded."""

    index: int
    stages: range
    first: int  # schedule entries, both included
    last: int
    alive: int  # most bytes in use at one time
    top: int  # highest end of a block in use
    worst: int  # first entry at which the most bytes are in use


@dataclass(frozen=True)
class Item:
    """Blocks of one owner that are in use at one time, one behind the other in the arena."""

    owner: Owner
    offset: int
    end: int
    rows: tuple[int, ...]  # of a map, sorted; empty: no map
    first: int
    last: int


class MemoryMap:
    """Blocks, segments and names of one plan."""

    def __init__(self, plan: Plan):
        self.plan = plan
        self._producer = {stage.output: i for i, stage in enumerate(plan.stages)}
        self._index = {stage: i for i, stage in enumerate(plan.stages)}
        self._replay()
        self.blocks = self._blocks()
        self.segments = self._segments()

    @property
    def peak(self) -> Segment:
        """The segment that sets the arena's size: the one that reaches highest, the first of equal ones."""
        return max(self.segments, key=lambda s: (s.top, s.alive))

    def at(self, entry: int) -> list[Item]:
        """What is in use at a schedule entry, lowest first."""
        alive = sorted((b for b in self.blocks if b.alive(entry)), key=lambda b: b.offset)
        items: list[Item] = []
        for block in alive:
            rows = () if block.row is None else (block.row,)
            before = items[-1] if items else None
            if before and before.owner is block.owner and before.end == block.offset:
                rows = tuple(sorted((*before.rows, *rows)))
                first, last = min(before.first, block.first), max(before.last, block.last)
                items[-1] = Item(block.owner, before.offset, block.end, rows, first, last)
            else:
                items.append(Item(block.owner, block.offset, block.end, rows, block.first, block.last))
        return items

    def kind(self, owner: Owner) -> str:
        """The kind of the stage that makes a map, "input", "scratch" or "counters"."""
        if owner is None:
            return "counters"
        if isinstance(owner, Stage):
            return "scratch"
        producer = self._producer.get(owner)
        return "input" if producer is None else kind(self.plan.stages[producer])

    def name(self, owner: Owner) -> str:
        """Short, and unique within the plan: "12 depthwise 22 x 22 x 96"."""
        if owner is None:
            return "step counters"
        if isinstance(owner, Stage):
            return f"{self._index[owner]} {kind(owner)} scratch"
        shape = " x ".join(map(str, owner.shape))
        producer = self._producer.get(owner)
        return f"{'input' if producer is None else f'{producer} {self.kind(owner)}'} {shape}"

    def _replay(self) -> None:
        """When each row is written and last read, and when each stage runs."""
        plan = self.plan
        self._written: dict[FeatureMap, list[int]] = {}
        self._last_read: dict[FeatureMap, list[int]] = {}
        self._entries: dict[Stage, list[int]] = {}
        steps = [0] * len(plan.stages)
        for now, entry in enumerate(plan.schedule):
            if entry == INPUT:
                self._write(plan.input_map, now)
                continue
            stage, step = plan.stages[entry], steps[entry]
            steps[entry] += 1
            self._entries.setdefault(stage, []).append(now)
            for source, reads in zip(stage.inputs, stage.reads, strict=True):
                for row in reads(step) if source.constant is None else ():
                    self._last_read[source][row] = now
            if stage.row_made(step) is not None:
                self._write(stage.output, now)
        for output in plan.output_maps:
            if output in self._last_read:
                self._last_read[output] = [len(plan.schedule)] * len(self._last_read[output])

    def _write(self, made: FeatureMap, now: int) -> None:
        self._written.setdefault(made, []).append(now)
        self._last_read.setdefault(made, []).append(now)

    def _blocks(self) -> list[Block]:
        plan = self.plan
        blocks = [b for m in plan.placements for b in self._map_blocks(m)]
        for stage, offset in plan.scratch.items():
            for first, last in stage.scratch_times(self._entries.get(stage, [])):
                blocks.append(Block(stage, offset, stage.scratch_bytes, first, last, None))
        if plan.stages:
            counters = 2 * len(plan.stages)
            blocks.append(Block(None, plan.steps_offset, counters, 0, len(plan.schedule), None))
        return blocks

    def _map_blocks(self, m: FeatureMap) -> Iterable[Block]:
        place, written, read = self.plan.placements[m], self._written.get(m), self._last_read.get(m)
        if not written or not read:
            return
        for row, (first, last) in enumerate(zip(written, read, strict=True)):
            offset = place.offset + row % place.slots * m.row_bytes
            yield Block(m, offset, m.row_bytes, first, last, row)

    def _segments(self) -> list[Segment]:
        used = [b for b in self.blocks if b.owner is not None]
        end = len(self.plan.schedule)
        alive = _sums(used, end + 1)
        segments, first = [], 0
        for index, stages in enumerate(self.plan.segments):
            entries = [self._entries[self.plan.stages[i]] for i in stages]
            is_last = index == len(self.plan.segments) - 1
            last = end if is_last else max(e[-1] for e in entries)
            top = max((b.end for b in used if b.first <= last and b.last >= first), default=0)
            most = max(alive[first : last + 1], default=0)
            worst = alive.index(most, first)
            segments.append(Segment(index, stages, first, last, most, top, worst))
            first = last + 1
        return segments


def _sums(blocks: Sequence[Block], entries: int) -> list[int]:
    """Bytes in use at each entry."""
    change = [0] * (entries + 1)
    for block in blocks:
        change[block.first] += block.size
        change[block.last + 1] -= block.size
    sums, now = [], 0
    for c in change[:-1]:
        now += c
        sums.append(now)
    return sums

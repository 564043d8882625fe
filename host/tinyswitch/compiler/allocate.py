"""Places feature maps and accumulators in the arena, several at one place where their times don't meet.

A map held whole counts row by row, so a map may be written over one whose rows are already consumed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from tinyswitch.compiler.plan import FeatureMap, Placement, Stage
from tinyswitch.compiler.schedule import Life, Schedule

ALIGNMENT = 4  # bytes, of every map: accumulators are int32, kernels may load words
TRIES = 300  # random orders tried besides the good ones; seeded, so a plan is the same every time


@dataclass(eq=False)
class _Item:
    """Something to place: blocks of bytes with the time they are needed."""

    owner: FeatureMap | Stage
    slots: int
    size: int
    begin: np.ndarray  # of each block, relative to the item
    end: np.ndarray
    first: np.ndarray  # schedule entries, both ends included
    last: np.ndarray


@dataclass(frozen=True)
class Layout:
    placements: dict[FeatureMap, Placement]
    scratch: dict[Stage, int]
    steps_offset: int
    arena_bytes: int
    activation_bytes: int


def allocate(stages: list[Stage], schedule: Schedule) -> Layout:
    """Lowest arena found by first fit over several orders."""
    items = [_map_item(m, life) for m, life in schedule.lives.items()]
    items += [_scratch_item(s, schedule.steps[s]) for s in stages if s.scratch_bytes]
    offsets = _best_offsets(items)
    placements = {
        i.owner: Placement(o, i.slots) for i, o in offsets.items() if isinstance(i.owner, FeatureMap)
    }
    scratch = {i.owner: o for i, o in offsets.items() if isinstance(i.owner, Stage)}
    used = _aligned(max((o + i.size for i, o in offsets.items()), default=0))
    arena = (used + 2 * len(stages) + 7) // 8 * 8
    return Layout(placements, scratch, used, arena, _activation_bytes(offsets))


def _map_item(m: FeatureMap, life: Life) -> _Item:
    slots = life.slots(m.height)
    if slots < m.height:
        size = slots * m.row_bytes
        begin, end = np.array([0]), np.array([size])
        first, last = np.array([min(life.written)]), np.array([max(life.last_read)])
        return _Item(m, slots, size, begin, end, first, last)
    begin = np.arange(m.height) * m.row_bytes
    first, last = np.array(life.written), np.array(life.last_read)
    return _Item(m, slots, m.height * m.row_bytes, begin, begin + m.row_bytes, first, last)


def _scratch_item(stage: Stage, steps: list[int]) -> _Item:
    times = stage.scratch_times(steps)
    begin, end = np.zeros(len(times), int), np.full(len(times), stage.scratch_bytes)
    first, last = (np.array([t[i] for t in times]) for i in (0, 1))
    return _Item(stage, 1, stage.scratch_bytes, begin, end, first, last)


def _best_offsets(items: list[_Item]) -> dict[_Item, int]:
    forbidden = {}
    for a in items:
        for b in items:
            if a is not b:
                forbidden[a, b] = _forbidden(a, b)
    bound = _lower_bound(items)
    best: dict[_Item, int] = {}
    best_size = -1
    for order in _orders(items):
        offsets = _first_fit(order, forbidden, best_size)
        if offsets is not None:
            best = offsets
            best_size = max((o + i.size for i, o in offsets.items()), default=0)
        if best_size <= bound:
            break
    return best


def _orders(items: list[_Item]):
    """Orders to place in: large first, long-lived first, and random changes of the first."""
    by_size = sorted(items, key=lambda i: -i.size)
    yield by_size
    yield sorted(items, key=lambda i: -i.size * int(i.last.max() - i.first.min() + 1))
    yield sorted(items, key=lambda i: (int(i.first.min()), -i.size))
    yield sorted(items, key=lambda i: (-int(i.last.max()), -i.size))
    rng = random.Random(0)
    for _ in range(TRIES):
        yield sorted(by_size, key=lambda i: -i.size * rng.uniform(0.3, 1.0))


def _forbidden(a: _Item, b: _Item) -> list[tuple[int, int]]:
    """Open intervals that (offset of b - offset of a) must avoid, merged."""
    meet = (a.first[:, None] <= b.last[None, :]) & (b.first[None, :] <= a.last[:, None])
    if not meet.any():
        return []
    low = (a.begin[:, None] - b.end[None, :])[meet]
    high = (a.end[:, None] - b.begin[None, :])[meet]
    order = np.argsort(low)
    merged: list[tuple[int, int]] = []
    for lo, hi in zip(low[order].tolist(), high[order].tolist(), strict=True):
        if merged and lo < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], hi))
        else:
            merged.append((lo, hi))
    return merged


def _first_fit(
    order: list[_Item], forbidden: dict[tuple[_Item, _Item], list[tuple[int, int]]], limit: int
) -> dict[_Item, int] | None:
    """Each item at the lowest free offset; None as soon as the size reaches ``limit`` (-1: no limit)."""
    offsets: dict[_Item, int] = {}
    for item in order:
        taken = sorted(
            (lo + offset, hi + offset)
            for other, offset in offsets.items()
            for lo, hi in forbidden[other, item]
        )
        place = 0
        for lo, hi in taken:
            if place <= lo:
                break
            place = max(place, _aligned(hi))
        if limit >= 0 and place + item.size >= limit:
            return None
        offsets[item] = place
    return offsets


def _aligned(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT


def _lower_bound(items: list[_Item]) -> int:
    """Bytes alive at the worst moment."""
    changes: dict[int, int] = {}
    for i in items:
        for begin, end, first, last in zip(i.begin, i.end, i.first, i.last, strict=True):
            changes[int(first)] = changes.get(int(first), 0) + int(end - begin)
            changes[int(last) + 1] = changes.get(int(last) + 1, 0) - int(end - begin)
    peak = now = 0
    for time in sorted(changes):
        now += changes[time]
        peak = max(peak, now)
    return peak


def _activation_bytes(offsets: dict[_Item, int]) -> int:
    """Highest byte used by a feature map."""
    return max((o + i.size for i, o in offsets.items() if isinstance(i.owner, FeatureMap)), default=0)

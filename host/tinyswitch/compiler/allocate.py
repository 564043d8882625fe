"""Places feature maps and accumulators in the arena, several at one place where their times don't meet.

Every row counts for itself, so a map may be written over one whose rows are already consumed, and a ring
leaves room between its rows' times.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, replace

import numpy as np

from tinyswitch.compiler.plan import FeatureMap, Placement, Stage
from tinyswitch.compiler.schedule import Life, Schedule

ALIGNMENT = 4  # bytes, of every map: accumulators are int32, kernels may load words
MAX_BLOCKS = 256  # of an item
# Random orders tried, and changes of the best one. Seeded, so a plan is the same every time.
NOISY_TRIES = 100
CHANGES = 500


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
    items += [_scratch_item(s, schedule.steps[s]) for s in stages if s.scratch_bytes and s in schedule.steps]
    offsets = _best_offsets(items)
    placements = {
        i.owner: Placement(o, i.slots) for i, o in offsets.items() if isinstance(i.owner, FeatureMap)
    }
    scratch = {i.owner: o for i, o in offsets.items() if isinstance(i.owner, Stage)}
    used = _aligned(_end(offsets))
    arena = (used + 2 * len(stages) + 7) // 8 * 8
    return Layout(placements, scratch, used, arena, _activation_bytes(offsets))


def _map_item(m: FeatureMap, life: Life) -> _Item:
    """A block a row: a slot of a ring is free from the last reading of a row to the next row's writing."""
    slots = life.slots(m.height)
    first, last = np.array(life.written), np.array(life.last_read)  # rows that nobody needs aren't made
    begin = np.arange(len(first)) % slots * m.row_bytes
    item = _Item(m, slots, slots * m.row_bytes, begin, begin + m.row_bytes, first, last)
    return item if len(first) <= MAX_BLOCKS else _coarsened(item)


def _coarsened(item: _Item) -> _Item:
    """The same with fewer blocks, several rows in each: tall maps would take too long otherwise."""
    if item.slots < len(item.begin):  # a ring: all of it, all the time
        begin, end = np.array([0]), np.array([item.size])
        return replace(item, begin=begin, end=end, first=item.first[:1], last=item.last.max(keepdims=True))
    starts = np.arange(0, len(item.begin), -(-len(item.begin) // MAX_BLOCKS))
    return replace(
        item,
        begin=np.minimum.reduceat(item.begin, starts),
        end=np.maximum.reduceat(item.end, starts),
        first=np.minimum.reduceat(item.first, starts),
        last=np.maximum.reduceat(item.last, starts),
    )


def _scratch_item(stage: Stage, steps: list[int]) -> _Item:
    times = stage.scratch_times(steps)
    begin, end = np.zeros(len(times), int), np.full(len(times), stage.scratch_bytes)
    first, last = (np.array([t[i] for t in times]) for i in (0, 1))
    return _Item(stage, 1, stage.scratch_bytes, begin, end, first, last)


def _best_offsets(items: list[_Item]) -> dict[_Item, int]:
    forbidden = {}
    for a, b in itertools.combinations(items, 2):
        forbidden[a, b] = _forbidden(a, b)
        forbidden[b, a] = [(-high, -low) for low, high in reversed(forbidden[a, b])]
    bound = _lower_bound(items)
    rng = random.Random(0)
    order, offsets = _first_tries(items, forbidden, rng)
    size = _end(offsets)
    for _ in range(CHANGES):
        if size <= bound:
            break
        changed = _vary(order, offsets, rng)
        found = _first_fit(changed, forbidden, size)
        if found is not None:
            order, offsets, size = changed, found, _end(found)
    return offsets


def _first_tries(
    items: list[_Item], forbidden: dict, rng: random.Random
) -> tuple[list[_Item], dict[_Item, int]]:
    """The best of some orders: large, long-lived or late first, each of them exactly and with noise."""

    def late(i: _Item) -> float:
        return float(i.last.max())

    def large(i: _Item) -> float:
        return i.size

    def long_lived(i: _Item) -> float:
        return i.size * float(i.last.max() - i.first.min() + 1)

    best: tuple[list[_Item], dict[_Item, int]] | None = None
    for first in (late, large, long_lived):
        for noise in (0.0, *[0.7] * NOISY_TRIES):
            keys = {i: first(i) * rng.uniform(1 - noise, 1) for i in items}
            order = sorted(items, key=lambda i: -keys[i])
            found = _first_fit(order, forbidden, None if best is None else _end(best[1]) - 1)
            if found is not None:
                best = (order, found)
    return best


def _vary(order: list[_Item], offsets: dict[_Item, int], rng: random.Random) -> list[_Item]:
    """Another order: what lies highest is placed earlier, or any two change places."""
    changed = list(order)
    if rng.random() < 0.5:
        place = changed.index(max(offsets, key=lambda i: offsets[i] + i.size))
        changed.insert(rng.randint(0, place), changed.pop(place))
    else:
        i, j = rng.randrange(len(order)), rng.randrange(len(order))
        changed[i], changed[j] = changed[j], changed[i]
    return changed


def _end(offsets: dict[_Item, int]) -> int:
    return max((o + i.size for i, o in offsets.items()), default=0)


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
    order: list[_Item], forbidden: dict[tuple[_Item, _Item], list[tuple[int, int]]], limit: int | None
) -> dict[_Item, int] | None:
    """Each item at the lowest free offset; None as soon as the size exceeds ``limit``."""
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
        if limit is not None and place + item.size > limit:
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
    return _end({i: o for i, o in offsets.items() if isinstance(i.owner, FeatureMap)})

"""From lines of frames to the figures of ``summary.json``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Any

from tinyswitch.evaluate.dynamic.play import Record


def figures(records: Sequence[Record], entries: Sequence[str]) -> dict[str, Any]:
    """The entry of one policy in ``policies``.

    ``share``: of the frames, those whose answer came from each entry; as every frame has the same period, its
    share of the time, too. ``accuracy`` is None without labels. Switches: how often another entry ran than
    before, within a frame (cascade) and from frame to frame.
    """
    graded = [record["right"] for record in records if record["right"] is not None]
    used = Counter(record["entry"] for record in records)
    ran = [name for record in records for name in record["entries"]]
    return {
        "accuracy": sum(graded) / len(graded) if graded else None,
        "deadline_misses": sum(record["missed"] for record in records),
        "switches": sum(a != b for a, b in pairwise(ran)),
        "frames": len(records),
        "share": {name: used[name] / len(records) if records else 0.0 for name in entries},
    }


def details(records: Sequence[Record], clock_hz: int) -> dict[str, Any]:
    """What else one policy's lines say; its entry in ``details``. Times in milliseconds at ``clock_hz``."""
    answers = [same for record in records for same in record["identical"]]
    switched = [record["switch_cycles"] for record in records]
    times = [record["elapsed_ms"] for record in records if record["answered"]]
    own = [record["cycles"] - record["stolen"] for record in records]
    graded = [record for record in records if record["right"] is not None]
    in_time = sum(record["right"] and not record["missed"] for record in graded)
    return {
        "right_in_time": in_time / len(graded) if graded else None,
        "inferences": len(answers),
        "identical_outputs": sum(answers),
        "nothing_fitted": sum(not record["decision"]["fits"] for record in records),
        "reasons": dict(Counter(record["decision"]["reason"] for record in records)),
        "no_ram": sum(not record["answered"] for record in records),
        "elapsed_ms": {"median": median(times), "max": max(times)} if times else None,
        "own_cycles_per_frame": round(sum(own) / len(own)),
        "slowest_switch_ms": max(switched) / clock_hz * 1e3,
        "missed_frames": [record["frame"] for record in records if record["missed"]],
    }

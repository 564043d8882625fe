"""The timeline: load above, active sub-networks below, misses marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tinyswitch.evaluate.dynamic.play import Record
from tinyswitch.evaluate.dynamic.trace import Load, Trace, Unit
from tinyswitch.evaluate.figure import save

CPU, RAM, BATTERY, ACTIVE, MISSED = "#c6dbef", "#e6550d", "#31a354", "#1f4e79", "#d62728"
FIXED = "fixed:"


def draw(
    summary: Mapping[str, Any],
    records: Mapping[str, Sequence[Record]],
    trace: Trace,
    unit: Unit,
    folder: Path,
) -> list[Path]:
    """Writes ``timeline.png`` and ``timeline.svg`` into ``folder``; ``records``: the lines of each policy.

    Raises TinyswitchError if it cannot.
    """
    import matplotlib

    matplotlib.use("Agg")  # needs no display
    from matplotlib import pyplot

    moving = [name for name in summary["policies"] if not name.startswith(FIXED)]
    entries = sorted(summary["entries"], key=summary["entries"].get)
    lanes = len(summary["policies"])
    heights = [2.0, *(0.5 + 0.22 * len(entries) for _ in moving), 0.5 + 0.2 * lanes]
    figure, axes = pyplot.subplots(
        len(heights),
        1,
        figsize=(12, 1.2 + sum(heights)),
        sharex=True,
        layout="constrained",
        gridspec_kw={"height_ratios": heights},
    )
    _draw_load(axes[0], trace, unit, summary)
    for place, name in zip(axes[1:], moving, strict=False):
        _draw_policy(place, name, summary, records[name], entries)
    _draw_misses(axes[-1], summary, records)
    for place in axes:
        place.spines[["top", "right"]].set_visible(False)
    axes[0].set_xlim(0, _end(summary))
    axes[-1].set_xlabel("time (s)")
    kind = "" if summary["kind"] == summary["board"] else f", {summary['kind']} board"
    figure.suptitle(f"{summary['family'] or 'models'} on {summary['board']}{kind}, trace {summary['trace']}")
    return [save(figure, folder / f"timeline.{suffix}") for suffix in ("png", "svg")]


def _end(summary: Mapping[str, Any]) -> float:
    return max(policy["frames"] for policy in summary["policies"].values()) / summary["fps"]


def _draw_load(axes, trace: Trace, unit: Unit, summary: Mapping[str, Any]) -> None:
    """Shares of processor and RAM that other work takes, and the battery's charge."""
    end = _end(summary)
    rows = [row for row in trace.rows if row.time_s < end]
    times = [0.0, *(row.time_s for row in rows), end]
    loads = [Load(), *(row.load(unit) for row in rows)]
    loads.append(loads[-1])
    axes.fill_between(
        times, [100 * load.cpu for load in loads], step="post", color=CPU, label="CPU, other work"
    )
    if any(load.ram_bytes for load in loads):
        taken = [100 * load.ram_bytes / summary["free_ram"] for load in loads]
        axes.step(times, taken, where="post", color=RAM, label="RAM, other work")
    if any(load.battery is not None for load in loads):
        known = [
            (t, 100 * load.battery) for t, load in zip(times, loads, strict=True) if load.battery is not None
        ]
        axes.step(*zip(*known, strict=True), where="post", color=BATTERY, label="battery")
    axes.set_ylim(0, 105)
    axes.set_ylabel("%")
    axes.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)


def _draw_policy(
    axes, name: str, summary: Mapping[str, Any], records: Sequence[Record], entries: Sequence[str]
) -> None:
    """Which sub-network answered, smallest at the bottom."""
    period = 1 / summary["fps"]
    places = [entries.index(record["entry"]) for record in records]
    times = [record["time_s"] for record in records]
    axes.step([*times, times[-1] + period], [*places, places[-1]], where="post", color=ACTIVE)
    missed = [(t + period / 2, p) for t, p, r in zip(times, places, records, strict=True) if r["missed"]]
    if missed:
        axes.plot(*zip(*missed, strict=True), "x", color=MISSED, label="deadline missed")
    axes.set_yticks(range(len(entries)), entries, fontsize=8)
    axes.set_ylim(-0.5, len(entries) - 0.5)
    axes.grid(axis="y", linewidth=0.3)
    axes.set_title(_label(name, summary), loc="left", fontsize=9)


def _label(name: str, summary: Mapping[str, Any]) -> str:
    found = summary["policies"][name]
    accuracy = "" if found["accuracy"] is None else f", top-1 {found['accuracy']:.1%}"
    misses, frames = found["deadline_misses"], found["frames"]
    switches = "" if name.startswith(FIXED) else f", {found['switches']} switches"
    return f"{name}{accuracy}, {misses} of {frames} deadlines missed{switches}"


def _draw_misses(axes, summary: Mapping[str, Any], records: Mapping[str, Sequence[Record]]) -> None:
    """A line a policy, a mark a miss."""
    names = list(summary["policies"])
    period = 1 / summary["fps"]
    for lane, name in enumerate(names):
        missed = [record["time_s"] for record in records[name] if record["missed"]]
        axes.broken_barh([(time, period) for time in missed], (lane - 0.35, 0.7), color=MISSED)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="y", linewidth=0.3)
    axes.set_title("deadlines missed", loc="left", fontsize=9)

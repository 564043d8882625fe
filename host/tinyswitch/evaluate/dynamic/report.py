"""The table of ``dynamic-eval``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from tinyswitch.evaluate.display import percent

FIXED = "fixed:"


def policies_table(summary: Mapping[str, Any]) -> Table:
    """A line a policy, those that switch first, then every fixed choice."""
    kind = "" if summary["kind"] == summary["board"] else f", {summary['kind']} board"
    table = Table(
        "policy",
        title=f"{summary['family'] or 'models'} on {summary['board']}{kind}, trace {summary['trace']}",
        caption=f"time at {summary['clock_hz'] / 1e6:,.0f} MHz, other work included, transfer not; "
        f"{summary['cycle_model']}",
    )
    for name in (
        *("frames", "top-1", "deadlines missed", "right in time", "switches", "median time"),
        "own Mcycles a frame",
    ):
        table.add_column(name, justify="right")
    table.add_column("share of the frames")
    for fixed in (False, True):
        for name, found in summary["policies"].items():
            if name.startswith(FIXED) == fixed:
                table.add_row(*_cells(name, found, summary["details"][name]))
        table.add_section()
    return table


def _cells(name: str, found: Mapping[str, Any], more: Mapping[str, Any]) -> list[str]:
    frames, missed = found["frames"], found["deadline_misses"]
    shares = [f"{entry} {share:.0%}" for entry, share in found["share"].items() if share]
    return [
        name,
        str(frames),
        percent(found["accuracy"]),
        f"{missed} ({missed / frames:.1%})",
        percent(more["right_in_time"]),
        str(found["switches"]),
        _milliseconds(more["elapsed_ms"]["median"]) if more["elapsed_ms"] else "-",
        f"{more['own_cycles_per_frame'] / 1e6:,.3g}",
        "" if name.startswith(FIXED) else ", ".join(shares),
    ]


def _milliseconds(value: float) -> str:
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.3g} ms"

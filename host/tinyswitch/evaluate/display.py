"""Progress bars and the tables at the end."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as RemainingColumn
from rich.table import Table


def bars(console: Console) -> Progress:
    """Progress bars: what, bar, how many, time taken, time left."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        RemainingColumn(),
        console=console,
    )


def wide_console() -> Console:
    """For tables with many columns: in a file they get the room that they need."""
    return Console(width=None if sys.stdout.isatty() else 140)


def percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.1f} %"


def kilobytes(size: int | None) -> str:
    return "-" if size is None else f"{size / 1000:.1f} kB"


def count(value: int | float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def board_table(summary: Mapping[str, Any]) -> Table:
    """The table of ``stream-eval``."""
    kind = "" if summary["kind"] == summary["board"] else f", {summary['kind']} board"
    table = Table(
        title=f"{summary['model']} on {summary['board']}{kind}",
        caption=summary["cycle_model"],
        show_header=False,
    )
    lost = f", {summary['lost']} lost" if summary["lost"] else ""
    table.add_row("images answered", f"{summary['answered']} of {summary['images']}{lost}")
    table.add_row("equal to LiteRT, bit for bit", f"{summary['identical_outputs']} of {summary['answered']}")
    if summary["no_accuracy"]:
        table.add_row("top-1", f"- ({summary['no_accuracy']})")
    else:
        table.add_row("top-1", f"{percent(summary['top1'])} (LiteRT {percent(summary['host_top1'])})")
        table.add_row("top-5", percent(summary["top5"]))
    _cost_rows(table, summary)
    memory_rows(table, summary)
    return table


def _cost_rows(table: Table, summary: Mapping[str, Any]) -> None:
    # Only a real board knows what an inference takes; the others' cycles follow a model of one.
    estimated = "" if summary["kind"] == "real" else " (see below)"
    cycles = summary["cycles_per_inference"]
    table.add_section()
    if summary["instructions_per_inference"] is not None:
        table.add_row("instructions per inference", count(summary["instructions_per_inference"]))
    spread = f"{count(cycles['median'])} ({count(cycles['min'])} to {count(cycles['max'])})"
    table.add_row(f"cycles per inference{estimated}", spread)
    latency = "-" if summary["latency_ms"] is None else f"{summary['latency_ms']:.1f} ms"
    table.add_row(
        f"latency at {summary['clock_hz'] / 1e6:,.0f} MHz{estimated}", f"{latency} without the transfer"
    )


def memory_rows(table: Table, summary: Mapping[str, Any]) -> None:
    for title, key in (("RAM", "ram"), ("flash", "flash")):
        parts = summary[key]
        table.add_section()
        table.add_row(title, kilobytes(parts["total"]))
        for name, size in parts.items():
            if name != "total":
                table.add_row(f"  {name.replace('_peak', ', measured')}", kilobytes(size))


def host_table(summary: Mapping[str, Any]) -> Table:
    """The table of ``host-eval``."""
    table = Table(title=f"{summary['model']} on this machine", caption=summary["engine"], show_header=False)
    table.add_row("images answered", f"{summary['answered']} of {summary['images']}")
    if summary["no_accuracy"]:
        table.add_row("top-1", f"- ({summary['no_accuracy']})")
    else:
        table.add_row("top-1", percent(summary["top1"]))
        table.add_row("top-5", percent(summary["top5"]))
    return table


def verify_table(reports: Sequence[Mapping[str, Any]], board: str) -> Table:
    """The table of ``verify``: a line a model."""
    table = Table("model", "identical outputs", "largest difference", title=f"{board} against LiteRT")
    for report in reports:
        table.add_row(
            report["model"],
            f"{report['identical']} of {report['count']}",
            count(report["max_abs_difference"]),
        )
    return table

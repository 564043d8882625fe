"""The table of ``stream-eval --app gesture``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from tinyswitch.evaluate.display import count, memory_rows, percent


def gesture_tables(summary: Mapping[str, Any], classes: Sequence[str]) -> list[Table]:
    """What the board answered and what that took; the confusion matrix."""
    return [_costs(summary), *([_confusion(summary, classes)] if summary["confusion"] else [])]


def _costs(summary: Mapping[str, Any]) -> Table:
    kind = "" if summary["kind"] == summary["board"] else f", {summary['kind']} board"
    table = Table(
        title=f"{summary['model']} on {summary['board']}{kind}, {summary['rate_hz']:g} Hz "
        f"{'from its sensor' if summary['source'] == 'sensor' else 'over the link'}",
        caption=summary["cycle_model"],
        show_header=False,
    )
    lost = f", {summary['lost']} lost" if summary["lost"] else ""
    told = summary["smoothed"]
    table.add_row("windows answered", f"{summary['answered']} of {summary['images']}{lost}")
    table.add_row(
        "equal to the host, bit for bit", f"{summary['identical_outputs']} of {summary['answered']}"
    )
    table.add_row("windows right", f"{percent(summary['accuracy'])} (host {percent(summary['host_top1'])})")
    table.add_row("recordings right", f"{summary['recordings_right']} of {summary['recordings']}")
    table.add_row("told", f"{told['right']} right, {told['wrong']} wrong, {told['uncertain']} uncertain")
    if sensor := summary["sensor"]:
        table.add_row("samples lost by the sensor", f"{sensor['lost']}, {sensor['errors']} failed transfers")
    table.add_section()
    unit = "instructions" if summary["instructions_per_inference"] is not None else "cycles"
    table.add_row(f"{unit}: features", count(summary["feature_cycles"]["median"]))
    table.add_row(f"{unit}: model", count(summary["inference_cycles"]["median"]))
    share = summary["cpu_share"]
    table.add_row(
        f"of {summary['clock_hz'] / 1e6:,.0f} MHz, {summary['windows_a_second']:.2f} windows a second",
        "-" if share is None else f"{100 * share:.2f} %",
    )
    memory_rows(table, summary)
    return table


def _confusion(summary: Mapping[str, Any], classes: Sequence[str]) -> Table:
    table = Table("truth \\ answer", *classes, "precision", "recall", "F1")
    for name, row in zip(classes, summary["confusion"], strict=True):
        rates = summary["per_class"][name]
        table.add_row(name, *map(str, row), *(f"{rates[key]:.3f}" for key in ("precision", "recall", "f1")))
    return table

"""The tables of ``stream-eval --app keyword``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from tinyswitch.evaluate.display import count, memory_rows, percent


def keyword_tables(summary: Mapping[str, Any]) -> list[Table]:
    """What the board answered and what that took; of clips, how often each class was right."""
    return [_costs(summary), *([_classes(summary)] if summary["confusion"] else [])]


def _costs(summary: Mapping[str, Any]) -> Table:
    kind = "" if summary["kind"] == summary["board"] else f", {summary['kind']} board"
    through = "through its microphones" if summary["source"] == "microphones" else "over the link"
    table = Table(
        title=f"{summary['model']} on {summary['board']}{kind}, {summary['seconds']:,.0f} s {through}",
        caption=summary["cycle_model"],
        show_header=False,
    )
    answered = summary["answered"]
    lost = f", {summary['lost']} lost" if summary["lost"] else ""
    table.add_row("windows answered", f"{answered:,} of {summary['images']:,}{lost}")
    table.add_row("equal to the host, bit for bit", f"{summary['identical_outputs']:,} of {answered:,}")
    table.add_row("  their features alone", f"{summary['identical_features']:,} of {answered:,}")
    if summary["clips"]:
        host = percent(summary["host_top1"])
        table.add_row("clips right", f"{percent(summary['accuracy'])} (host {host})")
    _detection_rows(table, summary["detections"])
    if microphones := summary["microphones"]:
        fetch = f"fetched every {microphones['longest_fetch_ms']:.1f} ms at the latest"
        table.add_row("samples lost by the microphones", f"{microphones['lost']}, {fetch}")
    _cost_rows(table, summary)
    memory_rows(table, summary)
    return table


def _detection_rows(table: Table, found: Mapping[str, Any]) -> None:
    table.add_section()
    hours = f"in {found['hours']:.2f} hours"
    table.add_row("detections", f"{found['detections']} {hours}")
    if found["detections_per_hour"] is not None:
        table.add_row("detections an hour", f"{found['detections_per_hour']:.1f}")
    if found["false_accepts"] is not None:
        table.add_row("words detected", f"{found['hits']} of {found['spoken']}, {found['misses']} missed")
        false = f"{found['false_accepts']}, {found['false_accepts_per_hour']:.1f} an hour"
        table.add_row("detected falsely", false)


def _cost_rows(table: Table, summary: Mapping[str, Any]) -> None:
    table.add_section()
    unit = "instructions" if summary["instructions_per_inference"] is not None else "cycles"
    table.add_row(f"{unit} an answer: features", count(summary["feature_cycles"]["median"]))
    model = "model, only what is new" if summary["streams"] else "model"
    table.add_row(f"{unit} an answer: {model}", count(summary["inference_cycles"]["median"]))
    share = summary["cpu_share"]
    table.add_row(
        f"of {summary['clock_hz'] / 1e6:,.0f} MHz, {summary['windows_a_second']:.2f} answers a second",
        "-" if share is None else f"{100 * share:.2f} %",
    )


def _classes(summary: Mapping[str, Any]) -> Table:
    names = list(summary["per_class"])
    table = Table("truth \\ answer", *names, "right", "precision", "F1", title="clips")
    for name, row in zip(names, summary["confusion"], strict=True):
        rates = summary["per_class"][name]
        right = percent(rates["recall"]) if rates["clips"] else "-"
        table.add_row(name, *map(str, row), right, f"{rates['precision']:.3f}", f"{rates['f1']:.3f}")
    return table

"""What policies are worth: accuracy over the cycles that a frame takes, beside every fixed choice."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinyswitch.evaluate.figure import save

FIXED, CASCADE = "fixed:", "cascade"
COLOURS = {FIXED: "#1f4e79", CASCADE: "#e6550d", "": "#31a354"}


def draw(summary: Mapping[str, Any], folder: Path) -> list[Path]:
    """Writes ``worth.png`` and ``worth.svg`` into ``folder``; nothing where accuracy is unknown.

    Raises TinyswitchError if it cannot.
    """
    if any(found["accuracy"] is None for found in summary["policies"].values()):
        return []
    import matplotlib

    matplotlib.use("Agg")  # needs no display
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    for kind, colour in COLOURS.items():
        points = sorted(_points(summary, kind))
        if points:
            x, y, names = zip(*points, strict=True)
            axes.plot(x, y, "o-" if kind else "s", color=colour, label=kind.rstrip(":") or "other policies")
            for name, *place in zip(names, x, y, strict=True):
                axes.annotate(name, place, xytext=(5, -11), textcoords="offset points", fontsize=8)
    axes.set_xlabel(f"own cycles a frame, millions ({summary['cycle_model'].partition(';')[0]})")
    axes.set_ylabel("top-1 (%)")
    axes.grid(linewidth=0.3)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    kind = "" if summary["kind"] == summary["board"] else f", {summary['kind']} board"
    axes.set_title(f"{summary['family'] or 'models'} on {summary['board']}{kind}, trace {summary['trace']}")
    return [save(figure, folder / f"worth.{suffix}") for suffix in ("png", "svg")]


def _points(summary: Mapping[str, Any], kind: str) -> list[tuple[float, float, str]]:
    """(millions of cycles, percent, name) of the policies of a kind; ``""``: of those that have no other."""
    return [
        (
            summary["details"][name]["own_cycles_per_frame"] / 1e6,
            100 * found["accuracy"],
            name.removeprefix(kind).lstrip("-") or name,
        )
        for name, found in summary["policies"].items()
        if next(k for k in COLOURS if name.startswith(k)) == kind
    ]

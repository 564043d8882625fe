"""What a search found: a table, lines for the family's file, search.json, a picture."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from math import sqrt
from pathlib import Path
from typing import Any

from rich.table import Table

from tinyswitch.data import write_file
from tinyswitch.evaluate.display import percent
from tinyswitch.families.family import Family
from tinyswitch.families.search import Found, Point, front
from tinyswitch.families.search_study import key

MILLION = 1e6
GREY, BLUE, ORANGE = "#b8b8b8", "#1f77b4", "#d95f02"


def new(found: Found) -> list[Point]:
    """Of the front, what is not declared and holds on the other half: no point of fewer MACs is as good."""
    declared = {key(point.spec) for point in found.declared}
    on_other_half = [Point(p.spec, p.macs, p.report) for p in (*found.front, *found.declared)]
    holding = {key(point.spec) for point in front(on_other_half)}
    return [point for point in found.front if key(point.spec) in holding - declared]


def lines(found: Found, family: Family) -> str:
    """``new`` sub-networks as lines for ``subnets`` of the family's file."""
    taken = {subnet.name for subnet in family.subnets}
    written = []
    for point in reversed(new(found)):
        name = _name(point, family, taken)
        taken.add(name)
        written.append(f"    {json.dumps(name)}: {json.dumps(point.spec)}")
    return ",\n".join(written)


def _name(point: Point, family: Family, taken: Iterable[str]) -> str:
    """Such as r144-40M: resolution and multiply-accumulates."""
    base = f"r{point.spec.get('resolution', family.net.resolution)}-{_macs(point.macs)}"
    names = (base, *(f"{base}-{number}" for number in range(2, 1000)))
    return next(name for name in names if name not in taken)


def _macs(macs: int) -> str:
    for unit, letter in ((1e6, "M"), (1e3, "k")):
        if macs >= 10 * unit:
            return f"{macs / unit:.0f}{letter}"
        if macs >= unit:
            return f"{macs / unit:.1f}{letter}"
    return str(macs)


def table(found: Found, images: int) -> Table:
    """The front and the declared sub-networks, the largest first; ``images``: of the half reported on."""
    shown = {key(point.spec): point for point in (*found.front, *found.declared)}
    best = {key(point.spec) for point in found.front}
    result = Table(
        title=f"{len(found.trials)} sub-networks tried",
        caption=f"int8 weights, activations in float; report: {images} images, ±{_error(images):.1f} points",
    )
    for name in ("MACs", "top-1 (search)", "top-1 (report)"):
        result.add_column(name, justify="right")
    for name in ("front", "declared as", "cut"):
        result.add_column(name)
    for point in sorted(shown.values(), key=lambda p: -p.macs):
        result.add_row(
            f"{point.macs / MILLION:.3g} M",
            percent(point.search),
            percent(point.report),
            "yes" if key(point.spec) in best else "",
            point.name or "",
            _short(point.spec),
        )
    return result


def _error(images: int) -> float:
    """Standard error of a share, in points, where it is largest."""
    return 100 * 0.5 / sqrt(images)


def _short(spec: dict[str, Any]) -> str:
    """For people: ``resolution 144, skip 3 4, kernel 9:5``."""
    parts = []
    for name, value in spec.items():
        if isinstance(value, dict):
            value = " ".join(f"{block}:{size}" for block, size in value.items())
        elif isinstance(value, list):
            value = " ".join(map(str, value))
        parts.append(f"{name} {value}")
    return ", ".join(parts) or "nothing"


def write(found: Found, facts: dict[str, Any], folder: Path) -> Path:
    """``folder/search.json``: ``facts`` and every point. Raises TinyswitchError if it cannot."""
    content = facts | {kind: [asdict(p) for p in getattr(found, kind)] for kind in asdict(found)}
    path = folder / "search.json"
    write_file(path, (json.dumps(content, indent=1) + "\n").encode())
    return path


def draw(found: Found, title: str, folder: Path) -> list[Path]:
    """``folder/search.png`` and ``.svg``: MACs against top-1. Raises TinyswitchError if it cannot."""
    import matplotlib

    matplotlib.use("Agg")  # needs no display
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 5.5), layout="constrained")
    _scatter(axes, found.trials, found.declared)
    _line(axes, found.front, "search", BLUE, "front, half searched with")
    _line(axes, found.front, "report", ORANGE, "the same, other half")
    _declared(axes, found.declared)
    axes.set_xlabel("million MACs an inference")
    axes.set_ylabel("top-1, %")
    axes.set_title(title)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    paths = [_save(figure, folder / f"search.{kind}") for kind in ("png", "svg")]
    pyplot.close(figure)
    return paths


def _scatter(axes: Any, trials: Sequence[Point], declared: Sequence[Point]) -> None:
    axes.plot(
        [p.macs / MILLION for p in trials],
        [100 * (p.search or 0) for p in trials],
        "o",
        color=GREY,
        markersize=4,
        label=f"{len(trials)} sub-networks tried",
    )


def _line(axes: Any, points: Sequence[Point], half: str, colour: str, label: str) -> None:
    axes.plot(
        [p.macs / MILLION for p in points],
        [100 * getattr(p, half) for p in points],
        "o-",
        color=colour,
        markersize=5,
        linewidth=1.2,
        label=label,
    )


def _declared(axes: Any, points: Sequence[Point]) -> None:
    """Diamonds with names, where the report puts them."""
    axes.plot(
        [p.macs / MILLION for p in points],
        [100 * (p.report or 0) for p in points],
        "D",
        color="black",
        fillstyle="none",
        markersize=9,
        label="declared, other half",
    )
    for point in points:
        axes.annotate(
            point.name,
            (point.macs / MILLION, 100 * (point.report or 0)),
            (8, -12),
            textcoords="offset points",
            size=8,
        )


def _save(figure: Any, path: Path) -> Path:
    content = io.BytesIO()
    figure.savefig(content, format=path.suffix[1:], dpi=110)
    write_file(path, content.getvalue())
    return path

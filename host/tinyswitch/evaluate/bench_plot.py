"""Records of ``bench`` as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tinyswitch.compiler.kinds import colour
from tinyswitch.evaluate.figure import save

Record = Mapping[str, Any]
MILLION = 1e6
ENGINES = {"tinyswitch": "#1f77b4", "TinyEngine": "#ff7f0e", "TFLM + CMSIS-NN": "#8c8c8c"}
BAR = 0.26  # height of a bar; a model has room 1


def draw(records: Sequence[Record], folder: Path) -> list[Path]:
    """Writes ``bench.png`` and, a model, ``NAME-stages.png`` into ``folder``.

    Raises TinyswitchError if it cannot.
    """
    import matplotlib

    matplotlib.use("Agg")  # needs no display
    paths = [_draw_models(records, folder / "bench.png")]
    paths += [_draw_stages(r, folder / f"{r['model']}-stages.png") for r in records if r["stages"]]
    return paths


def _draw_models(records: Sequence[Record], path: Path) -> Path:
    """Ours and other engines', a group of bars a model."""
    from matplotlib import pyplot

    others = ("tinyengine_int_instructions", "tflm_cmsis_nn_instructions")
    figure, (left, right) = pyplot.subplots(
        1, 2, figsize=(13, 1.6 + 0.75 * len(records)), sharey=True, layout="constrained"
    )
    ticks = [
        [r["ticks"]] + [r["baseline"].get(k) if r["instructions"] else None for k in others] for r in records
    ]
    _bars(left, ticks, MILLION)
    left.set_xlabel(f"{_millions(records[0])} an inference")
    peaks = ("tinyengine_peak_bytes", "tflm_arena_bytes")
    _bars(right, [[r["ram_bytes"]] + [r["baseline"].get(k) for k in peaks] for r in records], 1e3)
    right.set_xlabel("kB of RAM: feature maps and scratch")
    left.set_yticks(range(len(records)), [r["model"] for r in records])
    left.invert_yaxis()
    _engine_legend(figure, records)
    figure.suptitle(f"{records[0]['board']} ({records[0]['board_kind']} board)")
    return save(figure, path)


def _millions(record: Record) -> str:
    """What a million of the record's ticks are called."""
    return "ms" if record["unit"] == "ns" else f"million {record['unit']}"


def _bars(axes, values: Sequence[Sequence[float | None]], scale: float) -> None:
    """values[model][engine]; None: not known, no bar."""
    for engine, of_engine in enumerate(ENGINES.values()):
        for row, of_model in enumerate(values):
            value = of_model[engine]
            if value:
                at = row + (engine - 1) * BAR
                axes.barh(at, value / scale, BAR * 0.92, color=of_engine)
                axes.annotate(
                    f"{value / scale:.1f}",
                    (value / scale, at),
                    (3, 0),
                    textcoords="offset points",
                    va="center",
                    size=8,
                )
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)


def _engine_legend(figure, records: Sequence[Record]) -> None:
    from matplotlib.patches import Patch

    known = [
        True,
        *(any(k.startswith(p) for r in records for k in r["baseline"]) for p in ("tinyengine", "tflm")),
    ]
    handles = [
        Patch(color=c, label=name) for (name, c), there in zip(ENGINES.items(), known, strict=True) if there
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)


def _draw_stages(record: Record, path: Path) -> Path:
    """Above, what each stage takes; below, what that is for each of its multiply-accumulates."""
    from matplotlib import pyplot
    from matplotlib.patches import Patch

    stages, word = record["stages"], _millions(record)
    figure, (above, below) = pyplot.subplots(2, 1, figsize=(13, 7), sharex=True, layout="constrained")
    places = [s["index"] for s in stages]
    colours = [colour(s["kind"]) for s in stages]
    above.bar(places, [s["ticks"] / MILLION for s in stages], 0.85, color=colours)
    above.set_ylabel(word)
    below.bar(places, [s["ticks_per_mac"] or 0 for s in stages], 0.85, color=colours)
    below.axhline(record["ticks_per_mac"] or 0, color="black", linewidth=0.8, linestyle="--")
    below.set_ylabel(f"{record['unit']} per MAC (dashed: of the model)")
    below.set_xlabel("stage")
    below.set_xlim(-1, len(stages))
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
        for s, before in zip(stages[1:], stages, strict=False):
            if s["segment"] != before["segment"]:
                axes.axvline(s["index"] - 0.5, color="#b0b0b0", linewidth=0.7, zorder=0)
    kinds = [Patch(color=colour(k["kind"]), label=_share(k, record)) for k in record["kinds"]]
    above.legend(handles=kinds, frameon=False, ncols=2)
    per_mac = f", {record['ticks_per_mac']:.2f} per MAC" if record["macs"] else ""
    figure.suptitle(
        f"{record['model']} on {record['board']}: {record['ticks'] / MILLION:.2f} {word}{per_mac}; "
        "grey lines part segments"
    )
    return save(figure, path)


def _share(of_kind: Record, record: Record) -> str:
    return f"{of_kind['kind'].replace('_', ' ')}: {100 * of_kind['ticks'] / record['ticks']:.1f} %"

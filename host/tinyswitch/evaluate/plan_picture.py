"""A memory map as a picture: time to the right, addresses upwards."""

from __future__ import annotations

from pathlib import Path

from tinyswitch.compiler.kinds import colour
from tinyswitch.compiler.memory_map import Block, MemoryMap
from tinyswitch.evaluate.figure import save

OWN_COLOURS = {"input": "#404040", "scratch": "#ffd92f", "counters": "#a6a6a6"}
LABEL_SHARE = 0.035  # of width and height that a rectangle must have to carry a label
SIZE = (14, 7.5)  # inches


def draw(memory_map: MemoryMap, folder: Path) -> list[Path]:
    """Writes ``NAME.svg`` and ``NAME.png`` into ``folder``; raises TinyswitchError if it cannot."""
    import matplotlib

    matplotlib.use("Agg")  # needs no display
    from matplotlib import pyplot

    plan = memory_map.plan
    with matplotlib.rc_context({"svg.hashsalt": plan.name}):  # the same plan gives the same file
        figure, axes = pyplot.subplots(figsize=SIZE, layout="constrained")
        _add_blocks(axes, memory_map)
        _add_labels(axes, memory_map)
        _add_segments(axes, memory_map)
        _add_peak(axes, memory_map)
        axes.set_xlim(0, len(plan.schedule) + 1)
        axes.set_ylim(0, plan.arena_bytes * 1.07)
        axes.set_xlabel("time: entries of the schedule")
        axes.set_ylabel("address in the arena, bytes")
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.set_title(_title(memory_map))
        _add_legend(axes, memory_map)
        return [save(figure, folder / f"{plan.name}.{suffix}") for suffix in ("svg", "png")]


def _title(memory_map: MemoryMap) -> str:
    plan, segments = memory_map.plan, memory_map.segments
    title = f"{plan.name}: {plan.arena_bytes:,} bytes in {len(segments)} segments (dashed)"
    return f"{title}; segment {memory_map.peak.index} sets the peak" if segments else title


def _colour(kind: str) -> str:
    return OWN_COLOURS.get(kind) or colour(kind)


def _add_blocks(axes, memory_map: MemoryMap) -> None:
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    patches = [Rectangle((b.first, b.offset), b.last + 1 - b.first, b.size) for b in memory_map.blocks]
    kinds = [memory_map.kind(b.owner) for b in memory_map.blocks]
    # scratch may live for one entry only: nothing would be left between white edges
    edges = [_colour(kind) if kind == "scratch" else "white" for kind in kinds]
    colours = [_colour(kind) for kind in kinds]
    axes.add_collection(
        PatchCollection(patches, facecolors=colours, edgecolors=edges, linewidths=0.3, alpha=0.85)
    )


def _add_labels(axes, memory_map: MemoryMap) -> None:
    """Numbers of the stages whose maps are drawn large enough."""
    width, height = len(memory_map.plan.schedule) + 1, memory_map.plan.arena_bytes
    for owner in dict.fromkeys(b.owner for b in memory_map.blocks):
        box = _extent([b for b in memory_map.blocks if b.owner is owner])
        if box[1] - box[0] > LABEL_SHARE * width and box[3] - box[2] > LABEL_SHARE * height:
            number = memory_map.name(owner).split()[0]
            axes.text((box[0] + box[1]) / 2, (box[2] + box[3]) / 2, number, ha="center", va="center", size=8)


def _extent(blocks: list[Block]) -> tuple[int, int, int, int]:
    """First and last entry, lowest and highest address."""
    return (
        min(b.first for b in blocks),
        max(b.last + 1 for b in blocks),
        min(b.offset for b in blocks),
        max(b.end for b in blocks),
    )


def _add_segments(axes, memory_map: MemoryMap) -> None:
    top = memory_map.plan.arena_bytes
    for s in memory_map.segments:
        axes.axvline(s.first, color="black", linewidth=0.8, linestyle="--")
        axes.text((s.first + s.last + 1) / 2, top * 1.045, str(s.index), ha="center", va="center", size=8)
        axes.hlines(s.top, s.first, s.last + 1, color="black", linewidth=1)


def _add_peak(axes, memory_map: MemoryMap) -> None:
    arena = memory_map.plan.arena_bytes
    axes.axhline(arena, color="#d62728", linewidth=1.2)
    if memory_map.segments:
        peak = memory_map.peak
        axes.axvspan(peak.first, peak.last + 1, color="#d62728", alpha=0.12, zorder=0)


def _add_legend(axes, memory_map: MemoryMap) -> None:
    from matplotlib.patches import Patch

    kinds = dict.fromkeys(memory_map.kind(b.owner) for b in memory_map.blocks)
    handles = [Patch(color=_colour(kind), label=kind.replace("_", " ")) for kind in kinds]
    axes.legend(handles=handles, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, title="made by")

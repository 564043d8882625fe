"""Records of ``bench`` as tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.table import Table

from tinyswitch.evaluate.display import count, kilobytes, percent

Record = Mapping[str, Any]


def _columns(table: Table, *names: str) -> None:
    for name in names:
        table.add_column(name, justify="right")


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def millions(value: float | None) -> str:
    return "-" if value is None else f"{value / 1e6:.2f} M"


def model_tables(records: Sequence[Record]) -> list[Table]:
    """What each model costs; then, for those that other engines were measured with, both."""
    compared = [r for r in records if r["baseline"]]
    return [_cost_table(records), *([_comparison_table(compared)] if compared else [])]


def _cost_table(records: Sequence[Record]) -> Table:
    first = records[0]
    kind = "" if first["board_kind"] == first["board"] else f", {first['board_kind']} board"
    table = Table(title=f"{first['board']}{kind}", caption=first["cycle_model"])
    table.add_column("model", no_wrap=True)
    _columns(table, "MACs", first["unit"], "per MAC", "RAM", "code", "weights", "tables", "= LiteRT")
    for r in records:
        flash = r["flash_bytes"]
        table.add_row(
            r["model"],
            millions(r["macs"]),
            millions(r["ticks"]),
            _ratio(r["ticks_per_mac"]),
            kilobytes(r["ram_bytes"]),
            kilobytes(flash["code"]),
            kilobytes(flash["weights"]),
            _tables(flash),
            f"{r['identical_outputs']} of {r['count']}",
        )
    return table


def _tables(flash: Mapping[str, int]) -> str:
    """With their share of the weights."""
    share = flash["tables"] / flash["weights"] if flash["weights"] else None
    return f"{kilobytes(flash['tables'])} ({percent(share)})"


def _comparison_table(records: Sequence[Record]) -> Table:
    table = Table(title="beside other engines: instructions, and RAM for feature maps and scratch")
    table.add_column("model", no_wrap=True)
    _columns(table, "tinyswitch", "TinyEngine", "TFLM", "tinyswitch", "TinyEngine", "TFLM")
    for r in records:
        other = r["baseline"]
        table.add_row(
            r["model"],
            millions(r["instructions"]),
            _beside(r["instructions"], other.get("tinyengine_int_instructions"), millions),
            _beside(r["instructions"], other.get("tflm_cmsis_nn_instructions"), millions),
            kilobytes(r["ram_bytes"]),
            _beside(r["ram_bytes"], other.get("tinyengine_peak_bytes"), kilobytes),
            _beside(r["ram_bytes"], other.get("tflm_arena_bytes"), kilobytes),
        )
    return table


def _beside(ours: int | None, theirs: int | None, text: Callable[[float | None], str]) -> str:
    """Another engine's figure, and how many times ours it is."""
    return text(theirs) + (f" ({theirs / ours:.1f} x)" if ours and theirs else "")


def parts_tables(record: Record, by_stage: bool) -> list[Table]:
    """Where a model's time goes: by kind of stage, and ``by_stage``."""
    return [kind_table(record), *([stage_table(record)] if by_stage else [])] if record["stages"] else []


def kind_table(record: Record) -> Table:
    """Where a model's time goes, by kind of stage."""
    unit, total, macs = record["unit"], record["ticks"], record["macs"]
    table = Table(title=f"{record['model']}: kinds of stages")
    table.add_column("kind")
    _columns(table, "stages", "MACs", "of all", unit, "of all", "per MAC")
    for k in record["kinds"]:
        table.add_row(
            k["kind"],
            str(k["stages"]),
            count(k["macs"]),
            percent(k["macs"] / macs if macs else None),
            count(k["ticks"]),
            percent(k["ticks"] / total),
            _ratio(k["ticks_per_mac"]),
        )
    engine = record["engine"]
    table.add_row("between steps", "", "", "", count(engine["ticks"]), percent(engine["ticks"] / total), "")
    table.add_section()
    table.add_row(
        "all", str(len(record["stages"])), count(macs), "", count(total), "", _ratio(record["ticks_per_mac"])
    )
    return table


def stage_table(record: Record) -> Table:
    """A line a stage. RAM: the rows of its output, and its scratch."""
    unit = record["unit"]
    table = Table(title=f"{record['model']}: stages")
    _columns(table, "stage")
    table.add_column("kind", no_wrap=True)
    _columns(table, "input", "output", "MACs", unit, "per MAC", "of all", "rows held", "bytes", "scratch")
    segment = 0
    for s in record["stages"]:
        if s["segment"] != segment:
            table.add_section()
            segment = s["segment"]
        table.add_row(
            str(s["index"]),
            s["kind"],
            *("x".join(map(str, s[key])) for key in ("input_shape", "output_shape")),
            count(s["macs"]),
            count(s["ticks"]),
            _ratio(s["ticks_per_mac"]),
            percent(s["ticks"] / record["ticks"]),
            str(s["output_rows"]),
            count(s["output_bytes"]),
            count(s["scratch_bytes"]),
        )
    return table

"""Tables of ``host-dynamic``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from tinyswitch.evaluate.display import kilobytes, percent
from tinyswitch.evaluate.host_dynamic.options import HostOption
from tinyswitch.evaluate.host_dynamic.playing import Played


def options_table(options: Sequence[HostOption]) -> Table:
    """What there is to choose from."""
    table = Table(
        title="models", caption="time: processor time of one inference, one thread; RAM: of one process"
    )
    table.add_column("model")
    for name in ("time", "RAM", "top-1"):
        table.add_column(name, justify="right")
    for option in options:
        table.add_row(
            option.name,
            f"{option.seconds * 1e3:.2f} ms",
            kilobytes(option.ram_bytes),
            percent(option.accuracy),
        )
    return table


def answers_table(played: Played, class_names: Mapping[int, str]) -> Table:
    """The five best classes of the first images."""
    table = Table("image", "model", "top-5", title=f"answers under policy {played.name}")
    for entry, model, answer in played.answers:
        named = ", ".join(f"{class_names.get(index, index)} {share:.0%}" for index, share in answer.top5)
        table.add_row(entry.name, model, named)
    return table


def policies_table(policies: Mapping[str, Mapping[str, Any]]) -> Table:
    """A line a policy."""
    table = Table("policy", title="policies")
    for name in ("images", "top-1", "deadlines missed", "switches"):
        table.add_column(name, justify="right")
    table.add_column("share of the images")
    for name, found in policies.items():
        shares = sorted(found["share"].items(), key=lambda item: -item[1])
        table.add_row(
            name,
            str(found["frames"]),
            percent(found["accuracy"]),
            str(found["deadline_misses"]),
            str(found["switches"]),
            ", ".join(f"{model} {share:.0%}" for model, share in shares if share),
        )
    return table

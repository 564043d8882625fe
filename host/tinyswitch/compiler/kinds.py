"""What a stage does, whatever kernel does it: the word and the colour that reports use."""

from __future__ import annotations

from tinyswitch.compiler.plan import Stage

COLOURS = {
    "conv": "#d62728",
    "pointwise": "#1f77b4",
    "depthwise": "#ff7f0e",
    "dense": "#9467bd",
    "add": "#2ca02c",
    "mul": "#98df8a",
    "concat": "#c5b0d5",
    "average_pool": "#17becf",
    "max_pool": "#9edae5",
    "global_average": "#0e7c86",
    "mean": "#bcbd22",
    "pad": "#8c564b",
    "reshape": "#c49c94",
    "resize": "#e377c2",
    "lookup": "#f7b6d2",
    "softmax": "#dbdb8d",
}
OTHER = "#7f7f7f"


def kind(stage: Stage) -> str:
    """A key of ``COLOURS``: ``ts_pointwise`` and its variants ``ts_pointwise_...`` are "pointwise".

    A kernel of another name is its own kind.
    """
    name = stage.kernel.removeprefix("ts_")
    matching = [k for k in COLOURS if name == k or name.startswith(f"{k}_")]
    return max(matching, key=len, default=name)


def colour(of_kind: str) -> str:
    """For pictures; kinds that aren't in the table share one."""
    return COLOURS.get(of_kind, OTHER)

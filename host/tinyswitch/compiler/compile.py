"""A ``.tflite`` file becomes a plan."""

from __future__ import annotations

from pathlib import Path

from tinyswitch.compiler import tflite
from tinyswitch.compiler.graph import Graph
from tinyswitch.compiler.lowering import lower
from tinyswitch.compiler.plan import FeatureMap, Plan, Stage
from tinyswitch.compiler.planner import Planned, plan_memory
from tinyswitch.compiler.variants import choose, unpair
from tinyswitch.errors import TinyswitchError

NAME_LENGTH = 47  # of a ts_model's name
MAX_STAGES = 0xFFFF  # stage indices are uint16


def compile_model(path: Path, kernels: str = "portable") -> Plan:
    """The plan of a model. Raises TinyswitchError naming the file, and the operator that isn't supported.

    ``kernels``: "portable" or "dsp", see :mod:`tinyswitch.compiler.variants`.
    """
    path = Path(path)
    graph = tflite.read(path)
    stages, model_input, outputs = lower(graph)
    if len(stages) > MAX_STAGES:
        raise TinyswitchError(f"{path}: {len(stages)} stages; at most {MAX_STAGES} are supported")
    choose(kernels, stages, model_input, outputs)
    planned = plan_memory(stages, model_input, outputs, unpair)
    return plan_of(planned, stages, model_input, outputs, graph, path)


def plan_of(
    planned: Planned,
    stages: list[Stage],
    model_input: FeatureMap,
    outputs: list[FeatureMap],
    graph: Graph,
    path: Path,
) -> Plan:
    """The plan of stages that were read from ``graph``, the file ``path``."""
    return Plan(
        name=_name(path),
        source=path,
        id=graph.crc32,
        input_map=model_input,
        output_maps=outputs,
        stages=stages,
        schedule=planned.schedule.entries,
        segments=planned.segments,
        placements=planned.layout.placements,
        scratch=planned.layout.scratch,
        steps_offset=planned.layout.steps_offset,
        arena_bytes=planned.layout.arena_bytes,
        activation_bytes=planned.layout.activation_bytes,
    )


def _name(path: Path) -> str:
    """The file's stem as printable ASCII."""
    ascii_only = "".join(c if c.isascii() and c.isprintable() and c not in '"\\?' else "_" for c in path.stem)
    return ascii_only[:NAME_LENGTH] or "model"

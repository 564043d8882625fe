"""Turns a graph's operators into stages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tinyswitch.compiler.graph import Graph, Operator, Tensor
from tinyswitch.compiler.plan import FeatureMap, Stage
from tinyswitch.compiler.stages import LOWERINGS
from tinyswitch.compiler.stages.common import Unsupported
from tinyswitch.compiler.stages.reshape import reshape_stage
from tinyswitch.errors import TinyswitchError
from tinyswitch.tensor import rows_shape

# For each axis of a tensor the axis of its feature map (0 rows, 1 pixels, 2 channels); None: unit length.
Axes = list[int | None]


class Lowering:
    """State while a graph is lowered; the lowerings of ``stages/`` call its public methods.

    Lowerings raise :class:`Unsupported`; :func:`lower` adds the file, the operator and its index.
    """

    def __init__(self, graph: Graph):
        self.graph = graph
        self.stages: list[Stage] = []
        self._maps: dict[int, FeatureMap] = {}  # by tensor index
        self._views: dict[int, Tensor] = {}  # same bytes in the same order as another tensor
        self._layouts: dict[int, tuple[FeatureMap, Axes]] = {}  # transposed: in another order than the map
        self._reals: dict[int, Tensor] = {}  # float tensors: the 8-bit tensor they were dequantised from
        self._producers = {t.index: op for op in graph.operators for t in op.outputs}
        self._consumers: dict[int, list[Operator]] = {}
        for op in graph.operators:
            for t in op.inputs:
                if t is not None:
                    self._consumers.setdefault(t.index, []).append(op)
        self._quantised_inputs: dict[int, Tensor] = {}  # float model inputs: their 8-bit side

    # -- what lowerings ask --

    def map(self, tensor: Tensor | None) -> FeatureMap:
        """The feature map of an 8-bit tensor, reshaped by a stage of its own where it is a view."""
        if tensor is None:
            raise Unsupported("an input is missing")
        if tensor.index in self._maps:
            return self._maps[tensor.index]
        if tensor.index in self._layouts and tensor.index not in self._views:
            raise Unsupported(
                f"tensor {tensor.index} ({tensor.name}) is transposed so that its data moves; "
                "only unit dimensions may move, except in front of MEAN"
            )
        if tensor.index in self._views:
            source = self.flat(tensor)
            target = _new_map(tensor)
            if source.shape == target.shape:
                self._maps[tensor.index] = source
                return source
            self.stages.append(reshape_stage(source, target))
        else:
            if tensor.data is None and tensor.index in self._producers:
                raise Unsupported(f"tensor {tensor.index} ({tensor.name}) is used before it is made")
            target = _new_map(tensor)
        self._maps[tensor.index] = target
        return target

    def flat(self, tensor: Tensor | None) -> FeatureMap:
        """A feature map with the bytes of ``tensor`` in the same order, whatever its shape."""
        while tensor is not None and tensor.index in self._views:
            tensor = self._views[tensor.index]
        return self.map(tensor)

    def new_map(self, tensor: Tensor) -> FeatureMap:
        """The feature map that a stage is about to write."""
        self._maps[tensor.index] = target = _new_map(tensor)
        return target

    def layout(self, tensor: Tensor | None) -> tuple[FeatureMap, Axes]:
        """A feature map and which of its axes each axis of ``tensor`` is, transposed tensors included."""
        if tensor is not None and tensor.index in self._layouts:
            return self._layouts[tensor.index]
        source = self.map(tensor)
        axes = list(range(3 - min(len(tensor.shape), 3), 3))
        return source, [None] * (len(tensor.shape) - len(axes)) + axes

    def new_map_with_layout(self, tensor: Tensor, shape: tuple[int, int, int], axes: Axes) -> FeatureMap:
        """The feature map of ``shape`` that a stage is about to write as ``tensor`` with ``axes``."""
        found = tuple(1 if a is None else shape[a] for a in axes)
        if found != tensor.shape:
            raise Unsupported(f"the output has shape {tensor.shape} where {found} follows: damaged file")
        stored = _stored_as(tensor, shape)
        self._layouts[tensor.index] = (self.new_map(stored), axes)
        long_axes = [a for a in axes if a is not None and shape[a] > 1]
        if long_axes == sorted(long_axes):
            self._views[tensor.index] = stored
        return self._maps[stored.index]

    def new_map_as(self, tensor: Tensor, shape: tuple[int, int, int]) -> FeatureMap:
        """The feature map of ``shape`` that a stage is about to write; ``tensor`` is a view of it."""
        self._views[tensor.index] = stored = _stored_as(tensor, shape)
        return self.new_map(stored)

    def set_transposed(self, tensor: Tensor, source: Tensor, order: list[int]) -> None:
        """``tensor`` has the axes of ``source`` in another order, data moving."""
        feature_map, axes = self.layout(source)
        self._layouts[tensor.index] = (feature_map, [axes[i] for i in order])

    def add(self, stage: Stage) -> None:
        self.stages.append(stage)

    def constant(self, tensor: Tensor | None, what: str, dtype: type) -> np.ndarray:
        """Contents of a constant tensor of the given dtype."""
        if tensor is None or tensor.data is None:
            raise Unsupported(f"its {what} must be constant")
        if tensor.dtype != dtype:
            raise Unsupported(f"its {what} is {tensor.dtype}, not {np.dtype(dtype)}")
        return tensor.data

    def producer(self, tensor: Tensor) -> Operator | None:
        return self._producers.get(tensor.index)

    def only_consumer(self, tensor: Tensor) -> Operator | None:
        """The one operator that reads ``tensor``; None if there are several or it is an output."""
        consumers = self._consumers.get(tensor.index, [])
        is_output = any(t.index == tensor.index for t in self.graph.outputs)
        return consumers[0] if len(consumers) == 1 and not is_output else None

    def is_input(self, tensor: Tensor) -> bool:
        return any(t.index == tensor.index for t in self.graph.inputs)

    def set_view(self, tensor: Tensor, source: Tensor) -> None:
        """``tensor`` is ``source`` in another shape."""
        if tensor.dtype != source.dtype:
            raise Unsupported(f"its input is {source.dtype}, its output {tensor.dtype}")
        if np.prod(tensor.shape) != np.prod(source.shape):
            raise Unsupported(f"shapes {source.shape} and {tensor.shape} differ in size: damaged file")
        if source.index in self._reals:
            self._reals[tensor.index] = self._reals[source.index]
        self._views[tensor.index] = source

    def set_real(self, tensor: Tensor, source: Tensor) -> None:
        """Float ``tensor`` holds the real values of 8-bit ``source``."""
        self._reals[tensor.index] = source

    def real_source(self, tensor: Tensor) -> Tensor | None:
        return self._reals.get(tensor.index)

    def set_quantised_input(self, tensor: Tensor, quantised: Tensor) -> None:
        """The model's float input is received as its 8-bit side ``quantised``."""
        first = self._quantised_inputs.setdefault(tensor.index, quantised)
        same = ("scale", "zero_point", "dtype")
        if any(getattr(first, name) != getattr(quantised, name) for name in same):
            raise Unsupported("the model's float input is quantised in two ways")
        self._maps[quantised.index] = self.map(first) if first is not quantised else self.new_map(quantised)

    # -- boundary --

    def model_input(self) -> FeatureMap:
        if len(self.graph.inputs) != 1:
            raise TinyswitchError(
                f"{self.graph.source}: {len(self.graph.inputs)} inputs; models with one input are supported"
            )
        tensor = self.graph.inputs[0]
        return self.map(self._quantised_inputs.get(tensor.index, tensor))

    def model_output(self, tensor: Tensor) -> FeatureMap:
        return self.map(self._reals.get(tensor.index, tensor))


def _stored_as(tensor: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """What stands behind ``tensor`` in the arena: the same values in another shape."""
    return replace(tensor, index=-1 - tensor.index, shape=(1, *shape))


def _new_map(tensor: Tensor) -> FeatureMap:
    what = f"tensor {tensor.index} ({tensor.name})"
    if tensor.dtype not in (np.int8, np.uint8):
        kind = "a type the engine lacks" if tensor.dtype.hasobject else str(tensor.dtype)
        raise Unsupported(f"{what} is {kind}, not int8; quantise the model to full int8")
    if len(tensor.scales) != 1 or tensor.scale <= 0:
        raise Unsupported(f"{what} needs one positive scale; it has {len(tensor.scales)}")
    limits = np.iinfo(tensor.dtype)
    if not limits.min <= tensor.zero_point <= limits.max:
        raise Unsupported(f"{what} has zero point {tensor.zero_point}, outside {tensor.dtype}")
    try:
        height, width, channels = rows_shape(tensor.shape)
    except ValueError as error:
        raise Unsupported(f"{what}: {error}") from None
    if max(height, width, channels) > 0xFFFF:
        raise Unsupported(f"{what} has shape {tensor.shape}; an axis of at most 65535 is supported")
    data = None if tensor.data is None else tensor.data.reshape(height, width, channels)
    return FeatureMap(
        tensor.name, height, width, channels, tensor.dtype, tensor.scale, tensor.zero_point, data
    )


def lower(graph: Graph) -> tuple[list[Stage], FeatureMap, list[FeatureMap]]:
    """(stages in execution order, input, outputs) of a model.

    Raises TinyswitchError that names file, operator and index for what the engine lacks.
    """
    state = Lowering(graph)
    for op in graph.operators:
        _lower_operator(state, op)
    boundary: list[FeatureMap] = []
    for take in [state.model_input, *(lambda t=t: state.model_output(t) for t in graph.outputs)]:
        boundary.append(_guarded(graph, "the model's boundary", take))
    if not graph.outputs:
        raise TinyswitchError(f"{graph.source}: the model has no output")
    if any(m.constant is not None for m in boundary):
        raise TinyswitchError(f"{graph.source}: an input or output of the model is constant: damaged file")
    return _needed(state.stages, boundary[1:]), boundary[0], boundary[1:]


def _lower_operator(state: Lowering, op: Operator) -> None:
    where = f"operator {op.index} ({op.name})"
    lowering = LOWERINGS.get(op.name)
    if lowering is None:
        supported = ", ".join(sorted(LOWERINGS))
        raise TinyswitchError(f"{state.graph.source}: {where} is not supported; supported are {supported}")
    if not op.inputs or not op.outputs:
        raise TinyswitchError(f"{state.graph.source}: {where} has no input or no output: damaged file")
    _guarded(state.graph, where, lambda: lowering(state, op))


def _guarded(graph: Graph, where: str, call: Callable[[], FeatureMap | None]) -> FeatureMap | None:
    try:
        return call()
    except Unsupported as error:
        raise TinyswitchError(f"{graph.source}: {where}: {error}") from None
    except (AttributeError, IndexError, ValueError, TypeError, OverflowError) as error:
        # options or shapes that don't belong to this operator
        raise TinyswitchError(f"{graph.source}: {where}: damaged file ({error})") from None


def _needed(stages: list[Stage], outputs: list[FeatureMap]) -> list[Stage]:
    """Stages that an output depends on."""
    wanted = set(outputs)
    kept = []
    for stage in reversed(stages):
        if stage.output in wanted:
            wanted.update(stage.inputs)
            kept.append(stage)
    return kept[::-1]

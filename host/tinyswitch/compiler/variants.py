"""Kernels for a processor's instructions in place of the portable ones, and the row layouts they like.

``portable`` is plain C. ``dsp`` is ARMv7E-M (Cortex-M4 and M7): firmware/engine/dsp/. Both give the same
results.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from tinyswitch.compiler.fixedpoint import quantize_multiplier
from tinyswitch.compiler.plan import FeatureMap, Paired, Planar, Records, Stage, Stride, Weights, pair_words
from tinyswitch.compiler.stages.common import fold_zero_point
from tinyswitch.errors import TinyswitchError

KERNELS = ("portable", "dsp")
SMALLEST_SHIFT = -22  # of dsp/finish.h: zero_point << 22 and the sum with it stay within int32
LARGEST_SHIFT = 7  # to the left, of ts_channel's code
LEFT_SHIFT = 24  # TS_LEFT_SHIFT
LARGEST_BIAS = 1 << 26  # beside the code in 32 bits
LARGEST_SUM = 1 << 30  # of an accumulator, which is doubled
LARGEST_MARGIN = 255  # of ts_planar
CONV_PIXELS = 32  # of a convolution gathered at a time, if they take no more than
CONV_BYTES = 3072
WIDENED_BYTES = 1536  # of a pointwise stage's widened input at a time, about
# Bytes that a row of dsp/window_row.c reads for four outputs, by (taps, stride).
REACH = {(3, 1): 6, (3, 2): 9, (5, 1): 8, (5, 2): 12, (7, 1): 10, (7, 2): 13}


def choose(kernels: str, stages: list[Stage], model_input: FeatureMap, outputs: list[FeatureMap]) -> None:
    """Replaces what can be replaced, in place."""
    if kernels not in KERNELS:
        raise TinyswitchError(f"no kernels {kernels!r}; there are {', '.join(KERNELS)}")
    if kernels == "portable":
        return
    for stage in stages:
        if stage.kernel in _REPLACE:
            _REPLACE[stage.kernel](stage)
    private = _read_once(stages, [model_input, *outputs])
    for stage in stages:
        if stage.kernel == "ts_depthwise":
            _depthwise(stage, private)
    for stage in stages:
        if stage.kernel == "ts_pointwise_dsp":
            _pair_input(stage, private)


def _read_once(stages: list[Stage], boundary: list[FeatureMap]) -> dict[FeatureMap, Stage]:
    """Who writes them, of the maps that one stage writes and one stage reads."""
    writers = {s.output: s for s in stages}
    readers = Counter(m for s in stages for m in s.inputs)
    return {m: w for m, w in writers.items() if readers[m] == 1 and m not in boundary}


def _fast_requant(requant: dict, weights: np.ndarray) -> tuple[dict, np.ndarray] | None:
    """The same requantisation as dsp/finish.h takes it, and the weights to go with it; None if there is none.

    weights: int8 (channels, ...), with the zero point folded into the bias.
    """
    rows = weights.reshape(len(weights), -1).astype(np.int64)
    bias = requant["bias"].astype(np.int64)
    multiplier, shift = requant["multiplier"].astype(np.int64), requant["shift"].astype(np.int64)
    bound = np.abs(bias) + np.abs(rows).sum(axis=1) * 128
    # a channel that always rounds to 0 and cannot be encoded gets no weights and any multiplier; others keep
    # theirs, since models may share them
    largest = (np.minimum(bound, 1 << 31) * np.abs(multiplier) >> 31) + 1
    small = (bound < 1 << 31) & (shift < 0) & (largest < (1 << np.maximum(-shift - 1, 0)))
    beyond = (shift < SMALLEST_SHIFT) | (np.abs(bias) >= LARGEST_BIAS) | (bound >= LARGEST_SUM)
    nothing = (multiplier == 0) | (small & beyond)
    bound, bias, rows = np.where(nothing, 0, bound), np.where(nothing, 0, bias), rows * ~nothing[:, None]
    multiplier, shift = np.where(nothing, 1 << 30, multiplier), np.where(nothing, -1, shift)
    # a negative multiplier goes into the weights: the products, and so the rounding, are the same
    sign = np.sign(multiplier)
    bias, rows, multiplier = bias * sign, rows * sign[:, None], multiplier * sign
    fits = bound.max() < LARGEST_SUM and rows.max() <= 127 and multiplier.max() < 1 << 31
    coded = shift.min() >= SMALLEST_SHIFT and shift.max() <= LARGEST_SHIFT
    if not fits or np.abs(bias).max() >= LARGEST_BIAS or not coded:
        return None
    fast = _requant_params(requant, bias, multiplier, shift)
    return fast, rows.astype(np.int8).reshape(weights.shape)


def _fast_folded(params: dict, weights: np.ndarray) -> tuple[dict, np.ndarray] | None:
    """The same for a stage whose bias does not hold the input's zero point yet."""
    folded = fold_zero_point(params["requant"]["bias"], weights, params["input_zero_point"])
    return _fast_requant({**params["requant"], "bias": folded}, weights)


def _requant_params(requant: dict, bias: np.ndarray, multiplier: np.ndarray, shift: np.ndarray) -> dict:
    """struct ts_requant_dsp; multipliers in [2^30, 2^31)."""
    code = np.where(shift < 0, -shift, LEFT_SHIFT + shift)
    channels = np.stack([2 * multiplier - (1 << 32), bias * 32 + code], axis=1).astype(np.int32)
    low, high = requant["low"], requant["high"]
    return {
        "channels": Records("ts_channel", channels),
        "zero_point": requant["zero_point"],
        "low": low,
        "high": high,
        "is_short": int(shift.max() < 0 and (low, high) == (-128, 127)),
    }


def _not_planar() -> dict:
    return {"used": 0, "margin": 0, "zero_point": 0}


def _pointwise(stage: Stage) -> None:
    fast = _fast_requant(stage.params["requant"], stage.params["weights"].values)
    if fast is None or stage.inputs[0].constant is not None:
        return
    requant, weights = fast
    held = Weights(weights, strided=(0,))
    stage.kernel, stage.struct = "ts_pointwise_dsp", "ts_pointwise_dsp_params"
    stage.params = {
        "weights": held,
        "row_bytes": Stride(held, 0),
        "requant": requant,
        "planar": _not_planar(),
        "paired": 0,
        "chunk": 0,
    }
    _set_paired(stage, False)


def _set_paired(stage: Stage, paired: bool) -> None:
    """Whether a pointwise stage's input comes paired, or is widened by it some pixels at a time."""
    source = stage.inputs[0]
    words = pair_words(source.channels)
    pairs = max(WIDENED_BYTES // (4 * words), 4)
    chunk = min(2 * pairs, source.width + source.width % 2)
    stage.params["paired"], stage.params["chunk"] = int(paired), 0 if paired else chunk
    stage.scratch_bytes = 4 * words * (1 if paired else 1 + chunk // 2)


def _conv(stage: Stage) -> None:
    params = stage.params
    if params["groups"] != 1:
        return
    weights = params["weights"].values
    fast = _fast_folded(params, weights.reshape(len(weights), -1))
    if fast is None:
        return
    requant, matrix = fast
    stage.kernel, stage.struct = "ts_conv_dsp", "ts_conv_dsp_params"
    stage.params = {
        "weights": Weights(matrix),
        "requant": requant,
        "window": params["window"],
        "planar": _not_planar(),
        "input_zero_point": params["input_zero_point"],
    }
    words = pair_words(matrix.shape[1])
    width = stage.output.width
    pairs = max(1, min(CONV_BYTES // (6 * words), CONV_PIXELS // 2, -(-width // 2)))
    stage.params["chunk"] = 2 * pairs
    stage.scratch_bytes = 4 * words + 6 * words * pairs


def _add(stage: Stage) -> None:
    """The operand with the larger scale goes first: its multiplier is exactly 1/2."""
    params = stage.params
    pairs = sorted(
        zip(params["operand"], stage.inputs, strict=True),
        key=lambda pair: (pair[0]["multiplier"], pair[0]["shift"]) != (1 << 30, 0),
    )
    (first, a), (second, b) = pairs
    in_range = SMALLEST_SHIFT <= params["shift"] <= -1 and -30 <= second["shift"] <= 0
    halves = (first["multiplier"], first["shift"]) == (1 << 30, 0)
    if not (halves and in_range and a.shape == b.shape == stage.output.shape):
        return
    stage.kernel, stage.struct, stage.inputs = "ts_add_dsp", "ts_add_dsp_params", [a, b]
    stage.params = {
        "multiplier": second["multiplier"],
        "shift": second["shift"],
        "requant": _requant_params(
            params, np.zeros(1, int), np.array([params["multiplier"]]), np.array([params["shift"]])
        ),
        "first_zero_point": first["zero_point"],
        "second_zero_point": second["zero_point"],
    }


def _dense(stage: Stage) -> None:
    if stage.params["per_pixel"] or stage.inputs[0].constant is not None:
        return
    pairs = [quantize_multiplier(float(scale)) for scale in stage.params["scale"]]
    stage.kernel, stage.struct = "ts_dense_dsp", "ts_dense_dsp_params"
    stage.params = {
        "dense": stage.params,
        "multiplier": np.array([m for m, _ in pairs], np.int32),
        "shift": np.array([s for _, s in pairs], np.int8),
    }
    stage.scratch_bytes += stage.inputs[0].row_bytes // 4 * 8


_REPLACE: dict[str, Callable[[Stage], None]] = {
    "ts_add": _add,
    "ts_conv": _conv,
    "ts_dense": _dense,
    "ts_pointwise": _pointwise,
}


def _depthwise(stage: Stage, private: dict[FeatureMap, Stage]) -> None:
    params, source, output = stage.params, stage.inputs[0], stage.output
    w = params["window"]
    taps, stride = w["height"], w["stride_y"]
    square = (w["width"], w["stride_x"], w["dilation_y"], w["dilation_x"]) == (taps, stride, 1, 1)
    writer = private.get(source)
    if (
        not square
        or (taps, stride) not in REACH
        or params["multiplier"] != 1
        or writer is None
        or writer.kernel not in ("ts_pointwise_dsp", "ts_conv_dsp")
        or max(w["pad_top"], w["pad_left"]) >= taps
        or (output.height - 1) * stride - w["pad_top"] >= source.height  # a window with no row inside
    ):
        return
    layout = _planar_for(source, output, taps, stride, w["pad_left"])
    if layout.margin > LARGEST_MARGIN:
        return
    by_channel = params["weights"].values.transpose(2, 0, 1).copy()  # from (y, x, channel)
    zero_point = params["input_zero_point"]
    fast = _fast_folded(params, by_channel)
    if fast is None:
        return
    requant, by_channel = fast
    source.layout = layout
    planar = {"used": 1, "margin": source.layout.margin, "zero_point": zero_point}
    writer.params["planar"] = planar
    held = Weights(by_channel, taps=(1, 2), strided=(0, 1))
    stage.kernel, stage.struct = "ts_depthwise_dsp", "ts_depthwise_dsp_params"
    stage.params = {
        "weights": held,
        "row_bytes": Stride(held, 1),
        "channel_bytes": Stride(held, 0),
        "requant": requant,
        "planar": planar,
        "taps": taps,
        "stride": stride,
        "pad_top": w["pad_top"],
        "pad_left": w["pad_left"],
        "paired": 0,
        "input_zero_point": zero_point,
    }
    stage.scratch_bytes = 4 * (-(-output.width // 4) * 4)


def _planar_for(source: FeatureMap, output: FeatureMap, taps: int, stride: int, pad: int) -> Planar:
    behind = (output.width - 1) * stride + taps - pad - source.width
    margin = max(pad, behind, 0)
    used = margin + source.channels * (source.width + margin)
    quads = -(-output.width // 4)
    last_channel = margin + (source.channels - 1) * (source.width + margin) - pad
    reach = last_channel + 4 * (quads - 1) * stride + REACH[taps, stride]
    return Planar(margin, max(0, reach - used))


def _pair_input(stage: Stage, private: dict[FeatureMap, Stage]) -> None:
    """The depthwise stage in front writes its row ready for the matrix product."""
    source = stage.inputs[0]
    writer = private.get(source)
    if writer is None or writer.kernel != "ts_depthwise_dsp":
        return
    source.layout = Paired()
    writer.params["paired"] = 1
    _set_paired(stage, True)


def unpair(stages: list[Stage]) -> Callable[[], None] | None:
    """Makes the longest paired row among ``stages`` interleaved, which costs time. Returns what undoes it."""
    writers = {s.output: s for s in stages}
    found = [
        s for s in stages if s.kernel == "ts_pointwise_dsp" and s.params["paired"] and s.inputs[0] in writers
    ]
    if not found:
        return None
    stage = max(found, key=lambda s: s.inputs[0].row_bytes)
    source = stage.inputs[0]
    writer = writers[source]

    def pair(paired: bool) -> None:
        source.layout = Paired() if paired else None
        writer.params["paired"] = int(paired)
        _set_paired(stage, paired)

    pair(False)
    return lambda: pair(True)

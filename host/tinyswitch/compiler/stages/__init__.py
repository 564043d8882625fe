"""Lowerings: one file a stage kind, as in firmware/engine/stages/.

A lowering is ``lower(state: Lowering, op: Operator) -> None``: it adds the stages that compute
``op.outputs``, or raises :class:`common.Unsupported`.
"""

from tinyswitch.compiler.stages import (
    binary,
    concat,
    conv,
    dense,
    depthwise,
    lookup,
    mean,
    pad,
    pool,
    reshape,
    resize,
    softmax,
)

LOWERINGS = {
    "ADD": binary.lower_add,
    "MUL": binary.lower_mul,
    "CONCATENATION": concat.lower,
    "CONV_2D": conv.lower,
    "DEPTHWISE_CONV_2D": depthwise.lower,
    "FULLY_CONNECTED": dense.lower,
    "QUANTIZE": lookup.lower_quantize,
    "DEQUANTIZE": lookup.lower_dequantize,
    **{name: lookup.lower for name in lookup.UNARY},
    "MEAN": mean.lower,
    "PAD": pad.lower,
    "PADV2": pad.lower,
    "AVERAGE_POOL_2D": pool.lower_average,
    "MAX_POOL_2D": pool.lower_max,
    **{name: reshape.lower for name in reshape.VIEWS},
    "TRANSPOSE": reshape.lower_transpose,
    "RESIZE_NEAREST_NEIGHBOR": resize.lower,
    "SOFTMAX": softmax.lower,
}

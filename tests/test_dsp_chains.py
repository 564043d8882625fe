"""Chains of convolutions in the DSP kernels' row layouts, on this machine and on an emulated Cortex-M.

TINYSWITCH_EXAMPLES=20 tries twenty times as many, other ones at every run.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

import cortexm_engine
import native_engine
from chains import REGIMES, Chain, Layer, chains
from cortexm_engine import cortexm
from models import SAME, VALID, assert_equal, check, examples, expected_outputs
from tinyswitch.compiler import Plan, compile_model


@examples(40)
@given(chains())
def test_on_this_machine(chain):
    chain.assert_kernels(check(chain.build(), frames=2, rng=np.random.default_rng(chain.seed))["dsp"])


def check_on(cpu: str, chain: Chain) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(chain.build())
        frames, expected = expected_outputs(path, 2, np.random.default_rng(chain.seed))
        plan, found = cortexm(cpu).run(path, frames)
        assert_equal(found, expected, cpu)
        chain.assert_kernels(plan)


@examples(25)
@given(chains())
def test_on_a_cortex_m7(chain):
    check_on("cortex-m7", chain)


@examples(10)
@given(chains())
def test_on_a_cortex_m4(chain):
    check_on("cortex-m4", chain)


def mobile(taps: int, pad: tuple | int, stride: int = 1, regime: str = "usual", size: int = 4) -> Chain:
    """pointwise -> depthwise -> pointwise, all in one regime."""

    def layer(kind: str, taps: int, stride: int, pad: tuple | int) -> Layer:
        return Layer(kind, 5, taps, stride, pad, 0, -5, regime)

    middle = layer("depthwise", taps, stride, pad)
    ends = layer("pointwise", 1, 1, VALID)
    return Chain((size, size, 5), 3, (ends, middle, ends), False, 7)


@pytest.mark.parametrize(
    "chain",
    [
        pytest.param(mobile(3, (0, 5, 0, 0)), id="windows below the map"),
        pytest.param(mobile(3, (0, 0, 0, 5)), id="windows right of the map"),
        pytest.param(mobile(3, (0, 0, 0, 260)), id="wide border"),
        pytest.param(mobile(7, SAME, size=1), id="one pixel"),
        pytest.param(mobile(3, VALID, stride=2), id="rows that nobody reads"),
        *(pytest.param(mobile(5, SAME, 1, regime, 9), id=regime) for regime in REGIMES),
    ],
)
def test_special_cases(chain):
    check_everywhere(chain)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("taps", [3, 5, 7])
def test_every_window(taps, stride):
    for size in (5, 8, 13):
        check_everywhere(mobile(taps, SAME, stride, size=size))


def check_everywhere(chain: Chain) -> None:
    chain.assert_kernels(check(chain.build(), frames=2)["dsp"])
    check_on("cortex-m7", chain)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("taps", [3, 5, 7])
def test_nothing_beside_a_buffer_is_touched(taps, stride, monkeypatch):
    """Each map and each stage's scratch in turn is the last and the first thing in the arena."""
    chain = mobile(taps, SAME, stride, size=5)
    plan = isolated(chain, 0, True)
    for number in range(len(plan.placements) + len(plan.scratch)):
        for at_end in (True, False):
            plan = isolated(chain, number, at_end)
            monkeypatch.setattr(cortexm_engine, "compile_model", lambda *_, plan=plan: plan)
            check_on("cortex-m7", chain)


def isolated(chain: Chain, number: int, at_end: bool) -> Plan:
    """The chain's plan with one map or scratch, ``number``, at the arena's very end or beginning."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(chain.build())
        plan = compile_model(path, "dsp")
    places, scratch = list(plan.placements.items()), list(plan.scratch)
    if number < len(places):
        m, place = places[number]
        size = place.slots * m.row_bytes
    else:
        size = scratch[number - len(places)].scratch_bytes
    room = -(-size // 8) * 8
    if not at_end:  # everything moves up
        plan.steps_offset += room
        for _, place in places:
            place.offset += room
        plan.scratch = {stage: offset + room for stage, offset in plan.scratch.items()}
    plan.arena_bytes += room
    offset = plan.arena_bytes - size if at_end else 0
    if number < len(places):
        places[number][1].offset = offset
    else:
        plan.scratch[scratch[number - len(places)]] = offset
    return plan


def test_unaligned_loads_are_noticed(tmp_path, monkeypatch):
    """The check itself, with accumulators at addresses that aren't multiples of 4."""

    def misplaced(path: Path, kernels: str) -> Plan:
        plan = compile_model(path, kernels)
        plan.scratch = {stage: offset + 2 for stage, offset in plan.scratch.items()}
        plan.arena_bytes += 8
        return plan

    monkeypatch.setattr(cortexm_engine, "compile_model", misplaced)
    with pytest.raises(AssertionError, match=r"unaligned 0x[0-9a-f]+ at 0x[0-9a-f]+ \(\w+ \w+\.c:\d+\)"):
        check_on("cortex-m7", mobile(3, SAME))


def test_accesses_outside_the_arena_are_noticed(monkeypatch):
    """The check itself: the arena is some bytes shorter than what is used of it."""

    def short(path: Path, kernels: str) -> Plan:
        plan = compile_model(path, kernels)
        plan.arena_bytes -= 64
        return plan

    monkeypatch.setattr(cortexm_engine, "compile_model", short)
    with pytest.raises(AssertionError, match="Invalid memory"):
        check_on("cortex-m7", mobile(3, SAME))
    monkeypatch.setattr(native_engine, "compile_model", short)
    with pytest.raises(AssertionError, match="AddressSanitizer: heap-buffer-overflow"):
        check(mobile(3, SAME).build())

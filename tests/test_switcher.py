"""Tasks and monitor, compiled for this machine, on a board whose time passes as the test says."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from link_support import FIRMWARE, ROOT, compile_c

HZ = 100_000_000
MS = HZ // 1000
ARENA = 4_100  # not a multiple of 8: tasks end at 4,096
FLOOR = 1_001
INFERENCE = 128
HIGH, LOW = 200, 100
SAMPLE = ctypes.CFUNCTYPE(None, ctypes.c_uint64, ctypes.c_uint64)


class Monitor(ctypes.Structure):
    """``ts_monitor``."""

    _fields_ = [
        ("time", ctypes.c_uint64 * 32),
        ("stolen", ctypes.c_uint64 * 32),
        ("supply_time", ctypes.c_uint64),
        ("learned", ctypes.c_uint32 * 32),
        ("supply_mv", ctypes.c_uint32),
        ("count", ctypes.c_uint32),
        ("busy", ctypes.c_uint8),
    ]


@pytest.fixture(scope="module")
def library() -> ctypes.CDLL:
    sources = [
        *(FIRMWARE / f"switcher/{name}.c" for name in ("tasks", "monitor", "policy")),
        ROOT / "tests/switcher_firmware/board.c",
    ]
    path: Path = compile_c("switcher.so", sources, "-shared", "-fPIC", "-O2")
    found = ctypes.CDLL(str(path))
    found.ts_monitor_cycles.restype = ctypes.c_uint32
    for name in ("ts_tasks_stolen", "ts_tasks_yielded"):
        getattr(found, name).restype = ctypes.c_uint64
    found.ts_monitor_charge.restype = ctypes.c_uint16
    found.ts_monitor_learn.argtypes = [
        ctypes.POINTER(Monitor),
        ctypes.c_uint32,
        ctypes.c_uint64,
        ctypes.c_uint32,
    ]
    found.fake_pass.argtypes = [ctypes.c_uint64, ctypes.c_uint32]
    return found


class Bench:
    """Tasks over an arena of their own, and the monitor."""

    def __init__(self, library: ctypes.CDLL, floor: int = FLOOR):
        self.c = library
        self.memory = (ctypes.c_uint64 * (ARENA // 8 + 1))()
        self.arena = (ctypes.c_uint8 * ARENA).from_buffer(self.memory)
        self.monitor = Monitor()
        self._sample = SAMPLE(
            lambda now, stolen: library.ts_monitor_sample(
                ctypes.byref(self.monitor), ctypes.c_uint64(now), ctypes.c_uint64(stolen)
            )
        )
        library.ts_tasks_init(self.arena, ARENA, floor, self._sample)
        library.ts_tasks_inference(INFERENCE)
        library.ts_monitor_init(ctypes.byref(self.monitor))

    def task(self, slot: int, priority: int, share: int, ram: int = 0) -> None:
        assert self.c.ts_tasks_set(slot, priority, share, ram) == 0
        self.c.ts_tasks_grant(0, 0)

    def granted(self) -> list[int]:
        return [self.c.ts_tasks_granted(i) for i in range(8)]

    def run(self, ms: float) -> None:
        """Inference computes, interrupted once a millisecond."""
        self.c.fake_pass(round(ms * MS), max(1, round(ms)))

    def cpu(self) -> int:
        return self.c.ts_monitor_cpu(ctypes.byref(self.monitor))

    def now(self) -> int:
        return ctypes.c_uint64.in_dll(self.c, "fake_now").value


@pytest.fixture
def bench(library: ctypes.CDLL) -> Iterator[Bench]:
    yield Bench(library)


@pytest.mark.parametrize("shares", [[600], [200, 400], [1], [950], [100] * 8])
def test_tasks_take_their_share_and_the_monitor_sees_it(bench: Bench, shares: list[int]):
    for slot, share in enumerate(shares):
        bench.task(slot, HIGH + slot, share, 64)
    start, stolen = bench.now(), bench.c.ts_tasks_stolen()
    bench.run(100)
    taken = (bench.c.ts_tasks_stolen() - stolen) / (bench.now() - start)
    assert taken == pytest.approx(sum(shares) / 1000, abs=0.012)
    assert bench.cpu() == pytest.approx(1000 - sum(shares), abs=12)
    assert bench.c.ts_tasks_declared() == 1000 - sum(shares)
    assert bench.c.ts_tasks_damaged() == 0


def test_a_load_counts_after_8_ms_and_for_32_ms(bench: Bench):
    bench.run(50)
    assert bench.cpu() == 1000
    bench.task(0, HIGH, 600)
    bench.run(10)
    assert bench.cpu() == pytest.approx(400, abs=20)
    bench.run(40)
    assert bench.cpu() == pytest.approx(400, abs=10)
    bench.task(0, HIGH, 0)
    seen = []
    for _ in range(40):
        bench.run(1)
        bench.c.ts_monitor_tick(ctypes.byref(bench.monitor))
        seen.append(bench.cpu())
    assert seen == sorted(seen)
    assert seen[10] < 700
    assert seen[-1] == 1000


def test_a_load_that_ended_during_a_long_computation_is_over(bench: Bench):
    bench.task(0, HIGH, 600)
    bench.run(50)
    bench.task(0, HIGH, 0)
    bench.run(200)  # nobody takes samples
    assert bench.cpu() >= 990  # all that is in it is the end of the last period


def test_the_timer_runs_only_while_there_is_something_to_do(bench: Bench):
    hz = ctypes.c_uint32.in_dll(bench.c, "fake_hz")
    assert hz.value == 0
    bench.task(0, HIGH, 0, 100)
    assert hz.value == 0
    bench.task(1, LOW, 1)
    assert hz.value == 1000
    starts = ctypes.c_uint32.in_dll(bench.c, "fake_starts").value
    bench.c.ts_tasks_grant(0, 0)  # changes nothing
    assert ctypes.c_uint32.in_dll(bench.c, "fake_starts").value == starts
    bench.task(1, LOW, 0)
    assert hz.value == 0


def test_tasks_below_inference_run_when_it_waits_and_steal_nothing(bench: Bench):
    bench.task(0, LOW, 300)
    bench.task(1, LOW, 100, 80)
    bench.run(50)
    assert (bench.c.ts_tasks_stolen(), bench.c.ts_tasks_yielded()) == (0, 0)
    start, busy = bench.now(), 0
    for _ in range(4000):
        before = bench.now()
        busy += bench.c.ts_tasks_idle()
        assert bench.now() - before < 300 * HZ // 1_000_000
        bench.run(0.05)
    assert bench.c.ts_tasks_yielded() / (bench.now() - start) == pytest.approx(0.4, abs=0.05)
    assert 0 < busy < 4000
    assert (bench.cpu(), bench.c.ts_tasks_damaged()) == (1000, 0)


def test_what_a_task_is_owed_does_not_pile_up(bench: Bench):
    bench.task(0, LOW, 500)
    bench.run(10_000)
    runs = 0
    while bench.c.ts_tasks_idle():
        runs += 1
    assert runs <= 100  # 20 ms at half of the time, in slices of 250 us, and what is owed meanwhile


def test_damage_is_counted(bench: Bench):
    bench.task(0, HIGH, 500, 512)
    bench.task(1, LOW, 0, 256)
    bench.run(20)
    for _ in range(20):
        bench.c.ts_tasks_idle()
    assert bench.c.ts_tasks_damaged() == 0
    bench.arena[4095] ^= 1
    bench.arena[4095 - 512] ^= 1
    bench.run(20)
    for _ in range(20):
        bench.c.ts_tasks_idle()
    assert bench.c.ts_tasks_damaged() == 2
    bench.arena[4096 - 512 - 256 - 1] ^= 1  # inference's
    bench.run(20)
    assert bench.c.ts_tasks_damaged() == 2


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.integers(0, 255), st.integers(0, ARENA - 1_100)), min_size=8, max_size=8),
    st.integers(0, 255),
    st.integers(0, ARENA + 10),
    st.integers(0, ARENA + 10),
)
def test_memory_goes_by_priority_and_never_below_the_floor(library, wanted, inference, above, below):
    bench = Bench(library)
    library.ts_tasks_inference(inference)
    for slot, (priority, ram) in enumerate(wanted):
        expected = 0 if ram <= library.ts_tasks_most() else -3
        assert library.ts_tasks_set(slot, priority, 0, ram) == expected
        if expected:
            wanted[slot] = (0, 0)
    low = ctypes.c_uint32()
    left = library.ts_tasks_left(ctypes.byref(low))
    library.ts_tasks_grant(above, below)
    grants, end = bench.granted(), 4_096
    for slot in sorted(range(8), key=lambda i: (-wanted[i][0], i)):
        leave = max(FLOOR, above if wanted[slot][0] > inference else below)
        room = max(0, end - (leave + 7) // 8 * 8) if leave < ARENA else 0
        assert grants[slot] == min((wanted[slot][1] + 7) // 8 * 8, room)
        end -= grants[slot]
    assert library.ts_tasks_free() == (ARENA if sum(grants) == 0 else end) >= FLOOR
    library.ts_tasks_grant(0, 0)
    assert library.ts_tasks_free() == left
    is_low = [priority <= inference for priority, _ in wanted]
    assert low.value == sum(g for g, is_ in zip(bench.granted(), is_low, strict=True) if is_)


def test_nothing_changes_after_an_error(bench: Bench):
    bench.task(0, HIGH, 500, 100)
    assert bench.c.ts_tasks_set(8, HIGH, 1, 1) == -1
    assert bench.c.ts_tasks_set(1, HIGH, 451, 1) == -2
    assert bench.c.ts_tasks_set(0, HIGH, 951, 1) == -2
    assert bench.c.ts_tasks_set(0, HIGH, 0xFFFFFFFF, 1) == -2
    assert bench.c.ts_tasks_set(1, HIGH, 1, 4_096 - 1_008 + 1) == -3
    bench.c.ts_tasks_grant(0, 0)
    assert bench.granted() == [104] + [0] * 7
    assert bench.c.ts_tasks_declared() == 500
    assert bench.c.ts_tasks_set(0, HIGH, 950, 4_096 - 1_008) == 0


def test_an_arena_without_room_for_tasks(library: ctypes.CDLL):
    bench = Bench(library, floor=ARENA)
    assert library.ts_tasks_most() == 0
    bench.task(0, HIGH, 500)
    bench.run(10)
    assert library.ts_tasks_free() == ARENA


def test_learning(bench: Bench):
    monitor = ctypes.byref(bench.monitor)

    def learn(entry: int, cycles: int, table: int = 0) -> int:
        bench.c.ts_monitor_learn(monitor, entry, cycles, table)
        return bench.c.ts_monitor_cycles(monitor, entry, table)

    assert bench.c.ts_monitor_cycles(monitor, 0, 77) == 77
    assert [learn(0, cycles) for cycles in (1_000, 1_400, 100_000, 1_000)] == [1_000, 1_100, 1_375, 1_281]
    assert [learn(1, cycles, 1_000) for cycles in (10_000, 1, 1, 1, 1, 1)] == [
        2_000,
        1_500,
        1_125,
        844,
        633,
        500,
    ]
    assert learn(2, 2**40) == 2**32 - 1
    assert learn(32, 5, 9) == 9  # beyond those that are learned


def test_charge_by_supply_voltage(bench: Bench):
    charge = bench.c.ts_monitor_charge
    points = {
        0: 0xFFFF,
        1: 0,
        2000: 0,
        2100: 50,
        2200: 100,
        2300: 200,
        2400: 300,
        2800: 800,
        3000: 1000,
        3300: 1000,
    }
    assert {mv: charge(mv) for mv in points} == points
    rising = [charge(mv) for mv in range(1, 4000)]
    assert rising == sorted(rising)


def test_supply_is_measured_once_a_second(bench: Bench):
    mv = ctypes.c_uint32.in_dll(bench.c, "fake_mv")
    seen = []
    for value in (3_000, 2_900, 2_800):
        mv.value = value
        bench.c.ts_monitor_measure_supply(ctypes.byref(bench.monitor))
        seen.append(bench.monitor.supply_mv)
        bench.run(600)
    assert seen == [3_000, 3_000, 2_800]

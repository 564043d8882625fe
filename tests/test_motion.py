"""The motion sensor's driver of the Nano 33 BLE Sense, on the virtual chip with the virtual sensor."""

import subprocess
from dataclasses import dataclass

import numpy as np
import pytest

from board_sources import FIRMWARE, folder, sources
from test_lsm9ds1 import FLAT, make
from tinyswitch.boards.virtual.chip import Options
from tinyswitch.gestures import recording as recordings
from tinyswitch.gestures.sampling import at_rate
from virtual_programs import DONE, GCC, NRF, needs_gcc, run_elf, symbol

pytestmark = needs_gcc

CPU = ("-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard")
BOARD = folder("nano33ble")
OFF, ON, NONE, SILENT, STUCK = range(5)

# PLAN: {ms, what} in order of time; what is a rate for board_motion_start(), or HUSH + ms: is busy with other
# things meanwhile. Every EVERY ms it fetches, at most MOST samples, and notes the state.
PROGRAM = """
#include "board.h"
#include "chip.h"
uint32_t result[32];
static const struct { uint32_t ms, what; } plan[] = {PLAN};
#define HUSH 0x80000000
int16_t samples[3 * 4000];
uint32_t came[4000];                      /* in ms, with each sample */
uint8_t states[4000];
static int16_t buffer[3 * 64 + 1];
static uint32_t ms(void) { return (uint32_t)(board_cycles() / 64000); }
__attribute__((noinline)) static void wait_until(uint32_t end) {
    while (ms() < end) {
        if (SLEEPS) board_idle(); else __asm volatile(".rept 500\\n nop\\n .endr");
    }
    board_watchdog_kick();
}
int main(void) {
    uint32_t n = 0, fetches = 0, longest = 0;
    board_init();
    for (uint32_t now = 0, i = 0; now < END; now += EVERY) {
        wait_until(now);
        while (i < sizeof plan / sizeof plan[0] && plan[i].ms <= now) {
            const uint32_t what = plan[i++].what;
            if (what & HUSH) { now += what & ~HUSH; wait_until(now); }
            else board_motion_start(what);
        }
        const uint64_t begin = board_cycles();
        const uint32_t executed = DWT_CYCCNT;
        const uint32_t got = board_motion_read(buffer, MOST);
        const uint32_t work = DWT_CYCCNT - executed; /* it stands in sleep */
        const uint32_t took = (uint32_t)(board_cycles() - begin);
        if (took > longest) longest = took;
        if (got) { result[7]++; result[8] += work; result[9] += took; }
        for (uint32_t k = 0; k < got; k++, n++) {
            for (int axis = 0; axis < 3; axis++) samples[3 * n + axis] = buffer[3 * k + axis];
            came[n] = now;
        }
        board_motion status;
        board_motion_status(&status);
        states[fetches++] = status.state;
        result[3] = status.rate_mhz; result[4] = status.lost; result[5] = status.errors;
        result[6] = status.restarts;
    }
    result[0] = n; result[1] = fetches; result[2] = longest / 64;
    *(volatile uint32_t *)DONE = 0;
    for (;;) {}
}
"""


@dataclass
class Outcome:
    """``samples`` (n, 3) int16 and when each came, ms; states after each fetch; the status at the end."""

    samples: np.ndarray
    came: np.ndarray
    states: list[int]
    rate_mhz: int
    lost: int
    errors: int
    restarts: int
    longest_us: int
    fetches: int  # that brought samples; they took
    instructions: int
    seconds: float


def run(place, plan, seconds, *, every=50, most=64, idle=0, prepare=lambda _: None, **options):
    (place / "program.c").write_text(PROGRAM)
    elf = place / "program.elf"
    done = subprocess.run(
        [GCC, *CPU, "-O2", "-std=gnu99", f"-DPLAN={', '.join(f'{{{ms}, {what}}}' for ms, what in plan)}",
         f"-DEND={round(1000 * seconds)}", f"-DEVERY={every}", f"-DMOST={most}",
         f"-DSLEEPS={idle}", f"-DDONE=0x{DONE:x}",
         f"-I{FIRMWARE / 'boards'}", f"-I{BOARD}", *sources("nano33ble"), place / "program.c",
         "-nostartfiles", f"-L{BOARD}", f"-T{BOARD / 'bare.ld'}", "-o", elf],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = run_elf(elf, steps=1_000_000, target=NRF, options=Options(**options), prepare=prepare)
    assert f"0x{DONE:08x}" in done.message, done.message

    def array(name, dtype, count):
        size = count * np.dtype(dtype).itemsize
        memory, at = done.machine.cpu.memory_at(symbol(elf, name), size, write=False)
        return np.frombuffer(bytes(memory[at : at + size]), dtype)

    n, fetches, longest, *status = done.result[:7]
    useful, instructions, cycles = done.result[7:10]
    return Outcome(
        array("samples", "<i2", 3 * n).reshape(-1, 3), array("came", "<u4", n),
        array("states", "u1", fetches).tolist(), *status, longest,
        useful, instructions, cycles / 64e6,
    )  # fmt: skip


def hush(ms):
    return 0x80000000 + ms


@pytest.fixture
def wave(tmp_path):
    return make(tmp_path / "wave.json", seconds=6.0)


RATES = {10000: 10.0, 14875: 14.875, 29750: 29.75, 50000: 50.0, 59500: 59.5, 119000: 119.0}


@pytest.mark.parametrize("rate", RATES)
def test_samples_are_those_of_the_recording(tmp_path, wave, rate):
    outcome = run(tmp_path, [(0, rate)], 1.5, motion=wave)
    expected = at_rate(recordings.read(wave), RATES[rate])
    assert len(outcome.samples) >= (1.5 - 0.1 - 3 / RATES[rate] - 0.05) * RATES[rate] - 1
    assert np.array_equal(outcome.samples, expected[: len(outcome.samples)])
    assert (outcome.rate_mhz, outcome.lost, outcome.errors, outcome.restarts) == (rate, 0, 0, 0)
    assert set(outcome.states) == {ON} and outcome.longest_us < 10_000


def test_a_fetch_costs_little(tmp_path):
    """119 Hz, fetched every 100 ms: 2 ms of the bus, in which the processor sleeps."""
    outcome = run(tmp_path, [(0, 119000)], 2, every=100)
    assert outcome.fetches >= 16 and outcome.instructions < 600 * outcome.fetches
    assert 1.5e-3 < outcome.seconds / outcome.fetches < 2.5e-3


@pytest.mark.parametrize(
    ("asked", "rate"),
    [(1, 10000), (12437, 10000), (12438, 14875), (55000, 59500), (4_000_000_000 // 2, 119000)],
)
def test_the_nearest_rate(tmp_path, asked, rate):
    outcome = run(tmp_path, [(0, asked)], 0.3)
    assert outcome.rate_mhz == rate


def test_flat_without_a_recording(tmp_path):
    outcome = run(tmp_path, [(0, 119000)], 0.5)
    assert len(outcome.samples) > 35 and np.array_equal(outcome.samples, [FLAT] * len(outcome.samples))


def test_fetched_in_small_parts(tmp_path, wave):
    outcome = run(tmp_path, [(0, 119000)], 1, every=20, most=3, motion=wave)
    assert outcome.lost == 0 and len(outcome.samples) > 100
    assert np.array_equal(outcome.samples, at_rate(recordings.read(wave), 119)[: len(outcome.samples)])


def test_lost_samples_are_counted(tmp_path, wave):
    """Busy for a second: the FIFO's 32 are kept, the rest is lost; those that follow are in order."""
    outcome = run(tmp_path, [(0, 119000), (800, hush(1000))], 2.5, motion=wave)
    expected = at_rate(recordings.read(wave), 119)
    gap = np.flatnonzero(np.diff(outcome.came) > 500)
    assert len(gap) == 1
    before = gap[0] + 1
    missing = int(np.flatnonzero((expected == outcome.samples[before]).all(1))[0]) - before
    assert 119 - 32 - 6 < missing < 119 - 32 + 8
    assert abs(outcome.lost - missing) <= 1
    assert np.array_equal(outcome.samples[:before], expected[:before])
    rest = outcome.samples[before:]
    assert np.array_equal(rest, expected[before + missing :][: len(rest)])


def test_stops_and_begins_again(tmp_path, wave):
    outcome = run(tmp_path, [(0, 119000), (1000, 0), (1500, 119000)], 2, motion=wave)
    expected = at_rate(recordings.read(wave), 119)
    second = int(np.flatnonzero(outcome.came >= 1500)[0])
    assert not ((outcome.came > 1000) & (outcome.came < 1500)).any()
    assert np.array_equal(outcome.samples[:second], expected[:second])
    assert np.array_equal(outcome.samples[second:], expected[: len(outcome.samples) - second])
    assert outcome.states[21:29] == [OFF] * 8 and outcome.states[-1] == ON and outcome.restarts == 0


def test_another_rate_while_it_samples(tmp_path, wave):
    """The recording goes on; what waited is dropped."""
    outcome = run(tmp_path, [(0, 119000), (1010, 59500), (2010, 14875)], 3, motion=wave)
    recording = recordings.read(wave)
    parts = np.split(outcome.samples, np.searchsorted(outcome.came, [1011, 2011]))
    assert np.array_equal(parts[0], at_rate(recording, 119)[: len(parts[0])])
    for part, rate, begin in ((parts[1], 59.5, 1.0), (parts[2], 14.875, 2.0)):
        expected = at_rate(recording, rate)
        first = int(np.flatnonzero((expected == part[0]).all(1))[0])
        assert abs(first / rate - begin) < 0.1 + 3 / rate and len(part) > 0.8 * rate
        assert np.array_equal(part, expected[first : first + len(part)])
    assert (outcome.lost, outcome.restarts, outcome.rate_mhz) == (0, 0, 14875)


@pytest.mark.parametrize("fast", [False, True])
def test_a_recording_need_not_take_its_time(tmp_path, fast):
    """How long the machine waits for the wall's clock, while the recording plays and after it."""
    waits = []

    def prepare(machine):
        machine.line.wait = lambda seconds: waits.append((machine.seconds(), seconds)) or seconds

    wave = make(tmp_path / "wave.json", seconds=2.0)
    outcome = run(tmp_path, [(0, 119000)], 3, idle=1, motion=wave, motion_fast=fast, prepare=prepare)
    waited = [sum(s for at, s in waits if begin < at < begin + 1.5) for begin in (0.3, 2.4)]
    assert len(outcome.samples) > 300 and outcome.lost == 0
    assert waited[0] == 0 if fast else waited[0] > 1.3
    assert waited[1] > 0.5


def test_absent(tmp_path):
    """It is tried every second, and nothing takes long."""
    outcome = run(tmp_path, [(0, 119000)], 3.5, sensor_fault="absent")
    assert len(outcome.samples) == 0 and outcome.states[-1] == SILENT
    assert 3 <= outcome.errors <= 4 and outcome.restarts == 0 and outcome.rate_mhz == 0
    assert outcome.longest_us < 2000


def continues(outcome, wave, *, gap_ms):
    """The samples before and after one gap are the recording's; returns how many are missing in it."""
    expected = at_rate(recordings.read(wave), 119)
    gaps = np.flatnonzero(np.diff(outcome.came) > 60)
    assert len(gaps) == 1, np.diff(outcome.came)[gaps]
    before = gaps[0] + 1
    assert np.diff(outcome.came)[gaps[0]] <= gap_ms
    after = outcome.samples[before:]
    place = int(np.flatnonzero((expected == after[0]).all(1))[0])
    assert np.array_equal(outcome.samples[:before], expected[:before])
    assert np.array_equal(after, expected[place : place + len(after)])
    assert outcome.states[-1] == ON
    return place - before


def test_a_bus_that_nine_clocks_free(tmp_path, wave):
    outcome = run(tmp_path, [(0, 119000)], 2, motion=wave, sensor_fault="hang@1.02")
    assert outcome.errors == 1 and outcome.restarts == 0 and outcome.states.count(ON) > 35
    assert np.array_equal(outcome.samples, at_rate(recordings.read(wave), 119)[: len(outcome.samples)])
    assert outcome.lost == 0 and outcome.longest_us < 10_000


def test_a_bus_that_hangs_within_a_transfer(tmp_path, wave):
    """While the FIFO is read: those samples are lost, and counted."""
    for at in (1.0012, 1.0015):  # the fetch begins at 1.0007: the program clears its arrays before it counts
        outcome = run(tmp_path, [(0, 119000)], 2, motion=wave, sensor_fault=f"hang@{at}")
        missing = continues(outcome, wave, gap_ms=150)
        assert 0 < missing <= 7 and abs(outcome.lost - missing) <= 1
        assert outcome.errors == 1 and outcome.restarts == 0 and outcome.longest_us < 10_000


def test_a_bus_that_only_the_supply_frees(tmp_path, wave):
    outcome = run(tmp_path, [(0, 119000)], 2, motion=wave, sensor_fault="stuck@1.02")
    continues(outcome, wave, gap_ms=400)
    assert STUCK in outcome.states and outcome.restarts == 1 and outcome.longest_us < 10_000


def test_silent_for_a_while(tmp_path, wave):
    outcome = run(tmp_path, [(0, 119000)], 4, motion=wave, sensor_fault="silent@1.02-2.4")
    continues(outcome, wave, gap_ms=1380 + 1100)
    assert SILENT in outcome.states and STUCK not in outcome.states
    assert outcome.restarts == 1 and 3 <= outcome.errors <= 6 and outcome.longest_us < 10_000


def test_settings_that_are_lost_are_noticed(tmp_path, wave):
    outcome = run(tmp_path, [(0, 119000)], 2, motion=wave, sensor_fault="reset@1.02")
    continues(outcome, wave, gap_ms=300)
    assert outcome.restarts == 1 and outcome.errors == 0

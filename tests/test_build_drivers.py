"""What firmware/boards/stm32f746 and nano33ble do, on the virtual board."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import serial

from board_sources import FIRMWARE, folder, manifest, sources
from tinyswitch.boards.virtual import Options, VirtualBoard

POWER, SOFTWARE, WATCHDOG, FAULT = 0, 2, 3, 4
WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Wundef", "-Wstrict-prototypes", "-Werror"]
PATIENCE = 20  # seconds for a line

pytestmark = pytest.mark.skipif(
    not shutil.which("arm-none-eabi-gcc"), reason="arm-none-eabi-gcc is not installed (gcc-arm-none-eabi)"
)


@dataclass(frozen=True)
class Case:
    """What differs between the boards."""

    board: str
    clock: int  # Hz
    fastest: int  # baud
    ring: int  # bytes
    tick: float  # seconds: how long board_idle() sleeps
    code: str  # how addresses in the flash begin


CASES = [
    Case("stm32f746", 216_000_000, 2_000_000, 8192, 1e-3, "0x0800"),
    Case("nano33ble", 64_000_000, 1_000_000, 4096, 0.1, "0x0001"),
    Case("nano33ble-bare", 64_000_000, 1_000_000, 4096, 0.1, "0x0000"),
]


@pytest.fixture(scope="module", params=CASES, ids=[case.board for case in CASES])
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture(scope="module")
def elf(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("drivers") / "drivers.elf"
    build, own = manifest(case.board)["build"], folder(case.board)
    files = [Path(__file__).parent / "build_firmware" / "main.c", *sources(case.board)]
    options = [*build["cpu_flags"], *WARNINGS, "-std=gnu99", "-O2", "-nostartfiles", "-Wl,--fatal-warnings"]
    places = [f"-I{FIRMWARE / 'boards'}", f"-L{own}", "-T", str(own / build["ldscript"]), "-o", str(out)]
    clean = ["-ffunction-sections", "-Wl,--gc-sections"]
    subprocess.run(["arm-none-eabi-gcc", *options, *clean, *places, *map(str, files)], check=True)
    return out


@contextlib.contextmanager
def started(elf: Path, case: Case, options: Options | None = None) -> Iterator[serial.Serial]:
    """The port of a board that has started, and is still running in the end."""
    with VirtualBoard(elf, case.board, options=options or Options()) as board:
        port = board.open()
        port.timeout = PATIENCE
        assert port.readline() == b"started\n"
        yield port
        assert board.failure() is None


@pytest.fixture
def port(elf: Path, case: Case) -> Iterator[serial.Serial]:
    with started(elf, case) as port:
        yield port


def go_fast(port: serial.Serial, case: Case) -> None:
    assert ask(port, b"b") == [str(case.fastest)]
    port.baudrate = case.fastest


def ask(port: serial.Serial, command: bytes, lines: int = 1) -> list[str]:
    port.write(command)
    return [port.readline().decode().strip() for _ in range(lines)]


def test_starts_from_power_on_without_a_report(port):
    assert ask(port, b"c", 2) == [str(POWER), "-"]


@pytest.mark.parametrize("fast", [False, True], ids=["115200", "fastest"])
def test_every_byte_comes_back(port, case, fast):
    if fast:
        go_fast(port, case)
    every = bytes(range(256))
    port.write(b"e" + every)
    assert port.read(256) == every


def test_every_byte_comes_back_round_after_round(port, case):
    """Far more than the ring, so that both ends of it are passed many times."""
    go_fast(port, case)
    for start in range(3 * case.ring // 256):
        every = bytes((start + 7 * i) % 256 for i in range(256))
        port.write(b"e" + every)
        assert port.read(256) == every


def test_the_ring_holds_what_it_says(port, case):
    go_fast(port, case)
    assert ask(port, b"o" + b"x" * case.ring, 2) == ["0", str(case.ring)]


def test_a_busy_handler_does_not_disturb_reception(port, case):
    go_fast(port, case)
    assert ask(port, b"O" + b"x" * case.ring, 2) == ["0", str(case.ring)]


def test_an_overrun_is_counted_and_dropped(port, case):
    go_fast(port, case)
    much = case.ring + 108
    lost, there = map(int, ask(port, b"o" + b"x" * much, 2))
    assert (lost, there) == (much, 0)
    assert ask(port, b"c", 2)[0] == str(POWER)  # and it goes on


def test_sleeping_keeps_time(port, case):
    (cycles,) = map(int, ask(port, b"i"))
    assert 8 * case.tick <= cycles / case.clock <= 10.1 * case.tick  # the first may be short, or nothing


def test_the_timer_calls_on_time_and_leaves_the_rest(port, case):
    figures = list(map(int, ask(port, b"t", 8)))
    spans, rests = figures[::2], figures[1::2]
    period = case.clock // 1000 // 1000
    assert spans[0] == pytest.approx(100.6 * period, rel=0.005)  # the 100th call ends it
    assert rests[0] == pytest.approx(spans[0] * 0.4, rel=0.06)
    assert spans[1] == pytest.approx(40 * 3.5 * period, rel=0.03)  # 2.5 periods busy, a whole one free
    assert rests[1] == pytest.approx(40 * period, rel=0.06)
    assert spans[2] == pytest.approx(1000 * case.clock / 100_000 / 1000, rel=0.01)
    assert spans[3] == pytest.approx(case.clock / 1000, rel=0.001)


def test_the_clock_runs_forwards_with_the_timer_and_the_timer_ends(port):
    assert ask(port, b"k", 3) == ["0", "1", "0"]


def test_handlers_may_use_floating_point(port):
    same, calls = map(int, ask(port, b"F", 2))
    assert same == 1 and calls > 50


def test_sleeping_keeps_time_with_the_timer(port, case):
    (cycles,) = map(int, ask(port, b"z"))
    assert cycles == pytest.approx(case.clock / 20 / 1000, rel=0.01)


def test_the_supply_voltage(port):
    alone, interrupted, calls = map(int, ask(port, b"v", 3))
    assert alone == interrupted == 3300 and calls >= 1


@pytest.mark.parametrize("mv", [1800, 2450, 3600])
def test_another_supply_voltage(elf, case, mv):
    with started(elf, case, Options(supply_mv=mv)) as port:
        assert int(ask(port, b"v", 3)[0]) == pytest.approx(mv, abs=2)


def test_the_stack_mark_moves(port):
    before, after = map(int, ask(port, b"s", 2))
    assert 64 <= before < 1024
    assert 2048 <= after < 2048 + 1024


def test_floating_point(port):
    assert ask(port, b"f") == ["333333"]


def test_a_fault_is_reported_once(port, case):
    assert ask(port, b"d") == ["started"]
    cause, report = ask(port, b"c", 2)
    assert cause == str(FAULT)
    assert report.startswith(f"UsageFault at pc {case.code}") and "cfsr 0x02000000" in report
    assert ask(port, b"r") == ["started"]
    assert ask(port, b"c", 2) == [str(SOFTWARE), "-"]


def test_a_fault_in_the_timers_handler_is_reported(port, case):
    assert ask(port, b"D") == ["started"]
    cause, report = ask(port, b"c", 2)
    assert cause == str(FAULT) and report.startswith(f"UsageFault at pc {case.code}")


def test_a_hang_ends_by_the_watchdog(port):
    assert ask(port, b"w") == ["started"]
    assert ask(port, b"c", 2) == [str(WATCHDOG), "-"]


def test_a_stack_overflow_leaves_the_ram(elf, case):
    with VirtualBoard(elf, case.board) as board:
        port = board.open()
        port.timeout = PATIENCE
        assert port.readline() == b"started\n"
        port.write(b"x")
        with contextlib.suppress(serial.SerialException):
            port.read(1)
        assert "0x1fff" in board.failure()

"""What firmware/boards/stm32f746 does, on the virtual board."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial

from board_sources import FIRMWARE, folder, sources
from tinyswitch.boards.virtual import Options, VirtualBoard

CLOCK = 216_000_000
POWER, SOFTWARE, WATCHDOG, FAULT = 0, 2, 3, 4
CPU = ["-mcpu=cortex-m7", "-mthumb", "-mfpu=fpv5-sp-d16", "-mfloat-abi=hard"]
WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Wundef", "-Wstrict-prototypes", "-Werror"]

pytestmark = pytest.mark.skipif(
    not shutil.which("arm-none-eabi-gcc"), reason="arm-none-eabi-gcc is not installed (gcc-arm-none-eabi)"
)


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("drivers") / "drivers.elf"
    files = [Path(__file__).parent / "build_firmware" / "main.c", *sources("stm32f746")]
    options = [*CPU, *WARNINGS, "-std=gnu99", "-O2", "-nostartfiles", "-Wl,--fatal-warnings"]
    places = [f"-I{FIRMWARE / 'boards'}", "-T", str(folder("stm32f746") / "stm32f746.ld"), "-o", str(out)]
    subprocess.run(["arm-none-eabi-gcc", *options, *places, *map(str, files)], check=True)
    return out


@pytest.fixture
def port(elf: Path) -> Iterator[serial.Serial]:
    board = VirtualBoard(elf)
    with board:
        port = board.open()
        port.timeout = 20
        assert port.readline() == b"started\n"
        yield port
        assert board.failure() is None


def ask(port: serial.Serial, command: bytes, lines: int = 1) -> list[str]:
    port.write(command)
    return [port.readline().decode().strip() for _ in range(lines)]


def test_starts_from_power_on_without_a_report(port):
    assert ask(port, b"c", 2) == [str(POWER), "-"]


@pytest.mark.parametrize("fast", [False, True], ids=["115200", "2000000"])
def test_every_byte_comes_back(port, fast):
    if fast:
        assert ask(port, b"b") == ["ok"]
        port.baudrate = 2_000_000
    every = bytes(range(256))
    port.write(b"e" + every)
    assert port.read(256) == every


def test_the_ring_holds_what_it_says(port):
    assert ask(port, b"b") == ["ok"]
    port.baudrate = 2_000_000
    assert ask(port, b"o" + b"x" * 8192, 2) == ["0", "8192"]


def test_a_busy_handler_does_not_disturb_reception(port):
    assert ask(port, b"b") == ["ok"]
    port.baudrate = 2_000_000
    assert ask(port, b"O" + b"x" * 8192, 2) == ["0", "8192"]


def test_an_overrun_is_counted_and_dropped(port):
    assert ask(port, b"b") == ["ok"]
    port.baudrate = 2_000_000
    lost, there = map(int, ask(port, b"o" + b"x" * 8300, 2))
    assert (lost, there) == (8300, 0)
    assert ask(port, b"c", 2)[0] == str(POWER)  # and it goes on


def test_sleeping_keeps_time(port):
    (cycles,) = map(int, ask(port, b"i"))
    assert 9 * CLOCK / 1000 <= cycles <= 10.1 * CLOCK / 1000


def test_the_timer_calls_on_time_and_leaves_the_rest(port):
    figures = list(map(int, ask(port, b"t", 8)))
    spans, rests = figures[::2], figures[1::2]
    period = CLOCK // 1000 // 1000
    assert spans[0] == pytest.approx(100.6 * period, rel=0.005)  # the 100th call ends it
    assert rests[0] == pytest.approx(spans[0] * 0.4, rel=0.06)
    assert spans[1] == pytest.approx(40 * 3.5 * period, rel=0.03)  # 2.5 periods busy, a whole one free
    assert rests[1] == pytest.approx(40 * period, rel=0.06)
    assert spans[2] == pytest.approx(1000 * CLOCK / 100_000 / 1000, rel=0.01)
    assert spans[3] == pytest.approx(CLOCK / 1000, rel=0.001)


def test_the_clock_runs_forwards_with_the_timer_and_the_timer_ends(port):
    assert ask(port, b"k", 3) == ["0", "1", "0"]


def test_handlers_may_use_floating_point(port):
    same, calls = map(int, ask(port, b"F", 2))
    assert same == 1 and calls > 50


def test_sleeping_keeps_time_with_the_timer(port):
    (cycles,) = map(int, ask(port, b"z"))
    assert cycles == pytest.approx(CLOCK / 20 / 1000, rel=0.01)


def test_the_supply_voltage(port):
    alone, interrupted, calls = map(int, ask(port, b"v", 3))
    assert alone == interrupted == 3300 and calls >= 1


@pytest.mark.parametrize("mv", [1800, 2450, 3600])
def test_another_supply_voltage(elf, mv):
    with VirtualBoard(elf, options=Options(supply_mv=mv)) as board:
        port = board.open()
        port.timeout = 20
        assert port.readline() == b"started\n"
        assert int(ask(port, b"v", 3)[0]) == pytest.approx(mv, abs=2)


def test_the_stack_mark_moves(port):
    before, after = map(int, ask(port, b"s", 2))
    assert 64 <= before < 1024
    assert 2048 <= after < 2048 + 1024


def test_floating_point(port):
    assert ask(port, b"f") == ["333333"]


def test_a_fault_is_reported_once(port):
    assert ask(port, b"d") == ["started"]
    cause, report = ask(port, b"c", 2)
    assert cause == str(FAULT)
    assert report.startswith("UsageFault at pc 0x0800") and "cfsr 0x02000000" in report
    assert ask(port, b"r") == ["started"]
    assert ask(port, b"c", 2) == [str(SOFTWARE), "-"]


def test_a_fault_in_the_timers_handler_is_reported(port):
    assert ask(port, b"D") == ["started"]
    cause, report = ask(port, b"c", 2)
    assert cause == str(FAULT) and report.startswith("UsageFault at pc 0x0800")


def test_a_hang_ends_by_the_watchdog(port):
    assert ask(port, b"w") == ["started"]
    assert ask(port, b"c", 2) == [str(WATCHDOG), "-"]


def test_a_stack_overflow_leaves_the_ram(elf):
    board = VirtualBoard(elf)
    with board:
        port = board.open()
        port.timeout = 20
        assert port.readline() == b"started\n"
        port.write(b"x")
        with contextlib.suppress(serial.SerialException):
            port.read(1)
        assert "0x1fff" in board.failure()

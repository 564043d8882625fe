"""The native board as a process on a pseudo-terminal."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from link_support import FIRMWARE, compile_c, firmware
from tinyswitch.boards import connect
from tinyswitch.boards.native import NativeBoard
from tinyswitch.boards.pty import PtyBoard
from tinyswitch.errors import TinyswitchError
from tinyswitch.link import Client


class Script(PtyBoard):
    name = "native"
    kind = "native"

    def __init__(self, code: str):
        super().__init__([sys.executable, "-c", code])


def test_connect_gives_a_native_board():
    build = SimpleNamespace(elf=firmware())
    for port in ("auto", "virtual"):
        with connect("native", port, build) as board:
            assert (board.name, board.kind, board.counts_instructions) == ("native", "native", False)
            assert Client(board.open()).hello().board == "native"
    with pytest.raises(TinyswitchError, match="--port /dev/ttyACM0"):
        connect("native", "/dev/ttyACM0", build)


def test_it_can_be_opened_again():
    board = NativeBoard(firmware())
    for _ in range(2):
        with board:
            assert Client(board.open()).hello().reset_cause == "power"
    first = board.open()
    second = board.open()
    assert not first.is_open
    assert second.is_open
    board.close()
    board.close()
    assert board.failure() is None


def test_its_process_ends_with_the_port():
    board = NativeBoard(firmware())
    with board:
        Client(board.open()).hello()
        process = board.process
        assert board.failure() is None
    assert process.returncode == 0
    assert board.failure() is None


def test_it_ends_when_its_input_ends():
    result = subprocess.run([firmware()], input=b"", capture_output=True, timeout=10)
    assert result.returncode == 0
    assert result.stdout.startswith(b"\0")


def test_bytes_pass_unchanged_both_ways():
    code = "import os\nwhile data := os.read(0, 4096): os.write(1, data)"
    everything = bytes(range(256)) * 100
    with Script(code) as board:
        port = board.open()
        port.timeout = 10
        for at in range(0, len(everything), 1000):
            part = everything[at : at + 1000]
            port.write(part)
            assert port.read(len(part)) == part


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        ("import sys; print('first', file=sys.stderr); sys.exit('bad access at 0x40000000')", "bad access"),
        ("raise SystemExit(3)", "native board ended with exit status 3"),
        ("import os; os.abort()", "native board stopped by signal 6"),
    ],
)
def test_failure_is_the_last_line_or_the_status(code: str, failure: str):
    board = Script(code)
    with board:
        board.open()
        deadline = time.monotonic() + 10
        while board.failure() is None and time.monotonic() < deadline:
            pass
        assert failure in board.failure()
        assert "\n" not in board.failure()
    assert failure in board.failure()


def test_a_process_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tinyswitch.boards.pty.STOP_SECONDS", 0.2)
    ignore = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    board = Script(f"{ignore}; print('x', flush=True); time.sleep(60)")
    with board:
        board.open().read(1)
        process = board.process
    assert process.returncode == -9


def test_a_program_that_is_missing(tmp_path: Path):
    with pytest.raises(TinyswitchError, match=r"missing.*build it again"):
        NativeBoard(tmp_path / "missing").open()


def test_stack_peak_is_measured():
    with NativeBoard(firmware()) as board:
        client = Client(board.open())
        import numpy as np

        client.select(1)
        peak = client.infer(np.zeros((4, 3, 2), np.uint8)).stack_peak
    # the receive chunk alone is 256 bytes, the painted area is 256 KiB
    assert 256 < peak < 64 * 1024


TIMER = r"""
#include "board.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static volatile uint32_t calls;
static uint64_t busy;
static void handler(void) {
    const uint64_t start = board_cycles();
    calls++;
    errno = ENOENT;
    while (board_cycles() - start < busy) {
    }
}
static void pass(uint64_t ns) {
    const uint64_t start = board_cycles();
    while (board_cycles() - start < ns) {
    }
}
/* What the link does while the timer interrupts it: echoes, and sleeps until there is more. */
static void echo(uint32_t n) {
    while (n > 0) {
        uint8_t data[4096];
        const size_t got = board_read(data, sizeof data);
        board_write(data, got);
        n -= (uint32_t)got;
        if (got == 0) {
            board_idle();
        }
    }
}
int main(int argc, char **argv) {
    board_init();
    const uint32_t hz = (uint32_t)atoi(argv[2]);
    busy = (uint64_t)(atof(argv[3]) * 1e9 / hz);
    if (argc < 4 || board_supply_mv() != 0) {
        return 1;
    }
    board_timer_start(hz, handler);
    if (!strcmp(argv[1], "echo")) {
        echo(204800);
    } else if (!strcmp(argv[1], "errno")) {
        errno = 0;
        pass(50000000);
        fprintf(stderr, "%d ", errno);
    } else if (!strcmp(argv[1], "again")) {
        board_timer_start(hz * 4, handler);
        pass(200000000);
    } else {
        pass(200000000);
    }
    board_timer_start(0, NULL);
    const uint32_t seen = calls;
    pass(50000000);
    fprintf(stderr, "%u %u\n", (unsigned)seen, (unsigned)(calls - seen));
    return 0;
}
"""


def timer(tmp_path: Path, *arguments: object, sent: bytes = b"") -> tuple[list[int], bytes]:
    """What a program with a timer says: calls, and calls after its end; and what it sent."""
    source = tmp_path / "timer.c"
    source.write_text(TIMER)
    program = compile_c("timer", [source, *sorted((FIRMWARE / "boards/native").glob("*.c"))], "-O2")
    run = subprocess.run([program, *map(str, arguments)], input=sent, capture_output=True, timeout=60)
    assert run.returncode == 0, run
    return list(map(int, run.stderr.split())), run.stdout


def test_timer_calls_that_often_until_it_is_ended(tmp_path: Path):
    (calls, late), _ = timer(tmp_path, "pass", 1000, 0.2)
    assert 40 <= calls <= 200 and late == 0  # fewer where this machine is busy


def test_timer_can_be_started_again(tmp_path: Path):
    (calls, late), _ = timer(tmp_path, "again", 250, 0.2)
    assert 55 <= calls <= 200 and late == 0


def test_timer_leaves_the_main_program_a_period_when_its_handler_is_late(tmp_path: Path):
    (calls, late), _ = timer(tmp_path, "pass", 100, 3)
    assert 2 <= calls <= 5 and late == 0  # 30 ms busy and 10 ms free, in 200 ms


def test_timer_leaves_errno_alone(tmp_path: Path):
    (error, calls, _), _ = timer(tmp_path, "errno", 1000, 0.1)
    assert error == 0 and calls > 10


def test_bytes_pass_while_the_timer_interrupts(tmp_path: Path):
    sent = bytes(range(256)) * 800
    (calls, late), received = timer(tmp_path, "echo", 20_000, 0.6, sent=sent)
    assert received == sent
    assert calls >= 1 and late == 0


def test_a_restart_ends_the_timer(tmp_path: Path):
    source = tmp_path / "restart.c"
    source.write_text("""
#include "board.h"
#include <stdio.h>
static void handler(void) {}
int main(void) {
    board_init();
    if (board_reset_cause() == BOARD_RESET_SOFTWARE) {
        const uint64_t start = board_cycles();
        while (board_cycles() - start < 20000000) {
        }
        return 7;
    }
    board_timer_start(100000, handler);
    board_reset();
}
""")
    program = compile_c("restart", [source, *sorted((FIRMWARE / "boards/native").glob("*.c"))], "-O2")
    assert subprocess.run([program], stdin=subprocess.DEVNULL, timeout=60).returncode == 7

"""The native board as a process on a pseudo-terminal."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from link_support import firmware
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

"""Finding and opening real boards, without one."""

from __future__ import annotations

import errno
import os
import pty
import re
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import serial

from tinyswitch.boards import connect, real
from tinyswitch.boards.real import RealBoard
from tinyswitch.errors import TinyswitchError

BUILD = SimpleNamespace(elf="firmware.elf")


@pytest.fixture
def port() -> Iterator[str]:
    master, slave = pty.openpty()
    yield os.ttyname(slave)
    os.close(slave)
    os.close(master)


def plug_in(monkeypatch: pytest.MonkeyPatch, *ports: tuple[str, int, int]) -> None:
    listed = [SimpleNamespace(device=device, vid=vid, pid=pid) for device, vid, pid in ports]
    monkeypatch.setattr(real.list_ports, "comports", lambda: listed)


def test_auto_takes_the_board_that_is_plugged_in(monkeypatch: pytest.MonkeyPatch):
    plug_in(monkeypatch, ("/dev/ttyACM0", 0x2341, 0x805A), ("/dev/ttyACM1", 0x0483, 0x374B))
    board = connect("stm32f746", "auto", BUILD)
    assert isinstance(board, RealBoard)
    assert (board.name, board.kind, board.path) == ("stm32f746", "real", "/dev/ttyACM1")
    assert board.failure() is None


def test_auto_does_not_guess_among_several(monkeypatch: pytest.MonkeyPatch):
    plug_in(monkeypatch, ("/dev/ttyACM1", 0x0483, 0x374B), ("/dev/ttyACM0", 0x0483, 0x374E))
    with pytest.raises(TinyswitchError, match=r"several boards.*: /dev/ttyACM0, /dev/ttyACM1"):
        connect("stm32f746", "auto", BUILD)


def test_auto_without_a_board_is_virtual_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    plug_in(monkeypatch)
    virtual = pytest.importorskip("tinyswitch.boards.virtual")
    monkeypatch.setattr(virtual, "VirtualBoard", lambda elf, name: ("virtual", name, elf))
    assert connect("stm32f746", "auto", BUILD) == ("virtual", "stm32f746", "firmware.elf")
    assert capsys.readouterr().err == "no board is plugged in: using the virtual board\n"
    assert connect("stm32f746", "virtual", BUILD) == ("virtual", "stm32f746", "firmware.elf")
    assert capsys.readouterr().err == ""


def test_an_arduinos_own_port_is_not_its_link(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    plug_in(monkeypatch, ("/dev/ttyACM0", 0x2341, 0x805A), ("/dev/ttyACM1", 0x0483, 0x374B))
    virtual = pytest.importorskip("tinyswitch.boards.virtual")
    monkeypatch.setattr(virtual, "VirtualBoard", lambda elf, name: (name, elf))
    assert connect("nano33ble", "auto", BUILD) == ("nano33ble", "firmware.elf")
    assert capsys.readouterr().err == (
        "nano33ble: its link is on the pins TX and RX, not on USB; give the serial adapter there as --port: "
        "using the virtual board\n"
    )
    assert connect("nano33ble", "/dev/ttyUSB0", BUILD).path == "/dev/ttyUSB0"


def test_unknown_board():
    with pytest.raises(TinyswitchError, match="--board esp32"):
        connect("esp32", "auto", BUILD)


def test_a_path_is_opened_at_115200(port: str):
    with connect("stm32f746", port, BUILD) as board:
        opened = board.open()
        assert (opened.port, opened.baudrate) == (port, 115200)
    assert not opened.is_open


def test_a_port_that_another_run_holds(port: str):
    with RealBoard("stm32f746", port) as board:
        board.open()
        with pytest.raises(TinyswitchError, match=f"{port}: busy.*close that one"):
            RealBoard("stm32f746", port).open()
    RealBoard("stm32f746", port).open().close()


def test_a_port_that_is_not_there(monkeypatch: pytest.MonkeyPatch):
    plug_in(monkeypatch, ("/dev/ttyACM7", 0x0483, 0x374B))
    with pytest.raises(
        TinyswitchError, match=re.escape("/dev/ttyACM99: no such port (there are: /dev/ttyACM7)")
    ):
        RealBoard("stm32f746", "/dev/ttyACM99").open()


@pytest.mark.parametrize("path", ["/dev/null", "/tmp", __file__])
def test_a_path_that_is_no_port(path: str):
    with pytest.raises(TinyswitchError, match="not a serial port"):
        RealBoard("stm32f746", path).open()


def test_no_permission(monkeypatch: pytest.MonkeyPatch, port: str):
    def refuse(*_: object, **__: object) -> None:
        raise serial.SerialException(errno.EACCES, "could not open port: Permission denied")

    monkeypatch.setattr(real.serial, "Serial", refuse)
    os.chmod(port, 0o660)
    with pytest.raises(TinyswitchError, match=r"no permission; 'sudo usermod -aG \w+ \$USER'"):
        RealBoard("stm32f746", port).open()
    os.chmod(port, 0o600)
    with pytest.raises(TinyswitchError, match="no permission; 'sudo chmod a"):
        RealBoard("stm32f746", port).open()

"""The gesture application on the virtual Nano 33 BLE Sense: recordings reach it through its sensor."""

from __future__ import annotations

import io
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from test_gesture_eval import motion
from test_gesture_recordings import document, write_json
from tinyswitch import firmware
from tinyswitch.boards.virtual import VirtualBoard
from tinyswitch.boards.virtual.chip import Options
from tinyswitch.commands.gestures import _playing
from tinyswitch.evaluate.gesture import material
from tinyswitch.evaluate.gesture.reference import Reference
from tinyswitch.evaluate.gesture.stream import Job, gesture_eval
from tinyswitch.gestures import table
from tinyswitch.gestures.record import DEFAULT
from tinyswitch.link import Client
from tinyswitch.link.gesture import Gestures
from virtual_programs import needs_gcc

pytestmark = needs_gcc
NAME = "nano33ble"
PATIENCE_S = 120  # on a busy machine


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> firmware.Build:
    build = firmware.build(NAME, "gesture", [DEFAULT])
    elf = tmp_path_factory.mktemp(NAME) / "firmware.elf"
    shutil.copy2(build.elf, elf)
    return replace(build, elf=elf)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("motions")
    write_json(path / "circle.1.json", document(motion(1, 1.5, 3.5)))
    write_json(path / "idle.1.json", document(motion(2, 0, 3.5)))
    return path


def test_the_sensor_gives_the_board_what_the_host_sees(built, folder, tmp_path):
    entry = table.entries([DEFAULT])[0]
    where, found = material.recordings(entry.record, folder, None, lambda _: None)
    board = VirtualBoard(built.elf, NAME)
    job = Job(board, _playing(board, built, None), built, entry, where, found, tmp_path / "out")
    summary = gesture_eval(job, Console(file=io.StringIO()))
    assert summary["identical_outputs"] == summary["answered"] == summary["images"] == 12
    assert summary["sensor"] == {"lost": 0, "errors": 0, "restarts": 0}
    assert 0 < summary["cpu_share"] < 0.01  # of 64 MHz
    assert summary["ram"]["total"] < 24_000
    assert built.memory["ram"]["total"] < 24_000  # with all of the stack that is reserved


def test_alone_it_prints_what_it_recognises(built, folder):
    entry = table.entries([DEFAULT])[0]
    recording = material.recordings(entry.record, folder, None, lambda _: None)[1][0]
    reference = Reference(entry)
    first = reference.answers(reference.samples(recording))[0]
    name = entry.record.classes[first.answer] if first.answer != 255 else "uncertain"
    options = Options(motion=recording.path, motion_fast=True)
    with VirtualBoard(built.elf, NAME, options) as board:
        port = board.open()
        port.timeout = PATIENCE_S
        line = port.read_until(b"\r\n").rpartition(b"\0")[2].decode()
        assert line.startswith(name) and line.endswith("\r\n")


def test_a_sensor_that_is_not_there_is_reported(built):
    with VirtualBoard(built.elf, NAME, Options(sensor_fault="absent")) as board:
        client = Client(board.open(), timeout_s=PATIENCE_S)
        client.hello()
        gestures = Gestures(client)
        gestures.source("sensor")
        until = time.monotonic() + PATIENCE_S
        while (found := gestures.results()).sensor != "silent":
            assert time.monotonic() < until
            time.sleep(0.2)
        assert found.sensor_errors > 0 and found.samples == 0

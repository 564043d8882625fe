"""The keyword application on the virtual STM32F746G-DISCO: sound reaches it through its microphones."""

from __future__ import annotations

import shutil
import time
import wave
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keyword_support import sound
from test_display_virtual import Sketch
from tinyswitch import firmware
from tinyswitch.boards.virtual import VirtualBoard
from tinyswitch.boards.virtual.chip import Options
from tinyswitch.evaluate.keyword.reference import features, heard_before
from tinyswitch.evaluate.litert import LiteRtModel
from tinyswitch.keywords.record import DEFAULT
from tinyswitch.link import Client
from tinyswitch.link.keyword import Keywords, Scores
from virtual_programs import needs_gcc

pytestmark = needs_gcc
NAME = "stm32f746"
PATIENCE_S = 120  # on a busy machine
ROWS = 49


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> firmware.Build:
    build = firmware.build(NAME, "keyword", [DEFAULT])
    elf = tmp_path_factory.mktemp(NAME) / "firmware.elf"
    shutil.copy2(build.elf, elf)
    return replace(build, elf=elf)


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    return sound(40_000, 1)


@pytest.fixture(scope="module")
def recording(samples, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "sound.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


def until(keywords: Keywords, condition) -> Scores:
    end = time.monotonic() + PATIENCE_S
    while not condition(found := keywords.scores()):
        assert time.monotonic() < end
        time.sleep(0.2)
    return found


def test_what_the_microphones_hear_is_answered_as_on_the_host(built, samples, recording, tmp_path):
    options = Options(audio=recording, audio_fast=True, screenshot=tmp_path / "screen.png")
    with VirtualBoard(built.elf, NAME, options) as board:
        client = Client(board.open(), timeout_s=PATIENCE_S)
        info = client.hello()
        keywords = Keywords(client)
        keywords.listen("microphones")
        found = until(keywords, lambda s: s.samples > 35_000)
        seen = np.asarray(Image.open(board.screenshot()).convert("RGB"))
    answers = found.answers
    before = heard_before(samples, [(a.row + ROWS - 1, a.rows_crc) for a in answers])
    assert before is not None
    rows, model = features(samples, before), LiteRtModel(DEFAULT)
    assert [a.row for a in answers] == list(range(0, 4 * len(answers), 4)) and len(answers) >= 14
    for a in answers:
        window = rows[a.row : a.row + ROWS]
        wanted = model.run(window.reshape(model.input.shape))[0].reshape(-1).astype(int) + 128
        assert a.raw == tuple(wanted)
        assert a.rows_crc == zlib.crc32(rows[: a.row + ROWS].tobytes())
    work = [a.feature_ticks + a.inference_ticks for a in answers[1:]]  # for 80 ms of sound
    assert 0 < np.median(work) < 0.03 * 0.08 * info.clock_hz
    assert found.samples_lost == 0 and found.longest_fetch < 0.25 * info.clock_hz
    assert 0 < found.stack_peak < 3000  # 4096 are reserved on the smaller board
    check_screen(seen)


def check_screen(seen: np.ndarray) -> None:
    """Notice and net, which do not depend on the moment, as a sketch has them; a level is shown."""
    sketch = Sketch()
    sketch.text(180 + 12 * (24 - len("listening")), 8, 2, "listening", "green")
    sketch.text(96, 206, 2, DEFAULT.stem, "white")
    for place in ((slice(8, 28), slice(180, 468)), (slice(206, 226), slice(96, 384))):
        np.testing.assert_array_equal(seen[place], sketch.pixels[place])
    assert (seen[174:190, 96:468] == (0x3C, 0xD0, 0x70)).all(-1).any()


def test_an_unplugged_codec_is_reported_and_the_rest_goes_on(built, samples):
    with VirtualBoard(built.elf, NAME, Options(codec_fault="absent")) as board:
        port = board.open()
        port.timeout = PATIENCE_S
        line = port.read_until(b"\r\n").rpartition(b"\0")[2]
        assert line == b"microphones: codec does not answer\r\n"
        client = Client(port, timeout_s=PATIENCE_S)
        client.hello()
        keywords = Keywords(client)
        keywords.listen("microphones")
        found = until(keywords, lambda s: s.microphones == "silent" and s.codec_retries > 0)
        assert found.samples == 0
        keywords.listen("link")
        for at in range(0, 17_000, 500):
            heard = keywords.sound(samples[at : at + 500])
        assert (heard.rows, heard.answers) == (52, 1)
        assert 0 < keywords.scores().stack_peak < 3000

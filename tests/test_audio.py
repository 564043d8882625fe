"""The microphones of the STM32F746G-DISCO: the board's driver on the virtual board."""

from __future__ import annotations

import shutil
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

from board_sources import FIRMWARE, folder, sources
from tinyswitch.boards.virtual import VirtualBoard
from tinyswitch.boards.virtual.chip import Options
from tinyswitch.boards.virtual.firmware import Firmware
from tinyswitch.boards.virtual.machine import Machine
from tinyswitch.boards.virtual.stm32f746 import STM32F746
from tinyswitch.keywords import wav

OFF, ON, NONE, SILENT = range(4)
RATE = 16_000
REFUSED = (1 << 32) - 1
CPU = ["-mcpu=cortex-m7", "-mthumb", "-mfpu=fpv5-sp-d16", "-mfloat-abi=hard"]
WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Wundef", "-Wstrict-prototypes", "-Werror"]

pytestmark = pytest.mark.skipif(
    not shutil.which("arm-none-eabi-gcc"), reason="arm-none-eabi-gcc is not installed (gcc-arm-none-eabi)"
)


def link(out: Path, program: str, board: list[Path]) -> Path:
    """``program``, a folder beside this file, with those files of the board, as the platform links them."""
    files = [Path(__file__).parent / program / "main.c", *board]
    sections = ["-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections"]
    options = [*CPU, *WARNINGS, *sections, "-std=gnu99", "-O2", "-nostartfiles", "-Wl,--fatal-warnings"]
    places = [f"-I{FIRMWARE / 'boards'}", "-T", str(folder("stm32f746") / "stm32f746.ld"), "-o", str(out)]
    subprocess.run(["arm-none-eabi-gcc", *options, *places, *map(str, files)], check=True)
    return out


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return link(tmp_path_factory.mktemp("audio") / "audio.elf", "audio_firmware", sources("stm32f746"))


def test_firmware_that_does_not_listen_carries_nothing_of_it(tmp_path):
    board = sources("stm32f746")
    without = [file for file in board if file.name not in ("audio.c", "i2c.c", "wm8994.c")]
    assert len(without) == len(board) - 3
    images = []
    for name, files in (("all", board), ("less", without)):
        elf = link(tmp_path / f"{name}.elf", "build_firmware", files)
        with elf.open("rb") as file:
            images.append(
                [(s.name, s["sh_addr"], s.data()) for s in ELFFile(file).iter_sections() if s["sh_addr"]]
            )
    assert images[0] == images[1]


class Script:
    """The host's end of the line: sends commands at once, keeps the answers, and nobody waits for it."""

    ended = False

    def __init__(self, commands: bytes):
        self._commands, self.answers = commands, b""

    def read(self) -> bytes:
        commands, self._commands = self._commands, b""
        return commands

    def write(self, data: bytes) -> None:
        self.answers += data

    def flush(self) -> None:
        pass

    def wait(self, seconds: float | None) -> float:
        assert seconds is not None, "the board waits for ever"
        return seconds


def run(elf: Path, commands: bytes, sound: Path | None = None, fault: str | None = None) -> Machine:
    """The machine after the commands, which switch the microphones on first."""
    script = Script(b"a" + commands + b"q")
    machine = Machine(STM32F746, Firmware(elf), script, Options(audio=sound, codec_fault=fault))
    while not script.answers.endswith(b"done\n"):
        machine.step()
    return machine


def answers(machine: Machine) -> bytes:
    """All but what every run begins and ends with."""
    begin, end = b"started\n0\n", b"done\n"
    sent = machine.line.answers
    assert sent.startswith(begin)
    return sent[len(begin) : -len(end)]


def numbers(machine: Machine) -> list[int]:
    return [int(line) for line in answers(machine).split()]


def noise(path: Path, seconds: int, seed: int = 0) -> np.ndarray:
    """A file of noise over all of int16, whose first sample isn't 0."""
    samples = np.random.default_rng(seed).integers(-32768, 32768, seconds * RATE).astype(np.int16)
    samples[0] = 12345
    wav.write(path, samples)
    return samples


def sent_samples(sent: bytes, count: int) -> tuple[np.ndarray, list[int]]:
    """What command H sent: samples, then state, rate, delivered, lost and retries."""
    return np.frombuffer(sent[: 2 * count], "<i2"), [int(line) for line in sent[2 * count :].split()]


def is_part_of(heard: np.ndarray, played: np.ndarray) -> bool:
    starts = np.flatnonzero(played[: len(played) - len(heard) + 1] == heard[0])
    return any(np.array_equal(heard, played[at : at + len(heard)]) for at in starts)


def test_samples_arrive_as_they_are(elf, tmp_path):
    played = noise(tmp_path / "noise.wav", 2)
    machine = run(elf, b"bH" + bytes([17]), tmp_path / "noise.wav")
    heard, status = sent_samples(answers(machine), 17_000)
    start = int(np.flatnonzero(heard)[0])
    assert start < 0.005 * RATE  # as long as the codec is being set
    assert np.array_equal(heard[start:], played[: len(heard) - start])
    assert status == [ON, RATE, 17_000, 0, 0]


@pytest.mark.parametrize("command", [b"h", b"t"], ids=["main program", "timer's handler"])
def test_none_is_lost_in_a_minute_while_the_board_computes(elf, tmp_path, command):
    played = noise(tmp_path / "noise.wav", 61)
    machine = run(elf, command + bytes([60]), tmp_path / "noise.wav")
    first, crc, state, rate, delivered, lost, retries, *ticks = numbers(machine)
    assert crc == zlib.crc32(played[: 60 * RATE].astype("<i2").tobytes())
    assert (state, rate, lost, retries) == (ON, RATE, 0, 0)
    assert 60 * RATE <= delivered - first < 60.5 * RATE
    if command == b"t":
        assert ticks[0] > 200


def test_what_nobody_fetches_is_counted_as_lost(elf, tmp_path):
    played = noise(tmp_path / "noise.wav", 3)
    machine = run(elf, b"w\x05n\x03sbH\x01", tmp_path / "noise.wav")
    lines = answers(machine).split(b"\n", 5)
    state, rate, delivered, lost, retries = map(int, lines[:5])
    assert (state, rate, retries) == (ON, RATE, 0)
    assert 0.3 * RATE < delivered <= 0.5 * RATE
    assert 0.3 * RATE <= lost < 0.4 * RATE
    heard, later = sent_samples(lines[5], 1000)
    assert is_part_of(heard, played)
    assert later[2:4] == [delivered + 1000, lost]


def test_other_rates_are_refused_and_listening_ends(elf):
    told = numbers(run(elf, b"w\x02srsosw\x02saw\x02s"))
    assert told[0] == ON and told[2] > 0
    assert told[5:8] == [REFUSED, ON, RATE]
    assert told[11:14] == [0, OFF, 0]
    assert told[17] == OFF and told[19] == told[14]  # nothing more
    assert told[22:25] == [0, ON, RATE] and told[25] > told[19]  # listens again


def test_an_unplugged_codec_is_reported_and_the_rest_goes_on(elf):
    machine = run(elf, b"sw\x23s", fault="absent")
    assert numbers(machine) == [SILENT, 0, 0, 0, 0, SILENT, 0, 0, 0, 3]  # a try each second


@pytest.mark.parametrize(
    ("fault", "retries"),
    [("absent@1-3.4", 3), ("reset@1.2", 1), ("hang@1.2", 1)],
    ids=lambda value: str(value),
)
def test_the_codec_comes_back(elf, tmp_path, fault, retries):
    played = noise(tmp_path / "noise.wav", 8)
    machine = run(elf, b"w\x0asw\x0fsw\x1ebH\x01", tmp_path / "noise.wav", fault)
    lines = answers(machine).split(b"\n", 10)
    assert (int(lines[0]), int(lines[5])) == (ON, SILENT)
    heard, (state, _, delivered, lost, tried) = sent_samples(lines[10], 1000)
    assert is_part_of(heard, played)
    assert (state, lost, tried) == (ON, 0, retries)
    assert delivered > 1.5 * RATE


def test_the_process_plays_faster_than_the_clock(elf, tmp_path):
    played = noise(tmp_path / "noise.wav", 2)
    board = VirtualBoard(elf, options=Options(audio=tmp_path / "noise.wav", audio_fast=True))
    with board:
        port = board.open()
        port.timeout = 300
        assert port.readline() == b"started\n", board.failure()
        port.write(b"abH" + bytes([4]))
        assert port.readline() == b"0\n"
        assert is_part_of(np.trim_zeros(np.frombuffer(port.read(8000), "<i2"), "f"), played)
        assert board.failure() is None

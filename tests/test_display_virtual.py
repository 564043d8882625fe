"""The display of the virtual STM32F746G-DISCO: a firmware that shows the keyword screen, pixel by pixel."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile
from PIL import Image

import board_sources
from tinyswitch.boards.virtual import VirtualBoard
from tinyswitch.boards.virtual.chip import Options
from tinyswitch.display import font
from tinyswitch.errors import TinyswitchError

ROOT = Path(__file__).resolve().parents[1]
CPU = ["-mcpu=cortex-m7", "-mthumb", "-mfpu=fpv5-sp-d16", "-mfloat-abi=hard"]
PALETTE = {
    "black": (0, 0, 0), "white": (255, 255, 255), "grey": (0x8C, 0x96, 0xA0), "track": (0x20, 0x26, 0x2C),
    "green": (0x3C, 0xD0, 0x70), "amber": (0xF0, 0xB0, 0x20), "red": (0xF0, 0x48, 0x48),
    "blue": (0x50, 0xA8, 0xF0),
}  # fmt: skip
COLOURS = list(PALETTE)

pytestmark = pytest.mark.skipif(
    not shutil.which("arm-none-eabi-gcc"), reason="arm-none-eabi-gcc is not installed (gcc-arm-none-eabi)"
)


class Sketch:
    """What the screen should look like, drawn from font.txt with nothing of the firmware."""

    def __init__(self) -> None:
        self.pixels = np.zeros((272, 480, 3), np.uint8)
        self.glyphs = font.read()

    def text(self, x: int, y: int, scale: int, text: str, colour: str) -> None:
        for i, char in enumerate(text):
            set_ = np.array([[c == "#" for c in row] for row in self.glyphs[char]])
            large = np.kron(set_, np.ones((scale, scale), bool)).astype(bool)
            left = x + i * 6 * scale
            self.pixels[y : y + 10 * scale, left : left + 6 * scale][large] = PALETTE[colour]

    def bar(self, x: int, y: int, width: int, height: int, zones: list[tuple[int, str]], lit: int) -> None:
        self.pixels[y : y + height, x : x + width] = PALETTE["track"]
        start = 0
        for end, colour in zones:
            self.pixels[y : y + height, x + start : x + min(end, lit)] = PALETTE[colour]
            start = min(end, lit)

    def keyword(
        self, word: str, sure: str, colour: str, level: int, net: str, cpu: str, cpu_lit: int, notice: str
    ) -> Sketch:
        self.text(12, 8, 2, "keywords", "white")
        self.text(180 + 12 * (24 - len(notice)), 8, 2, notice, "green")
        self.text(24 + 48 * ((9 - len(word)) // 2), 44, 8, word, colour)
        self.text(186 + 18 * ((6 - len(sure)) // 2), 134, 3, sure, colour)
        self.text(12, 172, 2, "level", "grey")
        self.bar(96, 174, 372, 16, [(372 * 7 // 10, "green"), (372 * 9 // 10, "amber"), (372, "red")], level)
        self.text(12, 206, 2, "net", "grey")
        self.text(96, 206, 2, net, "white")
        self.text(12, 240, 2, "cpu", "grey")
        self.bar(96, 242, 288, 16, [(288, "blue")], cpu_lit)
        self.text(396, 240, 2, cpu, "white")
        return self


class Device:
    """The test firmware's commands."""

    def __init__(self, board: VirtualBoard):
        self.board, self.port = board, board.open()
        self.port.timeout = 20
        self.there, self.start_cycles = self.number(), self.number()

    def number(self) -> int:
        line = self.port.readline()
        assert line.endswith(b"\n"), self.board.failure()
        return int(line)

    def send(self, letter: str, *values: str | int) -> None:
        """A text ends with a 0; a number is 16 bits, a colour's name 8."""
        data = letter.encode()
        for value in values:
            if isinstance(value, int):
                data += value.to_bytes(2, "little")
            else:
                data += value.encode() + b"\0"
        self.port.write(data)

    def colour(self, name: str) -> None:
        self.port.write(bytes([COLOURS.index(name)]))

    def word(self, word: str, permille: int, colour: str) -> None:
        self.send("w", word, permille)
        self.colour(colour)

    def draw(self, most: int = 2000) -> tuple[int, int, int]:
        """Cycles of drawing, slices, cycles of the longest."""
        self.send("d", most)
        return self.number(), self.number(), self.number()

    def seen(self) -> np.ndarray:
        return np.asarray(Image.open(self.board.screenshot()).convert("RGB"))


def link(out: Path, folders: list[str], sources: list[Path]) -> Path:
    """A firmware for the board of ``sources`` and all C files of folders in ``firmware/``."""
    firmware = ROOT / "firmware"
    sources = [*board_sources.sources("stm32f746"), *sources]
    sources += [path for folder in folders for path in sorted((firmware / folder).glob("*.c"))]
    options = [*CPU, "-Wall", "-Wextra", "-Werror", "-std=gnu99", "-O2", "-nostartfiles"]
    options += ["-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections"]
    places = [f"-I{firmware / folder}" for folder in ("boards", "engine", *folders)]
    script = board_sources.folder("stm32f746") / "stm32f746.ld"
    command = ["arm-none-eabi-gcc", *options, *places, "-T", script, "-o", out, *sources]
    subprocess.run(list(map(str, command)), check=True)
    return out


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("display") / "display.elf"
    return link(out, ["ui"], [ROOT / "tests/display_firmware/main.c"])


@pytest.fixture
def device(elf: Path, tmp_path: Path) -> Iterator[Device]:
    board = VirtualBoard(elf, options=Options(screenshot=tmp_path / "screen.png"))
    with board:
        device = Device(board)
        yield device
        assert board.failure() is None


def show_all(device: Device) -> None:
    device.word("yes", 974, "green")
    device.send("l", 640)
    device.send("n", "kws-large")
    device.send("c", 123)
    device.send("m", "listening")
    device.colour("green")


def test_the_panel_shows_the_screen_pixel_by_pixel(device: Device):
    assert device.there == 1
    assert not device.seen().any()  # dark before anything is drawn
    show_all(device)
    device.draw()
    wanted = Sketch().keyword("yes", "97 %", "green", 238, "kws-large", "12.3 %", 35, "listening")
    assert np.array_equal(device.seen(), wanted.pixels)


def test_what_changes_is_drawn_on_both_frames(device: Device):
    show_all(device)
    device.draw()
    for word, sure, permille, level, cpu, text, lit in (
        ("unknown", "6 %", 55, 1000, 1000, "100 %", 288),
        ("no", "100 %", 1000, 0, 7, "0.7 %", 2),
        ("yes", "97 %", 974, 880, 999, "99.9 %", 287),
        ("silence", "50 %", 500, 881, 998, "99.8 %", 287),
    ):
        device.word(word, permille, "amber")
        device.send("l", level)
        device.send("c", cpu)
        device.draw(500)
        wanted = Sketch().keyword(
            word, sure, "amber", 372 * level // 1000, "kws-large", text, lit, "listening"
        )
        assert np.array_equal(device.seen(), wanted.pixels), word


def test_nothing_half_drawn_is_shown(device: Device):
    show_all(device)
    device.draw()
    before = device.seen()
    device.word("unknown", 300, "grey")
    shown, pictures = None, []
    for _ in range(1000):
        device.send("s", 480)
        now = device.number()
        if shown is not None and now != shown:
            break
        shown = now
        pictures.append(device.seen()) if len(pictures) < 3 else None
    else:
        raise AssertionError("the new frame never came")
    assert all(np.array_equal(picture, before) for picture in pictures)
    wanted = Sketch().keyword("unknown", "30 %", "grey", 238, "kws-large", "12.3 %", 35, "listening")
    assert np.array_equal(device.seen(), wanted.pixels)


def test_slices_are_short_and_a_change_costs_what_differs(device: Device):
    show_all(device)
    everything, _, _ = device.draw()
    device.word("no", 990, "green")
    device.draw()  # the second frame is drawn for the first time
    device.word("unknown", 300, "grey")
    word, slices, longest = device.draw(1000)
    device.send("l", 600)
    device.draw()  # the word on the other frame
    device.send("l", 700)
    level, _, _ = device.draw()
    device.send("l", 700)
    nothing, _, _ = device.draw()
    print(f"cycles: start {device.start_cycles}, all {everything}, word {word} in {slices} slices, "
          f"longest {longest}, level {level}, nothing {nothing}")  # fmt: skip
    assert everything < 400_000
    assert word < 120_000 and slices > 10
    assert longest < 8_000  # of 1,000 pixels
    assert level < 10_000


def test_a_restart_begins_with_memory_that_forgot(device: Device):
    show_all(device)
    device.draw()
    device.send("r")
    assert device.number() == 1  # there is a display again
    device.number()
    assert not device.seen().any()


def test_screenshots_are_of_a_board_that_was_told_where(elf: Path):
    board = VirtualBoard(elf)
    with board:
        board.open()
        with pytest.raises(TinyswitchError, match="screenshot"):
            board.screenshot()


def test_a_screenshot_needs_a_folder_and_a_display(elf: Path, tmp_path: Path):
    board = VirtualBoard(elf, options=Options(screenshot=tmp_path / "none" / "screen.png"))
    with board:
        board.open()
        with pytest.raises(TinyswitchError, match="no folder"):
            board.screenshot()
    command = [sys.executable, "-m", "tinyswitch.boards.virtual", "--board", "nano33ble", elf]
    run = subprocess.run([*command, "--screenshot", "x.png"], capture_output=True, text=True, check=False)
    assert run.returncode == 2 and "nano33ble has no display" in run.stderr


def test_the_image_application_carries_none_of_it(tmp_path: Path):
    main = [ROOT / "firmware/apps/image/main.c", ROOT / "firmware/engine/engine.c"]
    table = ROOT / "tests/link_firmware/switching_table.c"
    image = link(tmp_path / "image.elf", ["link", "switcher"], [*main, table])
    with image.open("rb") as file:
        names = {symbol.name for symbol in ELFFile(file).get_section_by_name(".symtab").iter_symbols()}
    assert "board_init" in names
    assert not {name for name in names if "display" in name.replace("display.c", "") or "sdram_" in name}

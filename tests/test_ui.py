"""firmware/ui compiled for this machine: the font, drawing within the frame, the screen drawn in pieces."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyswitch import native_library
from tinyswitch.display import font
from tinyswitch.errors import TinyswitchError

FOLDER = Path(__file__).resolve().parents[1] / "firmware" / "ui"
LIBRARY = native_library.load(
    "ui", [FOLDER / f"{name}.c" for name in ("canvas", "font", "screen", "keyword")]
)
GLYPHS = {c: np.array([[x == "#" for x in row] for row in rows]) for c, rows in font.read().items()}
GUARD, UNTOUCHED = 4096, 0xEE  # bytes around a frame
WIDTH, HEIGHT = 480, 272


class Rect(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int16) for name in ("x", "y", "width", "height")]


class Canvas(ctypes.Structure):
    _fields_ = [
        ("pixels", ctypes.c_void_p),
        ("width", ctypes.c_int16),
        ("height", ctypes.c_int16),
        ("stride", ctypes.c_int32),
    ]


class Frame:
    """A frame with untouched bytes around it and at the end of its rows."""

    def __init__(self, width: int, height: int, gap: int = 0):
        self.all = np.full(2 * GUARD + (width + gap) * height, UNTOUCHED, np.uint8)
        self.rows = self.all[GUARD : self.all.size - GUARD].reshape(height, width + gap)
        self.pixels = self.rows[:, :width]
        self.canvas = Canvas(self.rows.ctypes.data, width, height, width + gap)

    def intact(self) -> bool:
        outside = np.concatenate([self.all[:GUARD], self.all[-GUARD:]])
        return bool(
            (outside == UNTOUCHED).all() and (self.rows[:, self.pixels.shape[1] :] == UNTOUCHED).all()
        )


def paint(pixels: np.ndarray, x: int, y: int, block: np.ndarray) -> None:
    """The part of ``block`` at x, y that lies in ``pixels``."""
    top, left = max(y, 0), max(x, 0)
    bottom, right = min(y + block.shape[0], pixels.shape[0]), min(x + block.shape[1], pixels.shape[1])
    if top < bottom and left < right:
        pixels[top:bottom, left:right] = block[top - y : bottom - y, left - x : right - x]


def block_of(char: str, scale: int, colour: int, background: int) -> np.ndarray:
    large = np.kron(GLYPHS.get(char, GLYPHS["?"]), np.ones((scale, scale), int)).astype(bool)
    return np.where(large, colour, background).astype(np.uint8)


coordinates = st.one_of(st.integers(-90, 90), st.integers(-(2**15), 2**15 - 1))
sizes = st.tuples(st.integers(1, 70), st.integers(1, 70), st.integers(0, 5))
colours = st.integers(0, 255)
texts = st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=12)


def test_the_table_is_what_the_drawing_says():
    assert (FOLDER / "font.c").read_text() == font.table(font.read())


def test_glyphs_are_in_their_cells_and_all_different():
    assert all(not glyph[:, 5].any() for glyph in GLYPHS.values())  # the space to the next character
    assert len({glyph.tobytes() for glyph in GLYPHS.values()}) == 95
    assert [c for c, glyph in GLYPHS.items() if not glyph.any()] == [" "]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [("......", ".....", "line 5"), (".#.#..", ".#.o..", "line 6"), ("chars ,", "char ,", "','")],
)
def test_a_damaged_drawing_is_one_line(tmp_path: Path, old: str, new: str, message: str):
    path = tmp_path / "font.txt"
    path.write_text((FOLDER / "font.txt").read_text().replace(old, new, 1))
    with pytest.raises(TinyswitchError, match=message) as caught:
        font.read(path)
    assert "\n" not in str(caught.value)


@given(sizes, st.tuples(*[coordinates] * 4), colours)
def test_fill_is_clipped(size, rect, colour):
    frame = Frame(*size)
    wanted = frame.pixels.copy()
    x, y, width, height = rect
    if width > 0 and height > 0:
        wanted[max(y, 0) : max(y + height, 0), max(x, 0) : max(x + width, 0)] = colour
    LIBRARY.ui_fill(ctypes.byref(frame.canvas), Rect(*rect), ctypes.c_uint8(colour))
    assert frame.intact() and np.array_equal(frame.pixels, wanted)


@given(sizes, coordinates, coordinates, st.integers(0, 8), texts, colours, colours)
def test_text_is_clipped(size, x, y, scale, text, colour, background):
    frame = Frame(*size)
    wanted = frame.pixels.copy()
    for i, char in enumerate(text if scale else ""):
        paint(wanted, x + 6 * scale * i, y, block_of(char, scale, colour, background))
    at = ctypes.c_int16(x), ctypes.c_int16(y), ctypes.c_uint8(scale)
    paints = ctypes.c_uint8(colour), ctypes.c_uint8(background)
    LIBRARY.ui_text(ctypes.byref(frame.canvas), *at, text.encode("latin-1"), *paints)
    assert frame.intact() and np.array_equal(frame.pixels, wanted)


@given(sizes, coordinates, coordinates, *[st.integers(0, 255)] * 4)
def test_rows_of_a_character(size, x, y, scale, code, first, n):
    frame = Frame(*size)
    wanted = frame.pixels.copy()
    used = min(scale, 8)
    if used and first < 10 and n:
        rows = block_of(chr(code), used, 1, 2)[first * used : min(first + n, 10) * used]
        paint(wanted, x, y + first * used, rows)
    at = ctypes.c_int16(x), ctypes.c_int16(y), ctypes.c_uint8(scale), ctypes.c_char(code)
    rest = (ctypes.c_uint8(value) for value in (first, n, 1, 2))
    LIBRARY.ui_glyph_rows(ctypes.byref(frame.canvas), *at, *rest)
    assert frame.intact() and np.array_equal(frame.pixels, wanted)


@given(sizes, st.tuples(*[coordinates] * 4), st.integers(0, 2**16 - 1))
def test_bars_are_clipped(size, rect, permille):
    frame = Frame(*size)
    wanted = frame.pixels.copy()
    x, y, width, height = rect
    if width > 0 and height > 0:
        lit = width * min(permille, 1000) // 1000
        rows = slice(max(y, 0), max(y + height, 0))
        wanted[rows, max(x, 0) : max(x + width, 0)] = 2
        wanted[rows, max(x, 0) : max(x + lit, 0)] = 1
    LIBRARY.ui_bar(ctypes.byref(frame.canvas), Rect(*rect), ctypes.c_uint16(permille), 1, 2)
    assert frame.intact() and np.array_equal(frame.pixels, wanted)


class Keyword:
    """The keyword screen on two frames; what it should look like is drawn from its last values."""

    def __init__(self) -> None:
        self.memory = ctypes.create_string_buffer(16384)  # more than a ui_keyword
        self.frames = [Frame(WIDTH, HEIGHT, 32) for _ in range(2)]
        self.values = {"word": ("", 0, 0), "level": 0, "net": "", "cpu": None, "notice": ("", 0)}
        LIBRARY.ui_screen_draw.restype = ctypes.c_uint32
        LIBRARY.ui_keyword_start(self.memory)

    def set(self, name: str, value) -> None:
        self.values[name] = value
        values = value if isinstance(value, tuple) else (value,)
        given = [v.encode() if isinstance(v, str) else ctypes.c_uint16(v) for v in values]
        getattr(LIBRARY, f"ui_keyword_{name}")(self.memory, *given)

    def stale(self, frame: int) -> bool:
        return bool(LIBRARY.ui_screen_stale(self.memory, frame))

    def draw(self, frame: int, most: int) -> int:
        """Draws a piece and checks that it was as small as asked."""
        before = self.frames[frame].pixels.copy()
        drawn = LIBRARY.ui_screen_draw(
            self.memory, frame, ctypes.byref(self.frames[frame].canvas), ctypes.c_uint32(most)
        )
        assert self.frames[frame].intact()
        assert drawn <= max(most, 480)
        assert np.count_nonzero(before != self.frames[frame].pixels) <= drawn
        return drawn

    def wanted(self) -> np.ndarray:
        pixels = np.zeros((HEIGHT, WIDTH), np.uint8)

        def text(x: int, y: int, scale: int, columns: int, words: str, colour: int, indent: int = 0) -> None:
            for i, char in enumerate(words[:columns]):
                paint(pixels, x + (i + indent) * 6 * scale, y, block_of(char, scale, colour, 0))

        word, permille, colour = self.values["word"]
        sure = f"{(min(permille, 1000) + 5) // 10} %" if word else ""
        notice, notice_colour = self.values["notice"]
        text(12, 8, 2, 12, "keywords", 1)
        text(180, 8, 2, 24, notice, notice_colour, max(0, 24 - len(notice)))
        text(24, 44, 8, 9, word, colour, max(0, 9 - len(word)) // 2)
        text(186, 134, 3, 6, sure, colour, (6 - len(sure)) // 2)
        for y, label in ((172, "level"), (206, "net"), (240, "cpu")):
            text(12, y, 2, 6, label, 2)
        text(96, 206, 2, 24, self.values["net"], 1)
        level, cpu = self.values["level"], self.values["cpu"]
        for x in range(372):
            zone = 4 if x < 372 * 700 // 1000 else 5 if x < 372 * 900 // 1000 else 6
            pixels[174:190, 96 + x] = zone if x < 372 * min(level, 1000) // 1000 else 3
        lit = 288 * min(cpu or 0, 1000) // 1000
        pixels[242:258, 96 : 96 + 288] = 3
        pixels[242:258, 96 : 96 + lit] = 7
        if cpu is not None:
            text(396, 240, 2, 6, f"{cpu / 10:.1f} %" if cpu < 1000 else "100 %", 1)
        return pixels


words = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
changes = st.one_of(
    st.tuples(st.just("word"), st.tuples(words, st.integers(0, 2000), st.integers(0, 7))),
    st.tuples(st.just("level"), st.integers(0, 65535)),
    st.tuples(st.just("net"), words),
    st.tuples(st.just("cpu"), st.integers(0, 65535)),
    st.tuples(st.just("notice"), st.tuples(words, st.integers(0, 7))),
    st.tuples(st.just("draw"), st.tuples(st.integers(0, 1), st.integers(0, 40_000))),
)


@settings(max_examples=40)
@given(st.lists(changes, max_size=25))
def test_the_screen_becomes_what_was_wanted_last_on_both_frames(steps):
    keyword = Keyword()
    for name, value in steps:
        if name == "draw":
            keyword.draw(*value)
        else:
            keyword.set(name, value)
    for frame in (0, 1):
        while keyword.stale(frame):
            keyword.draw(frame, 5000)
        assert keyword.draw(frame, 5000) == 0
        assert np.array_equal(keyword.frames[frame].pixels, keyword.wanted())


def test_a_change_redraws_only_what_differs():
    keyword = Keyword()
    keyword.set("word", ("yes", 970, 4))
    keyword.set("level", 500)
    for frame in (0, 1):
        while keyword.draw(frame, 100_000):
            pass
    for frame in (0, 1):
        keyword.set("level", 500)
        keyword.set("word", ("yes", 970, 4))
        assert not keyword.stale(frame)  # nothing has changed
    keyword.set("level", 510)
    assert keyword.draw(0, 100_000) == 3 * 16  # 186 columns were lit, now 189
    keyword.set("word", ("yet", 970, 4))
    assert keyword.draw(0, 100_000) == 48 * 80
    assert keyword.draw(1, 100_000) == 3 * 16 + 48 * 80


@pytest.mark.parametrize("then", ["mmm", "iii"])
def test_a_character_that_changes_while_it_is_drawn(then: str):
    keyword = Keyword()
    keyword.set("word", ("mmm", 0, 1))
    while keyword.draw(0, 100_000):
        pass
    keyword.set("word", ("WWW", 0, 1))
    for _ in range(4):
        assert keyword.draw(0, 480) == 48 * 8  # a row of the first character
    keyword.set("word", (then, 0, 1))
    while keyword.draw(0, 480):
        pass
    assert np.array_equal(keyword.frames[0].pixels, keyword.wanted())

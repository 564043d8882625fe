"""The font of ``firmware/ui``: drawn as text in ``font.txt``, a table in ``font.c``.

``python -m tinyswitch.display.font`` writes the table anew; a test compares the two.
"""

from __future__ import annotations

from pathlib import Path

from tinyswitch.errors import TinyswitchError

FOLDER = Path(__file__).resolve().parents[3] / "firmware" / "ui"
WIDTH, HEIGHT = 6, 10  # pixels of a glyph
FIRST, LAST = 32, 126  # ASCII
MARK = "chars "


def read(path: Path = FOLDER / "font.txt") -> dict[str, list[str]]:
    """Glyphs by character, each HEIGHT rows of WIDTH characters: ``#`` is set, ``.`` isn't.

    Raises TinyswitchError, naming the line, for a file that is not like that or lacks a character.
    """
    glyphs: dict[str, list[str]] = {}
    lines = path.read_text(encoding="ascii").splitlines()
    for at, line in enumerate(lines):
        if line.startswith(MARK):
            chars = line[len(MARK) :]
            for row in range(at + 1, at + 1 + HEIGHT):
                cells = lines[row].split(" ") if row < len(lines) else []
                if len(cells) != len(chars) or any(len(c) != WIDTH or set(c) - set("#.") for c in cells):
                    raise TinyswitchError(
                        f"{path}: line {row + 1}: expected {len(chars)} cells of {WIDTH} characters # or ."
                    )
                for char, cell in zip(chars, cells, strict=True):
                    glyphs.setdefault(char, []).append(cell)
    for code in range(FIRST, LAST + 1):
        if len(glyphs.get(chr(code), ())) != HEIGHT:
            raise TinyswitchError(f"{path}: the character {chr(code)!r} isn't there, or more than once")
    return glyphs


def table(glyphs: dict[str, list[str]]) -> str:
    """The text of ``font.c``: a byte a row, its bit 5 the leftmost pixel."""
    lines = [
        "/* Made from font.txt by `python -m tinyswitch.display.font`. */",
        '#include "font.h"',
        "",
        "/* clang-format off */",
        "const uint8_t ui_font[UI_FONT_CHARACTERS][UI_FONT_HEIGHT] = {",
    ]
    for code in range(FIRST, LAST + 1):
        rows = (int(row.replace("#", "1").replace(".", "0"), 2) for row in glyphs[chr(code)])
        name = chr(code).replace("\\", "backslash")
        lines.append(f"    {{{', '.join(f'0x{row:02X}' for row in rows)}}}, /* {name} */")
    return "\n".join([*lines, "};", ""])


if __name__ == "__main__":
    (FOLDER / "font.c").write_text(table(read()), encoding="ascii")

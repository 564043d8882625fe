"""docs/link.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from link_support import FIRMWARE, ROOT
from test_link_protocol import Wire
from tinyswitch.link.frames import MAX_PAYLOAD
from tinyswitch.link.messages import MAX_PROFILE_STAGES, ErrorCode, Type

DOCS = (ROOT / "docs/link.md").read_text()


def table(header: str) -> list[list[str]]:
    """Cells of the rows of the table whose first line begins with ``header``."""
    lines = DOCS[DOCS.index(header) :].splitlines()[2:]
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().strip("`") for cell in line.strip("|").split("|")])
    return rows


def example() -> list[tuple[str, str, bytes]]:
    """Direction, note and bytes of each frame of the example."""
    frames: list[tuple[str, str, bytes]] = []
    for line in DOCS[DOCS.index("## Example") :].split("```")[1].splitlines():
        if line.startswith("    "):
            direction, note, data = frames[-1]
            frames[-1] = direction, note, data + bytes.fromhex(line)
        elif line:
            frames.append((line[0], line[2:], b""))
    return frames


def test_the_board_says_the_bytes_of_the_example():
    wire = Wire()
    try:
        for direction, note, data in example():
            if direction == ">":
                wire.process.stdin.write(data)
                wire.process.stdin.flush()
            else:
                assert wire.process.stdout.read(len(data)).hex(" ") == data.hex(" "), note
    finally:
        assert wire.close() == 0


def test_types():
    documented = {int(n, 16): name for n, name, *_ in table("| type | name") if re.fullmatch("0x..", n)}
    assert documented == {t.value: t.name for t in Type if t != Type.ANSWER}


def test_codes_and_texts():
    texts = (FIRMWARE / "link/commands.c").read_text()
    rows = table("| code | name | text")
    assert {int(n): name for n, name, *_ in rows} == {c.value: c.name for c in ErrorCode}
    for _, name, text, _ in rows:
        assert re.search(rf"\[TS_LINK_ERR_{name}\] = \"(.*)\"", texts)[1] == text


@pytest.mark.parametrize("enum", [Type, ErrorCode])
def test_numbers_of_the_firmware(enum: type[Type] | type[ErrorCode]):
    header = (FIRMWARE / "link/protocol.h").read_text()
    prefix = "TS_LINK_ERR_" if enum is ErrorCode else "TS_LINK_"
    for member in enum:
        assert int(re.search(rf"\b{prefix}{member.name} = (\w+)", header)[1], 0) == member.value


def test_sizes():
    header = Path(FIRMWARE / "link/protocol.h").read_text()
    payload = int(re.search(r"TS_LINK_PAYLOAD = (\d+)", header)[1])
    assert payload == MAX_PAYLOAD
    assert f"| 5 | 0..{payload} | payload |" in DOCS
    stages = int(re.search(r"TS_IMAGE_STAGES = (\d+)", (FIRMWARE / "link/image.h").read_text())[1])
    assert stages == MAX_PROFILE_STAGES
    assert f"up to {stages} stages" in DOCS

"""What is said about memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from tinyswitch.errors import TinyswitchError
from tinyswitch.firmware import fit, memory

FIGURES = {
    "models": ["a"],
    "ram": {"activations": 1000, "scratch": 24, "static": 1000, "stack_reserved": 1000, "total": 3024},
    "ram_capacity": 6048,
    "flash": {"weights": 700, "tables": 200, "code": 100, "total": 1000, "capacity": 1000},
}


def test_report_has_bars_and_parts():
    flash, parts, ram, _ = memory.report(FIGURES).splitlines()
    assert flash.count("█") == memory.BAR and "1,000 of 1,000 bytes (100.0%)" in flash
    assert "weights 700, tables 200, code 100" in parts
    assert ram.count("█") == ram.count("░") == memory.BAR // 2


def test_report_without_limits():
    unlimited = {**FIGURES, "ram_capacity": None, "flash": {**FIGURES["flash"], "capacity": None}}
    assert "flash  1,000 bytes" in memory.report(unlimited)


@pytest.mark.parametrize(
    "sizes, room, chosen",
    [
        ([{"a": 5}, {"b": 3}, {"c": 4}], 8, [1, 2]),
        ([{"a": 5}, {"b": 3}, {"c": 4}], 2, []),
        ([{"a": 1}, {"b": 1}], 2, [0, 1]),
        ([], 9, []),
        ([{"shared": 6, "a": 1}, {"shared": 6, "b": 2}, {"c": 7}], 9, [0, 1]),
    ],
)
def test_most_models_that_fit_together(sizes, room, chosen):
    assert fit.largest_choice(sizes, room) == chosen


def test_not_an_elf(tmp_path: Path):
    file = tmp_path / "firmware.elf"
    file.write_bytes(b"nonsense")
    with pytest.raises(TinyswitchError, match=r"firmware\.elf: not a firmware"):
        memory.read_elf(file)


def test_write_leaves_no_partial_file(tmp_path: Path):
    memory.write(FIGURES, tmp_path / "memory.json")
    assert [p.name for p in tmp_path.iterdir()] == ["memory.json"]

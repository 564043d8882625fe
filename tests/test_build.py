"""Builds of a copy of the sources whose path has spaces, with a PlatformIO that has nothing installed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

from tinyswitch import firmware
from tinyswitch.compiler.tflite_writer import TfliteWriter, options
from tinyswitch.errors import TinyswitchError
from tinyswitch.firmware import project

SOURCES = Path(__file__).resolve().parents[1]
GCC = shutil.which("arm-none-eabi-gcc")
needs_gcc = pytest.mark.skipif(not GCC, reason="arm-none-eabi-gcc is not installed (gcc-arm-none-eabi)")

FLASH = range(0x08000000, 0x08100000)
DTCM = range(0x20000000, 0x20010000)
RAM = range(0x20000000, 0x20050000)


def dense(path: Path, inputs: int, outputs: int, seed: int = 0) -> Path:
    """A model of one FULLY_CONNECTED: inputs * outputs bytes of weights, others for another seed."""
    writer = TfliteWriter()
    rng = np.random.default_rng(seed)
    weights = rng.integers(-127, 128, (outputs, inputs), np.int8)
    bias = rng.integers(-1000, 1000, outputs, np.int32)
    x = writer.tensor([1, inputs], scale=0.1)
    w = writer.tensor([outputs, inputs], scale=0.01, data=weights)
    b = writer.tensor([outputs], np.int32, scale=0.001, data=bias)
    y = writer.tensor([1, outputs], scale=0.5)
    writer.op("FULLY_CONNECTED", [x, w, b], [y], options("FullyConnected"))
    path.write_bytes(writer.build([x], [y]))
    return path


def wide(path: Path) -> Path:
    """A model whose output is 330,000 bytes."""
    writer = TfliteWriter()
    x, y = (writer.tensor([1, 6, 1, 55_000], scale=0.1) for _ in range(2))
    writer.op("RELU", [x], [y])
    path.write_bytes(writer.build([x], [y]))
    return path


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("a b") / "tiny switch (1)"
    shutil.copytree(SOURCES / "firmware", copy / "firmware")
    shutil.copy(SOURCES / "platformio.ini", copy)
    return copy


@pytest.fixture(autouse=True)
def elsewhere(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project, "ROOT", root)
    monkeypatch.setenv("PLATFORMIO_CORE_DIR", str(root / "core"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens: a download would fail


@pytest.fixture(scope="module")
def small(root: Path) -> Path:
    return dense(root / "small.tflite", 64, 10)


@pytest.fixture(scope="module")
def other(root: Path) -> Path:
    return dense(root / "other one.tflite", 32, 7)


def sections(elf: Path) -> dict[str, tuple[int, int]]:
    """Address and size of each section, as readelf prints them."""
    text = subprocess.run(
        ["arm-none-eabi-readelf", "-SW", elf], capture_output=True, text=True, check=True
    ).stdout
    found = re.findall(r"\] (\.\S+)\s+\S+\s+([0-9a-f]{8}) [0-9a-f]+ ([0-9a-f]+)", text)
    return {name: (int(address, 16), int(size, 16)) for name, address, size in found}


def symbols(elf: Path) -> dict[str, tuple[int, int]]:
    with elf.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        return {s.name: (s["st_value"], s["st_size"]) for s in table.iter_symbols()}


@needs_gcc
def test_memory_figures_are_those_of_the_tools(small: Path):
    built = firmware.build("stm32f746", "image", [small])
    found, flash, ram = sections(built.elf), built.memory["flash"], built.memory["ram"]
    assert json.loads((built.elf.parent / "memory.json").read_text()) == built.memory
    assert built.memory["models"] == ["small"]
    assert flash["weights"] == 640
    assert flash["total"] == (built.elf.parent / "firmware.bin").stat().st_size
    assert flash["weights"] + flash["tables"] + flash["code"] == flash["total"]
    assert flash["capacity"] == len(FLASH)
    variables = sum(found[name][1] for name in (".dtcm", ".noinit", ".data", ".bss"))
    assert ram["static"] == variables - built.models[0].arena_bytes
    assert ram["activations"] == built.models[0].activation_bytes
    assert ram["activations"] + ram["scratch"] == built.models[0].arena_bytes
    assert ram["stack_reserved"] == found[".stack"][1] == 8192
    assert ram["total"] == variables + 8192
    assert built.memory["ram_capacity"] == len(RAM)
    assert "of 1,048,576 bytes" in firmware.report(built)


@needs_gcc
def test_everything_lies_where_the_chip_has_it(small: Path):
    elf = firmware.build("stm32f746", "image", [small]).elf
    found, names = sections(elf), symbols(elf)
    vectors = np.frombuffer((elf.parent / "firmware.bin").read_bytes()[:0x1C8], "<u4")
    text = range(found[".text"][0], sum(found[".text"]))
    assert found[".vectors"] == (FLASH.start, 4 * (16 + 98))
    assert vectors[0] == names["stack_top"][0]
    assert vectors[1] == names["reset_handler"][0]
    assert vectors[15] == names["tick_handler"][0]
    assert vectors[16 + 55] == names["timer_handler"][0]  # TIM7
    assert {int(v) for v in np.delete(vectors, [0, 1, 15, 16 + 55])} == {names["fault_handler"][0]}
    assert all(int(v) & 1 and int(v) in text for v in vectors[1:])
    assert names["stack_bottom"][0] == RAM.start  # an overflow leaves the RAM
    ring, size = names["ring"]
    assert size == 8192 and ring in DTCM and ring + size - 1 in DTCM
    assert names["report"][0] in DTCM
    assert names["ts_arena"][0] % 8 == 0
    for name, (address, size) in found.items():
        if address:
            assert address in FLASH or (address in RAM and address + size <= RAM.stop), name


@needs_gcc
@pytest.mark.parametrize(("board", "origin"), [("nano33ble", 0x10000), ("nano33ble-bare", 0)])
def test_the_nano_has_room_for_its_bootloader_or_none(small: Path, board: str, origin: int):
    built = firmware.build(board, "image", [small])
    found, names = sections(built.elf), symbols(built.elf)
    image = (built.elf.parent / "firmware.bin").read_bytes()
    assert found[".vectors"] == (origin, 4 * (16 + 48))
    assert np.frombuffer(image[:8], "<u4").tolist() == [names["stack_top"][0], names["reset_handler"][0]]
    vectors = np.frombuffer(image[:0x100], "<u4")
    assert vectors[16 + 2] == names["uarte_handler"][0]
    assert vectors[16 + 9] == names["timer_handler"][0]
    assert vectors[16 + 10] == names["tick_handler"][0]
    assert names["stack_bottom"][0] == 0x20000000
    assert names["report"][0] == 0x2003FFC0  # above what the bootloader clears
    assert built.memory["flash"]["capacity"] == 0x100000 - origin
    assert built.memory["ram"]["static"] < 10_000


@needs_gcc
def test_no_heap_and_no_stdio(small: Path):
    names = symbols(firmware.build("stm32f746", "image", [small]).elf)
    assert "memcpy" in names
    assert not {"malloc", "_sbrk", "printf", "_impure_ptr", "exit"} & names.keys()


@needs_gcc
def test_nothing_is_rebuilt_when_nothing_changed(small: Path, root: Path):
    def times() -> dict[Path, int]:
        return {
            p: p.stat().st_mtime_ns for p in (root / "build").rglob("*") if p.suffix in (".o", ".elf", ".c")
        }

    built = firmware.build("stm32f746", "image", [small])
    before = times()
    firmware.build("stm32f746", "image", [small])
    assert times() == before
    assert "Compiling" not in (built.elf.parent / "build.log").read_text()


@needs_gcc
def test_a_touched_header_rebuilds(small: Path, root: Path):
    built = firmware.build("stm32f746", "image", [small])
    header = root / "firmware" / "boards" / "stm32f746" / "chip.h"
    header.write_text(header.read_text() + "\n#define UNUSED_HERE 1\n")
    firmware.build("stm32f746", "image", [small])
    log = (built.elf.parent / "build.log").read_text()
    assert "clock.o" in log and "engine.o" not in log


@needs_gcc
def test_model_sets_one_after_the_other(small: Path, other: Path):
    first = firmware.build("stm32f746", "image", [small])
    first_bytes = first.elf.read_bytes()
    both = firmware.build("stm32f746", "image", [other, small])
    assert both.memory["models"] == ["other one", "small"]
    assert both.memory["flash"]["weights"] == 640 + 32 * 7
    assert symbols(both.elf)["ts_model_table"][1] == 2 * 12
    again = firmware.build("stm32f746", "image", [small])
    assert again.elf.read_bytes() == first_bytes
    assert again.memory == first.memory


@needs_gcc
def test_platformio_by_hand_after_a_build(small: Path, root: Path):
    firmware.build("stm32f746", "image", [small])
    done = subprocess.run(
        [sys.executable, "-m", "platformio", "run", "-e", "stm32f746_image"],
        cwd=root,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Compiling" not in done.stdout
    assert re.search(r"Flash: \[.*\]", done.stdout)


@needs_gcc
def test_too_much_flash_says_by_how_much_and_what_fits(small: Path, root: Path):
    big = [dense(root / f"big{i}.tflite", 1000, 600, seed=i) for i in range(2)]
    alone = firmware.build("stm32f746", "image", [big[0]]).memory["flash"]["total"]
    small_tables = firmware.build("stm32f746", "image", [small]).memory["flash"]
    with pytest.raises(TinyswitchError) as refused:
        firmware.build("stm32f746", "image", [big[0], big[1], small])
    text = str(refused.value)
    excess = int(re.search(r"([\d,]+) more than the 1,048,576", text)[1].replace(",", ""))
    # two big models and a small one: the code is there once
    expected = (
        2 * alone + small_tables["weights"] + small_tables["tables"] - len(FLASH) - small_tables["code"]
    )
    assert abs(excess - expected) < 200
    assert text.startswith("big0, big1, small: does not fit stm32f746: needs ")
    assert text.endswith("these would fit: big0, small")
    assert "\n" not in text
    output = root / "build" / "stm32f746" / "image"
    assert not [n for n in ("firmware.elf", "firmware.bin", "memory.json") if (output / n).exists()]


@needs_gcc
def test_what_models_share_is_there_once(root: Path):
    same = [dense(root / f"same{i}.tflite", 1000, 600) for i in range(2)]
    same[1].write_bytes(same[0].read_bytes())
    flash = firmware.build("stm32f746", "image", same).memory["flash"]
    assert flash["weights"] == 600_000
    assert flash["tables"] < 10_000


@needs_gcc
def test_one_model_too_large_names_nets_that_fit(root: Path):
    huge = dense(root / "huge.tflite", 1100, 1000)
    with pytest.raises(TinyswitchError, match=r"of the project's own these would fit: .*mcunet-10fps"):
        firmware.build("stm32f746", "image", [huge])


@needs_gcc
def test_too_much_ram(small: Path, root: Path):
    with pytest.raises(TinyswitchError) as refused:
        firmware.build("stm32f746", "image", [wide(root / "wide.tflite"), small])
    text = str(refused.value)
    excess = int(re.search(r"bytes of RAM, ([\d,]+) more than the 327,680", text)[1].replace(",", ""))
    stack_and_ring = 2 * 8192
    assert 330_000 + stack_and_ring < 327_680 + excess < 330_000 + 55_000 + 2 * stack_and_ring
    assert text.endswith("these would fit: small")


@needs_gcc
def test_an_error_of_the_compiler_is_one_line(small: Path, root: Path):
    broken = root / "firmware" / "engine" / "broken.c"
    broken.write_text("int oops(void) { return undeclared; }\n")
    try:
        with pytest.raises(TinyswitchError) as failed:
            firmware.build("stm32f746", "image", [small])
    finally:
        broken.unlink()
    text = str(failed.value)
    assert "broken.c:1:" in text and "undeclared" in text and "\n" not in text
    assert "undeclared" in Path(re.search(r"\(log: (.*)\)$", text)[1]).read_text()


def test_a_missing_compiler_is_one_line(small: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(TinyswitchError) as failed:
        firmware.build("stm32f746", "image", [small])
    assert str(failed.value).startswith("stm32f746_image: arm-none-eabi-gcc is not on the PATH and")
    assert "sudo apt-get install gcc-arm-none-eabi" in str(failed.value)


@pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")
def test_native(small: Path):
    built = firmware.build("native", "image", [small])
    assert built.elf.stat().st_mode & 0o111
    assert built.memory["flash"]["weights"] == 640
    assert built.memory["flash"]["capacity"] is None and built.memory["ram_capacity"] is None


def test_unknown_board_lists_those_there_are(small: Path):
    with pytest.raises(TinyswitchError, match=r"'stm32f7'.*there are: .*stm32f746 with image"):
        firmware.build("stm32f7", "image", [small])


def test_no_model():
    with pytest.raises(TinyswitchError, match="no model"):
        firmware.build("stm32f746", "image", [])


def test_one_build_at_a_time():
    entered = threading.Event()

    def second() -> None:
        with project.locked():
            entered.set()

    with project.locked():
        thread = threading.Thread(target=second)
        thread.start()
        assert not entered.wait(0.2)
    assert entered.wait(5)
    thread.join()


def test_two_models_of_one_name_are_refused(small: Path, root: Path) -> None:
    folder = root / "elsewhere"
    folder.mkdir()
    twin = dense(folder / small.name, 16, 3)
    with pytest.raises(TinyswitchError, match=r"small\.tflite and .*elsewhere.*both would be called 'small'"):
        firmware.build("native", "image", [small, twin])

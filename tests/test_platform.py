"""The PlatformIO platform: where tools come from, and uploads."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

SOURCES = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SOURCES / "firmware" / "platform" / "builder"))
import bossac  # noqa: E402  (files of the platform, not of the package)
import flash  # noqa: E402
import openocd  # noqa: E402

BOARD = "board/stm32f7discovery.cfg"
TABLE = """
#include "model_table.h"
const ts_entry ts_model_table[1];
const uint16_t ts_model_count = 0;
uint8_t ts_arena[8] __attribute__((aligned(8)));
const uint32_t ts_arena_bytes = sizeof ts_arena;
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The project with a stub of generated sources."""
    shutil.copytree(SOURCES / "firmware", tmp_path / "firmware")
    shutil.copy(SOURCES / "platformio.ini", tmp_path)
    generated = tmp_path / "build" / "stm32f746" / "image" / "generated"
    generated.mkdir(parents=True)
    (generated / "model_table.c").write_text("typedef int nothing;\n")
    return tmp_path


def pio(
    folder: Path, *options: str, environment: str = "stm32f746_image", **variables: str
) -> tuple[subprocess.CompletedProcess[str], float]:
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "platformio", "run", "-e", environment, *options],
        cwd=folder,
        env={**os.environ, "PLATFORMIO_CORE_DIR": str(folder / "core"), **variables},
        capture_output=True,
        text=True,
    )
    return done, time.monotonic() - started


def proxies(address: str) -> dict[str, str]:
    return dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), address)


def test_no_compiler_and_no_registry(copy: Path):
    done, seconds = pio(copy, PATH="/nowhere", **proxies("http://127.0.0.1:9"))
    assert done.returncode != 0
    assert "arm-none-eabi-gcc is not on the PATH" in done.stderr
    assert "apt-get install gcc-arm-none-eabi" in done.stderr
    assert seconds < 10


def test_a_registry_that_never_answers_does_not_hang(copy: Path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        done, seconds = pio(copy, PATH="/nowhere", **proxies(address))
    assert done.returncode != 0
    assert "registry does not answer" in done.stderr
    assert seconds < 15


def test_nothing_generated_says_what_to_do(copy: Path):
    if not shutil.which("arm-none-eabi-gcc"):
        pytest.skip("arm-none-eabi-gcc is not installed (gcc-arm-none-eabi)")
    shutil.rmtree(copy / "build")
    done, _ = pio(copy)
    assert done.returncode != 0
    assert "run `invoke build --board stm32f746 --app image` first" in done.stderr


def test_nothing_is_written_to_platformios_packages(copy: Path):
    """The SCons of pip is used from where it is; PlatformIO's own folder stays as it was."""
    if not shutil.which("arm-none-eabi-gcc"):
        pytest.skip("arm-none-eabi-gcc is not installed (gcc-arm-none-eabi)")
    pio(copy, **proxies("http://127.0.0.1:9"))
    assert (copy / "core").is_dir()
    assert not list((copy / "core").glob("packages/*"))


def test_platformios_own_scons_goes_first(copy: Path):
    package = copy / "core" / "packages" / "tool-scons"
    package.mkdir(parents=True)
    version = "4.41101.0"
    (package / "package.json").write_text(f'{{"name": "tool-scons", "version": "{version}"}}')
    (package / ".piopm").write_text(
        f'{{"type": "tool", "name": "tool-scons", "version": "{version}", "spec": '
        '{"owner": "platformio", "id": null, "name": "tool-scons", "requirements": null, "uri": null}}'
    )
    (package / "scons.py").write_text("print('the registry SCons')\n")
    compiler = copy / "bin" / "arm-none-eabi-gcc"
    compiler.parent.mkdir()
    compiler.write_text("#!/bin/sh\n")
    compiler.chmod(0o755)
    done, _ = pio(copy, PATH=str(compiler.parent), **proxies("http://127.0.0.1:9"))
    assert "the registry SCons" in done.stdout


@pytest.fixture
def firmware(tmp_path: Path) -> dict[str, Path]:
    elf, image = tmp_path / "fire ware.elf", tmp_path / "firmware.bin"
    elf.write_bytes(b"elf")
    image.write_bytes(b"image")
    return {"elf": elf, "image": image}


def upload(files: dict[str, Path], mounts: Path) -> None:
    flash.flash(
        **files, openocd_board=BOARD, openocd_package=None, drive="DIS_F746NG", port=None, mounts=mounts
    )


def fake_openocd(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    folder.mkdir()
    program = folder / "openocd"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_openocd_programs_verifies_and_resets(tmp_path, monkeypatch, firmware, capsys):
    fake_openocd(tmp_path / "bin", monkeypatch, 'for a in "$@"; do echo "<$a>"; done')
    upload(firmware, tmp_path / "no-mounts")
    shown = capsys.readouterr().out
    assert f"<{BOARD}>" in shown
    assert f"<program {{{firmware['elf']}}} verify reset exit>" in shown


def test_openocd_failure_is_one_line(tmp_path, monkeypatch, firmware, capsys):
    fake_openocd(tmp_path / "bin", monkeypatch, "echo 'Error: open failed' >&2; exit 1")
    with pytest.raises(SystemExit):
        upload(firmware, tmp_path / "no-mounts")
    assert capsys.readouterr().err.startswith("Error: OpenOCD: open failed; is the board connected")


def test_platformio_uploads(tmp_path, monkeypatch):
    if not shutil.which("arm-none-eabi-gcc"):
        pytest.skip("arm-none-eabi-gcc is not installed (gcc-arm-none-eabi)")
    project = tmp_path / "the project"
    shutil.copytree(SOURCES / "firmware", project / "firmware")
    shutil.copy(SOURCES / "platformio.ini", project)
    output = project / "build" / "stm32f746" / "image"
    (output / "generated").mkdir(parents=True)
    (output / "generated" / "model_table.c").write_text(TABLE)
    fake_openocd(tmp_path / "bin", monkeypatch, 'for a in "$@"; do echo "<$a>"; done')
    done, _ = pio(project, "-t", "upload", **proxies("http://127.0.0.1:9"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"<program {{{output / 'firmware.elf'}}} verify reset exit>" in done.stdout


@pytest.fixture
def drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mounted DIS_F746NG; no OpenOCD on the PATH."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(flash, "DRIVE_SECONDS", 0.6)
    folder = tmp_path / "my drives" / "DIS_F746NG"
    folder.mkdir(parents=True)
    escaped = str(folder).replace(" ", "\\040")
    (tmp_path / "mounts").write_text(f"proc /proc proc rw 0 0\n/dev/sdb {escaped} vfat rw 0 0\n")
    return folder


def test_the_usb_drive_gets_the_image(tmp_path, drive, firmware):
    upload(firmware, tmp_path / "mounts")
    assert (drive / "firmware.bin").read_bytes() == b"image"


def test_the_usb_drive_may_refuse(tmp_path, drive, firmware, capsys):
    (drive / "FAIL.TXT").write_text("The flash is locked\n")
    with pytest.raises(SystemExit):
        upload(firmware, tmp_path / "mounts")
    assert "the ST-LINK says: The flash is locked" in capsys.readouterr().err


def test_neither_openocd_nor_drive(tmp_path, monkeypatch, firmware, capsys):
    monkeypatch.setenv("PATH", "/nowhere")
    (tmp_path / "mounts").write_text("proc /proc proc rw 0 0\n")
    with pytest.raises(SystemExit):
        upload(firmware, tmp_path / "mounts")
    assert "no OpenOCD on the PATH and no drive DIS_F746NG mounted" in capsys.readouterr().err


# nano33ble: through the Arduino bootloader

BOOTLOADER, SKETCH = "2341:005a", "2341:805a"
SHOW = 'for a in "$@"; do echo "<$a>"; done'


class Usb:
    """Ports that are plugged in. A sketch's port becomes its bootloader's when touched."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path):
        self.folder = folder
        self.ports: dict[str, str] = {}  # path: "VID:PID"
        self.touched: list[tuple[str, int]] = []
        self.starts = True  # whether the touch does
        monkeypatch.setattr(bossac.list_ports, "comports", self.listed)
        monkeypatch.setattr(bossac.serial, "Serial", self.open)
        monkeypatch.setattr(bossac, "TOUCH_SECONDS", 0.5)
        monkeypatch.setattr(bossac, "POLL_SECONDS", 0.01)

    def plug_in(self, name: str, ids: str) -> str:
        path = self.folder / name
        path.touch()
        self.ports[str(path)] = ids
        return str(path)

    def listed(self) -> list[SimpleNamespace]:
        found = []
        for path, ids in self.ports.items():
            vid, pid = (int(half, 16) for half in ids.split(":"))
            found.append(SimpleNamespace(device=path, vid=vid, pid=pid))
        return [*found, SimpleNamespace(device="/dev/ttyS0", vid=None, pid=None)]

    def open(self, path: str, baud: int) -> contextlib.AbstractContextManager[SimpleNamespace]:
        self.touched.append((path, baud))
        if self.starts:
            del self.ports[path]
            self.plug_in("ttyACM7", BOOTLOADER)
        return contextlib.nullcontext(SimpleNamespace())


@pytest.fixture
def usb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Usb:
    return Usb(monkeypatch, tmp_path)


def fake_program(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch, script: str) -> str:
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return str(program)


def through_bootloader(image: Path, port: str | None = None, package: str | None = None) -> None:
    bossac.upload(image=image, package=package, bootloader=[BOOTLOADER], sketch=[SKETCH], port=port)


def failed(upload: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line with which an upload ends."""
    with pytest.raises(SystemExit) as ended:
        upload()
    text = capsys.readouterr().err
    assert ended.value.code == 1 and text.startswith("Error: ") and text.count("\n") == 1
    return text.removeprefix("Error: ").strip()


def test_bossac_writes_through_a_bootloader_that_waits(tmp_path, monkeypatch, firmware, usb, capsys):
    fake_program(tmp_path / "bin", "bossac", monkeypatch, SHOW)
    usb.plug_in("ttyACM3", BOOTLOADER)
    through_bootloader(firmware["image"])
    shown = capsys.readouterr().out.split()
    assert shown == [
        "<-d>",
        "<--port=ttyACM3>",
        "<-U>",
        "<-i>",
        "<-e>",
        "<-w>",
        f"<{firmware['image']}>",
        "<-R>",
    ]
    assert usb.touched == []


def test_a_sketch_is_made_to_start_the_bootloader(tmp_path, monkeypatch, firmware, usb, capsys):
    fake_program(tmp_path / "bin", "bossac", monkeypatch, SHOW)
    sketch = usb.plug_in("ttyACM0", SKETCH)
    through_bootloader(firmware["image"], port="/dev/ttyUSB0")  # the link's
    assert usb.touched == [(sketch, 1200)]
    assert "<--port=ttyACM7>" in capsys.readouterr().out


def test_platformios_bossac_goes_first(tmp_path, monkeypatch, firmware, usb, capsys):
    fake_program(tmp_path / "bin", "bossac", monkeypatch, "echo the path")
    fake_program(tmp_path / "package", "bossac", monkeypatch, "echo the package")
    usb.plug_in("ttyACM3", BOOTLOADER)
    through_bootloader(firmware["image"], package=str(tmp_path / "package"))
    assert capsys.readouterr().out.strip() == "the package"


def test_one_of_several_arduinos_is_chosen(tmp_path, monkeypatch, firmware, usb, capsys):
    fake_program(tmp_path / "bin", "bossac", monkeypatch, SHOW)
    first, second = (usb.plug_in(f"ttyACM{i}", BOOTLOADER) for i in range(2))
    told = failed(lambda: through_bootloader(firmware["image"]), capsys)
    assert told == f"several Arduinos are connected; give one as --port: {first}, {second}"
    through_bootloader(firmware["image"], port=second)
    assert "<--port=ttyACM1>" in capsys.readouterr().out


def test_no_arduino_says_which_button(tmp_path, monkeypatch, firmware, usb, capsys):
    fake_program(tmp_path / "bin", "bossac", monkeypatch, SHOW)
    told = failed(lambda: through_bootloader(firmware["image"]), capsys)
    assert told.startswith(
        "no Arduino bootloader on USB: connect the board's own USB port, press the reset button"
    )


def test_a_bootloader_that_does_not_start(tmp_path, monkeypatch, firmware, usb, capsys):
    fake_program(tmp_path / "bin", "bossac", monkeypatch, SHOW)
    usb.starts = False
    port = usb.plug_in("ttyACM0", SKETCH)
    told = failed(lambda: through_bootloader(firmware["image"]), capsys)
    assert told.startswith(f"{port}: the bootloader did not appear within")
    assert "press the reset button twice" in told


def test_a_sketch_port_without_permission(tmp_path, monkeypatch, firmware, usb, capsys):
    def refuse(path: str, baud: int) -> None:
        raise bossac.serial.SerialException(13, f"could not open port {path}: [Errno 13] Permission denied")

    fake_program(tmp_path / "bin", "bossac", monkeypatch, SHOW)
    monkeypatch.setattr(bossac.serial, "Serial", refuse)
    port = usb.plug_in("ttyACM0", SKETCH)
    told = failed(lambda: through_bootloader(firmware["image"]), capsys)
    assert told == f"{port}: no permission; sudo usermod -aG dialout $USER, then log in again"


def test_no_bossac_says_where_it_is(monkeypatch, firmware, usb, capsys):
    monkeypatch.setenv("PATH", "/nowhere")
    usb.plug_in("ttyACM3", BOOTLOADER)
    told = failed(lambda: through_bootloader(firmware["image"]), capsys)
    assert told.startswith("no bossac on the PATH") and "https://github.com/arduino/BOSSA/releases" in told


def test_a_bossac_that_does_not_know_the_chip(tmp_path, monkeypatch, firmware, usb, capsys):
    program = fake_program(tmp_path / "bin", "bossac", monkeypatch, "echo Device unsupported; exit 1")
    usb.plug_in("ttyACM3", BOOTLOADER)
    told = failed(lambda: through_bootloader(firmware["image"]), capsys)
    assert told.startswith(f"{program} does not know the nRF52840 (only Arduino's own does)")


def test_bossac_failing_is_one_line(tmp_path, monkeypatch, firmware, usb, capsys):
    script = "echo 'Set binary mode'; echo 'No device found on ttyACM3'; echo 'Send auto-baud'; exit 1"
    fake_program(tmp_path / "bin", "bossac", monkeypatch, script)
    port = usb.plug_in("ttyACM3", BOOTLOADER)
    told = failed(lambda: through_bootloader(firmware["image"]), capsys)
    assert told.startswith(f"bossac: No device found on ttyACM3 ({port}); press the reset button twice")


def test_a_bossac_that_hangs(tmp_path, monkeypatch, firmware, usb, capsys):
    fake_program(tmp_path / "bin", "bossac", monkeypatch, "exec sleep 20")
    monkeypatch.setattr(bossac.failure, "SECONDS", 0.3)
    usb.plug_in("ttyACM3", BOOTLOADER)
    told = failed(lambda: through_bootloader(firmware["image"]), capsys)
    assert told.startswith("bossac did not finish in 0.3 s; press the reset button twice")


# nano33ble-bare: through a debug probe

INTERFACES = ["interface/cmsis-dap.cfg", "interface/jlink.cfg"]


def through_probe(elf: Path) -> None:
    openocd.upload(elf=elf, interfaces=INTERFACES, target="target/nrf52.cfg", package=None)


def test_the_first_probe_that_is_there_is_taken(tmp_path, monkeypatch, firmware, capsys):
    none = "echo 'Error: unable to find a matching CMSIS-DAP device'; exit 1"
    script = f'case "$*" in *cmsis-dap*) {none};; esac; {SHOW}'
    fake_program(tmp_path / "bin", "openocd", monkeypatch, script)
    through_probe(firmware["elf"])
    shown = capsys.readouterr().out
    assert "<interface/jlink.cfg>\n<-c>\n<transport select swd>\n<-f>\n<target/nrf52.cfg>" in shown
    assert f"<program {{{firmware['elf']}}} verify reset exit>" in shown


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Error: No J-Link device found", "no debug probe found (cmsis-dap or jlink): connect one"),
        ("Error: LIBUSB_ERROR_ACCESS", "OpenOCD: LIBUSB_ERROR_ACCESS; no permission for the debug probe"),
        ("Error: Could not find MEM-AP to control the core", "nrf52_recover; exit'"),
        ("Error: SWD DPIDR read failed", "SWD DPIDR read failed; are SWDIO, SWCLK and GND connected"),
    ],
)
def test_a_probe_that_fails_is_one_line(tmp_path, monkeypatch, firmware, capsys, said, told):
    fake_program(tmp_path / "bin", "openocd", monkeypatch, f"echo '{said}'; exit 1")
    assert told in failed(lambda: through_probe(firmware["elf"]), capsys)


def test_a_probe_without_openocd(monkeypatch, firmware, capsys):
    monkeypatch.setenv("PATH", "/nowhere")
    told = failed(lambda: through_probe(firmware["elf"]), capsys)
    assert told == "no OpenOCD on the PATH: sudo apt-get install openocd"


@pytest.mark.parametrize(
    ("board", "tool", "shown"),
    [
        ("nano33ble-bare", "openocd", "<target/nrf52.cfg>"),
        ("nano33ble", "bossac", "no Arduino bootloader on USB: "),
    ],
)
def test_platformio_uploads_to_the_nano(tmp_path, monkeypatch, board, tool, shown):
    if not shutil.which("arm-none-eabi-gcc"):
        pytest.skip("arm-none-eabi-gcc is not installed (gcc-arm-none-eabi)")
    shutil.copytree(SOURCES / "firmware", tmp_path / "firmware")
    shutil.copy(SOURCES / "platformio.ini", tmp_path)
    generated = tmp_path / "build" / board / "image" / "generated"
    generated.mkdir(parents=True)
    (generated / "model_table.c").write_text(TABLE)
    fake_program(tmp_path / "bin", tool, monkeypatch, SHOW)
    done, _ = pio(tmp_path, "-t", "upload", environment=f"{board}_image", **proxies("http://127.0.0.1:9"))
    assert shown in done.stdout + done.stderr
    assert (done.returncode == 0) == (tool == "openocd")

"""The PlatformIO platform: where tools come from, and uploads."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SOURCES / "firmware" / "platform" / "builder"))
import flash  # noqa: E402  (a file of the platform, not of the package)

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


def pio(folder: Path, *options: str, **variables: str) -> tuple[subprocess.CompletedProcess[str], float]:
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "platformio", "run", "-e", "stm32f746_image", *options],
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

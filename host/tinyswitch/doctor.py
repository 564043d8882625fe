"""What this machine has for the job, what it lacks, and how to get it. Needs the standard library only."""

from __future__ import annotations

import grp
import importlib.metadata
import importlib.util
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REGISTRY_SECONDS = 4
DISK_BYTES = 500_000_000  # a build with PlatformIO's folder, and some results
MARKS = {"ok": "ok", "missing": "MISSING", "optional": "-"}


@dataclass(frozen=True)
class Check:
    """One line of the report."""

    subject: str
    state: str  # ok | missing: the main job cannot run | optional: it runs without
    detail: str
    remedy: str = ""  # the command, or what to do


NO_REGISTRY = Check("PlatformIO registry", "optional", "not asked")


def examine() -> list[Check]:
    """All checks, in the order in which things are needed."""
    registry = package_registry()
    return [
        _python(),
        *_packages(),
        arm_compiler(registry),
        _host_compiler(),
        registry,
        _disk(),
        _virtual_board(),
        *_data(),
        _openocd(),
        _bossac(registry),
        *_plugged_in(),
    ]


def report(checks: list[Check]) -> str:
    """The checks as text, and whether the main job can run."""
    width = max(len(check.subject) for check in checks)
    lines = []
    for check in checks:
        lines.append(f"{MARKS[check.state]:<8}{check.subject:<{width}}  {check.detail}")
        if check.remedy:
            lines.append(f"{'':<8}{'':<{width}}  -> {check.remedy}")
    missing = [check.subject for check in checks if check.state == "missing"]
    lines.append("")
    lines.append(f"missing: {', '.join(missing)}" if missing else "The main job can run.")
    return "\n".join(lines)


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return Check("Python", "ok", f"{version} ({sys.prefix})")  # pip refuses what is too old


def _packages() -> list[Check]:
    """One line for all packages that are right, one for each that is not."""
    requirements = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    wrong = [check for check in map(_package, requirements) if check]
    right = len(requirements) - len(wrong)
    remedy = f"{sys.executable} -m pip install -e {ROOT}"
    return [
        Check("Python packages", "ok" if right else "missing", f"{right} of {len(requirements)} as required"),
        *(Check(name, "missing", detail, remedy) for name, detail in wrong),
    ]


def _package(requirement: str) -> tuple[str, str] | None:
    """(name, what is wrong) of ``NAME`` or ``NAME==X.Y.*``; None if it is installed as required."""
    match = re.match(r"\s*([A-Za-z0-9._-]+)\s*(?:==\s*([\w.*]+))?", requirement)
    name, wanted = match.group(1), match.group(2)
    try:
        found = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return name, f"not installed{f', {wanted} is needed' if wanted else ''}"
    if wanted and not (found == wanted or (wanted.endswith("*") and found.startswith(wanted[:-1]))):
        return name, f"{found} is installed, {wanted} is needed"
    return None


def _version(command: str) -> str:
    """First line of what ``command --version`` says."""
    try:
        done = subprocess.run([command, "--version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"does not start: {error}"
    return ((done.stdout or done.stderr).strip().splitlines() or ["no version given"])[0]


def arm_compiler(registry: Check) -> Check:
    """Whether firmware for ARM can be built; ``registry`` is the check of PlatformIO's."""
    subject, remedy = "ARM compiler", "sudo apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi"
    path = shutil.which("arm-none-eabi-gcc")
    core = Path(os.environ.get("PLATFORMIO_CORE_DIR") or Path.home() / ".platformio")
    if path is None:
        if (core / "packages" / "toolchain-gccarmnoneeabi").exists():
            return Check(subject, "ok", "PlatformIO's own")
        if registry.state == "ok":
            return Check(subject, "ok", "not on the PATH; PlatformIO downloads its own at the first build")
        return Check(subject, "missing", "not on the PATH, and PlatformIO cannot download it", remedy)
    library = subprocess.run(
        [path, "-print-file-name=libc.a"], capture_output=True, text=True, timeout=20, check=False
    )
    if not Path(library.stdout.strip()).is_absolute():  # the compiler repeats the name of what it lacks
        return Check(subject, "missing", f"{path} has no C library (newlib)", remedy)
    return Check(subject, "ok", f"{_version(path)} ({path})")


def _host_compiler() -> Check:
    path = shutil.which("gcc")
    if path:
        return Check("C compiler", "ok", f"{_version(path)} ({path})")
    return Check(
        "C compiler", "optional", "no gcc: no native board, no tests", "sudo apt-get install gcc libc6-dev"
    )


def package_registry() -> Check:
    """Whether PlatformIO can download tools."""
    subject = "PlatformIO registry"
    try:
        from platformio import __registry_mirror_hosts__ as hosts
    except ImportError:
        return Check(subject, "optional", "PlatformIO is not installed")
    with ThreadPoolExecutor(len(hosts)) as pool:
        answered = any(
            pool.map(_answers, [f"https://api.{host}/v3/search?query=tool-scons" for host in hosts])
        )
    if answered:
        return Check(subject, "ok", "answers")
    return Check(subject, "optional", f"no answer in {REGISTRY_SECONDS} s; the tools above are used instead")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=REGISTRY_SECONDS) as reply:
            return reply.status == 200
    except (OSError, ValueError, urllib.error.URLError):
        return False


def _disk() -> Check:
    free = shutil.disk_usage(ROOT).free
    if free >= DISK_BYTES:
        return Check("disk", "ok", f"{free / 1e9:.1f} GB free at {ROOT}")
    return Check(
        "disk", "missing", f"only {free / 1e6:.0f} MB free", f"free {DISK_BYTES / 1e6:.0f} MB of {ROOT}"
    )


def _virtual_board() -> Check:
    subject = "virtual board"
    try:
        import unicorn
    except (ImportError, OSError) as error:
        reason = str(error).splitlines()[0]
        return Check(subject, "missing", f"unicorn: {reason}", f"{sys.executable} -m pip install -e {ROOT}")
    if importlib.util.find_spec("pty") is None:
        return Check(subject, "missing", "no pseudo-terminals here", "use Linux or macOS, or a real board")
    return Check(subject, "ok", f"unicorn {unicorn.__version__}")


def _data() -> Iterator[Check]:
    text = os.environ.get("TINYSWITCH_DATA", "")
    remedy = "export TINYSWITCH_DATA=FOLDER (published weights are downloaded without it)"
    if not text:
        yield Check(
            "data", "optional", "TINYSWITCH_DATA is unset: no ImageNet images, those tests skip", remedy
        )
        return
    folder = Path(text).expanduser()
    if not folder.is_dir():
        yield Check("data", "optional", f"TINYSWITCH_DATA={text}: no such folder", remedy)
        return
    found = sorted(path.name for path in folder.iterdir() if path.is_dir())
    yield Check("data", "ok", f"{folder}: {', '.join(found) or 'empty'}")


def _openocd() -> Check:
    path = shutil.which("openocd")
    if path:
        return Check("OpenOCD", "ok", _version(path))
    return Check(
        "OpenOCD",
        "optional",
        "not on the PATH; stm32f746 is flashed through its USB drive, nano33ble-bare cannot be",
        "sudo apt-get install openocd",
    )


def _bossac(registry: Check) -> Check:
    """The program that writes through the Arduino bootloader; ``registry`` is the check of PlatformIO's."""
    subject = "bossac"
    path = shutil.which("bossac")
    if path:
        return Check(subject, "ok", f"{path} (nano33ble needs Arduino's, not the one of Debian)")
    if registry.state == "ok":
        return Check(subject, "ok", "not on the PATH; PlatformIO downloads it when nano33ble is flashed")
    return Check(
        subject,
        "optional",
        "not on the PATH; nano33ble cannot be flashed through its bootloader",
        "get Arduino's: https://github.com/arduino/BOSSA/releases",
    )


def _plugged_in() -> Iterator[Check]:
    try:
        from serial.tools import list_ports
    except ImportError:
        return
    from tinyswitch.boards.real import ARDUINO_IDS, LINK_IDS

    known = {*ARDUINO_IDS, *(one for ids in LINK_IDS.values() for one in ids)}
    ports = [port for port in list_ports.comports() if (port.vid, port.pid) in known]
    if not ports:
        yield Check("boards", "optional", "none plugged in; the virtual boards are used")
    for port in ports:
        if not os.access(port.device, os.R_OK | os.W_OK):
            yield Check("board", "optional", f"{port.device}: no permission", _permission(port.device))
        elif (port.vid, port.pid) in ARDUINO_IDS:
            detail = f"{port.description} at {port.device}, for flashing; its link is on the pins TX and RX"
            yield Check("board", "ok", detail)
        else:
            yield Check("board", "ok", f"{port.description} at {port.device}")


def _permission(device: str) -> str:
    owner = os.stat(device)
    if owner.st_mode & stat.S_IRGRP:
        return f"sudo usermod -aG {grp.getgrgid(owner.st_gid).gr_name} $USER, then log in again"
    return f"sudo chmod a+rw {device}"

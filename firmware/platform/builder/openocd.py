"""Programs a chip through a debug probe, with OpenOCD."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import failure
from failure import FlashError, told

DENIED = re.compile(r"LIBUSB_ERROR_ACCESS|unable to open CMSIS-DAP|permission denied", re.IGNORECASE)
NO_PROBE = re.compile(r"unable to find a matching|no J-Link device found|driver was not found", re.IGNORECASE)
LOCKED = re.compile(r"nrf52_recover|could not find MEM-AP|AP lock", re.IGNORECASE)


def is_there() -> bool:
    return shutil.which("openocd") is not None


def run(elf: Path, arguments: Sequence[str], package: str | None) -> tuple[bool, str]:
    """Programs ``elf``, verifies it and resets the chip; ``arguments`` choose probe and chip.

    ``package``: folder of PlatformIO's tool-openocd, whose scripts are used if it is there. Returns whether
    it worked, and what OpenOCD printed. Raises FlashError if it does not end.
    """
    command = ["openocd"]
    scripts = Path(package or "") / "openocd" / "scripts"
    if package and scripts.is_dir():
        command += ["-s", str(scripts)]
    command += [*arguments, "-c", f"program {{{elf}}} verify reset exit"]
    done = failure.run(command, "OpenOCD", "unplug the board and try again")
    return done.returncode == 0, f"{done.stdout}\nexit status {done.returncode}"


def reason(output: str) -> str:
    """The first error in what OpenOCD printed."""
    errors = re.findall(r"^Error: (.*)", output, re.MULTILINE)
    return f"OpenOCD: {errors[0] if errors else output.splitlines()[-1]}"


def upload(*, elf: Path, interfaces: Sequence[str], target: str, package: str | None) -> None:
    """Programs the chip ``target`` through the first kind of probe in ``interfaces`` that is connected.

    Both name scripts of OpenOCD. Ends the process with a message if that cannot be.
    """
    with told():
        _by_probe(elf, interfaces, target, package)


def _by_probe(elf: Path, interfaces: Sequence[str], target: str, package: str | None) -> None:
    if not is_there():
        raise FlashError("no OpenOCD on the PATH: sudo apt-get install openocd")
    for interface in interfaces:
        # a J-Link would speak JTAG otherwise
        arguments = ["-f", interface, "-c", "transport select swd", "-f", target]
        worked, output = run(elf, arguments, package)
        if worked:
            print(output)
            return
        if DENIED.search(output) or not NO_PROBE.search(output):
            print(output)
            raise FlashError(f"{reason(output)}; {_way_out(output, arguments)}")
    kinds = " or ".join(Path(interface).stem for interface in interfaces)
    raise FlashError(
        f"no debug probe found ({kinds}): connect one by USB, and its SWDIO, SWCLK and GND to the board"
    )


def _way_out(output: str, arguments: Sequence[str]) -> str:
    if DENIED.search(output):
        return (
            "no permission for the debug probe: OpenOCD's udev rules give it (/usr/share/openocd/contrib, or "
            "sudo apt-get install openocd), after it is plugged in anew"
        )
    if LOCKED.search(output):
        shown = " ".join(f"'{a}'" if " " in a else a for a in arguments)
        return (
            "the chip is locked against debuggers; this erases all of it, a bootloader too: "
            f"openocd {shown} -c 'init; nrf52_recover; exit'"
        )
    return "are SWDIO, SWCLK and GND connected to the board, and does it have power?"

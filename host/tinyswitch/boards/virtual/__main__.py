"""``python -m tinyswitch.boards.virtual ELF``: the UART is on stdin and stdout, diagnostics on stderr.

Exits with 0 when stdin has ended and the firmware is idle, with 1 and one line when it did something illegal.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from tinyswitch.boards.virtual.chip import SUPPLY_MV
from tinyswitch.boards.virtual.errors import EndOfInput, Halt
from tinyswitch.boards.virtual.firmware import Firmware
from tinyswitch.boards.virtual.line import Line
from tinyswitch.boards.virtual.machine import Machine
from tinyswitch.boards.virtual.stm32f746 import STM32F746
from tinyswitch.errors import TinyswitchError

SUPPLY_LIMITS = (1710, 3600)  # data sheet DS10916, general operating conditions; mV


def _supply(text: str) -> int:
    low, high = SUPPLY_LIMITS
    if not text.isdecimal() or not low <= int(text) <= high:
        raise argparse.ArgumentTypeError(f"{text} isn't a supply voltage of {low} to {high} mV")
    return int(text)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tinyswitch.boards.virtual", description=__doc__)
    parser.add_argument("elf", type=Path, help="firmware for the STM32F746G-DISCO")
    parser.add_argument(
        "--supply-mv", type=_supply, default=SUPPLY_MV, help="supply voltage, 1710 to 3600 mV; %(default)s"
    )
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    line = Line(sys.stdin.fileno(), sys.stdout.fileno())
    try:
        Machine(STM32F746, Firmware(options.elf), line, options.supply_mv).run()
    except EndOfInput:
        return 0
    except Halt as halt:
        print(f"virtual {STM32F746.name} stopped: {halt}", file=sys.stderr)
        return 1
    except TinyswitchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    finally:
        line.close()
    raise AssertionError("a machine only ends by raising")


if __name__ == "__main__":
    sys.exit(main())

"""``python -m tinyswitch.boards.virtual --board NAME ELF``: the board's link is on stdin and stdout,
diagnostics on stderr.

Exits with 0 when stdin has ended and the firmware is idle, with 1 and one line when it did something illegal.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from tinyswitch.boards.virtual import registry
from tinyswitch.boards.virtual.chip import SUPPLY_MV, Chip, Options
from tinyswitch.boards.virtual.errors import EndOfInput, Halt
from tinyswitch.boards.virtual.firmware import Firmware
from tinyswitch.boards.virtual.line import Line
from tinyswitch.boards.virtual.machine import Machine
from tinyswitch.boards.virtual.picture import screenshots
from tinyswitch.errors import TinyswitchError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tinyswitch.boards.virtual", description=__doc__)
    parser.add_argument("elf", type=Path, help="firmware for the board")
    parser.add_argument(
        "--board", choices=registry.NAMES, default="stm32f746", help="which board; %(default)s"
    )
    parser.add_argument("--supply-mv", default=str(SUPPLY_MV), help="supply voltage; %(default)s")
    parser.add_argument("--motion", type=Path, help="recording that is played into the motion sensor")
    parser.add_argument(
        "--motion-fast", action="store_true", help="play it as fast as this machine can, not in real time"
    )
    parser.add_argument(
        "--sensor-fault", metavar="KIND", help="motion sensor: absent, hang@SECOND or silent@SECOND-SECOND"
    )
    parser.add_argument("--audio", type=Path, help="WAV file that the microphones hear")
    parser.add_argument(
        "--audio-fast", action="store_true", help="play it as fast as this machine can, not in real time"
    )
    parser.add_argument(
        "--codec-fault",
        metavar="KIND",
        help="microphones' codec: absent, absent@SECOND-SECOND, hang@SECOND or reset@SECOND",
    )
    parser.add_argument(
        "--screenshot",
        type=Path,
        metavar="FILE.png",
        help="picture of the display: at the start, at SIGUSR1, at the end",
    )
    return parser


def _options(parser: argparse.ArgumentParser) -> tuple[Path, Chip, Options]:
    given = parser.parse_args()
    chip = registry.chip(given.board)
    low, high = chip.supply_limits
    if not given.supply_mv.isdecimal() or not low <= int(given.supply_mv) <= high:
        parser.error(f"{given.supply_mv} isn't a supply voltage of {low} to {high} mV")
    if (given.motion or given.motion_fast or given.sensor_fault) and not chip.motion_sensor:
        parser.error(f"--board {given.board} has no motion sensor: leave --motion and --sensor-fault out")
    if (given.audio or given.audio_fast or given.codec_fault) and not chip.microphones:
        parser.error(f"--board {given.board} has no microphones: leave --audio and --codec-fault out")
    if given.screenshot and not chip.display:
        parser.error(f"--board {given.board} has no display: leave --screenshot out")
    if given.screenshot and not given.screenshot.parent.is_dir():
        parser.error(f"--screenshot {given.screenshot}: there's no folder {given.screenshot.parent}; make it")
    values = {name: getattr(given, name) for name in Options.__dataclass_fields__}
    return given.elf, chip, Options(**values | {"supply_mv": int(given.supply_mv)})


def main() -> int:
    elf, chip, options = _options(_parser())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    line = Line(sys.stdin.fileno(), sys.stdout.fileno())
    try:
        machine = Machine(chip, Firmware(elf), line, options)
        with screenshots(machine, options.screenshot):
            machine.run()
    except EndOfInput:
        return 0
    except Halt as halt:
        print(f"virtual {chip.name} stopped: {halt}", file=sys.stderr)
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

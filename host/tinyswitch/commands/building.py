"""Firmware: built, and put on a board."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tinyswitch import firmware
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate import target
from tinyswitch.evaluate.target import Choice
from tinyswitch.firmware import Build, project
from tinyswitch.gestures import record

if TYPE_CHECKING:
    from tinyswitch.boards import Board

Log = Callable[[str], None]
APP = "image"  # the application that answers images
GESTURE = "gesture"  # the one that recognises motions
KEYWORD = "keyword"  # and the one that listens for words


def build_firmware(board: str, app: str, choice: Choice, log: Log) -> None:
    built = built_for(board, app, choice, log)
    print(firmware.report(built))
    print(built.elf)


def built_for(board: str, app: str, choice: Choice, log: Log) -> Build:
    project.board(board, app)  # a mistyped board is noticed before anything is converted
    if app == GESTURE:
        return firmware.build(board, app, gesture_models(choice))
    if app == KEYWORD:
        return firmware.build(board, app, keyword_models(choice))
    return firmware.build(board, app, target.entries(choice, board, log))


def gesture_models(choice: Choice) -> list[Path]:
    """``--models``, else the project's own; TinyswitchError for nets and families, which take images."""
    return _feature_models(GESTURE, choice, [record.DEFAULT])


def keyword_models(choice: Choice) -> list[Path]:
    """``--models``, else all of the project's own; errors as there."""
    from tinyswitch.keywords.record import shipped

    return _feature_models(KEYWORD, choice, shipped())


def _feature_models(app: str, choice: Choice, own: Sequence[Path]) -> list[Path]:
    if choice.net or choice.family:
        raise TinyswitchError(f"--app {app}: its models take features; give --models FILE.tflite, or none")
    return target.models(choice, lambda _: None) if choice.models else list(own)


def each(built: Build) -> Iterator[Build]:
    """The same firmware, once for each of its models, as if there were no other."""
    return (replace(built, models=(plan,)) for plan in built.models)


def build_and_flash(board: str, app: str, choice: Choice, port: str | None, log: Log) -> None:
    built = built_for(board, app, choice, log)
    print(firmware.report(built))
    firmware.upload(built, port)
    log(f"{board}: flashed")


def flash(device: Board, built: Build, log: Log) -> None:
    """Puts the firmware on a real board; where that cannot be done, the board's own has to do."""
    if device.kind != "real":
        return
    device.open()  # a port that is missing or busy is noticed before anything is written
    device.close()
    try:
        firmware.upload(built, device.path)
        log(f"{device.name}: flashed")
    except TinyswitchError as error:
        log(f"{device.name}: not flashed, so what is on it is used: {error}")

"""The embedded default: handwritten digits, classified on a board without any download."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tinyswitch import doctor, firmware, nets
from tinyswitch.commands.building import APP
from tinyswitch.commands.evaluating import connected, stream
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate import target
from tinyswitch.evaluate.figure import save
from tinyswitch.evaluate.images import Dataset, Entry, find_images

MODEL = nets.MODELS / "digits.tflite"
COLUMNS, ROWS = 10, 5  # of the picture


def run(board: str | None, port: str, log: Callable[[str], None]) -> None:
    """Builds the digits model for ``board``, streams the held-out images, prints the table, draws a picture.

    Everything goes to runs/demo-BOARD. ``board`` None is the STM32F746, or the native board where no firmware
    for it can be built. Raises TinyswitchError.
    """
    from tinyswitch.training import digits

    if not MODEL.exists():
        raise TinyswitchError(f"{MODEL}: not there; make it with: invoke train --family digits")
    board = board or _board(log)
    out = target.run_folder(None, "demo", board)
    if (out / "summary.json").exists():  # complete: a demonstration shows something every time
        for earlier in ("results.jsonl", "summary.json"):
            (out / earlier).unlink(missing_ok=True)
    digits.write_images(out / "digits")
    dataset = find_images(out / "digits")
    log(f"building the firmware for {board}")
    built = firmware.build(board, APP, [MODEL])
    with connected(board, port, built, log) as (device, prepare):
        stream(device, built, dataset, out, prepare, log)
    log(f"picture: {draw(dataset, out)}")


def _board(log: Callable[[str], None]) -> str:
    compiler = doctor.arm_compiler(doctor.NO_REGISTRY)
    if compiler.state != "ok":
        compiler = doctor.arm_compiler(doctor.package_registry())
    if compiler.state == "ok":
        return "stm32f746"
    log(f"ARM compiler: {compiler.detail}; the native board is used instead (install: {compiler.remedy})")
    return "native"


def draw(dataset: Dataset, out: Path) -> Path:
    """``picture.png``: images of a run with the board's answers; whatever it got wrong is there, in red."""
    import matplotlib

    matplotlib.use("Agg")  # needs no display
    from matplotlib import pyplot

    lines = [json.loads(line) for line in (out / "results.jsonl").read_text(encoding="utf-8").splitlines()]
    answers = {line["image"]: line for line in lines}
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    figure, axes = pyplot.subplots(ROWS, COLUMNS, figsize=(COLUMNS, ROWS * 1.2))
    for axis in axes.flat:
        axis.axis("off")
    for axis, entry in zip(axes.flat, _shown(dataset, answers), strict=False):
        answer = answers[entry.name]["top5"][0][0]
        axis.imshow(pyplot.imread(entry.path), cmap="gray")
        axis.set_title(
            dataset.class_names.get(answer, str(answer)), color="black" if answer == entry.label else "red"
        )
    figure.suptitle(_headline(summary))
    return save(figure, out / "picture.png", dpi=100)


def _shown(dataset: Dataset, answers: dict[str, dict[str, Any]]) -> list[Entry]:
    """As many entries as the picture has room for, in order, those with a wrong answer first of all."""
    answered = [entry for entry in dataset.entries if entry.name in answers]
    room = COLUMNS * ROWS
    chosen = sorted(answered, key=lambda entry: answers[entry.name]["top5"][0][0] == entry.label)[:room]
    return [entry for entry in answered if entry in chosen]


def _headline(summary: dict[str, Any]) -> str:
    board = (
        summary["board"] if summary["board"] == summary["kind"] else f"{summary['kind']} {summary['board']}"
    )
    return (
        f"{summary['model']} on the {board} board: {100 * summary['top1']:.1f} % of "
        f"{summary['answered']}, {summary['ram']['total'] / 1000:.1f} kB RAM"
    )

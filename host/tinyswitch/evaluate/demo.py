"""The embedded default: handwritten digits, classified on a board without any download."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tinyswitch import data, doctor, nets
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate import target
from tinyswitch.evaluate.commands import stream
from tinyswitch.evaluate.images import Dataset, find_images

MODEL = nets.MODELS / "digits.tflite"
COLUMNS, ROWS = 10, 5  # of the picture


def run(board: str | None, port: str, log: Callable[[str], None]) -> None:
    """Builds the digits model for ``board``, streams the held-out images, prints the table, draws a picture.

    Everything goes to runs/demo-BOARD. ``board`` None is the STM32F746, or the native board where no firmware
    for it can be built. Raises TinyswitchError.
    """
    from tinyswitch.training import digits

    if not MODEL.exists():
        raise TinyswitchError(f"{MODEL}: not there; make it with: invoke train --net digits")
    board = board or _board(log)
    out = target.run_folder(None, "demo", board)
    for earlier in ("results.jsonl", "summary.json"):  # a demonstration shows something every time
        (out / earlier).unlink(missing_ok=True)
    digits.write_images(out / "digits")
    dataset = find_images(out / "digits")
    stream(board, port, MODEL, dataset, out, log)
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
    """``picture.png``: the first images of a run, each with the board's answer, wrong ones in red."""
    import matplotlib

    matplotlib.use("Agg")  # needs no display
    from matplotlib import pyplot

    lines = [json.loads(line) for line in (out / "results.jsonl").read_text(encoding="utf-8").splitlines()]
    answers = {line["image"]: line for line in lines}
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    figure, axes = pyplot.subplots(ROWS, COLUMNS, figsize=(COLUMNS, ROWS * 1.2))
    for axis in axes.flat:
        axis.axis("off")
    for axis, entry in zip(axes.flat, dataset.entries, strict=False):
        image = pyplot.imread(entry.path)
        answer = answers[entry.name]["top5"][0][0]
        axis.imshow(image, cmap="gray")
        axis.set_title(
            dataset.class_names.get(answer, str(answer)), color="black" if answer == entry.label else "red"
        )
    figure.suptitle(_headline(summary))
    path = out / "picture.png"
    content = io.BytesIO()
    figure.savefig(content, dpi=100)
    pyplot.close(figure)
    data.write_file(path, content.getvalue())
    return path


def _headline(summary: dict[str, Any]) -> str:
    return (
        f"{summary['model']} on {summary['board']} ({summary['kind']}): {100 * summary['top1']:.1f} % of "
        f"{summary['answered']}, {summary['ram']['total'] / 1000:.1f} kB RAM"
    )

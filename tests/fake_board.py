"""A board without a process: LiteRT answers, and faults come when a test asks for them."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from PIL import Image

from tinyswitch.boards.board import Board
from tinyswitch.compiler.tflite_writer import TfliteWriter
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate.litert import LiteRtModel
from tinyswitch.evaluate.summary import ranking
from tinyswitch.firmware import Build
from tinyswitch.link import BoardInfo, ModelInfo, Result

SIZE = 8
MEMORY = {
    "ram": {"activations": 1000, "scratch": 200, "static": 30, "stack_reserved": 8192, "total": 9422},
    "flash": {"weights": 500, "tables": 60, "code": 7000, "total": 7560, "capacity": 1 << 20},
}


def write_model(path: Path, classes: int = 10, seed: int = 1) -> Path:
    """A fully connected layer on 8x8 RGB pixels, weights drawn at random."""
    rng = np.random.default_rng(seed)
    pixels = SIZE * SIZE * 3
    writer = TfliteWriter()
    image = writer.tensor((1, SIZE, SIZE, 3), scale=1 / 255, zero_point=-128)
    weights = writer.tensor(
        (classes, pixels), scale=0.01, data=rng.integers(-127, 127, (classes, pixels), np.int8)
    )
    bias = writer.tensor((classes,), np.int32, scale=0.01 / 255, data=np.zeros(classes, np.int32))
    scores = writer.tensor((1, classes), scale=0.1)
    writer.op("FULLY_CONNECTED", [image, weights, bias], [scores])
    path.write_bytes(writer.build([image], [scores]))
    return path


def write_images(folder: Path, count: int, classes: int = 10, size: int = SIZE) -> Path:
    """``labels.csv`` and ``images/`` of noise."""
    rng = np.random.default_rng(2)
    (folder / "images").mkdir(parents=True)
    lines = ["file,class_index,name"]
    for number in range(count):
        pixels = rng.integers(0, 255, (size, size, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number:03}.png")
        lines.append(f"{number:03}.png,{number % classes},class {number % classes}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder


class FakeBoard(Board):
    """Counts what it is sent; ``faults`` maps the number of an attempt to what comes instead of an answer."""

    name, kind, cycle_model = "stm32f746", "virtual", "one cycle per instruction; an estimate"
    counts_instructions = True

    def __init__(self, model: Path, faults: dict[int, BaseException] | None = None):
        self.model = LiteRtModel(model)
        self.id = zlib.crc32(model.read_bytes())
        self.faults = faults or {}
        self.sent: list[bytes] = []  # frames, one an attempt
        self.opened = 0
        self.stopped: str | None = None  # what failure() says
        self.gone_after: int | None = None  # attempts after which it cannot be opened again
        self.corrupt: Callable[[list[np.ndarray]], list[np.ndarray]] = lambda outputs: outputs

    def open(self):
        if self.gone_after is not None and len(self.sent) > self.gone_after:
            raise TinyswitchError("/dev/ttyACM0: no such port")
        self.opened += 1
        return self

    def close(self) -> None:
        pass

    def failure(self) -> str | None:
        return self.stopped

    def client(self, port: object) -> FakeClient:
        assert port is self
        return FakeClient(self)


class FakeClient:
    def __init__(self, board: FakeBoard):
        self._board = board

    def hello(self) -> BoardInfo:
        return BoardInfo(
            board="stm32f746",
            firmware="0.1.0",
            app="image",
            clock_hz=216_000_000,
            reset_cause="power",
            arena_bytes=1200,
            n_models=1,
            rx_bytes=8192,
            payload_bytes=512,
            fault=None,
        )

    def models(self) -> list[ModelInfo]:
        model = self._board.model
        return [ModelInfo(0, "m", self._board.id, model.input, model.outputs, 1920, 1200, 1000, 500)]

    def select(self, index: int) -> None:
        assert index == 0

    def set_baud(self, baud: int) -> None:
        pass

    def close(self) -> None:
        pass

    def infer(self, frame: np.ndarray) -> Result:
        board = self._board
        board.sent.append(frame.tobytes())
        fault = board.faults.get(len(board.sent) - 1)
        if fault is not None:
            raise fault
        outputs = board.corrupt([output.copy() for output in board.model.run(frame)])
        top5 = [(index, int(outputs[0].ravel()[index])) for index in ranking(outputs[0])]
        return Result(outputs, top5, 1000 + len(board.sent), 700 + len(board.sent), 1200, 0)


def build_of(model: Path) -> Build:
    """What tinyswitch.firmware.build would return for ``model``."""
    content = LiteRtModel(model)
    plan = SimpleNamespace(
        name=model.stem,
        source=model,
        id=zlib.crc32(model.read_bytes()),
        input=content.input,
        outputs=content.outputs,
    )
    return Build("stm32f746", "image", model, (plan,), MEMORY)

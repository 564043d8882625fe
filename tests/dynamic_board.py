"""A board that switches, without a process: the real policies, LiteRT's answers, and a clock of its own."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from fake_board import MEMORY
from tinyswitch.boards.board import Board
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate.litert import LiteRtModel
from tinyswitch.evaluate.summary import ranking
from tinyswitch.firmware import Build
from tinyswitch.link import BoardInfo, Decision, LinkError, ModelInfo, Result
from tinyswitch.link.messages import ErrorCode, Type
from tinyswitch.switcher import Budget, Chooser, Option, Policy

CLOCK_HZ = 1_000_000  # a tick is a microsecond
ARENA = 8000


class SwitchingBoard(Board):
    """Entry i takes ``cycles[i]`` ticks and ``rams[i]`` bytes; its models stand in the table backwards.

    ``faults`` maps the number of an inference to what comes instead of its answer.
    """

    name, kind, cycle_model = "stm32f746", "virtual", "ticks of a fake"
    counts_instructions = True

    def __init__(self, models: Sequence[Path], cycles: Sequence[int], rams: Sequence[int]):
        self.models = [LiteRtModel(path) for path in models]
        self.ids = [zlib.crc32(path.read_bytes()) for path in models]
        self.names = [path.stem for path in models]
        self.cycles, self.rams = list(cycles), list(rams)
        self.faults: dict[int, BaseException] = {}
        self.inferences = self.opened = 0
        self.calls: list[tuple[str, float, int]] = []  # what, CPU share of other work, ticks
        self.others: list[Board] = []
        self.damaged = 0
        self.corrupt = False  # from now on, an output is wrong
        self.on_infer = lambda: None

    def open(self):
        self.opened += 1
        return self

    def close(self) -> None:
        pass

    def beside(self) -> list[Board]:
        return self.others

    def client(self, port: SwitchingBoard) -> SwitchingClient:
        return SwitchingClient(port)


class SwitchingClient:
    """What ``tinyswitch.link.Client`` is to a real one; a session begins with it."""

    def __init__(self, board: SwitchingBoard):
        self._board = board
        self._count = len(board.models)
        self._options = [
            Option(board.rams[e], board.cycles[e]) for e in map(self._entry_of, range(self._count))
        ]
        self._chooser = Chooser(Policy("fixed"), self._options)
        self._ticks = 0
        self._selected = 0
        self._cpu, self._ram, self._deadline_us, self._battery = 0.0, 0, 0, None
        self._used = 0

    def _entry_of(self, index: int) -> int:
        """Of the table's index, the board's place."""
        return self._count - 1 - index

    def hello(self) -> BoardInfo:
        return BoardInfo(
            "stm32f746", "0.1.0", "image", CLOCK_HZ, "power", ARENA, self._count, 8192, 512, None
        )

    def models(self) -> list[ModelInfo]:
        found = []
        for index in range(self._count):
            place = self._entry_of(index)
            model, board = self._board.models[place], self._board
            name, crc, ram = board.names[place], board.ids[place], board.rams[place]
            found.append(ModelInfo(index, name, crc, model.input, model.outputs, 1, ram, ram, 1))
        return found

    def set_baud(self, baud: int) -> None:
        pass

    def close(self) -> None:
        pass

    def policy(self, policy: Policy) -> None:
        self._chooser = Chooser(policy, self._options)

    def task(self, slot: int, priority: int, cpu: float, ram: int = 0) -> int:
        assert priority > 128, "the load must interrupt inference"
        self._board.calls.append(("task", cpu, self._ticks))
        self._cpu, self._ram = cpu, ram
        return ram

    def limits(self, deadline_us: int = 0, battery: float | None = None) -> None:
        self._deadline_us, self._battery = deadline_us, battery

    def status(self) -> SimpleNamespace:
        self._ticks += CLOCK_HZ // 100
        return SimpleNamespace(ticks=self._ticks, budget=self._budget(), damaged=self._board.damaged)

    def _budget(self) -> Budget:
        return Budget(ARENA - self._ram, CLOCK_HZ, self._deadline_us, 1 - self._cpu, self._battery)

    def next(self, group: int = 0, again: bool = False) -> Decision:
        budget = self._budget()
        self._board.calls.append(("next", 1 - budget.cpu, self._ticks))
        if again:
            choice = self._chooser.escalate(budget, self._selected, self._margin, self._used)
        else:
            choice, self._used = self._chooser.choose(budget), 0
        self._selected = choice.option
        return Decision(choice.option, choice.reason, choice.fits, choice.escalate, 0, budget, 7)

    def infer(self, frame: np.ndarray, during=()) -> Result:
        board, place = self._board, self._entry_of(self._selected)
        if board.rams[place] > ARENA - self._ram:
            raise LinkError("tasks leave too little memory", ErrorCode.RAM)
        board.on_infer()
        board.inferences += 1
        fault = board.faults.pop(board.inferences - 1, None)
        if fault is not None:
            raise fault
        ticks = self._run(board.cycles[place], during)
        outputs = [output.copy() for output in board.models[place].run(frame)]
        if board.corrupt:
            outputs[0].flat[0] ^= 1
        scores = np.sort(outputs[0].ravel().astype(int))[::-1]
        self._margin = float(scores[0] - scores[1]) * board.models[place].outputs[0].scale
        self._used += ticks
        top5 = [(index, int(outputs[0].ravel()[index])) for index in ranking(outputs[0])]
        stolen = ticks - board.cycles[place]
        return Result(outputs, top5, ticks, 700, board.rams[place], 0, stolen=stolen)

    def _run(self, cycles: int, during) -> int:
        """Ticks that ``cycles`` of own work take, while commands arrive at fractions of it."""
        passed = done = 0.0
        for at, (kind, payload) in [*during, (1.0, (None, b""))]:
            passed += (at - done) * cycles / (1 - self._cpu)
            done = at
            if kind == Type.TASK:
                _, _, cpu, self._ram = struct.unpack("<BBHI", payload)
                self._cpu = cpu / 1000
            elif kind == Type.LIMITS:
                self._deadline_us, battery = struct.unpack("<IH", payload)
                self._battery = None if battery == 0xFFFF else battery / 1000
        self._ticks += round(passed)
        return round(passed)


def build_of(models: Sequence[Path], rams: Sequence[int]) -> Build:
    """What tinyswitch.firmware.build would return for ``models``."""
    plans = []
    for path, ram in zip(models, rams, strict=True):
        content = LiteRtModel(path)
        plans.append(
            SimpleNamespace(
                name=path.stem,
                source=path,
                id=zlib.crc32(path.read_bytes()),
                input=content.input,
                outputs=content.outputs,
                arena_bytes=ram,
            )
        )
    return Build("stm32f746", "image", models[0], tuple(plans), MEMORY)


class Gone(TinyswitchError):
    """For faults."""

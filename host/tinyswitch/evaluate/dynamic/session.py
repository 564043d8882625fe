"""One policy on one board, over a link that may fail."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import serial

from tinyswitch.boards.board import Board
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate.dynamic.trace import Load
from tinyswitch.evaluate.session import Session
from tinyswitch.link import Client, Decision, LinkError, Result, requests
from tinyswitch.link.channel import Request
from tinyswitch.link.messages import ErrorCode
from tinyswitch.switcher import Policy

SETTLE_S = 0.04  # of the board's time: what the monitor looks back over is then under the new load
SETTLE_LIMIT_S = 60.0  # of this machine's: an emulated board may be slow
LEARN_RUNS = 5  # of each entry, where two take different times
SLOT, PRIORITY = 0, 200  # of the trace's load: above inference

Frames = Callable[[int], np.ndarray]  # model -> the frame as it takes it
During = Sequence[tuple[float, Load]]  # fraction of a frame's computation -> what is in force from there on


@dataclass(frozen=True)
class Outcome:
    """What a board made of one frame."""

    decisions: list[Decision]  # one, or as many as a cascade took
    models: list[int]  # that were chosen, in order
    results: list[Result]  # of them; the last is missing if there was no RAM for it (fixed choices)

    @property
    def cycles(self) -> int:
        """Ticks from the begin of the computation to its end, other work included."""
        return sum(result.cycles for result in self.results)

    @property
    def stolen(self) -> int:
        """Ticks that other work took of these."""
        return sum(result.stolen for result in self.results)


def load_requests(load: Load) -> list[Request]:
    """What sets a load, as frames of the link."""
    return [
        requests.task(SLOT, PRIORITY, load.cpu, load.ram_bytes),
        requests.limits(load.deadline_us, load.battery),
    ]


class PolicySession(Session):
    """Keeps a board ready to answer frames under one policy and a load. A context manager.

    Entries are named by their place in ``models``, ids of ``.tflite`` files, whatever the board's table.
    """

    def __init__(
        self,
        board: Board,
        models: Sequence[int],
        policy: Policy,
        learn: Frames,
        note: Callable[[str], None],
        client: Callable[[serial.Serial], Client] = Client,
    ):
        """``learn``: frames that the board runs every entry on, so that it knows what each takes."""
        super().__init__(board, models[0], note, client)
        self._models, self._policy, self._learn = models, policy, learn
        self._load = Load()
        self._settled = True
        self.indices: list[int] = []  # of the entries in the board's table
        self.cycles: list[int] = []  # of each entry, learned without load
        self.free_ram = 0  # bytes, without load

    def load(self, load: Load) -> None:
        """Sets what is in force from now on, until the next frame's ``during`` or ``load``."""
        if load != self._load:
            self._load, self._settled = load, False
            self._repeat(lambda: self._set_load(load))

    def frame(self, frames: Frames, during: During = ()) -> Outcome:
        """Lets the board choose, and answer one frame, as often as it escalates.

        ``during`` happens in the first inference. Raises as ``infer``.
        """
        outcome = self._repeat(lambda: self._frame(frames, during))
        if during:
            self._load, self._settled = during[-1][1], False
        return outcome

    def check(self) -> None:
        """Raises TinyswitchError if inference has written to memory of the other work."""
        damaged = self._repeat(lambda: self._client.status()).damaged
        if damaged:
            raise TinyswitchError(
                f"{self._board.name}: {damaged} words of other work's RAM were overwritten: a fault of the "
                "firmware; run verify, and report it"
            )

    def _frame(self, frames: Frames, during: During) -> Outcome:
        if not self._settled:
            self._settle()
        commands = [(at, request) for at, load in during for request in load_requests(load)]
        outcome = Outcome([], [], [])
        while True:
            decision = self._client.next(again=bool(outcome.results))
            outcome.decisions.append(decision)
            if outcome.results and not decision.escalate:
                return outcome
            model = self.indices.index(decision.entry)
            outcome.models.append(model)
            try:
                outcome.results.append(self._client.infer(frames(model), [] if outcome.results else commands))
            except LinkError as error:
                if error.code == ErrorCode.RAM:
                    return outcome
                raise
            if self._policy.kind != "cascade":
                return outcome

    def _find_models(self) -> None:
        super()._find_models()
        self.indices = [self._find_model(model).index for model in self._models]

    def _set_up(self) -> None:
        """Also after a restart: entries learned, then the policy from its beginning, then the load."""
        self._set_load(Load())
        self._wait()
        self.free_ram = self._client.status().budget.ram_bytes
        self.cycles = [self._learned(model) for model in range(len(self._models))]
        policy = self._policy
        if policy.kind == "fixed":
            policy = Policy("fixed", option=self.indices[policy.option])
        self._client.policy(policy)
        self._set_load(self._load)
        self._settled = False

    def _learned(self, model: int) -> int:
        self._client.policy(Policy("fixed", option=self.indices[model]))
        frame = self._learn(model)
        runs = 1 if self._board.counts_instructions else LEARN_RUNS
        found = []
        for _ in range(runs):
            self._client.next()
            found.append(self._client.infer(frame).cycles)
        return min(found)

    def _set_load(self, load: Load) -> None:
        self._client.task(SLOT, PRIORITY, load.cpu, load.ram_bytes)
        self._client.limits(load.deadline_us, load.battery)

    def _settle(self) -> None:
        self._wait()
        self._settled = True

    def _wait(self) -> None:
        """Until the board's clock has gone on by SETTLE_S. Emulated boards do not keep to this machine's."""
        begin, limit = self._client.status().ticks, time.monotonic() + SETTLE_LIMIT_S
        while self._client.status().ticks - begin < SETTLE_S * self.info.clock_hz:
            if time.monotonic() > limit:
                raise TinyswitchError(
                    f"{self._board.name}: its clock did not go on by {SETTLE_S * 1e3:g} ms within "
                    f"{SETTLE_LIMIT_S:g} s; restart the board"
                )

"""One model on one board, over a link that may fail."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import numpy as np
import serial

from tinyswitch.boards.board import Board
from tinyswitch.errors import TinyswitchError
from tinyswitch.link import BoardInfo, BoardReset, Client, LinkError, LinkLost, ModelInfo, Result

LOST_IN_A_ROW = 3  # frames; after so many there is no point in going on
ATTEMPTS = 3  # times a frame is sent before it counts as lost
REOPEN_S = 10.0  # a board that was pulled out or restarts its USB port has this long to come back
FAST_BAUDS = (2_000_000, 1_000_000, 921_600, 460_800, 230_400)


Answer = TypeVar("Answer")


class FrameLost(Exception):
    """A frame got no answer in ``ATTEMPTS`` attempts; the board is there and may take the next."""


class Losses:
    """Frames that were lost one after the other; ``LOST_IN_A_ROW`` of them end a run."""

    def __init__(self, board: Board, frames: str, kept: Callable[[], str], note: Callable[[str], None]):
        """``frames``: what they are, as a plural; ``kept``: what is not lost with them, and where it is."""
        self._board, self._frames, self._kept, self._note = board, frames, kept, note
        self._count = 0

    def add(self, name: str, error: FrameLost) -> None:
        """Tells of one; raises TinyswitchError if there is no point in going on."""
        self._count += 1
        self._note(f"{name}: lost: {error}")
        if self._count == LOST_IN_A_ROW:
            raise TinyswitchError(
                f"{self._board.name}: {self._count} {self._frames} in a row got no answer; {self._kept()}"
            ) from None

    def end(self) -> None:
        """A frame was answered."""
        self._count = 0


def facts(board: Board, info: BoardInfo) -> dict[str, Any]:
    """What a run's facts say of the board and how it counts."""
    return {
        "clock_hz": info.clock_hz,
        "engine": f"tinyswitch {info.firmware}",
        "cycle_model": board.cycle_model,
        "counts_instructions": board.counts_instructions,
    }


class Session:
    """Keeps a board ready to answer with one model. A context manager that opens and closes the board.

    ``note`` gets a line for the user whenever something went wrong and was mended.
    """

    what = "image"  # that is sent

    def __init__(
        self,
        board: Board,
        model_id: int,
        note: Callable[[str], None],
        client: Callable[[serial.Serial], Client] = Client,
    ):
        self._board = board
        self._model_id = model_id
        self._note = note
        self._make_client = client
        self._client: Client
        self._slow_bauds: set[int] = set()  # speeds that did not work
        self._profile = False
        self.info: BoardInfo
        self.model: ModelInfo

    def __enter__(self) -> Session:
        try:
            self._open()
            if self.info.fault:
                self._note(f"{self._board.name}: before its last restart: {self.info.fault}")
        except BaseException as error:
            failure = self._board.failure()
            self._board.close()
            if failure and isinstance(error, LinkError):
                raise TinyswitchError(f"{self._board.name}: {failure}") from None
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(LinkError):
            self._client.close()
        self._board.close()

    def profile(self, on: bool) -> None:
        """Whether the results from now on have a profile, also if the board has to be opened again."""
        if on == self._profile:
            return
        self._profile = on
        try:
            self._client.profile(on)
        except LinkLost as error:
            self._recover(error)

    def infer(self, frame: np.ndarray) -> Result:
        """The board's answer to an 8-bit frame (h, w, c).

        Raises FrameLost, or TinyswitchError when the board is gone or has stopped by itself.
        """
        return self._repeat(lambda: self._client.infer(frame))

    def _repeat(self, send: Callable[[], Answer]) -> Answer:
        """What ``send`` returns, in as many attempts as it takes; raises as ``infer``."""
        reason = ""
        for attempt in range(ATTEMPTS):
            try:
                return send()
            except LinkError as error:
                reason = str(error)
                if attempt + 1 < ATTEMPTS:
                    self._note(f"{reason}; the {self.what} is sent again")
                self._recover(error)
        raise FrameLost(f"{reason} ({ATTEMPTS} attempts)")

    def _recover(self, error: LinkError) -> None:
        failure = self._board.failure()
        if failure:
            raise TinyswitchError(f"{self._board.name}: {failure}")
        if not isinstance(error, LinkLost):  # the board answers, but refused something
            self._set_up()
            return
        deadline = time.monotonic() + REOPEN_S
        while True:
            self._board.close()
            try:
                self._open()
                return
            except (TinyswitchError, serial.SerialException, OSError) as again:
                if time.monotonic() > deadline:
                    what = (
                        "restarts again and again" if isinstance(again, BoardReset) else "does not come back"
                    )
                    raise TinyswitchError(f"{self._board.name}: {what}: {again}") from None
                time.sleep(0.5)

    def _open(self) -> None:
        self._client = self._make_client(self._board.open())
        self.info = self._client.hello()
        self._find_models()
        if self._board.kind != "native":  # which has no line
            self._speed_up()
        self._set_up()

    def _find_models(self) -> None:
        self.model = self._find_model(self._model_id)

    def _find_model(self, model_id: int) -> ModelInfo:
        models = self._client.models()
        found = [model for model in models if model.id == model_id]
        if not found:
            names = ", ".join(model.name for model in models) or "none"
            raise TinyswitchError(
                f"{self._board.name}: its firmware lacks the model (has: {names}); run build-flash first"
            )
        return found[0]

    def _set_up(self) -> None:
        """Makes the board ready for the next image, whatever happened before."""
        self._client.select(self.model.index)
        if self._profile:
            self._client.profile(True)

    def _speed_up(self) -> None:
        """Takes the fastest speed that the board, its cable and this computer manage."""
        for baud in FAST_BAUDS:
            if baud in self._slow_bauds:
                continue
            try:
                self._client.set_baud(baud)
                return
            except BoardReset:
                raise
            except LinkError:  # both ends are at 115,200 baud again
                self._slow_bauds.add(baud)


class AppSession(Session):
    """A session with a board whose firmware is another application than the images'."""

    what = "recording"

    def __init__(
        self,
        board: Board,
        app: str,
        model_id: int,
        entry: str,
        note: Callable[[str], None],
        client: Callable[[serial.Serial], Client] = Client,
    ):
        """``entry``: the name under which the model stands in the table of the firmware ``app``."""
        super().__init__(board, model_id, note, client)
        self._app, self._entry_name = app, entry

    def _find_models(self) -> None:
        again = f"run build-flash --app {self._app} first"
        if self.info.app != self._app:
            raise TinyswitchError(f"{self._board.name}: the application on it is {self.info.app!r}; {again}")
        self._find_model(self._model_id)
        for model in self._client.models():
            if (model.id, model.name) == (self._model_id, self._entry_name):
                self.model = model
                return
        raise TinyswitchError(f"{self._board.name}: its firmware lacks {self._entry_name}; {again}")

"""The host's end of the link."""

from __future__ import annotations

import contextlib
import math
import struct
from collections.abc import Sequence

import numpy as np
import serial

from tinyswitch.link import requests
from tinyswitch.link.channel import BASE_BAUD, POLL_RESERVE, Channel, Request
from tinyswitch.link.errors import BoardReset, LinkError, LinkLost
from tinyswitch.link.messages import (
    BoardInfo,
    Decision,
    EntryInfo,
    ModelInfo,
    Profile,
    Result,
    Stages,
    Status,
    Summary,
    Type,
    split_outputs,
)
from tinyswitch.switcher.policy import Policy

HELLO_SECONDS = 10.0  # a board may still be starting
BOOT_SECONDS = 2.0  # a restart takes less
NEW_SPEED_SECONDS = 0.9  # a board that hears nothing at a new speed returns to the old one after 1 s
FRAME_BYTES = 20  # of a DATA frame beyond its part of the image, at most
MIN_FRAMES = 4  # that fit into the window, so that the line never falls silent


class Client:
    """Talks to one board over an open serial port at 115,200 baud; the port stays the caller's.

    Lost and damaged frames are sent again. Every method raises :class:`LinkError` if the board refuses,
    :class:`LinkLost` if the port vanishes or there is no progress for ``timeout_s`` seconds, and
    :class:`BoardReset` if the board restarts; after the last two, only :meth:`hello` helps.
    """

    def __init__(self, port: serial.Serial, *, timeout_s: float = 60.0):
        self._channel = Channel(port, timeout_s)
        self._info: BoardInfo | None = None
        self._models: list[ModelInfo] = []
        self._selected = 0
        self._profile = False

    def hello(self) -> BoardInfo:
        """Begins a session: the board forgets all before it, has no tasks or limits then, selects model 0,
        and takes no profile."""
        self._models = []
        self._selected = 0
        self._profile = False
        self._info = self._channel.hello(min(HELLO_SECONDS, self._channel.timeout_s))
        return self._info

    def models(self) -> list[ModelInfo]:
        """The board's model table."""
        if not self._models:
            self._models = [self._describe(i) for i in range(self._board().n_models)]
        return self._models

    def _board(self) -> BoardInfo:
        return self._info or self.hello()

    def _describe(self, index: int) -> ModelInfo:
        info, n_outputs = self._describe_from(index, 0)
        while len(info.outputs) < n_outputs:
            more = self._describe_from(index, len(info.outputs))[0].outputs
            if not more:
                raise LinkError(
                    f"{self._channel.name}: model {index} lacks outputs; build the firmware again"
                )
            info.outputs.extend(more)
        return info

    def _describe_from(self, index: int, output: int) -> tuple[ModelInfo, int]:
        return ModelInfo.unpack(self._channel.command(Type.DESCRIBE, struct.pack("<HH", index, output)))

    def select(self, index: int) -> None:
        """Uses model ``index`` from the next image on."""
        self._board()
        self._channel.command(Type.SELECT, struct.pack("<H", index))
        self._selected = index

    def profile(self, on: bool) -> None:
        """Whether the results of the images from the next one on tell what each stage took."""
        self._board()
        self._channel.command(Type.PROFILE, bytes([on]))
        self._profile = on

    def table(self) -> list[EntryInfo]:
        """What is known of the entries of the model table: cycles may have been learned meanwhile."""
        return [
            EntryInfo.unpack(self._channel.command(Type.TABLE, struct.pack("<H", i)))
            for i in range(self._board().n_models)
        ]

    def policy(self, policy: Policy, priority: int = requests.INFERENCE_PRIORITY) -> None:
        """How :meth:`next` chooses; ``priority`` is that of inference among the tasks.

        ``policy.option`` is an entry of the model table. Forgets what the policy before remembered.
        """
        self.send(requests.policy(policy, priority))

    def task(self, slot: int, priority: int, cpu: float, ram: int = 0) -> int:
        """Gives the board other work to do; returns the bytes of RAM that it is granted now.

        ``cpu`` is a share of the processor (0..1, 0.95 for all tasks together), ``ram`` in bytes; both 0 end
        the task. Tasks of a priority above that of inference interrupt it. What a frame under way uses is not
        granted; that follows at the next frame.
        """
        return int.from_bytes(self.send(requests.task(slot, priority, cpu, ram)), "little")

    def limits(self, deadline_us: int = 0, battery: float | None = None) -> None:
        """Time that a frame may take to compute (0: any), charge of the battery (None: by supply voltage)."""
        self.send(requests.limits(deadline_us, battery))

    def next(self, group: int = 0, again: bool = False) -> Decision:
        """Lets the board choose the entry for the next frame of a group of the table; it is selected.

        ``again``: after a frame has been answered, whether it is to be given to another entry, too
        (``escalate``); if not, everything stays as it is.
        """
        self._board()
        answer = self._channel.command(Type.NEXT, bytes([group, again]))
        decision = Decision.unpack(answer, self._board().clock_hz)
        self._selected = decision.entry
        return decision

    def status(self) -> Status:
        """How the board is doing."""
        self._board()
        return Status.unpack(self._channel.command(Type.STATUS), self._board().clock_hz)

    def send(self, request: Request) -> bytes:
        """Sends a command of ``tinyswitch.link.requests`` or ``.gesture``; returns its answer's payload."""
        self._board()
        return self._channel.command(*request)

    def infer(self, frame: np.ndarray, during: Sequence[tuple[float, Request]] = ()) -> Result:
        """Streams one image to the board and returns what the selected model makes of it.

        ``frame`` has the shape (height, width, channels) and the dtype of the model's input; else ValueError.
        ``during``: commands of ``tinyswitch.link.requests``, each sent when that part (0..1) of the image's
        frames has been.
        """
        info = self.models()[self._selected]
        if frame.shape != info.input.shape or frame.dtype != info.input.dtype:
            takes = f"{info.input.dtype} {info.input.shape}"
            raise ValueError(f"frame is {frame.dtype} {frame.shape}, {info.name} takes {takes}")
        summary = Summary.unpack(self._channel.exchange(self._image(frame.tobytes(), during)))
        outputs = self._outputs(summary, sum(math.prod(o.shape) for o in info.outputs))
        return Result(
            outputs=split_outputs(outputs, info.outputs),
            top5=summary.top5,
            cycles=summary.cycles,
            stack_peak=summary.stack_peak,
            arena_bytes=summary.arena_bytes,
            rx_lost=summary.rx_lost,
            profile=self._stages() if self._profile else None,
            stolen=summary.stolen,
        )

    def _stages(self) -> Profile:
        ticks, steps = [], []
        while True:
            part = Stages.unpack(self._channel.command(Type.STAGES, struct.pack("<H", len(ticks))))
            ticks += part.ticks
            steps += part.steps
            if len(ticks) == part.count:
                return Profile(ticks, steps, part.overhead)
            if not part.ticks:
                raise LinkError(
                    f"{self._channel.name}: {len(ticks)} of {part.count} stages; build the firmware again"
                )

    def _image(self, data: bytes, during: Sequence[tuple[float, Request]]) -> list[Request]:
        """BEGIN, the image in parts with other commands between them, FINISH."""
        board = self._board()
        part = min(board.payload_bytes - 4, (board.rx_bytes - POLL_RESERVE) // MIN_FRAMES - FRAME_BYTES)
        parts = [
            (Type.DATA, struct.pack("<I", at) + data[at : at + part]) for at in range(0, len(data), part)
        ]
        places = [round(min(max(part, 0.0), 1.0) * len(parts)) for part, _ in during]
        late_first = sorted(zip(places, during, strict=True), key=lambda it: it[0])[::-1]
        for place, (_, request) in late_first:
            parts.insert(place, request)
        return [(Type.BEGIN, b""), *parts, (Type.FINISH, b"")]

    def _outputs(self, summary: Summary, expected: int) -> bytes:
        data = summary.outputs
        while len(data) < summary.output_bytes:
            answer = self._channel.command(Type.READ, struct.pack("<I", len(data)))
            if len(answer) <= 4:
                break
            data += answer[4:]
        if len(data) != expected:
            raise LinkError(
                f"{self._channel.name}: {len(data)} bytes of outputs, the model has {expected}; "
                "build the firmware again"
            )
        return data

    def set_baud(self, baud: int) -> None:
        """Changes the speed of board and port; if that fails, both are at 115,200 baud again."""
        self._board()
        channel = self._channel
        channel.command(Type.SET_BAUD, struct.pack("<I", baud))
        try:
            channel.port.baudrate = baud
            channel.synchronise(min(NEW_SPEED_SECONDS, channel.timeout_s))
        except BoardReset:
            raise
        except (LinkLost, ValueError, OSError):
            channel.reset_speed()
            channel.synchronise(channel.timeout_s)
            raise LinkError(
                f"{channel.name}: no connection at {baud} baud; it is at {BASE_BAUD} again, try a lower speed"
            ) from None

    def reset(self) -> None:
        """Restarts the board; :meth:`hello` begins the next session."""
        self._board()
        channel = self._channel
        # A lost answer is no matter: the board has restarted then, and says so.
        with contextlib.suppress(BoardReset):
            channel.command(Type.RESET)
            channel.expect_boot(BOOT_SECONDS)
        self._info = None
        channel.session = 0
        channel.reset_speed()

    def close(self) -> None:
        """Leaves the board at 115,200 baud, where the next host looks for it."""
        channel = self._channel
        if channel.session and channel.port.baudrate != BASE_BAUD:
            channel.timeout_s = min(1.0, channel.timeout_s)
            with contextlib.suppress(LinkError):
                self.set_baud(BASE_BAUD)
        channel.session = 0

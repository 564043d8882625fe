"""Commands over a serial port that loses things: sequence numbers, window, resending (docs/link.md)."""

from __future__ import annotations

import contextlib
import itertools
import math
import secrets
import time
from collections import deque
from collections.abc import Sequence
from typing import NoReturn

import serial

from tinyswitch.link.errors import BoardReset, LinkError, LinkLost
from tinyswitch.link.frames import VERSION, Decoder, Frame, encode
from tinyswitch.link.messages import (
    BoardInfo,
    ErrorCode,
    Refusal,
    State,
    Type,
    describe_reset,
    unpack_boot,
)

BASE_BAUD = 115200  # of every board after a reset
POLL_RESERVE = 256  # bytes of the board's receive buffer kept free for POLLs
WINDOW_FRAMES = 64
MAX_POLLS = 20  # unanswered: what the reserve holds
FALLBACK_POLLS = 8  # unanswered: the speed may be the reason
FIRST_PATIENCE = 0.25  # seconds of silence before the first POLL ...
LAST_PATIENCE = 4.0  # ... doubling up to this
READ_SLICE = 0.05  # seconds that one read of the port waits

Request = tuple[Type, bytes]
_TYPE_NAMES = {t.value: t.name for t in Type}


class Channel:
    """One host's session with one board."""

    def __init__(self, port: serial.Serial, timeout_s: float):
        self.port = port
        self.name = port.port or "port"
        self.timeout_s = timeout_s
        self.session = 0  # 0: hello has to be said
        self.seq = 0  # of the next command
        self.in_step = True  # False: the board may expect another seq
        self.window_bytes = 0
        self._decoder = Decoder()
        self._inbox: deque[Frame] = deque()
        self._poll = itertools.cycle(range(256))
        port.timeout = READ_SLICE
        port.write_timeout = timeout_s

    def hello(self, timeout_s: float) -> BoardInfo:
        """Begins a new session."""
        self.session = 0
        self._decoder = Decoder()
        self._inbox.clear()
        session = secrets.randbelow(0xFFFF) + 1
        hello = Frame(Type.HELLO, 0, session, bytes([VERSION, VERSION]))
        deadline = time.monotonic() + timeout_s
        patience = FIRST_PATIENCE
        while (now := time.monotonic()) < deadline:
            self.write(encode(hello))
            answer = self._await_hello(session, min(now + patience, deadline))
            if answer is not None:
                info = BoardInfo.unpack(answer.payload)
                self.session, self.seq, self.in_step = session, 1, True
                self.window_bytes = info.rx_bytes - POLL_RESERVE
                return info
            patience = min(2 * patience, 1.0)
        raise LinkLost(f"{self.name}: no answer to hello in {timeout_s:g} s; {self._what_was_heard()}")

    def _await_hello(self, session: int, until: float) -> Frame | None:
        while (frame := self.receive(until)) is not None:
            if frame.type == Type.HELLO:
                raise LinkLost(f"{self.name}: the port returns what is sent to it; it is no board")
            if frame.session != session:
                continue  # of an earlier session, or BOOT
            if frame.type == Type.ANSWER | Type.HELLO:
                return frame
            if frame.type == Type.ERROR:
                self.refused(Refusal.unpack(frame.payload))
        return None

    def _what_was_heard(self) -> str:
        decoder = self._decoder
        if decoder.noise_bytes == 0:
            return "nothing was received: is the tinyswitch firmware on the board, and is this its port?"
        return (
            f"{decoder.noise_bytes} bytes were received that are not the link protocol, beginning with "
            f"{decoder.noise!r}: is this another device? run build-flash, or give another port"
        )

    def command(self, kind: Type, payload: bytes = b"") -> bytes:
        """Sends one command; returns the payload of its answer."""
        return self.exchange([(kind, payload)])

    def exchange(self, requests: Sequence[Request]) -> bytes:
        """Sends commands as fast as the board takes them; returns the payload of the last one's answer."""
        if self.session == 0:
            raise LinkError(f"{self.name}: no session; say hello first")
        if not self.in_step:
            self.synchronise(self.timeout_s)
        self.in_step = False  # until it has gone well
        answer = _Exchange(self, requests, self.timeout_s).run()
        self.seq = (self.seq + len(requests)) & 0xFF
        self.in_step = True
        return answer

    def synchronise(self, timeout_s: float) -> None:
        """Asks the board which sequence number it expects."""
        state = State.unpack(_Exchange(self, [], timeout_s).run())
        self.seq = state.next
        self.in_step = True

    def poll(self) -> int:
        """Sends POLL; returns the number that its answer carries."""
        number = next(self._poll)
        self.write(encode(Frame(Type.POLL, number, self.session)))
        return number

    def write(self, data: bytes) -> None:
        try:
            self.port.write(data)
        except serial.SerialTimeoutException:
            raise LinkLost(
                f"{self.name}: takes no data for {self.timeout_s:g} s; restart the board"
            ) from None
        except (OSError, TypeError) as error:
            self._vanished(error)

    def receive(self, until: float) -> Frame | None:
        """The next frame, or None if none has arrived at the time ``until`` of the monotonic clock."""
        while not self._inbox:
            try:
                data = self.port.read(max(1, self.port.in_waiting))
            except (OSError, TypeError) as error:
                self._vanished(error)
            self._inbox.extend(self._decoder.feed(data))
            if not self._inbox and time.monotonic() >= until:
                return None
        return self._inbox.popleft()

    def _vanished(self, error: Exception) -> NoReturn:
        # pyserial raises TypeError where another thread has closed the port
        self.session = 0
        raise LinkLost(f"{self.name}: the port vanished ({error}); connect the board again") from None

    def refused(self, refusal: Refusal) -> NoReturn:
        """Turns an ERROR into the exception that says it."""
        code, detail = refusal.code, refusal.detail
        if code == ErrorCode.SESSION:
            if detail == 0:
                self.restarted(self._ask_cause())
            self.session = 0
            raise LinkLost(f"{self.name}: another program has taken over the board; end it")
        if code == ErrorCode.VERSION:
            low, high = detail & 0xFF, detail >> 8
            raise LinkError(
                f"{self.name}: the board speaks versions {low} to {high} of the link protocol, this program "
                f"version {VERSION}: run build-flash",
                code,
            )
        name = _TYPE_NAMES.get(refusal.type, f"command {refusal.type}")
        raise LinkError(f"{self.name}: the board refuses {name}: {refusal.text} ({detail})", code)

    def expect_boot(self, timeout_s: float) -> None:
        """Waits for the board to announce its start; BoardReset if it does."""
        until = time.monotonic() + timeout_s
        while (frame := self.receive(until)) is not None:
            if frame.type == Type.BOOT:
                self.restarted(unpack_boot(frame.payload))

    def restarted(self, cause: str) -> NoReturn:
        self.session = 0
        self.reset_speed()
        raise BoardReset(f"{self.name}: the board restarted ({cause}); what it was doing is lost", cause)

    def reset_speed(self) -> None:
        with contextlib.suppress(OSError):
            self.port.baudrate = BASE_BAUD

    def _ask_cause(self) -> str:
        """The board restarted, but its announcement got lost."""
        self.reset_speed()
        try:
            info = self.hello(min(3.0, self.timeout_s))
        except LinkLost:
            return "cause unknown"
        return describe_reset(info.reset_cause, info.fault)


class _Exchange:
    """One run of commands through the window.

    Frames before ``base`` are acknowledged, frames before ``sent`` are sent.
    """

    def __init__(self, channel: Channel, requests: Sequence[Request], timeout_s: float):
        self._channel = channel
        self._first = channel.seq
        self._types = [kind for kind, _ in requests]
        self._frames = [
            encode(Frame(kind, (channel.seq + i) & 0xFF, channel.session, payload))
            for i, (kind, payload) in enumerate(requests)
        ]
        self._ends = [0, *itertools.accumulate(map(len, self._frames))]
        self._base = self._sent = self._ever_sent = self._best = 0
        self._polls: set[int] = set()  # unanswered
        self._timeout_s = timeout_s
        self._noise = channel._decoder.noise_bytes
        self._progress()

    def run(self) -> bytes:
        """Payload of the last command's answer; without commands, of a POLL's."""
        if not self._frames:
            self._ask()
        while True:
            if not self._polls:
                self._send()
            frame = self._channel.receive(min(self._ask_at, self._deadline))
            answer = self._handle(frame) if frame is not None else None
            if answer is not None:
                return answer
            if time.monotonic() >= self._deadline:
                self._give_up()
            if time.monotonic() >= self._ask_at:
                self._ask()

    def _progress(self) -> None:
        self._patience = FIRST_PATIENCE
        self._deadline = time.monotonic() + self._timeout_s
        self._wait()

    def _wait(self) -> None:
        """Sets the time to ask; what is under way needs time on the line."""
        under_way = 10 * (self._ends[self._sent] - self._ends[self._base]) / self._channel.port.baudrate
        self._ask_at = time.monotonic() + self._patience + under_way

    def _send(self) -> None:
        limit = self._ends[self._base] + self._channel.window_bytes
        start = self._sent
        while (
            self._sent < min(len(self._frames), self._base + WINDOW_FRAMES)
            and self._ends[self._sent + 1] <= limit
        ):
            self._sent += 1
        if self._sent > start:
            self._channel.write(b"".join(self._frames[start : self._sent]))
            self._ever_sent = max(self._ever_sent, self._sent)
            self._wait()

    def _ask(self) -> None:
        if len(self._polls) >= MAX_POLLS:
            self._ask_at = math.inf
            return
        if len(self._polls) == FALLBACK_POLLS:
            self._channel.reset_speed()
        self._polls.add(self._channel.poll())
        self._wait()
        self._patience = min(2 * self._patience, LAST_PATIENCE)

    def _give_up(self) -> NoReturn:
        noise = self._channel._decoder.noise_bytes - self._noise
        heard = f"{noise} damaged bytes were received" if noise else "nothing was received"
        raise LinkLost(
            f"{self._channel.name}: no progress for {self._timeout_s:g} s, {heard}; check the cable, "
            "restart the board"
        )

    def _handle(self, frame: Frame) -> bytes | None:
        """Takes in one frame; returns the payload that the caller waits for, if this is it."""
        if frame.type == Type.BOOT:
            self._channel.restarted(unpack_boot(frame.payload))
        if frame.session != self._channel.session:
            return None
        if frame.type == Type.ERROR:
            self._check_error(frame)
        elif frame.type == Type.LOST:
            self._acknowledge(State.unpack(frame.payload).next)
            if not self._polls:
                self._ask()
        elif frame.type == Type.ANSWER | Type.POLL:
            return self._handle_poll(frame)
        elif frame.type == Type.ANSWER | Type.DATA:
            self._acknowledge(State.unpack(frame.payload).next)
        elif (index := self._index(frame.seq)) is not None and frame.type == Type.ANSWER | self._types[index]:
            self._acknowledge((frame.seq + 1) & 0xFF)
            return frame.payload if index == len(self._frames) - 1 else None
        return None

    def _handle_poll(self, frame: Frame) -> bytes | None:
        if frame.seq not in self._polls:
            return None
        self._polls.clear()
        if not self._frames:
            return frame.payload
        self._acknowledge(State.unpack(frame.payload).next)
        # Everything sent before the POLL has left the board's buffer: what isn't acknowledged is lost.
        # The last command is sent again even so, for its answer.
        self._sent = min(self._base, len(self._frames) - 1)
        self._base = min(self._base, self._sent)
        self._patience = FIRST_PATIENCE
        return None

    def _check_error(self, frame: Frame) -> None:
        refusal = Refusal.unpack(frame.payload)
        if refusal.code == ErrorCode.SESSION or self._index(frame.seq) is not None:
            self._channel.refused(refusal)

    def _index(self, seq: int) -> int | None:
        """Which of the frames sent lately has this sequence number."""
        back = (self._first + self._ever_sent - 1 - seq) & 0xFF
        index = self._ever_sent - 1 - back
        return index if back < 2 * WINDOW_FRAMES and index >= 0 else None

    def _acknowledge(self, following: int) -> None:
        """The board expects sequence number ``following``: all before have arrived."""
        gained = (following - self._first - self._base) & 0xFF
        if 0 < gained <= self._ever_sent - self._base:
            self._base += gained
            self._sent = max(self._sent, self._base)
            if self._base > self._best:  # a last command sent again is none
                self._best = self._base
                self._progress()

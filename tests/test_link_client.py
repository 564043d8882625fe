"""The host's end of the link, on good lines, bad lines and no line at all."""

from __future__ import annotations

import os
import random
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import serial

from link_support import FaultyPort, firmware, image
from tinyswitch.boards.native import NativeBoard
from tinyswitch.link import BoardReset, Client, LinkError, LinkLost, Profile, channel
from tinyswitch.link.frames import Decoder, Frame, encode
from tinyswitch.link.messages import ErrorCode, State, Type

DIGEST, PAIR, WIDE = range(3)
Line = Callable[[serial.Serial], object]


@contextmanager
def board(line: Line = lambda port: port, **options: float) -> Iterator[tuple[Client, NativeBoard]]:
    with NativeBoard(firmware()) as native:
        yield Client(line(native.open()), **options), native


def check_digest(client: Client, seed: int = 0) -> None:
    frame = image((176, 176, 3), np.int8, seed)
    client.select(DIGEST)
    outputs = client.infer(frame).outputs
    assert [o.shape for o in outputs] == [(1, 1, 4)]
    assert outputs[0].tobytes() == zlib.crc32(frame.tobytes()).to_bytes(4, "little")


def check_wide(client: Client, seed: int = 0) -> None:
    """Rows of 5000 bytes, 20000 bytes of output: neither fits into a frame."""
    frame = image((4, 1000, 5), np.int8, seed)
    client.select(WIDE)
    result = client.infer(frame)
    assert np.array_equal(result.outputs[0], ~frame)
    scores = (~frame).ravel().astype(int)
    best = sorted(range(scores.size), key=lambda i: (-scores[i], i))[:5]
    assert result.top5 == [(i, scores[i]) for i in best]


def test_hello_and_models():
    with board() as (client, _):
        info = client.hello()
        assert (info.board, info.app, info.clock_hz, info.reset_cause) == ("native", "image", 10**9, "power")
        assert (info.n_models, info.rx_bytes, info.payload_bytes, info.fault) == (3, 8192, 1088, None)
        models = client.models()
        assert [m.name for m in models] == ["digest", "pair", "wide"]
        assert (models[0].id, models[0].macs, models[0].weight_bytes) == (0x01234567, 81800000, 740000)
        assert (models[0].input.shape, models[0].input.dtype) == ((176, 176, 3), np.int8)
        assert (models[0].input.scale, models[0].input.zero_point) == (0.25, -128)


def test_images_of_every_model():
    with board() as (client, _):
        check_digest(client)
        check_wide(client)
        frame = image((4, 3, 2), np.uint8)
        client.select(PAIR)
        result = client.infer(frame)
        assert [o.dtype for o in result.outputs] == [np.uint8, np.int8]
        assert np.array_equal(result.outputs[0], frame)
        assert result.outputs[1].tobytes() == (~frame).tobytes()
        assert result.top5[0][1] == frame.max()
        assert 0 < result.stack_peak < 100_000
        assert (result.arena_bytes, result.rx_lost) == (64, 0)
        assert 0 < result.cycles < 10**8


def test_a_profile_is_taken_while_it_is_wanted():
    frame = image((4, 3, 2), np.uint8)
    with board() as (client, _):
        client.profile(True)
        client.select(PAIR)
        profile = client.infer(frame).profile
        assert profile.steps == [4, 4]
        assert len(profile.ticks) == len(profile.net_ticks) == 2
        client.profile(False)
        assert client.infer(frame).profile is None
        client.profile(True)
        client.hello()
        client.select(PAIR)
        assert client.infer(frame).profile is None


def test_counting_is_subtracted_from_a_profile():
    assert Profile([100, 35], [4, 12], 3).net_ticks == [88, 0]


def test_more_stages_than_can_be_profiled():
    with board() as (client, _):
        client.profile(True)
        client.select(DIGEST)
        with pytest.raises(LinkError, match=r"refuses BEGIN: too many stages to profile \(160\)"):
            client.infer(image((176, 176, 3), np.int8))
        client.profile(False)
        check_digest(client)


def test_a_frame_of_the_wrong_kind_is_the_callers_mistake():
    with board() as (client, _):
        with pytest.raises(ValueError, match="digest takes int8"):
            client.infer(image((176, 176, 3), np.uint8))
        check_digest(client)


def test_refusal_leaves_the_session_usable():
    with board() as (client, _):
        client.hello()
        with pytest.raises(LinkError, match=r"refuses SELECT: no such model \(3\)") as caught:
            client.select(7)
        assert caught.value.code == ErrorCode.MODEL
        check_digest(client)


def test_throughput():
    with board() as (client, _):
        check_digest(client)
        frame = image((176, 176, 3), np.int8)
        times = []
        for _ in range(10):
            start = time.perf_counter()
            result = client.infer(frame)
            times.append(time.perf_counter() - start - result.cycles / 1e9)
        assert min(times) < 0.020


class Watch(FaultyPort):
    """Keeps account of the bytes that were written and are not acknowledged yet."""

    def __init__(self, port: serial.Serial):
        super().__init__(port, lambda _, frames: frames, 0)
        self.under_way: list[tuple[int, int]] = []  # seq, bytes
        self.most = 0
        self.decoders = Decoder(), Decoder()

    def write(self, data: bytes) -> None:
        self.under_way += [(f.seq, len(encode(f))) for f in self.decoders[0].feed(data)]
        self.most = max(self.most, sum(n for _, n in self.under_way))
        super().write(data)

    def read(self, size: int) -> bytes:
        data = super().read(size)
        for frame in self.decoders[1].feed(data):
            is_state = frame.type == Type.ANSWER | Type.DATA
            following = State.unpack(frame.payload).next if is_state else (frame.seq + 1) & 0xFF
            while self.under_way and (following - self.under_way[0][0] - 1) & 0xFF < 128:
                self.under_way.pop(0)
        return data


def test_window_fills_the_boards_buffer_but_never_overruns_it():
    with board(Watch) as (client, _):
        check_digest(client)
        check_wide(client)
        assert 6500 < client._channel.port.most <= 8192


# What a line does to the frames of one transfer.


def drop(rng: random.Random, frames: list[bytes]) -> list[bytes]:
    return [f for f in frames if rng.random() > 0.04]


def duplicate(rng: random.Random, frames: list[bytes]) -> list[bytes]:
    return [f for frame in frames for f in [frame] * (1 + (rng.random() < 0.2))]


def reorder(rng: random.Random, frames: list[bytes]) -> list[bytes]:
    for i in range(len(frames) - 1):
        if rng.random() < 0.04:
            frames[i], frames[i + 1] = frames[i + 1], frames[i]
    return frames


def truncate(rng: random.Random, frames: list[bytes]) -> list[bytes]:
    return [f[: rng.randrange(len(f) + 1)] if rng.random() < 0.04 else f for f in frames]


def corrupt(rng: random.Random, frames: list[bytes]) -> list[bytes]:
    line = bytearray(b"".join(frames))
    for _ in range(sum(rng.random() < 2e-5 * len(line) for _ in range(3))):
        line[rng.randrange(len(line))] ^= 1 << rng.randrange(8)
    return [bytes(line)]


def lose_bytes(rng: random.Random, frames: list[bytes]) -> list[bytes]:
    line = b"".join(frames)
    if line and rng.random() < 0.05:
        at = rng.randrange(len(line))
        line = line[:at] + line[at + rng.randrange(1, 40) :]
    return [line]


def insert_noise(rng: random.Random, frames: list[bytes]) -> list[bytes]:
    return [f + rng.randbytes(rng.randrange(30)) if rng.random() < 0.04 else f for f in frames]


def everything(rng: random.Random, frames: list[bytes]) -> list[bytes]:
    for fault in (drop, duplicate, reorder, truncate, corrupt):
        frames = fault(rng, frames) if rng.random() < 0.2 else frames
    return frames


@pytest.mark.parametrize(
    "fault", [drop, duplicate, reorder, truncate, corrupt, lose_bytes, insert_noise, everything]
)
def test_bad_lines_deliver_the_same_bits(fault: Callable, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(channel, "FIRST_PATIENCE", 0.02)  # a pseudo-terminal answers at once
    with board(lambda port: FaultyPort(port, fault, seed=1)) as (client, _):
        for seed in range(3):
            check_digest(client, seed)
            check_wide(client, seed)
        assert client._channel.port.faults > 0


def test_noise_before_the_first_hello():
    class Noisy(FaultyPort):
        noise = b"\r\nST-LINK boot v2\0\x7f\x00garbage"

        def read(self, size: int) -> bytes:
            noise, Noisy.noise = Noisy.noise, b""
            return noise or super().read(size)

    with board(lambda port: Noisy(port, lambda _, f: f, 0)) as (client, _):
        check_digest(client)


def test_a_host_that_died_in_mid_image_leaves_the_board_usable():
    with board() as (first, native):
        first.hello()
        first._channel.command(Type.BEGIN)
        port = first._channel.port
        # a frame and a half of an image, and then nothing more
        part = encode(Frame(Type.DATA, 2, first._channel.session, bytes(1000)))
        port.write(part + part[:500])
        second = Client(port)
        check_digest(second)
        with pytest.raises(LinkLost, match="another program has taken over the board"):
            first.models()
        assert native.failure() is None


def test_interruption_in_mid_image(monkeypatch: pytest.MonkeyPatch):
    with board() as (client, _):
        check_digest(client)
        calls = iter(range(100))
        original = channel.Channel.receive

        def receive(self: channel.Channel, until: float) -> Frame | None:
            if next(calls) == 20:
                raise KeyboardInterrupt
            return original(self, until)

        with monkeypatch.context() as patch:
            patch.setattr(channel.Channel, "receive", receive)
            with pytest.raises(KeyboardInterrupt):
                client.infer(image((176, 176, 3), np.int8))
        check_digest(client, seed=5)


def after(n: int, action: Callable[[serial.Serial], None]) -> Line:
    """A line that does something before its n-th write."""

    class Line(FaultyPort):
        writes = 0

        def write(self, data: bytes) -> None:
            Line.writes += 1
            if Line.writes == n:
                action(self._port)
            super().write(data)

    return lambda port: Line(port, lambda _, frames: frames, 0)


def test_vanishing_in_mid_image():
    native = NativeBoard(firmware())

    def kill(_: serial.Serial) -> None:
        native.process.kill()
        native.process.wait()

    with native:
        client = Client(after(12, kill)(native.open()))
        with pytest.raises(LinkLost, match="the port vanished") as caught:
            check_digest(client)
        assert not isinstance(caught.value, BoardReset)
        assert str(caught.value).count("\n") == 0
        assert native.failure() == "native board stopped by signal 9 (Killed)"


@pytest.mark.parametrize("boot_arrives", [True, False])
def test_reset_in_mid_image(boot_arrives: bool):
    """Another frame makes the board restart; the client learns why, even if the announcement gets lost."""

    class Line(FaultyPort):
        restarted = False

        def write(self, data: bytes) -> None:
            self._port.write(data)
            if not Line.restarted and client._channel.seq == 5 and len(data) > 5000:
                Line.restarted = True
                for seq in range(256):  # one of them is what the board expects
                    self._port.write(encode(Frame(Type.RESET, seq, client._channel.session)))

        def read(self, size: int) -> bytes:
            data = self._port.read(size)
            if not boot_arrives and encode(Frame(Type.BOOT, 0, 0, b"\2\0")) in data:
                data = b""
            return data

    with board(lambda port: Line(port, lambda _, f: f, 0), timeout_s=5.0) as (client, _):
        client.models()
        with pytest.raises(BoardReset, match=r"restarted \(software\)") as caught:
            check_digest(client)
        assert caught.value.cause == "software"
        assert Line.restarted
        client.hello()
        check_digest(client)


def test_reset_on_demand():
    with board() as (client, _):
        client.hello()
        client.reset()
        assert client.hello().reset_cause == "software"
        check_digest(client)


def test_speed_is_changed_and_left_as_found():
    with board() as (client, _):
        client.set_baud(2_000_000)
        port = client._channel.port
        assert port.baudrate == 2_000_000
        check_digest(client)
        with pytest.raises(LinkError) as caught:
            client.set_baud(3_000_000)
        assert caught.value.code == ErrorCode.BAUD
        client.close()
        assert port.baudrate == 115_200
        assert port.is_open


class FastIsDead(FaultyPort):
    """A cable that carries nothing above 1 Mbaud."""

    def write(self, data: bytes) -> None:
        if self._port.baudrate <= 1_000_000:
            self._port.write(data)


def test_a_speed_that_does_not_work():
    with board(lambda port: FastIsDead(port, lambda _, f: f, 0)) as (client, _):
        with pytest.raises(LinkError, match="no connection at 2000000 baud; it is at 115200 again"):
            client.set_baud(2_000_000)
        check_digest(client)
        client.set_baud(1_000_000)
        check_digest(client)


# Things that are no board.


@contextmanager
def device(answer: Callable[[bytes], bytes]) -> Iterator[serial.Serial]:
    """Something on a pseudo-terminal that answers what it reads with ``answer``."""
    import pty
    import tty

    master, slave = pty.openpty()
    tty.setraw(slave)

    def serve() -> None:
        try:
            while data := os.read(master, 4096):
                os.write(master, answer(data))
        except OSError:
            pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    port = serial.Serial(os.ttyname(slave), 115200)
    try:
        yield port
    finally:
        port.close()
        os.close(slave)
        thread.join(5)
        os.close(master)


def test_silence():
    with device(lambda data: b"") as port, pytest.raises(LinkLost, match="nothing was received") as caught:
        Client(port, timeout_s=0.5).hello()
    assert str(caught.value).startswith(port.port)


def test_another_device():
    with device(lambda data: b"ERROR: unknown command\r\n") as port, pytest.raises(LinkLost) as caught:
        Client(port, timeout_s=0.5).hello()
    assert "not the link protocol, beginning with b'ERROR: unknown command" in str(caught.value)


def test_an_echo():
    with device(lambda data: data) as port, pytest.raises(LinkLost, match="returns what is sent to it"):
        Client(port, timeout_s=0.5).hello()


def test_endless_noise_ends():
    rng = random.Random(0)
    with device(lambda data: rng.randbytes(4000)) as port:
        start = time.monotonic()
        with pytest.raises(LinkLost):
            Client(port, timeout_s=0.5).hello()
        assert time.monotonic() - start < 3


def reply(make: Callable[[Frame], Frame]) -> Callable[[bytes], bytes]:
    decoder = Decoder()
    return lambda data: b"".join(encode(make(frame)) for frame in decoder.feed(data))


def test_a_newer_board():
    refusal = b"\x01\x02\x02\x03\0\0no common protocol version"
    answer = reply(lambda f: Frame(Type.ERROR, f.seq, f.session, refusal))
    with device(answer) as port, pytest.raises(LinkError, match=r"versions 2 to 3 .* version 1") as caught:
        Client(port, timeout_s=0.5).hello()
    assert caught.value.code == ErrorCode.VERSION


def test_a_short_answer():
    answer = reply(lambda f: Frame(0x80 | f.type, f.seq, f.session, b"\1\2"))
    with device(answer) as port, pytest.raises(LinkError, match="too short"):
        Client(port, timeout_s=0.5).hello()


def test_a_fault_report_arrives():
    hello = (
        b"\x01\x04"
        + b"\x01\0"
        + b"\0\x87\x93\x03"
        + bytes(4)
        + b"\0\x20\0\0"
        + b"\x40\x04"
        + b"\x01b\x01f\x01a"
    )
    text = b"pc 0x08001234"

    def answer(frame: Frame) -> Frame:
        if frame.type == Type.HELLO:
            return Frame(Type.ANSWER | Type.HELLO, frame.seq, frame.session, hello + b"\x0d" + text)
        return Frame(Type.BOOT, 0, 0, b"\x04\x0d" + text)

    with device(reply(answer)) as port:
        client = Client(port, timeout_s=0.5)
        assert client.hello().fault == "pc 0x08001234"
        with pytest.raises(BoardReset) as caught:
            client.models()
    assert caught.value.cause == "fault: pc 0x08001234"


def test_a_board_that_falls_silent():
    with board(lambda port: FaultyPort(port, lambda _, f: f, 0), timeout_s=0.8) as (client, _):
        client.models()
        client._channel.port._fault = lambda _, frames: []
        start = time.monotonic()
        with pytest.raises(LinkLost, match=r"no progress for 0\.8 s, nothing was received"):
            client.infer(image((176, 176, 3), np.int8))
        assert time.monotonic() - start < 3

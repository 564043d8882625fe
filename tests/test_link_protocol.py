"""The board's end of the link, frame by frame: sequence, errors, sizes; and any bytes at all."""

from __future__ import annotations

import random
import re
import select
import struct
import subprocess
import sys
import time
import tomllib
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from link_support import FIRMWARE, ROOT, WATCH_BAUD, firmware, image
from tinyswitch.link.frames import Decoder, Frame, encode
from tinyswitch.link.messages import ErrorCode, ModelInfo, Refusal, Stages, State, Summary, Type

SESSION = 0x1234
HELLO = Frame(Type.HELLO, 0, SESSION, b"\x01\x01")
PAIR = struct.pack("<H", 1)  # 24 bytes of image
DATA_ANSWER = Type.ANSWER | Type.DATA


class Wire:
    """The native board on two pipes; every frame by hand."""

    def __init__(self, *flags: str):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([firmware(*flags)], stdin=pipe, stdout=pipe, stderr=pipe)
        self.decoder = Decoder()
        self.inbox: list[Frame] = []

    def send(self, *frames: Frame | bytes) -> None:
        self.process.stdin.write(b"".join(f if isinstance(f, bytes) else encode(f) for f in frames))
        self.process.stdin.flush()

    def receive(self, timeout: float = 5.0) -> Frame | None:
        until = time.monotonic() + timeout
        while not self.inbox:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                return None
            data = self.process.stdout.read1(4096)
            if not data:
                return None
            self.inbox.extend(self.decoder.feed(data))
        return self.inbox.pop(0)

    def ask(self, kind: int, seq: int, payload: bytes = b"") -> Frame:
        self.send(Frame(kind, seq, SESSION, payload))
        answer = self.receive()
        assert answer is not None, f"no answer to {kind}"
        return answer

    def silent(self) -> bool:
        return self.receive(0.15) is None

    def close(self) -> int:
        self.process.stdin.close()
        code = self.process.wait(5)
        self.process.stdout.close()
        self.errors = self.process.stderr.read().decode()
        self.process.stderr.close()
        return code


@pytest.fixture
def bare() -> Iterator[Wire]:
    wire = Wire()
    boot = wire.receive()
    assert boot == Frame(Type.BOOT, 0, 0, b"\x00\x00")
    yield wire
    assert wire.close() == 0


@pytest.fixture
def wire(bare: Wire) -> Wire:
    bare.send(HELLO)
    assert bare.receive().type == Type.ANSWER | Type.HELLO
    return bare


def refusal(frame: Frame) -> Refusal:
    assert frame.type == Type.ERROR
    return Refusal.unpack(frame.payload)


def code(frame: Frame) -> int:
    return refusal(frame).code


def state(frame: Frame, kind: int) -> State:
    assert frame.type == kind
    return State.unpack(frame.payload)


def data(at: int, payload: bytes) -> bytes:
    return struct.pack("<I", at) + payload


def test_commands_before_hello_are_refused(bare: Wire):
    for kind in (Type.POLL, Type.BEGIN, 0x55):
        answer = bare.ask(kind, 9)
        assert (answer.seq, answer.session) == (9, SESSION)
        assert refusal(answer) == Refusal(kind, ErrorCode.SESSION, 0, "not in this session: say hello")


def test_foreign_sessions_change_nothing(wire: Wire):
    wire.send(Frame(Type.BEGIN, 1, 0x4321))
    answer = wire.receive()
    assert refusal(answer).detail == SESSION
    assert state(wire.ask(Type.POLL, 0), Type.ANSWER | Type.POLL) == State(1, 0, 0)


def test_hello_repeats_its_answer_and_a_new_one_begins_again(wire: Wire):
    wire.send(HELLO)
    assert wire.receive().type == Type.ANSWER | Type.HELLO
    assert wire.ask(Type.BEGIN, 1).type == Type.ANSWER | Type.BEGIN
    wire.send(HELLO)
    assert wire.silent()
    assert state(wire.ask(Type.POLL, 0), Type.ANSWER | Type.POLL) == State(2, 1, 0)
    wire.send(Frame(Type.HELLO, 77, 0x4321, b"\x01\x01"), Frame(Type.POLL, 5, 0x4321))
    assert wire.receive().session == 0x4321
    assert state(wire.receive(), Type.ANSWER | Type.POLL) == State(78, 0, 0)


def test_versions(bare: Wire):
    bare.send(replace(HELLO, payload=b"\x02\x05"))
    assert refusal(bare.receive()) == Refusal(
        Type.HELLO, ErrorCode.VERSION, 0x0101, "no common protocol version"
    )
    bare.send(replace(HELLO, payload=b"\x01\x05"))
    assert bare.receive().payload[0] == 1
    bare.send(Frame(Type.BEGIN, 1, SESSION, version=2))
    assert code(bare.receive()) == ErrorCode.VERSION


@pytest.mark.parametrize(
    ("kind", "payload", "expected", "detail"),
    [
        (0x00, b"", ErrorCode.TYPE, 0),
        (0x14, b"", ErrorCode.TYPE, 0),
        (0x7F, b"1234", ErrorCode.TYPE, 0),
        (Type.BOOT, b"", ErrorCode.TYPE, 0),
        (Type.SELECT, b"\x00", ErrorCode.LENGTH, 1),
        (Type.DESCRIBE, b"\x00" * 5, ErrorCode.LENGTH, 5),
        (Type.BEGIN, b"\x00", ErrorCode.LENGTH, 1),
        (Type.SELECT, b"\x03\x00", ErrorCode.MODEL, 3),
        (Type.DESCRIBE, b"\x03\x00\x00\x00", ErrorCode.MODEL, 3),
        (Type.DESCRIBE, b"\x00\x00\x02\x00", ErrorCode.RANGE, 1),
        (Type.DATA, data(0, b"x"), ErrorCode.STATE, 0),
        (Type.FINISH, b"", ErrorCode.STATE, 0),
        (Type.READ, bytes(4), ErrorCode.STATE, 0),
        (Type.PROFILE, b"", ErrorCode.LENGTH, 0),
        (Type.STAGES, bytes(2), ErrorCode.STATE, 0),
        (Type.SET_BAUD, struct.pack("<I", 9600), ErrorCode.BAUD, 2000000),
        (Type.SET_BAUD, struct.pack("<I", 2000001), ErrorCode.BAUD, 2000000),
    ],
)
def test_refusals(wire: Wire, kind: int, payload: bytes, expected: ErrorCode, detail: int):
    answer = refusal(wire.ask(kind, 1, payload))
    assert (answer.type, answer.code, answer.detail) == (kind, expected, detail)
    # a refused command has used its number; sent again it is refused again
    assert code(wire.ask(kind, 1, payload)) == expected
    assert wire.ask(Type.ABORT, 2).type == Type.ANSWER | Type.ABORT


def test_refusals_within_an_image(wire: Wire):
    wire.ask(Type.SELECT, 1, PAIR)
    assert wire.ask(Type.BEGIN, 2).payload == struct.pack("<I", 24)
    assert code(wire.ask(Type.DATA, 3, bytes(4))) == ErrorCode.LENGTH
    assert code(wire.ask(Type.DATA, 4, data(1, b"x"))) == ErrorCode.OFFSET
    assert code(wire.ask(Type.DATA, 5, data(0, b"x" * 25))) == ErrorCode.LENGTH
    assert state(wire.ask(Type.DATA, 6, data(0, b"x" * 23)), DATA_ANSWER) == State(7, 1, 23)
    assert refusal(wire.ask(Type.FINISH, 7)).code == ErrorCode.INCOMPLETE
    assert code(wire.ask(Type.DATA, 8, data(23, b"xx"))) == ErrorCode.LENGTH
    wire.ask(Type.DATA, 9, data(23, b"x"))
    assert wire.ask(Type.FINISH, 10).type == Type.ANSWER | Type.FINISH
    assert refusal(wire.ask(Type.READ, 11, struct.pack("<I", 49))).detail == 48
    assert wire.ask(Type.READ, 12, struct.pack("<I", 47)).payload[4:] == bytes([~ord("x") & 0xFF])
    assert refusal(wire.ask(Type.DATA, 13, data(24, b"x"))).detail == 2


def test_an_image_can_be_aborted(wire: Wire):
    wire.ask(Type.BEGIN, 1)
    wire.ask(Type.DATA, 2, data(0, b"x" * 100))
    assert wire.ask(Type.ABORT, 3).payload == b""
    assert state(wire.ask(Type.POLL, 0), Type.ANSWER | Type.POLL) == State(4, 0, 0)


def test_duplicates_are_taken_once(wire: Wire):
    wire.ask(Type.SELECT, 1, PAIR)
    begin = wire.ask(Type.BEGIN, 2)
    assert wire.ask(Type.BEGIN, 2) == begin
    part = data(0, b"x" * 20)
    assert state(wire.ask(Type.DATA, 3, part), DATA_ANSWER).next == 4
    assert state(wire.ask(Type.DATA, 3, part), DATA_ANSWER) == State(4, 1, 20)
    wire.send(Frame(Type.BEGIN, 2, SESSION))  # its answer is no longer kept
    assert wire.silent()
    assert state(wire.ask(Type.POLL, 0), Type.ANSWER | Type.POLL) == State(4, 1, 20)


def test_a_gap_is_told_once(wire: Wire):
    wire.send(Frame(Type.BEGIN, 2, SESSION), Frame(Type.BEGIN, 3, SESSION))
    assert state(wire.receive(), Type.LOST).next == 1
    assert wire.silent()
    wire.ask(Type.POLL, 0)
    assert state(wire.ask(Type.BEGIN, 2), Type.LOST).next == 1
    assert wire.ask(Type.BEGIN, 1).type == Type.ANSWER | Type.BEGIN


def test_half_of_the_numbers_are_behind_and_half_ahead(wire: Wire):
    wire.ask(Type.BEGIN, 1)
    for ahead in (1, 127):
        assert state(wire.ask(Type.DATA, 2 + ahead, data(0, b"x")), Type.LOST).next == 2
        wire.ask(Type.POLL, 0)
    for behind in (127, 128):
        answer = wire.ask(Type.DATA, (2 - behind) & 0xFF, data(0, b"x"))
        assert state(answer, DATA_ANSWER) == State(2, 1, 0)


def test_damage_is_told_and_does_no_harm(wire: Wire):
    line = bytearray(encode(Frame(Type.BEGIN, 1, SESSION)))
    line[4] ^= 1
    wire.send(bytes(line))
    assert state(wire.receive(), Type.LOST) == State(1, 0, 0)
    wire.send(b"x" * 5000)  # longer than any frame
    assert wire.ask(Type.BEGIN, 1).type == Type.ANSWER | Type.BEGIN


def test_sequence_wraps(wire: Wire):
    for seq in range(1, 600):
        wire.send(Frame(Type.ABORT, seq & 0xFF, SESSION))
    for seq in range(1, 600):
        assert wire.receive().seq == seq & 0xFF


def test_reset_announces_itself(wire: Wire):
    assert wire.ask(Type.RESET, 1).type == Type.ANSWER | Type.RESET
    assert wire.receive() == Frame(Type.BOOT, 0, 0, b"\x02\x00")
    assert refusal(wire.ask(Type.POLL, 0)).detail == 0


def speeds(after: Callable[[Wire], None], baud: int) -> list[int]:
    """Speeds that the board takes when it is told one, and ``after`` comes next."""
    if sys.platform != "linux":
        pytest.skip("needs the GNU linker")
    wire = Wire(WATCH_BAUD)
    wire.send(HELLO)
    wire.receive(), wire.receive()
    assert wire.ask(Type.SET_BAUD, 1, struct.pack("<I", baud)).payload == struct.pack("<I", baud)
    after(wire)
    assert wire.close() == 0
    return [int(line) for line in wire.errors.split()]


def test_a_new_speed_without_a_frame_is_given_up():
    assert speeds(lambda wire: time.sleep(1.3), 2000000) == [2000000, 115200]


def test_a_speed_that_the_board_lacks():
    assert speeds(lambda wire: wire.ask(Type.POLL, 0), 1500000) == [1500000, 115200]


def test_a_speed_is_kept_while_frames_arrive_and_in_silence():
    def use(wire: Wire) -> None:
        wire.ask(Type.POLL, 0)
        time.sleep(1.3)
        wire.ask(Type.POLL, 0)

    assert speeds(use, 2000000) == [2000000]


def test_a_speed_at_which_only_noise_arrives_is_given_up():
    def use(wire: Wire) -> None:
        wire.ask(Type.POLL, 0)
        for _ in range(8):
            wire.send(b"\xe0\0")
            time.sleep(0.16)

    assert speeds(use, 1000000) == [1000000, 115200]


def test_a_change_of_speed_is_repeated_with_its_answer():
    def use(wire: Wire) -> None:
        wire.ask(Type.SET_BAUD, 1, struct.pack("<I", 921600))

    assert speeds(use, 921600) == [921600, 921600]


def test_result(wire: Wire):
    wire.ask(Type.SELECT, 1, PAIR)
    wire.ask(Type.BEGIN, 2)
    pixels = bytes([5, 200, 200, 7, 255, 9]) + bytes(18)
    wire.ask(Type.DATA, 3, data(0, pixels))
    summary = Summary.unpack(wire.ask(Type.FINISH, 4).payload)
    assert summary.top5 == [(4, 255), (1, 200), (2, 200), (5, 9), (3, 7)]
    assert summary.outputs == pixels + bytes(~p & 0xFF for p in pixels)
    assert summary.output_bytes == 48
    assert summary.arena_bytes == 64
    assert 0 < summary.cycles < 1e9
    assert 500 < summary.stack_peak < 200_000


def test_profile(wire: Wire):
    wire.ask(Type.SELECT, 1, PAIR)
    assert wire.ask(Type.PROFILE, 2, b"\x01").payload == b""
    wire.ask(Type.BEGIN, 3)
    assert code(wire.ask(Type.STAGES, 4, bytes(2))) == ErrorCode.STATE  # not complete
    wire.ask(Type.PROFILE, 5, b"\x00")  # of later images
    wire.ask(Type.DATA, 6, data(0, bytes(24)))
    told = Stages.unpack(wire.ask(Type.STAGES, 7, bytes(2)).payload)
    assert (told.count, told.steps) == (2, [4, 4])
    assert all(ticks >= 4 * told.overhead > 0 for ticks in told.ticks)
    assert sum(told.ticks) < Summary.unpack(wire.ask(Type.FINISH, 8).payload).cycles
    rest = wire.ask(Type.STAGES, 9, struct.pack("<H", 1)).payload
    assert (len(rest), Stages.unpack(rest).ticks) == (14, told.ticks[1:])
    assert Stages.unpack(wire.ask(Type.STAGES, 10, struct.pack("<H", 2)).payload).ticks == []
    refused = refusal(wire.ask(Type.STAGES, 11, struct.pack("<H", 3)))
    assert (refused.code, refused.detail) == (ErrorCode.RANGE, 2)
    wire.ask(Type.BEGIN, 12)
    wire.ask(Type.DATA, 13, data(0, bytes(24)))
    assert refusal(wire.ask(Type.STAGES, 14, bytes(2))).code == ErrorCode.STATE  # complete, but no profile


def test_a_model_with_too_many_stages_to_profile(wire: Wire):
    wire.ask(Type.PROFILE, 1, b"\x01")
    refused = refusal(wire.ask(Type.BEGIN, 2))  # "digest" has 161
    assert (refused.code, refused.detail) == (ErrorCode.STAGES, 160)
    assert state(wire.ask(Type.POLL, 0), Type.ANSWER | Type.POLL).image == 0
    wire.send(replace(HELLO, session=0x4321))
    assert wire.receive().session == 0x4321
    wire.send(Frame(Type.BEGIN, 1, 0x4321))
    assert wire.receive().type == Type.ANSWER | Type.BEGIN


def test_description(wire: Wire):
    info, n_outputs = ModelInfo.unpack(wire.ask(Type.DESCRIBE, 1, struct.pack("<HH", 1, 0)).payload)
    assert (info.index, info.name, info.id, n_outputs) == (1, "pair", 0x89ABCDEF, 2)
    assert info.input.shape == (4, 3, 2)
    assert [(o.dtype.name, o.scale, o.zero_point) for o in info.outputs] == [
        ("uint8", 1.0, 128),
        ("int8", 2.0, 7),
    ]
    tail, n_outputs = ModelInfo.unpack(wire.ask(Type.DESCRIBE, 2, struct.pack("<HH", 1, 1)).payload)
    assert (tail.outputs, n_outputs) == (info.outputs[1:], 2)


def _payload(rng: random.Random) -> bytes:
    return rng.choice(
        [
            b"",
            rng.randbytes(rng.choice([2, 4, 4, 5, rng.randrange(1089)])),
            struct.pack("<HH", rng.randrange(4), rng.randrange(3)),
            struct.pack("<H", rng.randrange(4)),
            bytes([rng.randrange(2)]),
            struct.pack("<I", rng.choice([0, 6, 24, 115200])) + bytes(rng.randrange(1, 1085)),
        ]
    )


def _switching(rng: random.Random, kind: int) -> bytes | None:
    """A payload for a command that is about switching, mostly a good one; None for other commands."""
    odd = rng.choice([0, 1, 2, 7, 8, 255])
    return {
        Type.POLICY: struct.pack("<BHHBBHH", rng.randrange(7), rng.randrange(4), 128, odd, 2, 50, 100 * odd),
        Type.TASK: struct.pack("<BBHI", rng.randrange(9), odd, rng.choice([0, 50, 200, 960]), odd << 9),
        Type.LIMITS: struct.pack("<IH", odd * 100, rng.choice([0, 500, 1000, 1001, 0xFFFF])),
        Type.NEXT: bytes([rng.randrange(4), rng.randrange(2)]),
        Type.STATUS: b"",
    }.get(kind)


def _junk(rng: random.Random) -> bytes:
    frame = Frame(rng.randrange(256), rng.randrange(256), rng.choice([SESSION, 7]), _payload(rng))
    return rng.choice([rng.randbytes(rng.randrange(3000)), encode(frame)[: rng.randrange(9)], encode(frame)])


def _session(rng: random.Random, session: int) -> Iterator[bytes]:
    """A hello, then commands in sequence, most of which make some sense, with junk in between.

    RESET is left out: what is in the pipe then is lost.
    """
    yield encode(Frame(Type.HELLO, 0, session, b"\x01\x01"))
    whole_image = [
        *((Type.PROFILE, b"\x01"), (Type.SELECT, PAIR), (Type.BEGIN, b""), (Type.DATA, bytes(28))),
        *((Type.FINISH, b""), (Type.READ, bytes(4)), (Type.STAGES, bytes(2))),
    ]
    kinds = [Type.BEGIN, Type.DATA, Type.DATA, *(t for t in range(20) if t != Type.RESET), 0xFF]
    for seq in range(1, 40):
        kind, payload = (
            whole_image[seq - 1] if seq <= len(whole_image) else (rng.choice(kinds), _payload(rng))
        )
        if rng.random() < 0.8:
            payload = _switching(rng, kind) or payload
        yield encode(Frame(kind, seq, session, b"" if kind in (Type.BEGIN, Type.STATUS) else payload))
        if rng.random() < 0.1:
            yield _junk(rng)


@pytest.mark.parametrize("seed", range(3))
def test_any_bytes_leave_the_board_whole(seed: int):
    rng = random.Random(seed)
    line = b"".join(piece for i in range(100) for piece in _session(rng, SESSION + i))
    path = firmware("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g")
    result = subprocess.run([path], input=line, capture_output=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, b"")
    answers = list(Decoder().feed(result.stdout))
    commands = {Type.ANSWER | t for t in range(1, 20) if t != Type.RESET}
    assert {f.type for f in answers} == {Type.BOOT, Type.LOST, Type.ERROR, *commands}
    assert {SESSION + i for i in range(100)} <= {f.session for f in answers}


def test_version_of_firmware_is_the_packages():
    package = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    header = (FIRMWARE / "link/link.h").read_text()
    assert re.search(r'TS_FIRMWARE_VERSION "(.*)"', header)[1] == package


def test_image_larger_than_the_window_arrives(wire: Wire):
    pixels = image((176, 176, 3), "int8").tobytes()
    wire.ask(Type.BEGIN, 1)
    seq = 1
    for at in range(0, len(pixels), 1084):
        seq = (seq + 1) & 0xFF
        wire.ask(Type.DATA, seq, data(at, pixels[at : at + 1084]))
    summary = Summary.unpack(wire.ask(Type.FINISH, (seq + 1) & 0xFF).payload)
    assert summary.outputs == struct.pack("<I", zlib.crc32(pixels))

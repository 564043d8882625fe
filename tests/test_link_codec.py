"""COBS and CRC-32 of the firmware, against the cobs package and zlib."""

from __future__ import annotations

import ctypes
import functools
import zlib

import pytest
from cobs import cobs
from hypothesis import example, given, settings
from hypothesis import strategies as st

from link_support import FIRMWARE, compile_c
from tinyswitch.link.frames import Decoder, Frame, encode

CAPACITY = 1097
WRITE = ctypes.CFUNCTYPE(None, ctypes.POINTER(ctypes.c_uint8), ctypes.c_size_t)
# few zeros, many zeros, and runs around the block length of 254
BYTES = st.one_of(
    st.binary(max_size=1200),
    st.lists(st.sampled_from([0, 1, 255]), max_size=700).map(bytes),
    st.integers(250, 260).map(lambda n: b"\x01" * n),
    st.integers(250, 260).map(lambda n: b"\x01" * n + b"\0"),
)


class CobsDecoder(ctypes.Structure):
    _fields_ = (
        ("buffer", ctypes.c_void_p),
        ("capacity", ctypes.c_uint32),
        ("length", ctypes.c_uint32),
        ("left", ctypes.c_uint8),
        ("begun", ctypes.c_uint8),
        ("zero", ctypes.c_uint8),
        ("damaged", ctypes.c_uint8),
    )


@functools.cache
def codec() -> ctypes.CDLL:
    library = ctypes.CDLL(str(compile_c("codec.so", [FIRMWARE / "link/codec.c"], "-O2", "-shared", "-fPIC")))
    library.ts_crc32.restype = ctypes.c_uint32
    library.ts_crc32.argtypes = [ctypes.c_uint32, ctypes.c_char_p, ctypes.c_size_t]
    library.ts_cobs_encode.argtypes = [ctypes.c_char_p, ctypes.c_size_t, WRITE]
    library.ts_cobs_encode.restype = None
    return library


class FirmwareDecoder:
    """Feeds ts_cobs_decode(); a guard behind the buffer shows whether it is left."""

    def __init__(self, capacity: int = CAPACITY):
        self.memory = ctypes.create_string_buffer(b"\xa5" * (capacity + 8), capacity + 8)
        self.state = CobsDecoder(ctypes.addressof(self.memory), capacity)
        self.capacity = capacity

    def feed(self, data: bytes) -> list[bytes | None]:
        results = []
        for byte in data:
            length = codec().ts_cobs_decode(ctypes.byref(self.state), ctypes.c_uint8(byte))
            if length != 0:
                results.append(self.memory.raw[:length] if length > 0 else None)
        assert self.memory.raw[self.capacity :] == b"\xa5" * 8
        return results


def firmware_encode(data: bytes) -> bytes:
    out = bytearray()
    codec().ts_cobs_encode(data, len(data), WRITE(lambda piece, n: out.extend(piece[:n])))
    return bytes(out)


@given(BYTES, BYTES)
def test_crc_is_zlibs(first: bytes, second: bytes):
    crc = codec().ts_crc32(codec().ts_crc32(0, first, len(first)), second, len(second))
    assert crc == zlib.crc32(first + second)


@given(BYTES)
@example(b"\x01" * 254)
@example(b"\x01" * 508)
def test_encoding_is_cobs(data: bytes):
    assert firmware_encode(data) == b"\0" + cobs.encode(data) + b"\0"


@given(st.lists(BYTES.filter(lambda b: 0 < len(b) <= CAPACITY), max_size=4))
def test_decoding_finds_every_frame(frames: list[bytes]):
    line = b"".join(b"\0" + cobs.encode(frame) + b"\0" for frame in frames)
    assert FirmwareDecoder().feed(line) == frames


@given(st.binary(max_size=300), st.integers(1, 40))
def test_decoding_agrees_with_cobs_on_noise_and_stays_in_its_buffer(noise: bytes, capacity: int):
    expected = []
    for part in noise.split(b"\0")[:-1]:
        if part:
            try:
                frame = cobs.decode(part)
            except cobs.DecodeError:
                frame = b""
            expected.append(frame if 0 < len(frame) <= capacity else None)
    assert FirmwareDecoder(capacity).feed(noise) == expected


@settings(max_examples=50)
@given(st.lists(st.binary(max_size=1088), min_size=1, max_size=4), st.integers(1, 50))
def test_host_decoder_finds_frames_in_any_slices(payloads: list[bytes], size: int):
    sent = [Frame(5, i, 0x1234, payload) for i, payload in enumerate(payloads)]
    line = b"".join(map(encode, sent))
    decoder = Decoder()
    found = [f for at in range(0, len(line), size) for f in decoder.feed(line[at : at + size])]
    assert found == sent
    assert decoder.noise_bytes == 0


@pytest.mark.parametrize("at", range(5))
def test_host_decoder_rejects_a_flipped_bit(at: int):
    line = bytearray(encode(Frame(5, 1, 0x1234, b"some payload")))
    line[3 * at + 1] ^= 0x10
    decoder = Decoder()
    assert list(decoder.feed(bytes(line))) == []
    assert decoder.noise_bytes > 0


def test_host_decoder_keeps_little_of_endless_noise():
    decoder = Decoder()
    for _ in range(100):
        assert list(decoder.feed(b"noise without a zero" * 20)) == []
    assert decoder.noise_bytes > 30000
    assert len(decoder.noise) <= 48
    good = Frame(1, 2, 3, b"x")
    assert list(decoder.feed(encode(good))) == [good]

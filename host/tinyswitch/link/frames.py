"""Frames as bytes on the line: COBS between zeros, CRC-32 at the end. docs/link.md gives every byte."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from cobs import cobs

VERSION = 1  # of the protocol
MAX_PAYLOAD = 1088
_HEADER = struct.Struct("<BBBH")  # version, type, seq, session
_CRC = struct.Struct("<I")
_MAX_LINE = 1200  # longest COBS body plus a margin; what is longer without a zero is no frame
_SAMPLE = 48  # bytes of noise kept for messages


@dataclass(frozen=True)
class Frame:
    type: int  # messages.Type, or anything
    seq: int
    session: int
    payload: bytes = b""
    version: int = VERSION


def encode(frame: Frame) -> bytes:
    """What goes over the line."""
    body = _HEADER.pack(frame.version, frame.type, frame.seq, frame.session) + frame.payload
    return b"\0" + cobs.encode(body + _CRC.pack(zlib.crc32(body))) + b"\0"


def decode(line: bytes) -> Frame | None:
    """The frame between two zeros; None if it is damaged."""
    try:
        body = cobs.decode(line)
    except cobs.DecodeError:
        return None
    if len(body) < _HEADER.size + _CRC.size:
        return None
    if zlib.crc32(body[: -_CRC.size]) != _CRC.unpack(body[-_CRC.size :])[0]:
        return None
    version, kind, seq, session = _HEADER.unpack_from(body)
    return Frame(kind, seq, session, body[_HEADER.size : -_CRC.size], version)


class Decoder:
    """Finds frames in what arrives, and keeps an account of what is none."""

    def __init__(self) -> None:
        self._pending = b""
        self._noise = b""
        self._noise_bytes = 0

    @property
    def noise_bytes(self) -> int:
        """How much was no frame, or isn't one yet."""
        return self._noise_bytes + len(self._pending)

    @property
    def noise(self) -> bytes:
        """The first of it."""
        return (self._noise + self._pending)[:_SAMPLE]

    def feed(self, data: bytes) -> Iterator[Frame]:
        *lines, self._pending = (self._pending + data).split(b"\0")
        for line in lines:
            frame = decode(line) if line else None
            if frame is not None:
                yield frame
            else:
                self._count(line)
        if len(self._pending) > _MAX_LINE:
            self._count(self._pending)
            self._pending = b""

    def _count(self, line: bytes) -> None:
        self._noise_bytes += len(line)
        self._noise = (self._noise + line)[:_SAMPLE]

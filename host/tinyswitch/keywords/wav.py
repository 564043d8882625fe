"""WAV files of any rate, width and number of channels, as 16 kHz mono.

The format: Microsoft, "Multimedia Programming Interface and Data Specifications 1.0" (RIFF, WAVE), and
"Multiple Channel Audio Data and WAVE Files" (WAVE_FORMAT_EXTENSIBLE).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import gcd
from pathlib import Path

import numpy as np

from tinyswitch.errors import TinyswitchError
from tinyswitch.features.frontend import RATE

INTEGER, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE  # kinds of samples
WIDTHS = {INTEGER: (8, 16, 24, 32), FLOAT: (32, 64)}  # bits
SLOWEST, FASTEST = 1000, 768_000  # Hz; other rates are damage
MOST_CHANNELS = 64


@dataclass(frozen=True)
class Sound:
    """``samples`` (n,) int16 at 16 kHz; ``remarks`` say what was converted, in words."""

    path: Path
    samples: np.ndarray
    remarks: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE


def read(path: Path) -> Sound:
    """Reads one file; channels are averaged. Raises TinyswitchError if it is damaged or of another kind."""
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TinyswitchError(f"{path}: {error.strerror or error}") from None
    kind, channels, rate, bits, raw, cut = _parts(path, content)
    values = _values(raw, kind, bits).reshape(-1, channels)
    if not len(values):
        raise TinyswitchError(f"{path}: no samples; give a file with sound")
    if not np.isfinite(values).all():
        raise TinyswitchError(f"{path}: damaged: samples that are no numbers; record or export it again")
    remarks = []
    if cut:
        remarks.append(f"ends before its header says, after {len(values) / rate:.2f} s")
    if kind != INTEGER or bits != 16:
        remarks.append(f"{bits} bit {'floating point' if kind == FLOAT else 'samples'} become 16 bit")
    if channels > 1:
        remarks.append(f"{channels} channels are averaged")
    mono = values.mean(1)
    if rate != RATE:
        remarks.append(f"{rate} Hz are resampled to {RATE} Hz")
        mono = resampled(mono, rate)
    return Sound(path, as_int16(mono), tuple(remarks))


def say(sounds: list[Sound], log: Callable[[str], None]) -> None:
    """One line for each kind of remark: how many files it is about."""
    counts: dict[str, list[Path]] = {}
    for sound in sounds:
        for remark in sound.remarks:
            counts.setdefault(remark, []).append(sound.path)
    for remark, paths in counts.items():
        log(f"{paths[0]}: {remark}" if len(paths) == 1 else f"{len(paths)} files: {remark}")


def resampled(samples: np.ndarray, rate: int) -> np.ndarray:
    """From ``rate`` to 16 kHz, with a filter against what the new rate cannot hold (scipy's polyphase)."""
    from scipy.signal import resample_poly

    common = gcd(rate, RATE)
    return resample_poly(samples, RATE // common, rate // common)


def as_int16(samples: np.ndarray) -> np.ndarray:
    """Samples in steps of int16 rounded, and cut off at its limits."""
    return np.clip(np.rint(samples), -32768, 32767).astype(np.int16)


def write(path: Path, samples: np.ndarray) -> None:
    """``samples`` (n,) int16 as a file of 16 kHz. Raises TinyswitchError if it cannot be written."""
    from tinyswitch import data

    raw = samples.astype("<i2").tobytes()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, INTEGER, 1, RATE, 2 * RATE, 2, 16)
    body = b"WAVE" + form + struct.pack("<4sI", b"data", len(raw)) + raw
    data.write_file(path, struct.pack("<4sI", b"RIFF", len(body)) + body)


def _parts(path: Path, content: bytes) -> tuple[int, int, int, int, bytes, bool]:
    """Kind, channels, rate, bits, samples, and whether there are fewer than the header says."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise TinyswitchError(f"{path}: no WAV file (no RIFF/WAVE heading); convert it to WAV first")
    form: tuple[int, int, int, int] | None = None
    for name, chunk, size in _chunks(content):
        if name == b"fmt ":
            form = _form(path, chunk)
        elif name == b"data":
            if form is None:
                break
            kind, channels, rate, bits = form
            frame = channels * bits // 8
            whole = len(chunk) // frame * frame
            return kind, channels, rate, bits, chunk[:whole], whole < size // frame * frame
    what = "its format" if form is None else "samples"
    raise TinyswitchError(f"{path}: damaged: there is no chunk with {what}; record or export it again")


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    """Name, content and size of each chunk; the last may be shorter than its size."""
    at = 12
    while at + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, at)
        yield name, content[at + 8 : at + 8 + size], size
        at += 8 + size + size % 2  # chunks begin at even places


def _form(path: Path, chunk: bytes) -> tuple[int, int, int, int]:
    if len(chunk) < 16:
        raise TinyswitchError(f"{path}: damaged: its format is {len(chunk)} bytes; 16 are the least")
    kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if kind == EXTENSIBLE and len(chunk) >= 26:
        (kind,) = struct.unpack_from("<H", chunk, 24)
    if bits not in WIDTHS.get(kind, ()):
        raise TinyswitchError(
            f"{path}: samples of kind {kind} with {bits} bits; whole numbers of 8, 16, 24 or 32 bits and "
            "floating point of 32 or 64 are read: convert it"
        )
    if not 1 <= channels <= MOST_CHANNELS or not SLOWEST <= rate <= FASTEST:
        raise TinyswitchError(f"{path}: damaged: {channels} channels at {rate} Hz; record or export it again")
    return kind, channels, rate, bits


def _values(raw: bytes, kind: int, bits: int) -> np.ndarray:
    """float64 in steps of int16."""
    if kind == FLOAT:
        return np.frombuffer(raw, f"<f{bits // 8}").astype(float) * 32768
    if bits == 8:
        return (np.frombuffer(raw, np.uint8) - 128.0) * 256
    if bits == 24:
        wide = np.zeros((len(raw) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(raw, np.uint8).reshape(-1, 3)
        return wide.view("<i4")[:, 0] / 65536
    return np.frombuffer(raw, f"<i{bits // 8}") / 2.0 ** (bits - 16)

"""Reading WAV files: all kinds become 16 kHz mono, damage is one line."""

from __future__ import annotations

import io
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
import scipy.io.wavfile
from hypothesis import given
from hypothesis import strategies as st

from models import examples, seeds
from tinyswitch.errors import TinyswitchError
from tinyswitch.keywords import wav


def tone(rate: int, hertz: float = 440.0, seconds: float = 0.5) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def scipy_file(path: Path, rate: int, samples: np.ndarray) -> Path:
    scipy.io.wavfile.write(path, rate, samples)
    return path


@given(seeds, st.integers(1, 5), st.sampled_from(["u1", "i2", "i4", "f4", "f8"]))
@examples(60)
def test_every_width_is_read_as_scipy_writes_it(tmp_path_factory, seed, channels, kind):
    rng = np.random.default_rng(seed)
    real = rng.uniform(-1, 1, (rng.integers(1, 300), channels))
    scale, middle = {"u1": (127, 128), "i2": (32767, 0), "i4": (2**31 - 1, 0)}.get(kind, (1, 0))
    samples = (real * scale + middle).astype(kind)
    path = scipy_file(tmp_path_factory.mktemp("wav") / "a.wav", 16000, samples)
    found = wav.read(path).samples
    wanted = (samples.astype(float) - middle) / {"u1": 128, "i2": 2**15, "i4": 2**31}.get(kind, 1) * 32768
    wanted = np.clip(np.rint(wanted.mean(1)), -32768, 32767)
    np.testing.assert_allclose(found, wanted, atol=1 if channels > 1 else 0)
    assert found.dtype == np.int16


def test_24_bits_are_read(tmp_path):
    values = np.array([0, 1, -1, 2**23 - 1, -(2**23), 256 * 1234, -256 * 4321])
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 3, 16000, 0, "NONE", ""))
        file.writeframes(b"".join(int(v).to_bytes(3, "little", signed=True) for v in values))
    sound = wav.read(tmp_path / "a.wav")
    np.testing.assert_array_equal(sound.samples, np.clip(np.rint(values / 256), -32768, 32767))
    assert sound.remarks == ("24 bit samples become 16 bit",)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000])
def test_other_rates_are_resampled_and_said(tmp_path, rate):
    path = scipy_file(tmp_path / "a.wav", rate, (tone(rate) * 32767).astype(np.int16))
    sound = wav.read(path)
    assert sound.remarks == (f"{rate} Hz are resampled to 16000 Hz",)
    assert sound.seconds == pytest.approx(0.5, abs=1e-3)
    inner = slice(800, -800)  # the ends ring
    wanted = tone(16000)[inner] * 32767
    np.testing.assert_allclose(sound.samples[: len(tone(16000))][inner], wanted, atol=200)


def test_what_16_khz_cannot_hold_is_filtered_out(tmp_path):
    path = scipy_file(tmp_path / "a.wav", 48000, (tone(48000, 15000) * 32767).astype(np.int16))
    assert np.abs(wav.read(path).samples[800:-800]).max() < 300


def test_written_files_are_read_by_others_and_back(tmp_path):
    samples = np.random.default_rng(0).integers(-32768, 32768, 1001).astype(np.int16)
    wav.write(tmp_path / "a.wav", samples)
    rate, theirs = scipy.io.wavfile.read(tmp_path / "a.wav")
    assert rate == 16000
    np.testing.assert_array_equal(theirs, samples)
    sound = wav.read(tmp_path / "a.wav")
    np.testing.assert_array_equal(sound.samples, samples)
    assert sound.remarks == ()


def extensible(samples: np.ndarray) -> bytes:
    form = struct.pack("<HHIIHHHHI", 0xFFFE, 1, 16000, 32000, 2, 16, 22, 16, 4)
    form += bytes.fromhex("0100000000001000800000aa00389b71")
    raw = samples.tobytes()
    body = b"WAVE" + b"fmt " + struct.pack("<I", len(form)) + form
    body += b"LIST" + struct.pack("<I", 3) + b"abc\0"  # an odd chunk and its padding
    body += b"data" + struct.pack("<I", len(raw)) + raw
    return b"RIFF" + struct.pack("<I", len(body)) + body


def test_extensible_files_and_unknown_chunks_are_read(tmp_path):
    samples = np.arange(-50, 50, dtype=np.int16)
    (tmp_path / "a.wav").write_bytes(extensible(samples))
    np.testing.assert_array_equal(wav.read(tmp_path / "a.wav").samples, samples)


def test_a_file_that_ends_early_is_used_as_far_as_it_goes(tmp_path):
    samples = np.arange(1600, dtype=np.int16)
    wav.write(tmp_path / "a.wav", samples)
    content = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").write_bytes(content[: 44 + 1601])
    sound = wav.read(tmp_path / "a.wav")
    np.testing.assert_array_equal(sound.samples, samples[:800])
    assert sound.remarks == ("ends before its header says, after 0.05 s",)


def changed(at: int, value: bytes) -> bytes:
    content = bytearray(extensible(np.arange(100, dtype=np.int16)))
    content[at : at + len(value)] = value
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no RIFF/WAVE heading"),
        (b"ID3 not a wav at all", "no RIFF/WAVE heading"),
        (b"RIFF\x04\0\0\0WAVE", "no chunk with its format"),
        (changed(0, b"RIFF")[:60], "no chunk with samples"),
        (changed(12, b"fnt "), "no chunk with its format"),
        (changed(20, b"\x07\0"), "kind 7 with 16 bits"),
        (changed(22, b"\0\0"), "0 channels"),
        (changed(24, b"\0\0\0\0"), "at 0 Hz"),
        (changed(34, b"\x0c\0"), "with 12 bits"),
        (extensible(np.array([], np.int16)), "no samples"),
    ],
)
def test_damaged_files_are_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(TinyswitchError, match=message) as caught:
        wav.read(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_samples_that_are_no_numbers_are_refused(tmp_path):
    path = scipy_file(tmp_path / "a.wav", 16000, np.array([0.1, np.nan], np.float32))
    with pytest.raises(TinyswitchError, match="no numbers"):
        wav.read(path)


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(TinyswitchError, match=r"a\.wav: No such file"):
        wav.read(tmp_path / "a.wav")


@given(st.binary(max_size=200), st.integers(0, 400))
@examples(200)
def test_any_damage_is_read_or_refused(tmp_path_factory, noise, at):
    content = bytearray(extensible(np.arange(200, dtype=np.int16)))
    content[at : at + len(noise)] = noise
    path = tmp_path_factory.mktemp("wav") / "a.wav"
    path.write_bytes(content)
    try:
        sound = wav.read(path)
    except TinyswitchError as error:
        assert "\n" not in str(error)
    else:
        assert sound.samples.dtype == np.int16 and len(sound.samples)


def test_what_was_converted_is_said_once_for_many_files(tmp_path):
    buffer = io.BytesIO()
    scipy.io.wavfile.write(buffer, 8000, np.zeros((80, 2), np.int16))
    paths = [tmp_path / name for name in ("a.wav", "b.wav")]
    for path in paths:
        path.write_bytes(buffer.getvalue())
    lines: list[str] = []
    wav.say([wav.read(path) for path in paths], lines.append)
    assert lines == ["2 files: 2 channels are averaged", "2 files: 8000 Hz are resampled to 16000 Hz"]
    wav.say([wav.read(paths[0])], lines.append)
    assert lines[2] == f"{paths[0]}: 2 channels are averaged"

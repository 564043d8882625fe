"""Clips: what is read, how speakers are divided, what variants are."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.io.wavfile
from hypothesis import given
from hypothesis import strategies as st

from keyword_clips import clip, spoken, write_folder
from models import examples, seeds
from tinyswitch.errors import TinyswitchError
from tinyswitch.features.frontend import Frontend
from tinyswitch.keywords import augment, clips, features
from tinyswitch.keywords.augment import Augmentation, Variants

STILL = Augmentation(shift_s=0, speed=1, quieter_db=0, louder_db=0, noisy=0, lead=0)


def test_a_folder_is_read_with_words_and_speakers(tmp_path):
    write_folder(tmp_path, 3, takes=2)
    lines: list[str] = []
    found = clips.read_folder(tmp_path, lines.append)
    assert lines == []
    assert len(found) == 3 * 7  # a recording of silence has one name for both takes
    assert {(c.word, clips.CLASSES[c.label]) for c in found} == {
        ("yes", "yes"),
        ("no", "no"),
        ("up", "unknown"),
        ("_silence_", "silence"),
    }
    assert {c.speaker for c in found if c.word == "yes"} == {f"{i:08x}" for i in range(3)}
    first = next(c for c in found if c.path.name == "00000001_nohash_1.wav" and c.word == "no")
    np.testing.assert_array_equal(first.samples, spoken("no", 1, 1))


def test_a_speaker_is_known_behind_the_word_of_an_unknown_one(tmp_path):
    write_folder(tmp_path, 4)
    (tmp_path / "_unknown_").mkdir()
    (tmp_path / "up" / "00000002_nohash_0.wav").rename(
        tmp_path / "_unknown_" / "sheila_00000002_nohash_0.wav"
    )
    (tmp_path / "up" / "00000003_nohash_0.wav").rename(tmp_path / "up" / "mine.wav")
    found = clips.read_folder(tmp_path, print)
    assert {c.speaker for c in found if c.word == "_unknown_"} == {"00000002"}
    assert "up/mine" in {c.speaker for c in found}


def test_other_lengths_and_damage_are_said(tmp_path):
    write_folder(tmp_path, 2)
    (tmp_path / "yes" / "bad.wav").write_bytes(b"RIFF")
    scipy.io.wavfile.write(tmp_path / "yes" / "slow.wav", 8000, np.ones((4000, 2), np.int16))
    lines: list[str] = []
    found = clips.read_folder(tmp_path, lines.append)
    assert [c.path.name for c in found if c.word == "yes"][-1] == "slow.wav"
    assert all(c.samples.shape == (16000,) for c in found)
    assert len(lines) == 4
    assert lines[0].startswith(f"left out: {tmp_path / 'yes' / 'bad.wav'}: no WAV file")
    assert lines[3].startswith("1 files are not 1 s long")


@pytest.mark.parametrize("missing", ["yes", "no", "up", "_silence_"])
def test_a_missing_class_is_one_line(tmp_path, missing):
    write_folder(tmp_path, 1)
    for path in (tmp_path / missing).iterdir():
        path.unlink()
    with pytest.raises(TinyswitchError, match="no clips of") as caught:
        clips.read_folder(tmp_path, print)
    assert "\n" not in str(caught.value)


def test_an_empty_folder_is_one_line(tmp_path):
    with pytest.raises(TinyswitchError, match=r"no WORD/\*\.wav"):
        clips.read_folder(tmp_path, print)


@given(st.integers(1, 60000), seeds)
@examples(60)
def test_the_loudest_second_is_taken(length, seed):
    rng = np.random.default_rng(seed)
    samples = (rng.normal(size=length) * 100).astype(np.int16)
    found = clips.a_second(samples).astype(int)
    assert found.shape == (16000,)
    if length <= 16000:
        assert (found**2).sum() == (samples.astype(int) ** 2).sum()
    else:
        squares = np.convolve(samples.astype(float) ** 2, np.ones(16000), "valid")
        assert (found**2).sum() == pytest.approx(squares.max())


@given(st.integers(4, 40), st.floats(0.05, 0.4), st.floats(0.05, 0.3), seeds)
@examples(40)
def test_no_speaker_is_in_two_parts(speakers, held_out, validation, seed):
    silent = np.zeros(1, np.int16)
    every = [
        clips.Clip(c.path, c.word, c.speaker, silent)
        for c in (clip(word, s) for word in ("yes", "no", "up", "_silence_") for s in range(speakers))
    ]
    made = clips.divide(every, held_out, validation, seed)
    parts = [made.train, made.validation, made.test]
    assert sum(map(len, parts)) == len(every)
    owners = [{c.speaker for c in part} for part in parts]
    assert not (owners[0] & owners[1] or owners[0] & owners[2] or owners[1] & owners[2])
    for name in ("yes", "_silence_"):
        count = sum(c.word == name for c in made.test)
        assert abs(count - held_out * speakers) <= 1 and count >= 1
    again = clips.divide(every, held_out, validation, seed)
    assert [c.path for c in again.test] == [c.path for c in made.test]


def test_a_variant_without_room_to_differ_is_the_clip():
    said = clip("yes", 1)
    found = Variants(STILL, [clip("_silence_", 1)], 0).features(said)
    np.testing.assert_array_equal(found, Frontend().rows(said.samples)[:49])


def test_variants_differ_and_are_the_same_for_a_seed():
    said, noises = clip("yes", 1), [clip("_silence_", 1)]
    maker, again = (Variants(Augmentation(), noises, 5) for _ in range(2))
    made = [maker.features(said) for _ in range(4)]
    np.testing.assert_array_equal(made, [again.features(said) for _ in range(4)])
    assert len({image.tobytes() for image in made}) == 4
    assert all(image.shape == (49, 40) and image.dtype == np.int8 for image in made)


def test_noise_has_the_loudness_that_is_asked_for():
    said = clip("yes", 1)
    plain = augment.alone(said.samples, Frontend()).astype(int)
    means = []
    for snr in (40.0, 0.0):
        noisy = Augmentation(0, 1, 0, 0, noisy=1, snr_db=(snr, snr), lead=0)
        made = Variants(noisy, [clip("_silence_", 2)], 3).features(said)
        means.append(np.abs(made - plain).mean())
    assert means[0] < means[1] / 2


def test_a_joined_sound_begins_as_the_first_clip_and_ends_as_the_second():
    still = Augmentation(0, 1, 0, 0, noisy=0, lead=0)
    first, second = clip("yes", 1), clip("no", 2)
    made = Variants(still, [clip("_silence_", 1)], 0).joined(first, second).sound.astype(float)
    begin, end = slice(4000, 5300), slice(10800, 12000)  # before and after any place where they may be joined
    np.testing.assert_allclose(made[begin], first.samples[begin], atol=1)
    loud = augment.loudness(first.samples.astype(float)) / augment.loudness(second.samples.astype(float))
    np.testing.assert_allclose(made[end], second.samples[end] * loud, atol=1)


@given(seeds, st.integers(-15999, 15999))
@examples(30)
def test_moving_there_and_back_loses_what_left_the_second(seed, by):
    sound = np.random.default_rng(seed).normal(size=16000)
    there = augment.moved(sound, by)
    kept = augment.moved(there, -by)
    inside = slice(0, 16000 - by) if by >= 0 else slice(-by, 16000)
    np.testing.assert_array_equal(kept[inside], sound[inside])
    assert np.count_nonzero(kept) == 16000 - abs(by)


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_a_faster_clip_is_higher(factor):
    tone = np.sin(2 * np.pi * 500 * np.arange(16000) / 16000)
    spectrum = np.abs(np.fft.rfft(augment.stretched(tone, factor)))
    assert spectrum.argmax() == pytest.approx(500 * factor, abs=2)


def test_after_another_sound_the_noise_is_known():
    hiss = (np.random.default_rng(0).normal(size=32000) * 1000).astype(np.int16)
    first = augment.alone(hiss[16000:], Frontend())
    later = augment.after(hiss[:16000], hiss[16000:], Frontend())
    np.testing.assert_array_equal(later, Frontend().rows(hiss)[50:99])
    assert later[:10].mean() < first[:10].mean() - 50  # it has been taken for noise


@given(seeds)
@examples(20)
def test_masks_silence_no_more_than_said(seed):
    images = np.ones((5, 49, 40), np.int8)
    made = augment.masked(images, np.random.default_rng(seed), 7, 6)
    for image in made:
        assert (image == -128).all(1).sum() <= 7 and (image == -128).all(0).sum() <= 6
        assert np.isin(image, (1, -128)).all()


def test_features_are_kept_and_found_again(tmp_path, monkeypatch):
    monkeypatch.setattr(features, "FOLDER", tmp_path)
    said, noises, steps = [clip("yes", 1), clip("no", 2)], [clip("_silence_", 1)], []
    made = features.of_variants(said, noises, 3, Augmentation(), 1, lambda: steps.append(1))
    assert made.shape == (2, 3, 49, 40) and len(steps) == 2
    np.testing.assert_array_equal(made[:, 0], features.plain(said))
    again = features.of_variants(said, noises, 3, Augmentation(), 1, lambda: steps.append(1))
    np.testing.assert_array_equal(made, again)
    assert len(steps) == 2  # from the file
    other = features.of_variants(said, noises, 3, Augmentation(), 2)
    assert (other[:, 1:] != made[:, 1:]).any()


def test_in_a_stream_each_clip_follows_another():
    said = [clip("yes", 1), clip("no", 2), clip("up", 3)]
    order = np.random.default_rng(4).permutation(3)
    pause = np.zeros(14720, np.int16)
    for i, windows in enumerate(features.in_stream(said, 4)):
        heard = Frontend().rows(np.concatenate([said[order[i]].samples, pause, said[i].samples, pause]))
        for first, window in zip(range(84, 109, 4), windows, strict=True):
            np.testing.assert_array_equal(window, heard[first : first + 49])

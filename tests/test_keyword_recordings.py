"""What is played to a board that listens, and what its detections are worth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import keyword_clips
from tinyswitch.errors import TinyswitchError
from tinyswitch.keywords import recording, wav
from tinyswitch.keywords.clips import CLASSES
from tinyswitch.keywords.detections import Detection, figures, match
from tinyswitch.keywords.recording import Spoken

YES, NO = CLASSES.index("yes"), CLASSES.index("no")


def test_a_clip_begins_every_96_rows_and_stands_where_its_label_says(monkeypatch):
    monkeypatch.setattr(recording, "CLIPS_A_RECORDING", 3)
    clips = [keyword_clips.clip(word, i) for i, word in enumerate(("yes", "up", "_silence_", "no"))]
    first, second = recording.joined(clips)
    assert (first.name, second.name) == ("clips 0 to 2", "clips 3 to 3")
    assert first.seconds == pytest.approx(0.96 + 3 * 1.92) and first.clips
    assert [one.label for one in first.spoken] == [YES, CLASSES.index("unknown"), CLASSES.index("silence")]
    rest = first.samples.copy()
    for clip, one in zip(clips, first.spoken, strict=False):
        assert one.first % (16 * 320) == 0
        assert np.array_equal(first.samples[one.first : one.end], clip.samples)
        rest[one.first : one.end] = 0
    assert not rest.any()


def write(folder: Path, name: str = "long", table: str | None = None, seconds: int = 3) -> Path:
    path = folder / f"{name}.wav"
    wav.write(path, np.arange(seconds * 16000).astype(np.int16))
    if table is not None:
        path.with_suffix(".csv").write_text(table)
    return path


def test_long_recordings_and_what_is_spoken_in_them(tmp_path):
    said: list[str] = []
    write(tmp_path, "a", "word,begin,end\nno,1.5,2\nyes,0.25,\nhello,2,\n")
    write(tmp_path, "b")
    write(tmp_path, "c", "begin,word\n")
    (tmp_path / "d.wav").write_bytes(b"nothing")
    a, b, c = recording.read(tmp_path, said.append)
    assert [one.name for one in (a, b, c)] == ["a.wav", "b.wav", "c.wav"]
    assert a.spoken == (Spoken(4000, 20000, YES), Spoken(24000, 32000, NO), Spoken(32000, 48000, 1))
    assert b.spoken is None and c.spoken == () and not a.clips
    assert len(said) == 1 and said[0].startswith("left out: ") and "d.wav" in said[0]


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("", "its first line is empty; it must name the columns word and begin"),
        ("word,time\nyes,1\n", "its first line is word, time"),
        ("word,begin\nyes,soon\n", "line 2: begin 'soon'"),
        ("word,begin,end\nyes,1,2\nno,2,1\n", "line 3: begin '2', end '1'"),
        ("word,begin\nyes,3\n", "within the 3.00 s"),
        ("word,begin\nyes,-1\n", "within the 3.00 s"),
        ("word,begin\nyes,nan\n", "begin 'nan'"),
        ("word,begin\nyes\n", "begin None"),
    ],
)
def test_a_table_that_makes_no_sense_is_one_line(table, text, tmp_path):
    path = write(tmp_path, table=table)
    with pytest.raises(TinyswitchError) as error:
        recording.read(path, print)
    assert text in str(error.value) and "long.csv" in str(error.value) and "\n" not in str(error.value)


def test_recordings_that_are_not_there_are_one_line(tmp_path, monkeypatch):
    for path, text in [(tmp_path / "no", "no such file or folder"), (tmp_path, r"no \*\.wav in it")]:
        with pytest.raises(TinyswitchError, match=text):
            recording.read(path, print)
    for name, text in [("bad", "bad.wav: no WAV file"), ("worse", "none of its 2 WAV files can be read")]:
        (tmp_path / f"{name}.wav").write_bytes(b"RIFF")
        with pytest.raises(TinyswitchError, match=text):
            recording.read(tmp_path, lambda _: None)
    path = write(tmp_path)
    monkeypatch.setattr(recording, "LONGEST_S", 2)
    with pytest.raises(TinyswitchError, match="at most 0 are played: divide it"):
        recording.read(path, print)
    path.with_suffix(".csv").write_bytes(b"\xff\xfe\xff")
    monkeypatch.undo()
    with pytest.raises(TinyswitchError, match=r"long\.csv: no CSV file"):
        recording.read(path, print)


def test_detections_of_words_spoken_are_hits_and_all_others_false():
    spoken = (Spoken(16000, 32000, YES), Spoken(48000, 64000, NO), Spoken(80000, 96000, 1))
    found = match(
        [
            Detection(YES, 30000),  # while it is spoken
            Detection(YES, 31000),  # a second time
            Detection(YES, 60000),  # of "no"
            Detection(NO, 80000),  # a second after its end
            Detection(NO, 99000),  # of an unknown word
        ],
        spoken,
    )
    assert found.spoken == spoken[:2] and found.heard == (True, True)
    assert [one.at for one in found.false] == [31000, 60000, 99000]
    assert match([Detection(NO, 80001)], spoken).heard == (False, False)
    assert match([Detection(YES, 16000)], spoken).heard == (False, False)  # before it has begun


def test_figures_of_recordings():
    spoken = (Spoken(0, 16000, YES), Spoken(32000, 48000, NO))
    heard = [Detection(YES, 16000), Detection(NO, 16000)]
    half_hour = 1800 * 16000
    found = figures([heard], [spoken], half_hour)
    assert found == {
        "hours": 0.5,
        "detections": 2,
        "detections_per_hour": 4.0,
        "spoken": 2,
        "hits": 1,
        "misses": 1,
        "false_accepts": 1,
        "false_accepts_per_hour": 2.0,
        "per_word": {
            "yes": {"spoken": 1, "hits": 1, "misses": 0, "false_accepts": 0},
            "no": {"spoken": 1, "hits": 0, "misses": 1, "false_accepts": 1},
        },
    }
    unknown = figures([heard, []], [spoken, None], half_hour)
    assert unknown["detections_per_hour"] == 4.0 and unknown["false_accepts"] is None
    nothing = figures([[]], [()], half_hour)
    assert nothing["false_accepts_per_hour"] == 0.0 and nothing["spoken"] == 0


words = st.builds(
    lambda first, length, label: Spoken(first, first + length, label),
    st.integers(0, 10**6),
    st.integers(1, 20000),
    st.sampled_from(range(len(CLASSES))),
)
heard = st.builds(Detection, st.sampled_from((YES, NO)), st.integers(0, 10**6))


@given(st.lists(heard, max_size=20), st.lists(words, max_size=20))
def test_each_detection_is_a_hit_or_false_and_each_word_heard_or_missed(detections, spoken):
    found = figures([detections], [sorted(spoken, key=lambda one: one.first)], 16000)
    assert found["hits"] + found["false_accepts"] == found["detections"] == len(detections)
    assert found["hits"] + found["misses"] == found["spoken"] == sum(s.label in (YES, NO) for s in spoken)

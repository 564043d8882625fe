"""Keyword models under LiteRT and in the engine: how often they are right."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from keyword_clips import clip
from native_engine import NativeModel
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate.litert import LiteRtModel
from tinyswitch.features.frontend import Frontend
from tinyswitch.gestures.scores import Scores
from tinyswitch.keywords import features, judge, report, wav
from tinyswitch.keywords.clips import CLASSES
from tinyswitch.nets import MODELS

DATA = os.environ.get("TINYSWITCH_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="TINYSWITCH_DATA is unset: no recorded speech at hand")
PUBLISHED = Path(DATA or "") / "micro-speech"


def test_classes_are_compared_with_what_is_required():
    good = Scores(np.diag([100, 100, 100, 100]), 400, 400)
    bad = Scores(np.array([[100, 0, 0, 0], [3, 97, 0, 0], [0, 7, 93, 0], [0, 16, 0, 84]]), 400, 374)
    found = list(report.class_table(good, bad, judge.REQUIRED).columns[-1].cells)
    assert found == ["yes", "alone", "alone", "alone"]
    assert list(report.class_table(bad, bad, judge.REQUIRED).columns[-1].cells) == ["yes", "no", "no", "no"]


def test_another_model_is_refused():
    with pytest.raises(TinyswitchError, match="a keyword model takes 49 x 40 features"):
        judge.check(MODELS / "digits.tflite")


@needs_data
def test_the_published_model_runs_unchanged(tmp_path):
    """micro_speech's own four recordings: features, LiteRT and the engine agree on what they are."""
    path = PUBLISHED / "micro_speech_quantized.tflite"
    litert, native = LiteRtModel(path), NativeModel(path, tmp_path)
    for name in ("silence", "yes", "no"):
        sound = wav.read(PUBLISHED / f"{name}_1000ms.wav")
        frame = Frontend().rows(sound.samples)[:49].reshape(litert.input.shape)
        answer = litert.run(frame)[0]
        assert CLASSES[answer.argmax()] == name
        for outputs in native.run([frame]).values():
            np.testing.assert_array_equal(outputs[0][0], answer)


@needs_data
def test_scores_are_those_of_its_answers():
    model = LiteRtModel(PUBLISHED / "micro_speech_quantized.tflite")
    some = [clip(word, speaker) for word in ("yes", "up", "_silence_") for speaker in range(3)]

    def probabilities(image):
        return model.run(image.reshape(model.input.shape))[0].reshape(-1) + 128.0

    alone, in_stream = judge.evaluate(model, some, 2)
    for scores, images in ((alone, features.plain(some)[:, None]), (in_stream, features.in_stream(some, 2))):
        chosen = [sum(map(probabilities, windows)).argmax() for windows in images]
        wanted = np.zeros((4, 4), int)
        for made, answer in zip(some, chosen, strict=True):
            wanted[made.label, answer] += 1
        np.testing.assert_array_equal(scores.confusion, wanted)

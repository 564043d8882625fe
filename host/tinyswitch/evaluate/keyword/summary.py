"""From a board's answers to sound to figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tinyswitch.evaluate.keyword.reference import Answer, Detected, Expected, rows_of
from tinyswitch.evaluate.summary import measured, spread
from tinyswitch.features.frontend import RATE, ROWS, STEP, WINDOW
from tinyswitch.gestures.scores import Scores, score
from tinyswitch.keywords.detections import Detection, figures
from tinyswitch.keywords.recording import Recording

Lines = Mapping[str, Mapping[str, Any]]  # of results.jsonl, by the recording's name


def keyword_summary(
    facts: Mapping[str, Any],
    lines: Lines,
    expected: Mapping[str, Expected],
    recordings: Mapping[str, Recording],
    memory: Mapping[str, Any],
) -> dict[str, Any]:
    """What ``summary.json`` says: the fields of images, an image being a window, and those of sound.

    ``facts`` is ``run.json``; ``lines`` and ``expected`` are by the recording's name; ``memory`` is the
    build's. Sizes in bytes, shares as fractions.
    """
    classes = facts["classes"]
    pairs = [pair for name, line in lines.items() for pair in _pairs(line, expected[name])]
    windows = sum(len(one.answers) for one in expected.values())
    both = spread([window["feature_cycles"] + window["inference_cycles"] for window, _ in pairs])
    a_second = RATE / STEP / facts["step"]
    judged = (lines, expected, recordings, len(classes), facts["detector"]["average_ms"])
    board, host = _scores(*judged, of_board=True), _scores(*judged, of_board=False)
    clips = sum(len(r.spoken or ()) for r in recordings.values() if r.clips)
    return {
        **measured(facts, both, memory, lines),
        "source": facts["source"],
        "detector": facts["detector"],
        "images": windows,
        "answered": len(pairs),
        "lost": windows - len(pairs),
        "top1": board and board.accuracy,
        "top5": None,
        "no_accuracy": None if clips else "recordings are no clips of one word each",
        "host_top1": host and host.accuracy,
        "identical_outputs": sum(_same(*pair) for pair in pairs),
        "identical_features": sum(window["rows_crc"] == answer.rows_crc for window, answer in pairs),
        "recordings": len(recordings),
        "recordings_answered": len(lines),
        "seconds": sum(recording.seconds for recording in recordings.values()),
        "clips": clips,
        "clips_answered": board.windows if board else 0,
        "accuracy": board and board.accuracy,
        "per_class": board and _per_class(board, classes),
        "confusion": board and board.confusion.tolist(),
        "detections": {
            **_detections(lines, recordings),
            **_identical_detections(lines, expected),
        },
        "feature_cycles": spread([window["feature_cycles"] for window, _ in pairs]),
        "inference_cycles": spread([window["inference_cycles"] for window, _ in pairs]),
        "streams": facts["streams"],
        "windows_a_second": a_second,
        "cpu_share": both["median"] and both["median"] * a_second / facts["clock_hz"],
        "cpu_measured": max((line["cpu"] for line in lines.values()), default=0) / 1000,
        "microphones": _microphones(lines, facts) if facts["source"] == "microphones" else None,
    }


def _pairs(line: Mapping[str, Any], expected: Expected) -> Iterable[tuple[Mapping[str, Any], Answer]]:
    """A board's answers with the host's; what it has heard behind the recording is left out."""
    return zip(line["answers"], expected.answers, strict=False)


def _same(window: Mapping[str, Any], answer: Answer) -> bool:
    mine = (window["row"], window["answer"], window["rows_crc"])
    scores = tuple(window["raw"]), tuple(window["mean"])
    return (*mine, *scores) == (answer.row, answer.answer, answer.rows_crc, answer.raw, answer.mean)


def _scores(
    lines: Lines,
    expected: Mapping[str, Expected],
    recordings: Mapping[str, Recording],
    n_classes: int,
    average_ms: int,
    *,
    of_board: bool,
) -> Scores | None:
    """Of each clip, by the mean of the windows about it; None without any.

    It is the board's own mean, when half of its windows begin after the clip.
    """
    answers, labels = [], []
    delay = (rows_of(average_ms) - 1) // 2 * STEP
    for name, line in lines.items():
        recording, pairs = recordings[name], list(_pairs(line, expected[name]))
        if not recording.clips or not pairs:
            continue
        begins = np.array([answer.row * STEP - line["before"] for _, answer in pairs])
        for spoken in recording.spoken or ():
            at = spoken.first + delay
            nearest = int(np.abs(begins - at).argmin())
            if abs(begins[nearest] - at) < ROWS * STEP / 2:
                window, answer = pairs[nearest]
                answers.append(int(window["answer"] if of_board else answer.answer))
                labels.append(spoken.label)
    if not answers:
        return None
    return score(np.array(answers), np.array(labels), np.arange(len(labels)), n_classes)


def _per_class(scores: Scores, classes: Sequence[str]) -> dict[str, dict[str, Any]]:
    counts = dict(zip(classes, scores.confusion.sum(1), strict=True))
    return {name: {"clips": int(counts[name]), **rates} for name, rates in scores.per_class(classes).items()}


def _detections(lines: Lines, recordings: Mapping[str, Recording]) -> dict[str, Any]:
    """Of the recordings that are answered."""
    found = [
        [Detection(d["word"], d["last_row"] * STEP + WINDOW - line["before"]) for d in line["detections"]]
        for line in lines.values()
    ]
    answered = [recordings[name] for name in lines]
    samples = sum(len(recording.samples) for recording in answered)
    return figures(found, [recording.spoken for recording in answered], samples)


def _identical_detections(lines: Lines, expected: Mapping[str, Expected]) -> dict[str, int]:
    """How many of the board's and the host's detections the other has, too."""
    same = different = 0
    for name, line in lines.items():
        windows = len(expected[name].answers)
        mine = {Detected(**found) for found in line["detections"] if found["number"] < windows}
        theirs = set(expected[name].detections)
        same += len(mine & theirs)
        different += len(mine ^ theirs)
    return {"identical": same, "different": different}


def _microphones(lines: Lines, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Sums over the recordings: for each, the board has started anew."""
    sums = {key: sum(line["microphones"][key] for line in lines.values()) for key in ("lost", "retries")}
    longest = max((line["microphones"]["longest_fetch"] for line in lines.values()), default=0)
    return {**sums, "longest_fetch_ms": 1000 * longest / facts["clock_hz"]}

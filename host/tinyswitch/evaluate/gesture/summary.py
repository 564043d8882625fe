"""From a board's answers to recordings to figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinyswitch.evaluate.gesture.reference import Answer
from tinyswitch.evaluate.summary import measured, spread
from tinyswitch.gestures.scores import Scores, score
from tinyswitch.link.gesture import UNCERTAIN

Expected = Mapping[str, tuple[str, list[Answer]]]  # label and the host's answers by the recording's name


def gesture_summary(
    facts: Mapping[str, Any],
    lines: Mapping[str, Mapping[str, Any]],
    expected: Expected,
    classes: Sequence[str],
    memory: Mapping[str, Any],
) -> dict[str, Any]:
    """What ``summary.json`` says: the fields of images, an image being a window, and those of gestures.

    ``facts`` is ``run.json``; ``lines`` has the lines of ``results.jsonl`` by the recording's name;
    ``memory`` is the build's. Sizes in bytes, shares as fractions.
    """
    pairs = [
        (window, answer)
        for name, line in lines.items()
        for window, answer in zip(line["windows"], expected[name][1], strict=False)
    ]
    total = sum(len(answers) for _, answers in expected.values())
    features = spread([window["feature_cycles"] for window, _ in pairs])
    inference = spread([window["inference_cycles"] for window, _ in pairs])
    both = spread([window["feature_cycles"] + window["inference_cycles"] for window, _ in pairs])
    board = _scores(lines, expected, classes)
    a_second = facts["rate_hz"] / facts["step"]
    return {
        **measured(facts, both, memory, lines),
        "source": facts["source"],
        "rate_hz": facts["rate_hz"],
        "images": total,
        "answered": len(pairs),
        "lost": total - len(pairs),
        "top1": board and board.accuracy,
        "top5": None,
        "no_accuracy": None,
        "host_top1": _host_accuracy(lines, expected, classes),
        "identical_outputs": sum(_same(window, answer) for window, answer in pairs),
        "recordings": len(expected),
        "recordings_answered": len(lines),
        "recordings_right": board and board.recordings_right,
        "accuracy": board and board.accuracy,
        "per_class": board and board.per_class(classes),
        "confusion": board and board.confusion.tolist(),
        "smoothed": _smoothed(lines, classes),
        "feature_cycles": features,
        "inference_cycles": inference,
        "windows_a_second": a_second,
        "cpu_share": both["median"] and both["median"] * a_second / facts["clock_hz"],
        "sensor": _sensor(lines) if facts["source"] == "sensor" else None,
    }


def _sensor(lines: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Sums over the recordings: for each, the board has started anew."""
    return {
        key: sum(line["sensor"][key] for line in lines.values()) for key in ("lost", "errors", "restarts")
    }


def _same(window: Mapping[str, Any], answer: Answer) -> bool:
    mine = (window["first"], window["answer"], tuple(window["raw"]), tuple(window["smoothed"]))
    return mine == (answer.first, answer.answer, answer.raw, answer.smoothed)


def _scores(
    lines: Mapping[str, Mapping[str, Any]], expected: Expected, classes: Sequence[str]
) -> Scores | None:
    """Of each window by itself; None without any."""
    answers, labels, owners = [], [], []
    for number, line in enumerate(lines.values()):
        for window in line["windows"][: len(expected[line["recording"]][1])]:
            answers.append(int(np.argmax(window["raw"])))
            labels.append(classes.index(line["label"]))
            owners.append(number)
    if not answers:
        return None
    return score(np.array(answers), np.array(labels), np.array(owners), len(classes))


def _host_accuracy(
    lines: Mapping[str, Mapping[str, Any]], expected: Expected, classes: Sequence[str]
) -> float | None:
    right = [
        int(np.argmax(answer.raw)) == classes.index(expected[name][0])
        for name in lines
        for answer in expected[name][1]
    ]
    return float(np.mean(right)) if right else None


def _smoothed(lines: Mapping[str, Mapping[str, Any]], classes: Sequence[str]) -> dict[str, int]:
    """What a user is told: windows with a right, a wrong, and no certain answer."""
    told = [(w["answer"], classes.index(line["label"])) for line in lines.values() for w in line["windows"]]
    uncertain = sum(answer == UNCERTAIN for answer, _ in told)
    right = sum(answer == label for answer, label in told)
    return {"right": right, "wrong": len(told) - right - uncertain, "uncertain": uncertain}

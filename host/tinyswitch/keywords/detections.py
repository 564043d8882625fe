"""Detections against what was spoken: hits, misses, false accepts, and how many there are in an hour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tinyswitch.features.frontend import RATE
from tinyswitch.keywords.clips import CLASSES
from tinyswitch.keywords.recording import Spoken

KEYWORDS = tuple(range(2, len(CLASSES)))  # the classes that are detected
LATE_S = 1.0  # a word is detected at the latest so long after its end


@dataclass(frozen=True)
class Detection:
    """A word that a board has detected: by the window that ends before sample ``at`` of the recording."""

    word: int  # index in CLASSES
    at: int


@dataclass(frozen=True)
class Matched:
    """Of one recording: which of the keywords spoken were detected, which detections belong to none."""

    spoken: tuple[Spoken, ...]  # keywords only
    heard: tuple[bool, ...]  # of each of them
    false: tuple[Detection, ...]


def match(detections: Iterable[Detection], spoken: Iterable[Spoken]) -> Matched:
    """Gives each detection to the first keyword of its class that it can be of and that has none yet.

    A detection can be of a word that has begun and ended at most ``LATE_S`` before. A second detection
    of the same word is a false one.
    """
    keywords = tuple(one for one in spoken if one.label in KEYWORDS)
    heard, false = [False] * len(keywords), []
    for detection in sorted(detections, key=lambda one: one.at):
        for i, word in enumerate(keywords):
            if not heard[i] and _can_be(detection, word):
                heard[i] = True
                break
        else:
            false.append(detection)
    return Matched(keywords, tuple(heard), tuple(false))


def _can_be(detection: Detection, word: Spoken) -> bool:
    return detection.word == word.label and word.first < detection.at <= word.end + round(LATE_S * RATE)


def figures(
    detections: Sequence[Sequence[Detection]], spoken: Sequence[Sequence[Spoken] | None], samples: int
) -> dict[str, Any]:
    """Of recordings with so many ``samples`` together: what ``summary.json`` says of detections.

    Hits, misses and false accepts are None unless it is known of every recording what is spoken in it.
    """
    hours = samples / RATE / 3600
    count = sum(map(len, detections))
    result: dict[str, Any] = {
        "hours": hours,
        "detections": count,
        "detections_per_hour": count / hours if hours else None,
        **dict.fromkeys(("spoken", "hits", "misses", "false_accepts", "false_accepts_per_hour", "per_word")),
    }
    known = [one for one in spoken if one is not None]
    if len(known) != len(spoken) or not hours:
        return result
    matched = [match(*pair) for pair in zip(detections, known, strict=True)]
    words = {CLASSES[word]: _of_word(matched, word) for word in KEYWORDS}
    sums = {key: sum(w[key] for w in words.values()) for key in ("spoken", "hits", "misses", "false_accepts")}
    return {
        **result,
        **sums,
        "false_accepts_per_hour": sums["false_accepts"] / hours,
        "per_word": words,
    }


def _of_word(matched: Sequence[Matched], word: int) -> dict[str, int]:
    heard = [h for one in matched for h, s in zip(one.heard, one.spoken, strict=True) if s.label == word]
    false = sum(d.word == word for one in matched for d in one.false)
    return {
        "spoken": len(heard),
        "hits": sum(heard),
        "misses": len(heard) - sum(heard),
        "false_accepts": false,
    }

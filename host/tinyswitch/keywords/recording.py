"""What is played to a board that listens: clips one after the other, or long recordings as they are."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyswitch.errors import TinyswitchError
from tinyswitch.features.frontend import RATE, STEP
from tinyswitch.keywords import wav
from tinyswitch.keywords.clips import CLASSES, FOLDERS, UNKNOWN, Clip

LEAD, PITCH = 48 * STEP, 96 * STEP  # samples before the first clip; from the begin of a clip to the next's
CLIPS_A_RECORDING = 320  # more than ten minutes
WORD_S = 1.0  # a word without an end lasts so long
LONGEST_S = 4 * 3600  # of a recording: what fits in memory


@dataclass(frozen=True)
class Spoken:
    """A sound with a known class: samples ``first`` to ``end`` - 1 of its recording."""

    first: int
    end: int
    label: int  # index in CLASSES


@dataclass(frozen=True)
class Recording:
    """``samples`` (n,) int16 at 16 kHz. ``spoken``: what is in it, in order; None if nobody has said.

    ``clips``: it is made of clips, so that ``spoken`` is all that there is to hear.
    """

    name: str
    samples: np.ndarray
    spoken: tuple[Spoken, ...] | None
    clips: bool = False

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE


def joined(clips: Sequence[Clip]) -> list[Recording]:
    """Recordings of up to ``CLIPS_A_RECORDING`` clips, with digital silence before, between and behind them.

    A clip begins every 1.92 s: that is 96 rows of features, so that all clips stand at the same place between
    the windows of a board that looks every 4, or every 16 rows.
    """
    found = []
    for at in range(0, len(clips), CLIPS_A_RECORDING):
        part = clips[at : at + CLIPS_A_RECORDING]
        found.append(_joined(f"clips {at} to {at + len(part) - 1}", part))
    return found


def _joined(name: str, clips: Sequence[Clip]) -> Recording:
    samples = np.zeros(LEAD + PITCH * len(clips), np.int16)
    spoken = []
    for i, clip in enumerate(clips):
        first = LEAD + PITCH * i
        spoken.append(Spoken(first, first + len(clip.samples), clip.label))
        samples[spoken[-1].first : spoken[-1].end] = clip.samples
    return Recording(name, samples, tuple(spoken), clips=True)


def read(path: Path, log: Callable[[str], None]) -> list[Recording]:
    """A WAV file, or all of a folder in the order of their names.

    What is spoken in one stands in NAME.csv beside it. ``log`` gets what was converted, and what is left out
    because it is damaged. Raises TinyswitchError if nothing is left, and for a CSV file that cannot be read.
    """
    if not path.exists():
        raise TinyswitchError(f"{path}: no such file or folder; give a WAV file or a folder of them")
    paths = sorted(path.glob("*.wav")) if path.is_dir() else [path]
    if not paths:
        raise TinyswitchError(f"{path}: no *.wav in it; give a WAV file or a folder of them")
    sounds = []
    for one in paths:
        try:
            sounds.append(wav.read(one))
        except TinyswitchError as error:
            if len(paths) == 1:
                raise
            log(f"left out: {error}")
    if not sounds:
        raise TinyswitchError(f"{path}: none of its {len(paths)} WAV files can be read")
    wav.say(sounds, log)
    return [_recording(sound) for sound in sounds]


def _recording(sound: wav.Sound) -> Recording:
    if sound.seconds > LONGEST_S:
        raise TinyswitchError(
            f"{sound.path}: {sound.seconds / 3600:.1f} hours; "
            f"at most {LONGEST_S // 3600} are played: divide it"
        )
    table = sound.path.with_suffix(".csv")
    spoken = _spoken(table, len(sound.samples)) if table.exists() else None
    return Recording(sound.path.name, sound.samples, spoken)


def _spoken(path: Path, samples: int) -> tuple[Spoken, ...]:
    """Columns ``word``, ``begin`` and, if there is one, ``end``, in seconds. No lines: nothing is spoken."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            names = rows.fieldnames or ()
            if not {"word", "begin"} <= set(names):
                raise TinyswitchError(
                    f"{path}: its first line is {', '.join(names) or 'empty'}; it must name the columns "
                    "word and begin (and end, if there is one)"
                )
            found = [_word(path, number, row, samples) for number, row in enumerate(rows, start=2)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TinyswitchError(f"{path}: {getattr(error, 'strerror', None) or 'no CSV file'}") from None
    return tuple(sorted(found, key=lambda one: one.first))


def _word(path: Path, line: int, row: dict[str, str | None], samples: int) -> Spoken:
    try:
        begin = float(row["begin"] or "")
        end = float(row.get("end") or begin + WORD_S)
    except ValueError:
        begin, end = 1.0, 0.0
    if not 0 <= begin < end or begin * RATE >= samples:
        raise TinyswitchError(
            f"{path}: line {line}: begin {row['begin']!r}, end {row.get('end') or ''!r}: "
            f"seconds within the {samples / RATE:.2f} s of the recording are needed"
        )
    word = (row["word"] or "").strip()
    label = CLASSES.index(FOLDERS[word]) if word in FOLDERS else UNKNOWN
    return Spoken(round(begin * RATE), round(end * RATE), label)

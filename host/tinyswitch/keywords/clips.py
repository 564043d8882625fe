"""Folders of spoken words (WORD/*.wav, as Google's Speech Commands has them), divided by speaker."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyswitch import data
from tinyswitch.errors import TinyswitchError
from tinyswitch.features.frontend import RATE
from tinyswitch.keywords import wav

CLASSES = ("silence", "unknown", "yes", "no")  # in micro_speech's order
SILENCE, UNKNOWN = 0, 1
FOLDERS = {"_silence_": "silence", "yes": "yes", "no": "no"}  # all others are of unknown words
FOLDER = "speech-commands"  # in the data root
FEWEST = 4  # speakers, or recordings of silence: some to train with, some to hold out
_SPEAKER = re.compile(r"(?:^|_)([0-9a-f]{6,})_nohash_")


@dataclass(frozen=True)
class Clip:
    """One second of a word: ``samples`` (16000,) int16."""

    path: Path
    word: str  # the folder's name
    speaker: str  # of a recording of silence: its own name
    samples: np.ndarray

    @property
    def label(self) -> int:
        """Index in CLASSES."""
        return CLASSES.index(FOLDERS.get(self.word, "unknown"))


@dataclass(frozen=True)
class Division:
    """Clips to train with, to choose by, and held out; no speaker is in two of them."""

    train: list[Clip]
    validation: list[Clip]
    test: list[Clip]


def find(folder: Path | None) -> Path:
    """``folder``, or the data root's; raises TinyswitchError if there is none."""
    return Path(folder or data.need(FOLDER, "give a folder with WORD/*.wav"))


def read_folder(folder: Path, log: Callable[[str], None], classes: Sequence[str] = CLASSES) -> list[Clip]:
    """All clips of WORD/*.wav, in the order of their names; at least one of each of ``classes``.

    ``log`` gets what was converted, and what is left out because it is damaged. The speaker is what stands
    before ``_nohash_`` in a file's name, else each file is a speaker of its own. Shorter clips get silence
    on both sides, of longer ones the loudest second is taken.
    """
    paths = sorted(folder.glob("*/*.wav"))
    if not paths:
        raise TinyswitchError(f"{folder}: no WORD/*.wav; give a folder that has one folder for each word")
    sounds, clips = [], []
    for path in paths:
        try:
            sounds.append(wav.read(path))
        except TinyswitchError as error:
            log(f"left out: {error}")
    wav.say(sounds, log)
    others = sum(len(sound.samples) != RATE for sound in sounds)
    if others:
        log(f"{others} files are not 1 s long: filled up with silence, or cut to their loudest second")
    for sound in sounds:
        found = _SPEAKER.search(sound.path.name)
        speaker = found[1] if found else f"{sound.path.parent.name}/{sound.path.stem}"
        clips.append(Clip(sound.path, sound.path.parent.name, speaker, a_second(sound.samples)))
    for name in classes:
        if not any(CLASSES[clip.label] == name for clip in clips):
            wanted = next((f for f, c in FOLDERS.items() if c == name), "of any other word")
            raise TinyswitchError(f"{folder}: no clips of {name!r}; a folder {wanted} is needed")
    return clips


def a_second(samples: np.ndarray) -> np.ndarray:
    """(16000,) int16: silence on both sides of fewer samples, the loudest second of more."""
    spare = RATE - len(samples)
    if spare >= 0:
        return np.pad(samples, (spare // 2, spare - spare // 2))
    energy = np.concatenate([[0.0], np.cumsum(samples.astype(float) ** 2)])
    begin = int((energy[RATE:] - energy[:-RATE]).argmax())
    return samples[begin : begin + RATE]


def divide(clips: Sequence[Clip], held_out: float, validation: float, seed: int) -> Division:
    """Divides the speakers, and recordings of silence for themselves, by shares drawn with ``seed``."""
    rng = np.random.default_rng(seed)
    parts: dict[str, int] = {}
    for silent in (False, True):
        speakers = sorted({c.speaker for c in clips if (c.label == SILENCE) == silent} - set(parts))
        if len(speakers) < FEWEST:
            what = "recordings of silence" if silent else "speakers"
            raise TinyswitchError(f"{len(speakers)} {what}; at least {FEWEST} are needed")
        drawn = rng.permutation(speakers).tolist()
        test = max(1, round(held_out * len(drawn)))
        choose = max(1, round(validation * len(drawn)))
        for i, speaker in enumerate(drawn):
            parts[speaker] = 2 if i < test else 1 if i < test + choose else 0
    by_part: tuple[list[Clip], list[Clip], list[Clip]] = ([], [], [])
    for clip in clips:
        by_part[parts[clip.speaker]].append(clip)
    return Division(*by_part)

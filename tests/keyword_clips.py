"""Made-up words: tones that rise, fall or stay, by speakers with voices of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tinyswitch.keywords import wav
from tinyswitch.keywords.clips import Clip

SLOPES = {"yes": 2.0, "no": 0.5, "up": 1.0, "_silence_": None}  # how much higher the tone ends than it begins


def spoken(word: str, speaker: int, take: int = 0) -> np.ndarray:
    """(16000,) int16."""
    rng = np.random.default_rng([speaker, take, *word.encode()])
    hiss = rng.normal(size=16000) * 20
    slope = SLOPES[word]
    if slope is not None:
        seconds = np.arange(8000) / 8000
        hertz = (600 + 40 * (speaker % 7)) * slope**seconds
        tone = np.sin(2 * np.pi * np.cumsum(hertz) / 16000) * np.hanning(8000)
        begin = 4000 + rng.integers(-800, 800)
        hiss[begin : begin + 8000] += tone * rng.uniform(2000, 9000)
    return wav.as_int16(hiss)


def clip(word: str, speaker: int, take: int = 0) -> Clip:
    name = f"{speaker:08x}_nohash_{take}.wav" if word != "_silence_" else f"{speaker}.wav"
    who = f"{speaker:08x}" if word != "_silence_" else f"_silence_/{speaker}"
    return Clip(Path(word) / name, word, who, spoken(word, speaker, take))


def write_folder(folder: Path, speakers: int, takes: int = 1) -> Path:
    """WORD/SPEAKER_nohash_TAKE.wav of all words."""
    for word in SLOPES:
        for speaker in range(speakers):
            for take in range(takes):
                made = clip(word, speaker, take)
                wav.write(folder / made.path, made.samples)
    return folder

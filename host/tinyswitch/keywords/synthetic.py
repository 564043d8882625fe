"""Words spoken by synthesisers, for a teacher to listen to: ``python -m tinyswitch.keywords.synthetic DIR``.

They widen what a small net hears of its words and of those that are like them; none of them is evaluated.
Needs espeak-ng and flite (Debian: ``apt-get install espeak-ng flite``); the same for the same versions.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tinyswitch.errors import TinyswitchError

OFTEN = "yes no go down left right up on off stop"
OTHERS = (
    "low know now note nope snow don't so toe bow row mow dough show gone goat dawn town yet yesterday guess"
    " yeah chess less best wow bird cat dog house happy marvin sheila tree bed zero one two three four five"
    " six seven eight nine learn follow backward forward hello open close light music own oh nor mode guest"
    " bless"
)
# espeak-ng's variants (of voice and pitch) that sound like people, and its accents of English.
VARIANTS = (
    "m1 m2 m3 m4 m5 m6 m7 m8 f1 f2 f3 f4 f5 Andy Alex Annie Denis Diogo Gene Jacky Lee Mario Michael Mike"
    " Mr_serious Nguyen Storm Tweaky adam antonio belinda benjamin boris caleb ed edward iven linda max"
    " michel miguel norbert paul pedro quincy rob robert sandro travis victor zac steph steph2 steph3 aunty"
    " grandma grandpa john kaukovalta"
)
ACCENTS = ("en-gb", "en-us", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd")
OTHERS_A_VARIANT = 30
FLITE = ("kal16", "awb", "rms", "slt")


def commands(folder: Path, variants: set[str]) -> Iterator[tuple[Path, list[str]]]:
    """Each file, WORD/*.wav, and the command that makes it; ``variants``: what espeak-ng has."""
    often, others = OFTEN.split(), OTHERS.split()
    rng, number = random.Random(0), 0

    def file(word: str, voice: str) -> Path:
        nonlocal number
        number += 1
        return folder / word.replace("'", "") / f"{voice}{number - 1}.wav"

    for variant in (v for v in VARIANTS.split() if v in variants):
        for word in often * 2 + rng.sample(others, OTHERS_A_VARIANT):
            accent, path = rng.choice(ACCENTS), file(word, variant)
            speed, pitch = rng.randint(110, 190), rng.randint(20, 80)
            voice = ["-v", f"{accent}+{variant}", "-s", str(speed), "-p", str(pitch)]
            yield path, ["espeak-ng", *voice, "-w", str(path), word]
    for voice in FLITE:
        for word in often + others:
            for _ in range(3 if word in often else 1):
                path = file(word, f"flite{voice}")
                stretch, pitch = rng.uniform(0.8, 1.3), rng.randint(80, 220)
                settings = [f"duration_stretch={stretch:.2f}", f"int_f0_target_mean={pitch}"]
                set_to = [part for setting in settings for part in ("--setf", setting)]
                yield path, ["flite", "-voice", voice, *set_to, "-t", word, "-o", str(path)]


def speak(folder: Path) -> int:
    """Makes all files; returns how many. Raises TinyswitchError if a synthesiser is missing or fails."""
    for program in ("espeak-ng", "flite"):
        if shutil.which(program) is None:
            raise TinyswitchError(f"{program} is not installed: apt-get install espeak-ng flite")
    chosen = list(commands(folder, _variants()))
    for path, _ in chosen:
        path.parent.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for done, (path, command) in zip(pool.map(_run, chosen), chosen, strict=True):
            if done.returncode:
                raise TinyswitchError(f"{path}: {command[0]} failed: {done.stderr.strip()}")
    return len(chosen)


def _run(job: tuple[Path, list[str]]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(job[1], capture_output=True, text=True, check=False)


def _variants() -> set[str]:
    listed = subprocess.run(["espeak-ng", "--voices=variant"], capture_output=True, text=True, check=True)
    return {line.rsplit("!v/", 1)[1].split()[0] for line in listed.stdout.splitlines() if "!v/" in line}


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("python -m tinyswitch.keywords.synthetic DIR")
    try:
        print(f"{speak(Path(sys.argv[1]))} words in {sys.argv[1]}")
    except TinyswitchError as error:
        sys.exit(str(error))

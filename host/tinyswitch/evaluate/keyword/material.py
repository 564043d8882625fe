"""Which sound is played."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tinyswitch.evaluate.turns import taking_turns
from tinyswitch.keywords import clips, recording
from tinyswitch.keywords.clips import Clip
from tinyswitch.keywords.record import Record
from tinyswitch.keywords.recording import Recording

SEED = 0  # of the order of clips

Log = Callable[[str], None]


def of_clips(
    record: Record, folder: Path | None, limit: int | None, log: Log
) -> tuple[Path, list[Recording]]:
    """Clips of ``folder``, else those of the data root that the model was not trained with; and the folder.

    They are joined to long recordings, in an order drawn once for all; the classes take turns in what
    ``limit`` takes. ``log`` is told what was converted, what is left out, and of speakers that the model
    knows. Raises TinyswitchError where there are none.
    """
    where = clips.find(folder)
    found = clips.read_folder(where, log, classes=())
    if record.held_out:
        unseen = [clip for clip in found if clip.speaker in set(record.held_out)]
        if folder is None and unseen:
            found = unseen
        elif len(unseen) < len(found):
            log(f"{where}: {len(found) - len(unseen)} of {len(found)} clips are not of the speakers held out")
    drawn = _drawn(found)
    chosen = taking_turns(drawn, lambda clip: clip.label)[:limit]
    return where, recording.joined(_drawn(sorted(chosen, key=lambda clip: str(clip.path))))


def _drawn(found: Sequence[Clip]) -> list[Clip]:
    return [found[i] for i in np.random.default_rng(SEED).permutation(len(found))]


def long(path: Path, limit: int | None, log: Log) -> tuple[Path, list[Recording]]:
    """A WAV file, or those of a folder, the first ``limit`` of them."""
    return path, recording.read(path, log)[:limit]

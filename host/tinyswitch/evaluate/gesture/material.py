"""Which recordings are played."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tinyswitch import data
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate.turns import taking_turns
from tinyswitch.gestures.record import Record
from tinyswitch.gestures.recording import Recording, read_folder

GESTURES = "gestures"  # of the data root: folders with recordings


def recordings(
    record: Record, folder: Path | None, limit: int | None, log: Callable[[str], None]
) -> tuple[Path, list[Recording]]:
    """Those of ``folder``, else those of the data root that the model was not trained with; and their folder.

    The classes take turns, so that the first ``limit`` are of all. Raises TinyswitchError for files that are
    no recordings, labels that the model does not know, and where there are none.
    """
    if folder is not None:
        found, where = read_folder(folder, log, record.classes), folder
    else:
        found, where = _held_out(record, log)
    return where, taking_turns(found, lambda recording: recording.label)[:limit]


def _held_out(record: Record, log: Callable[[str], None]) -> tuple[list[Recording], Path]:
    root = data.local(GESTURES)
    if root is None:
        raise TinyswitchError(
            f"no recordings: give --recordings DIR, or set {data.VARIABLE} to a folder that has {GESTURES}"
        )
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        if all((folder / name).is_file() for name in record.held_out):
            chosen = set(record.held_out)
            found = read_folder(folder, log, record.classes)
            return [recording for recording in found if recording.path.name in chosen], folder
    raise TinyswitchError(
        f"{root}: no folder in it has the {len(record.held_out)} held-out recordings of "
        f"{record.model.with_suffix('.json')}; give --recordings DIR"
    )

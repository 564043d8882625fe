"""Recordings of an accelerometer: Edge Impulse's JSON, and CSV.

JSON: the export of Edge Impulse (docs.edgeimpulse.com, "Data acquisition format"). CSV: a heading with
``timestamp_ms`` and the axes, then a line a sample. docs/gesture.md has both.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinyswitch.errors import TinyswitchError

AXES = ("x", "y", "z")
GRAVITY = 9.80665  # m/s^2 in a g
SUFFIXES = (".json", ".csv")
LABELS_FILE = "info.labels"
MOST_G_AT_MEDIAN = 4.0  # a sensor with a range of 4 g gives no more; in m/s^2 a body at rest gives 9.8
MOST_AT_MEDIAN = MOST_G_AT_MEDIAN * GRAVITY
WIDEST_GAP = 3  # intervals between two samples


@dataclass(frozen=True)
class Recording:
    """One recording: ``samples`` (n, 3) float64 in g, x y z, at ``rate_hz`` samples a second."""

    path: Path
    label: str
    rate_hz: float
    samples: np.ndarray
    remarks: tuple[str, ...] = ()  # what was not as the file says

    @property
    def seconds(self) -> float:
        """From the first sample to the end of the last."""
        return len(self.samples) / self.rate_hz


def read(path: Path, label: str | None = None) -> Recording:
    """Reads one file; the label, unless given, is the file's name up to the first dot.

    Raises TinyswitchError where there is anything but numbers for each axis at a steady rate.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TinyswitchError(f"{path}: {getattr(error, 'strerror', None) or 'not text'}") from None
    if path.suffix not in SUFFIXES:
        raise TinyswitchError(f"{path}: recordings are .json (Edge Impulse) or .csv")
    rate, values, unit = _from_json(path, text) if path.suffix == ".json" else _from_csv(path, text)
    samples, remarks = _in_g(path, values, unit)
    return Recording(path, label or path.name.split(".", 1)[0], rate, samples, remarks)


def read_folder(
    folder: Path, log: Callable[[str], None], labels: Collection[str] | None = None
) -> list[Recording]:
    """All recordings of ``folder``, by name. ``log`` gets what was not as the files say, once.

    Labels: of ``info.labels`` (Edge Impulse's export), else of the files' names. Raises TinyswitchError for a
    file that is none, for no files, and for a label not among ``labels``, if those are given.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise TinyswitchError(f"{folder}: no such folder")
    paths = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)
    if not paths:
        raise TinyswitchError(f"{folder}: no recordings in it (.json or .csv)")
    listed = _listed_labels(folder / LABELS_FILE)
    recordings = [read(path, listed.get(path.name)) for path in paths]
    for recording in recordings:
        if not recording.label or (labels is not None and recording.label not in labels):
            known = f"; there are {', '.join(sorted(labels))}" if labels else ""
            raise TinyswitchError(f"{recording.path}: label {recording.label!r} is unknown{known}")
    for remark in dict.fromkeys(remark for recording in recordings for remark in recording.remarks):
        count = sum(remark in recording.remarks for recording in recordings)
        log(f"{folder}: {count} of {len(recordings)} recordings: {remark}")
    return recordings


def _listed_labels(path: Path) -> dict[str, str]:
    """By file name; empty without such a file."""
    if not path.exists():
        return {}
    try:
        files = json.loads(path.read_text())["files"]
        return {str(entry["path"]): str(entry["label"]["label"]) for entry in files}
    except (OSError, ValueError, LookupError, TypeError):
        raise TinyswitchError(f"{path}: not a list of labels as Edge Impulse exports it") from None


def _from_json(path: Path, text: str) -> tuple[float, np.ndarray, str]:
    """Rate in Hz, values (n, 3), unit."""
    try:
        payload = json.loads(text)["payload"]
        interval, rows = payload["interval_ms"], payload["values"]
        sensors = [(str(sensor["name"]), str(sensor.get("units", ""))) for sensor in payload["sensors"]]
    except (ValueError, RecursionError) as error:
        raise TinyswitchError(f"{path}: not JSON: {error}") from None
    except (LookupError, TypeError, AttributeError):
        raise TinyswitchError(
            f"{path}: not a recording: payload with interval_ms, sensors and values is needed"
        ) from None
    if not isinstance(interval, int | float) or not 0 < interval < math.inf:
        raise TinyswitchError(f"{path}: interval_ms is {interval!r}; it must be a number above 0")
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise TinyswitchError(f"{path}: values must be a list with a list for each sample")
    columns = _columns(path, [name for name, _ in sensors])
    return 1000 / interval, _numbers(path, rows, columns, len(sensors)), sensors[columns[0]][1]


def _from_csv(path: Path, text: str) -> tuple[float, np.ndarray, str]:
    try:
        heading, *rows = [row for row in csv.reader(text.splitlines()) if row]
    except (ValueError, csv.Error):
        raise TinyswitchError(f"{path}: empty, or no CSV") from None
    heading = [name.strip().lower() for name in heading]
    time = next((i for i, name in enumerate(heading) if name in ("timestamp_ms", "timestamp")), None)
    if time is None:
        raise TinyswitchError(f"{path}: no column timestamp_ms (there are {', '.join(heading)})")
    columns = [time, *_columns(path, heading)]
    values = _numbers(path, rows, columns, len(heading), ("timestamp_ms", *AXES))
    return *_steady(path, values), ""


def _columns(path: Path, found: Sequence[str]) -> list[int]:
    """Of x, y, z among names such as x, accX, acc_x, ax."""
    short = [name.strip().lower().removeprefix("acc").removeprefix("a").strip("_ ") for name in found]
    for axis in AXES:
        if short.count(axis) != 1:
            what = "no axis" if axis not in short else "more than one axis"
            raise TinyswitchError(f"{path}: {what} {axis} (there are {', '.join(found) or 'none'})")
    return [short.index(axis) for axis in AXES]


def _numbers(
    path: Path, rows: Sequence[Sequence[Any]], columns: Sequence[int], width: int, names: Sequence[str] = AXES
) -> np.ndarray:
    """Those columns of the rows, (n, columns) float64."""
    values = np.empty((len(rows), len(columns)))
    for i, row in enumerate(rows):
        if len(row) != width:
            raise TinyswitchError(f"{path}: sample {i} has {len(row)} values instead of {width}")
        for j, column in enumerate(columns):
            try:
                values[i, j] = float(row[column])
            except (TypeError, ValueError, OverflowError):
                values[i, j] = math.nan
            if not math.isfinite(values[i, j]):
                raise TinyswitchError(f"{path}: sample {i}: {names[j]} is {row[column]!r}, not a number")
    if len(values) < 2:
        raise TinyswitchError(f"{path}: {len(values)} samples; at least a window of two seconds is needed")
    return values


def _steady(path: Path, values: np.ndarray) -> tuple[float, np.ndarray]:
    """Rate in Hz and samples (n, 3) at equal distances, of (n, 4) with the time in ms.

    Times rounded to a millisecond count as equal distances; others are interpolated linearly.
    """
    times, samples = values[:, 0], values[:, 1:]
    steps = np.diff(times)
    interval = (times[-1] - times[0]) / len(steps)
    if steps.min() <= 0:
        raise TinyswitchError(f"{path}: sample {steps.argmin() + 1}: its timestamp is not after the last")
    if steps.max() > WIDEST_GAP * interval:
        raise TinyswitchError(
            f"{path}: sample {steps.argmax() + 1}: {steps.max():.0f} ms after the last; samples are missing"
        )
    regular = times[0] + interval * np.arange(len(times))
    if np.abs(times - regular).max() > 1:
        samples = np.stack([np.interp(regular, times, samples[:, axis]) for axis in range(3)], 1)
    return 1000 / interval, samples


def _in_g(path: Path, values: np.ndarray, unit: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """``values`` in g. Gravity tells the unit: exports exist that say m/s2 and are in g."""
    median = float(np.median(np.linalg.norm(values, axis=1)))
    if not 0 < median <= MOST_AT_MEDIAN:
        raise TinyswitchError(
            f"{path}: half of the samples are {'above' if median else 'at'} {median:.3g}; acceleration with"
            " gravity is needed, in g or m/s2"
        )
    found = "g" if median <= MOST_G_AT_MEDIAN else "m/s2"
    remarks = () if unit in ("", found) else (f"values are in {found}, not in {unit}: gravity says so",)
    return values if found == "g" else values / GRAVITY, remarks

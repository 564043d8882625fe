"""Makes a family: all its sub-networks as int8 models that share their weights."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tinyswitch.data import write_file
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate import accuracy
from tinyswitch.families import frames, proof, ranges, record, writing
from tinyswitch.families.family import Family, Subnet, load
from tinyswitch.families.forward import with_tables
from tinyswitch.families.frames import Frames
from tinyswitch.families.record import Record, Row
from tinyswitch.quantize.quiet import quiet

Log = Callable[[str], None]

CACHE = Path("build/litert")  # LiteRT's answers


def make(
    family: Family | str | Path,
    images: Path | None,
    out: Path,
    log: Log = print,
    limit: int | None = None,
) -> Record:
    """Writes ``out``/SUBNET.tflite for each sub-network and ``out``/record.json; returns the record.

    ``images``: a folder to calibrate with and, if it has labels, to measure accuracy with; None: the images
    of the net's data (frames.find). ``limit``: accuracy over that many images only. Nothing is written before
    all is measured. Raises TinyswitchError, one line: for a family without weights or images, an image that
    cannot be read.
    """
    family = family if isinstance(family, Family) else load(family)
    calibration, measured = frames.find(family.net, images)
    measured = measured.first(limit)
    with quiet():
        import tensorflow  # noqa: F401  (its messages are of no use to anybody)
    models = _models(family, calibration, log)
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder) / f"{name}.tflite" for name in models}
        for name, content in models.items():
            paths[name].write_bytes(content)
        found = _record(family, paths, calibration, measured, log)
    for name, content in models.items():
        write_file(out / f"{name}.tflite", content)
    size = f"{found.weights_bytes / 1e3:.0f} kB of weights"
    log(f"{record.write(out, found)}: {len(models)} sub-networks, {size}")
    return found


def _models(family: Family, calibration: Frames, log: Log) -> dict[str, bytes]:
    """Sub-network -> its .tflite."""
    from tinyswitch.families.prepared import Prepared

    prepared = Prepared(family, calibration, log)
    observed = []
    for subnet in family.subnets:
        log(f"{family.name}: {subnet.name}: calibrating")
        compute = with_tables(prepared.shared, prepared.tables(subnet))
        observed.append(ranges.observe(subnet.net, prepared.pixels(subnet.net), compute))
    scales = ranges.scales(ranges.union(observed))
    return {
        subnet.name: writing.write(subnet.net, prepared.shared, prepared.final_tables(subnet, scales), scales)
        for subnet in family.subnets
    }


def _record(
    family: Family, paths: dict[str, Path], calibration: Frames, measured: Frames, log: Log
) -> Record:
    shared = proof.prove(paths)
    rows = tuple(_row(subnet, paths[subnet.name], shared, measured, log) for subnet in family.subnets)
    figures = {key: value for key, value in asdict(shared).items() if key != "table_channels"}
    return Record(
        family=family.name,
        net=family.whole.name,
        subnets=rows,
        weights_bytes=shared.distinct_bytes,
        shared=figures,
        calibration=_source(calibration),
        accuracy=_source(measured),
    )


def _source(images: Frames) -> dict[str, Any]:
    """How many, and where from; of a folder the name alone, which says the same on any machine."""
    return {"images": len(images), "source": Path(images.name).name}


def _row(subnet: Subnet, path: Path, shared: proof.Proof, measured: Frames, log: Log) -> Row:
    channels, own = shared.table_channels[subnet.name]
    top1, count = _accuracy(subnet, path, measured)
    log(
        f"{subnet.name}: {subnet.net.macs / 1e6:.1f} M MACs, tables of its own {8 * own / 1e3:.1f} kB"
        + (f", {top1:.1%} of {count} images right" if top1 is not None else "")
    )
    return Row(
        name=subnet.name,
        file=path.name,
        resolution=subnet.resolution,
        macs=subnet.net.macs,
        accuracy=None if top1 is None else round(top1, 4),
        accuracy_images=count,
        channels=channels,
        own_channels=own,
        table_bytes=8 * own,
    )


def _accuracy(subnet: Subnet, path: Path, measured: Frames) -> tuple[float | None, int]:
    known = [label for label in measured.labels if label is not None]
    if known and max(known) >= subnet.net.classes:
        raise TinyswitchError(
            f"{measured.name}: label {max(known)} is not among the {subnet.net.classes} classes of"
            f" sub-network {subnet.name}"
        )
    return accuracy.top1(path, list(measured.at(subnet.net)), measured.labels, CACHE)

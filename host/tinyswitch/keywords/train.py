"""The keyword models: clips in, ``.tflite`` and its record out."""

from __future__ import annotations

import json
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from tinyswitch import data
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate.display import bars
from tinyswitch.features.frontend import CHANNELS, RATE, ROWS, STEP
from tinyswitch.gestures.scores import Scores
from tinyswitch.keywords import clips, features, judge, network, taught, teacher
from tinyswitch.keywords.augment import Augmentation
from tinyswitch.keywords.clips import CLASSES, SILENCE, UNKNOWN, Clip, Division
from tinyswitch.keywords.judge import REQUIRED
from tinyswitch.keywords.network import NETS, Lesson, Recipe
from tinyswitch.keywords.taught import Taught
from tinyswitch.nets import MODELS

Log = Callable[[str], None]

HELD_OUT, VALIDATION = 0.25, 0.1  # of the speakers, and of the recordings of silence
VARIANTS = 10  # of each clip
JOINTS = 6  # joined sounds for each clip
TEACHER_VARIANTS = 3  # of each clip, that the teacher learns the words from
CALIBRATION = 400  # images
LEANS = np.arange(-3.0, 3.25, 0.25)  # that are tried for the score of "unknown"
PACKAGES = ("tensorflow", "keras", "ai-edge-litert", "numpy", "scipy")


@dataclass(frozen=True)
class Material:
    """Clips as they are trained with; ``words`` are the folders' names."""

    division: Division
    words: list[str]
    train: Taught
    validation: np.ndarray  # (clips, VARIANTS, 49, 40) int8


@dataclass(frozen=True)
class Trained:
    """What a training gave. Scores are of the int8 model, each held-out clip at the begin of a stream."""

    path: Path
    scores: Scores
    scores_in_stream: Scores  # each clip heard after another one, by the mean of half a second
    record: dict[str, Any]


def default_path(net: str) -> Path:
    """Where the model of ``net`` lies."""
    return MODELS / ("keyword.tflite" if net == "default" else f"keyword-{net}.tflite")


def train(
    folder: Path | None,
    out: Path | None,
    log: Log,
    *,
    net: str = "default",
    seed: int = 0,
    recipe: Recipe | None = None,
    console: Console | None = None,
) -> Trained:
    """Trains ``net`` on the clips of ``folder`` (else the data root's), and writes ``out`` and its .json.

    ``seed``: of the division of the speakers, of augmentation and training. Raises TinyswitchError; ``out``
    then is as it was.
    """
    began, recipe, console = time.perf_counter(), recipe or Recipe(), console or Console()
    if net not in NETS:
        raise TinyswitchError(f"net {net!r}: the keyword nets are {', '.join(NETS)}")
    path = Path(out) if out else default_path(net)
    if path.suffix != ".tflite":
        raise TinyswitchError(f"{path}: the name of a model ends with .tflite")
    material = prepare(clips.find(folder), log, seed, console)
    model = _fit(material, net, recipe, seed, console)
    images, labels = _all_variants(material.validation, material.division.validation)
    lean = choose_lean(network.probabilities(model, images), labels)
    network.lean(model, _only_unknown(lean))
    content = network.to_int8(model, _calibration(material))
    scores, in_stream, figures = _judge(model, content, material.division.test, seed)
    record = {
        "model": path.name,
        "net": net,
        "layers": asdict(NETS[net]),
        "parameters": int(model.count_params()),
        "held_out": figures,
        "unknown_lean": lean,
        "seed": seed,
        "seconds": round(time.perf_counter() - began, 1),
        "teacher": f"{teacher.PACKAGE} {teacher.VERSION}" if material.train.embeddings.size else None,
    } | _record(material, recipe)
    data.write_file(path, content)
    data.write_file(path.with_suffix(".json"), (json.dumps(record, indent=1) + "\n").encode())
    return Trained(path, scores, in_stream, record)


def prepare(folder: Path, log: Log, seed: int, console: Console) -> Material:
    """Reads the clips, divides them, and has the features of all variants."""
    found = clips.read_folder(folder, log)
    division = clips.divide(found, HELD_OUT, VALIDATION, seed)
    parts = {"training": division.train, "validation": division.validation, "held out": division.test}
    for name, part in parts.items():
        counts = ", ".join(f"{sum(c.label == i for c in part)} {n}" for i, n in enumerate(CLASSES))
        speakers = len({c.speaker for c in part if c.label != SILENCE})
        log(f"{name}: {len(part)} clips of {speakers} speakers ({counts})")
    if why := teacher.missing():
        log(f"without a teacher unseen speakers are understood less well: {why}")
    with bars(console) as progress:
        bar = progress.add_task("training: features, teacher", total=len(division.train))
        learned = taught.prepare(
            division.train,
            VARIANTS,
            JOINTS,
            Augmentation(),
            seed,
            lambda n: progress.advance(bar, n),
            teacher=why is None,
        )
        progress.update(bar, completed=len(division.train))
        other = progress.add_task("validation: features", total=len(division.validation))
        inputs = (division.train, VARIANTS, Augmentation(), seed)
        chosen_by = features.of_variants(division.validation, *inputs, lambda: progress.advance(other))
        progress.update(other, completed=len(division.validation))
    return Material(division, sorted({clip.word for clip in found}), learned, chosen_by)


def _fit(material: Material, net: str, recipe: Recipe, seed: int, console: Console) -> Any:
    """The Keras model, trained on the variants."""
    lesson = lessons(material, recipe)
    with bars(console) as progress:
        bar = progress.add_task("epochs", total=recipe.epochs)

        def epoch_done(number: int, loss: float) -> None:
            progress.update(bar, completed=number, description=f"epochs, loss {loss:.3f}")

        return network.fit(NETS[net], recipe, lesson, seed, epoch_done)


def lessons(material: Material, recipe: Recipe) -> Callable[[np.random.Generator], Lesson]:
    """What gives an epoch's images: variants as ``recipe`` draws them, and joined sounds."""
    known, learned = material.division.train, material.train
    labels = np.array([clip.label for clip in known])
    words = np.array([material.words.index(clip.word) for clip in known])
    draws = np.array(recipe.draws)[labels]
    told = _told(learned, words, len(material.words)) if learned.embeddings.size else None
    to_class = np.zeros((len(material.words), len(CLASSES)), np.float32)
    to_class[words, labels] = 1
    one_hot = np.eye(len(material.words), dtype=np.float32)

    def draw(rng: np.random.Generator) -> Lesson:
        order = rng.permuted(np.tile(np.arange(VARIANTS), (len(labels), 1)), axis=1)
        chosen = np.arange(VARIANTS) < draws[:, None]
        owners, which = np.nonzero(chosen)[0], order[chosen]
        joints = rng.choice(len(learned.joined), min(recipe.joints, len(learned.joined)), replace=False)
        images = np.concatenate([learned.images[owners, which], learned.joined[joints]])
        own = one_hot[words[owners]]
        if told is None:
            return Lesson(images, own @ to_class, own, np.zeros((len(own), 0), np.float32))
        heard = np.concatenate([learned.embeddings[owners, which], learned.joined_embeddings[joints]])
        answers = told.probabilities(heard)
        answers[: len(owners)] += recipe.labels * (own - answers[: len(owners)])
        return Lesson(images, answers @ to_class, answers, told.standardised(heard))

    return draw


def _told(learned: Taught, words: np.ndarray, count: int) -> teacher.Words:
    """The teacher, when it has learned the words of the clips, ``words`` (clips,)."""
    some = learned.embeddings[:, :TEACHER_VARIANTS]
    return teacher.Words(some.reshape(-1, *some.shape[2:]), words.repeat(some.shape[1]), count)


def _all_variants(images: np.ndarray, of: list[Clip]) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 49, 40) of all variants, and the label (n,) of each."""
    labels = np.repeat([clip.label for clip in of], images.shape[1])
    return images.reshape(-1, *images.shape[2:]), labels


def choose_lean(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """What to add to the score of "unknown" so that no class comes too near to what is required of it.

    ``probabilities`` (n, classes) and ``labels`` (n,) of clips that choose. The class whose share of errors
    is the largest part of what it may have decides.
    """
    logs = np.log(np.maximum(probabilities, 1e-9))
    allowed = 1 - np.array(REQUIRED)

    def worst(lean: float) -> float:
        answers = (logs + _only_unknown(lean)).argmax(1)
        return max(float((answers[labels == i] != i).mean() / allowed[i]) for i in np.unique(labels))

    return float(min(LEANS, key=lambda lean: (worst(lean), abs(lean))))


def _only_unknown(lean: float) -> np.ndarray:
    return lean * (np.arange(len(CLASSES)) == UNKNOWN)


def _calibration(material: Material) -> np.ndarray:
    """(n, 49, 40) int8: a variant of some clips of the training."""
    images = material.train.images[:, 0]
    return images[:: max(1, len(images) // CALIBRATION)]


def _judge(
    model: Any, content: bytes, held_out: list[Clip], seed: int
) -> tuple[Scores, Scores, dict[str, Any]]:
    """Of the int8 model on the held-out clips, and the figures for the record."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(content)
        scores, in_stream = judge.evaluate(judge.check(path), held_out, seed)
    floats = network.probabilities(model, features.plain(held_out)).argmax(1)
    right = floats == np.array([clip.label for clip in held_out])
    words = sorted({clip.word for clip in held_out})
    figures = {"clips": len(held_out), "float_accuracy": _round(right.mean())}
    figures |= {"float_by_word": {w: _round(right[[c.word == w for c in held_out]].mean()) for w in words}}
    figures |= _figures(scores) | {"in_stream": _figures(in_stream)}
    return scores, in_stream, figures


def _figures(scores: Scores) -> dict[str, Any]:
    return {
        "accuracy": _round(scores.accuracy),
        "per_class": scores.per_class(CLASSES, 4),
        "confusion": scores.confusion.tolist(),
    }


def _record(material: Material, recipe: Recipe) -> dict[str, Any]:
    """What the model takes and answers, and all that it depends on."""
    division = material.division

    def speakers(part: list[Clip]) -> list[str]:
        return sorted({clip.speaker for clip in part})

    return {
        "classes": list(CLASSES),
        "required": dict(zip(CLASSES, REQUIRED, strict=True)),
        "input": {"rows": ROWS, "channels": CHANNELS, "step_samples": STEP, "rate_hz": RATE},
        "speakers": {
            "train": speakers(division.train),
            "validation": speakers(division.validation),
            "held_out": speakers(division.test),
        },
        "recipe": asdict(recipe),
        "augmentation": asdict(Augmentation()) | {"variants": VARIANTS, "joints": JOINTS},
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
    }


def _round(share: float) -> float:
    return round(float(share), 4)

"""A large net that has heard much speech, whose answers a small one learns from.

Google's speech embedding ("Training Keyword Spotters with Limited and Synthesized Speech Data", Lin et al.
2020), trained on many voices, in the ONNX files that the package openwakeword 0.4.0 carries. Only training
needs it: ``pip install --no-deps openwakeword==0.4.0`` and ``onnxruntime``.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import numpy as np

from tinyswitch.errors import TinyswitchError

PACKAGE, VERSION = "openwakeword", "0.4.0"
HOW = f"pip install --no-deps {PACKAGE}=={VERSION} && pip install onnxruntime"
PAD = 2400  # samples of silence on both sides: 0.15 s
FRAMES = 76  # of 10 ms, that an embedding is of
STARTS = (0, 16, 32, 48)  # frames at which they begin
WIDTH = 96  # of an embedding
BANDS = 32


class Teacher:
    """Embeddings of sounds. Raises TinyswitchError if its package is not installed."""

    def __init__(self) -> None:
        folder = _folder()
        try:
            import onnxruntime
        except ImportError:
            raise TinyswitchError(f"onnxruntime is not installed, the teacher needs it: {HOW}") from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # clips are spread over processes
        self._mel, self._embedding = (
            onnxruntime.InferenceSession(str(folder / f"{name}.onnx"), options, ["CPUExecutionProvider"])
            for name in ("melspectrogram", "embedding_model")
        )

    def embed(self, sound: np.ndarray) -> np.ndarray:
        """(4, 96) float32 of a second (16000,) int16: of 0.76 s of it each, at four places."""
        padded = np.pad(sound, PAD).astype(np.float32)[None]
        mel = _run(self._mel, padded).reshape(-1, BANDS) / 10 + 2  # as the embedding was trained with
        windows = np.stack([mel[start : start + FRAMES] for start in STARTS])
        return _run(self._embedding, windows[..., None]).reshape(len(STARTS), WIDTH)


def missing() -> str | None:
    """Why there is no teacher, with the way to get it; None if there is one."""
    try:
        Teacher()
    except TinyswitchError as error:
        return str(error)
    return None


def _folder() -> Path:
    try:
        package = metadata.distribution(PACKAGE)
    except metadata.PackageNotFoundError:
        raise TinyswitchError(f"{PACKAGE} is not installed, a teacher for training: {HOW}") from None
    folder = Path(str(package.locate_file(f"{PACKAGE}/resources/models")))
    if not (folder / "embedding_model.onnx").is_file():
        raise TinyswitchError(f"{PACKAGE} {package.version} has no models in its wheel: {HOW}")
    return folder


def _run(session: object, value: np.ndarray) -> np.ndarray:
    return session.run(None, {session.get_inputs()[0].name: value})[0]  # type: ignore[attr-defined]


class Words:
    """Tells words apart by their embeddings: standardised, then logistic regression."""

    def __init__(self, embeddings: np.ndarray, words: np.ndarray, count: int):
        """``embeddings`` (n, 4, 96), ``words`` (n,) indices below ``count``, each of which occurs."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        self._model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=200))
        self._model.fit(_flat(embeddings), words)
        if len(self._model.classes_) != count:
            raise ValueError(f"{len(self._model.classes_)} of {count} words occur")

    def probabilities(self, embeddings: np.ndarray) -> np.ndarray:
        """(n, words) float32."""
        return self._model.predict_proba(_flat(embeddings)).astype(np.float32)

    def standardised(self, embeddings: np.ndarray) -> np.ndarray:
        """(n, 384) float32, each value with mean 0 and deviation 1 over what it was made with."""
        return self._model[0].transform(_flat(embeddings)).astype(np.float32)


def _flat(embeddings: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
    return np.asarray(embeddings, np.float32).reshape(len(embeddings), -1)

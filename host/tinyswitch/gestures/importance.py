"""Which features matter to a net: permutation importance."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

REPEATS = 3


def importance(
    predict: Callable[[np.ndarray], np.ndarray], features: np.ndarray, labels: np.ndarray, seed: int
) -> np.ndarray:
    """(features,): by how much the cross-entropy (nats a window) rises when one feature is shuffled.

    ``predict``: probabilities (n, classes) of features (n, f). Breiman, "Random Forests" (2001), section 10,
    with the cross-entropy instead of errors: a net that is always right would seem to need no feature.
    """
    rng = np.random.default_rng(seed)
    count = features.shape[1]
    before = _cross_entropy(predict(features), labels)
    rises = np.zeros(count)
    for _ in range(REPEATS):
        shuffled = []
        for feature in range(count):
            changed = features.copy()
            changed[:, feature] = rng.permutation(changed[:, feature])
            shuffled.append(changed)
        answers = predict(np.concatenate(shuffled)).reshape(count, len(labels), -1)
        rises += [_cross_entropy(answer, labels) - before for answer in answers]
    return rises / REPEATS


def _cross_entropy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return float(-np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-9)).mean())

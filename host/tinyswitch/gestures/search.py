"""A small search for a better recipe, on the training recordings alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from tinyswitch.features.spectral import Window
from tinyswitch.gestures import dataset, network
from tinyswitch.gestures.dataset import Augmentation
from tinyswitch.gestures.network import Recipe
from tinyswitch.gestures.recording import Recording

INNER_SHARE = 0.3  # of the training recordings judge the recipes


def search(
    recordings: Sequence[Recording],
    chosen: Sequence[int],
    window: Window,
    trials: int,
    seed: int,
    log: Callable[[str], None],
) -> tuple[Recipe, Augmentation]:
    """The best of ``trials`` recipes (the default is the first) for the ``chosen`` recordings.

    Each is trained on some of them and judged by the cross-entropy on the others, by recording. TPE
    (Bergstra et al. 2011) as Optuna has it.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    names = dataset.classes(recordings)
    inner = [recordings[i] for i in chosen]
    train, judge = ([chosen[i] for i in part] for part in dataset.split(inner, INNER_SHARE, seed + 1))
    judges = dataset.windows(recordings, judge, window)

    def objective(trial: optuna.Trial) -> float:
        recipe, augmentation = _draw(trial)
        made = dataset.windows(recordings, train, window, augmentation, seed)
        model = network.fit(made.features, made.labels, len(names), recipe, seed)
        answers = network.probabilities(model, judges.features)
        loss = float(-np.log(np.maximum(answers[np.arange(len(answers)), judges.labels], 1e-9)).mean())
        right = float((answers.argmax(1) == judges.labels).mean())
        log(f"recipe {trial.number + 1} of {trials}: {100 * right:.1f} %, cross-entropy {loss:.4f}")
        return loss

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    default, variants = Recipe(), Augmentation()
    study.enqueue_trial(
        {
            "rate": default.rate,
            "epochs": default.epochs,
            "dropout": default.dropout,
            "decay": default.decay,
            "variants": variants.variants,
            "scale": variants.scale,
        }
    )
    study.optimize(objective, n_trials=trials)
    return _draw(study.best_trial)


def _draw(trial) -> tuple[Recipe, Augmentation]:
    """Of a running trial, or of the best one."""
    recipe = replace(
        Recipe(),
        rate=trial.suggest_float("rate", 1e-3, 3e-2, log=True),
        epochs=trial.suggest_int("epochs", 6, 24),
        dropout=trial.suggest_float("dropout", 0.0, 0.4),
        decay=trial.suggest_float("decay", 1e-6, 1e-2, log=True),
    )
    augmentation = replace(
        Augmentation(),
        variants=trial.suggest_int("variants", 0, 6),
        scale=trial.suggest_float("scale", 1.0, 1.6),
    )
    return recipe, augmentation

"""Random inputs: does a board answer what LiteRT answers, bit for bit?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import serial
from rich.console import Console

from tinyswitch.boards.board import Board
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate.display import bars
from tinyswitch.evaluate.interrupt import Interrupted
from tinyswitch.evaluate.reference import Reference, decode, digest
from tinyswitch.evaluate.session import FrameLost, Session
from tinyswitch.link import Client
from tinyswitch.tensor import TensorInfo

if TYPE_CHECKING:
    from tinyswitch.firmware import Build


def verify(
    board: Board,
    build: Build,
    count: int,
    seed: int,
    cache: Path,
    console: Console,
    prepare: Callable[[], None] = lambda: None,
    client: Callable[[serial.Serial], Client] = Client,
) -> dict[str, Any]:
    """Sends ``count`` frames (see ``random_frames``) to the only model of ``build`` on ``board``.

    ``prepare`` is called before the board is opened. Returns {model, count, identical, max_abs_difference}:
    the frames whose outputs all equal LiteRT's, and the largest difference of any value (0..255). Raises
    TinyswitchError if the board is gone or gives no answer.
    """
    plan = build.models[0]

    def note(text: str) -> None:
        console.print(text, style="yellow", highlight=False, soft_wrap=True)

    differences: list[int] = []
    try:
        with Reference(plan.source, cache) as reference, bars(console) as progress:
            frames = list(random_frames(reference.input, count, seed))
            digests = [digest(frame) for frame in frames]
            host_bar = progress.add_task("LiteRT", total=count)
            reference.start(frames, digests, lambda: progress.advance(host_bar))
            bar = progress.add_task(board.name, total=count)
            prepare()
            with Session(board, plan.id, note, client) as session:
                for number, frame in enumerate(frames):
                    outputs = _answer(session, board, number, frame)
                    expected = zip(reference.answer(digests[number]), reference.outputs, strict=True)
                    differences.append(largest_difference(outputs, [decode(t, info) for t, info in expected]))
                    progress.advance(bar)
    except KeyboardInterrupt:
        raise Interrupted(len(differences), count) from None
    return {
        "model": plan.name,
        "count": count,
        "identical": differences.count(0),
        "max_abs_difference": max(differences),
    }


def _answer(session: Session, board: Board, number: int, frame: np.ndarray) -> list[np.ndarray]:
    try:
        return session.infer(frame).outputs
    except FrameLost as error:
        raise TinyswitchError(f"{board.name}: no answer to input {number}: {error}") from None


def largest_difference(found: list[np.ndarray], expected: list[np.ndarray]) -> int:
    """Largest absolute difference of 8-bit outputs. Other shapes than expected raise TinyswitchError."""
    shapes, wanted = [o.shape for o in found], [o.shape for o in expected]
    if shapes != wanted:
        raise TinyswitchError(f"the board answers outputs of shapes {shapes}, the model has {wanted}")
    return max(
        int(np.abs(f.astype(np.int16) - e.astype(np.int16)).max())
        for f, e in zip(found, expected, strict=True)
    )


def random_frames(info: TensorInfo, count: int, seed: int) -> Iterator[np.ndarray]:
    """``count`` frames for a model's input: all smallest, all largest, all zero point, then random ones.

    Of the random ones every second has values of the full range, independent of each other; the others
    are flat areas with a little noise, since noise alone drives most nets' layers to the same few values.
    """
    limits = np.iinfo(info.dtype)
    rng = np.random.default_rng(seed)
    for number in range(count):
        if number < 3:
            yield np.full(info.shape, (limits.min, limits.max, info.zero_point)[number], info.dtype)
        elif number % 2:
            yield rng.integers(limits.min, limits.max, info.shape, info.dtype, endpoint=True)
        else:
            yield _patches(rng, info)


def _patches(rng: np.random.Generator, info: TensorInfo) -> np.ndarray:
    limits = np.iinfo(info.dtype)
    height, width, channels = info.shape
    coarse = rng.integers(
        limits.min, limits.max, ((height + 7) // 8, (width + 7) // 8, channels), np.int16, endpoint=True
    )
    frame = coarse.repeat(8, axis=0)[:height].repeat(8, axis=1)[:, :width]
    noise = rng.integers(-8, 8, info.shape, np.int16, endpoint=True)
    return np.clip(frame + noise, limits.min, limits.max).astype(info.dtype)

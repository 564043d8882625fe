"""Worker processes: what runs LiteRT, so that a model that crashes it takes nothing else along."""

from __future__ import annotations

import signal
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any

from tinyswitch.errors import TinyswitchError


class Workers:
    """``count`` processes that run functions. A context manager.

    ``what`` is named in the error when one of them dies; ``start`` runs first in each.
    """

    def __init__(self, count: int, what: object, start: Callable[..., None], *arguments: object):
        self._what = what
        self._pool = ProcessPoolExecutor(
            count,
            mp_context=get_context("spawn"),  # a forked TensorFlow may hang
            initializer=start,
            initargs=arguments,
        )

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the processes; what has not begun is not done."""
        self._pool.shutdown(cancel_futures=True)

    def submit(self, function: Callable[..., Any], *arguments: object) -> Future[Any]:
        """Has ``function`` run by the next process that is free."""
        # Ctrl-C is for this process: a worker that starts here inherits that SIGINT is blocked.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return self._pool.submit(function, *arguments)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def result(self, future: Future[Any]) -> Any:
        """Waits; raises what the function raised, TinyswitchError if the process died."""
        try:
            return future.result()
        except BrokenProcessPool:
            raise TinyswitchError(
                f"{self._what}: LiteRT crashed on it: a damaged model, or memory has run out"
            ) from None

"""``dynamic-eval``: policies under a load that changes, against every fixed choice. See docs/dynamic.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rich.console import Console

if TYPE_CHECKING:
    import serial

    from tinyswitch.evaluate.dynamic.run import Job
    from tinyswitch.link import Client

__all__ = ["dynamic_eval"]


def dynamic_eval(
    job: Job,
    console: Console,
    prepare: Callable[[], None] = lambda: None,
    client: Callable[[serial.Serial], Client] | None = None,
) -> dict[str, Any]:
    """Streams images to ``job.board`` while ``job.trace`` plays, once for each policy and each fixed choice.

    ``prepare`` is called before the board is opened, if it is needed at all. ``job.out`` gets
    ``POLICY.jsonl`` (a line as each frame is answered), ``run.json`` (whose results they are),
    ``summary.json``, which is also returned, ``timeline.png`` and ``timeline.svg``. Policies that ``job.out``
    holds already are not played again.
    Raises TinyswitchError if the entries are no alternatives, the board is gone, a frame gets no answer, an
    image is damaged, a file cannot be written, or ``job.out`` belongs to another run; Interrupted on Ctrl-C.
    """
    from tinyswitch.evaluate.dynamic.run import Evaluation, check_alternatives
    from tinyswitch.link import Client

    check_alternatives(job.build)
    return Evaluation(job, console, client or Client).run(prepare)

"""TensorFlow without its messages: they come from C++ and go to the file descriptors themselves."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read once, when TensorFlow is loaded


@contextmanager
def quiet() -> Iterator[None]:
    """Discards what is written to stdout and stderr inside, by Python or by libraries; an error passes.

    Nothing of the caller's may be printed inside.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kept = {}
    with open(os.devnull, "w") as sink, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for descriptor in (1, 2):
            with suppress(OSError):  # closed: nothing to keep quiet
                kept[descriptor] = os.dup(descriptor)
                os.dup2(sink.fileno(), descriptor)
        try:
            with redirect_stdout(sink), redirect_stderr(sink):
                yield
        finally:
            for descriptor, saved in kept.items():
                os.dup2(saved, descriptor)
                os.close(saved)

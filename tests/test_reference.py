"""LiteRT's worker processes."""

import signal

from tinyswitch.evaluate.demo import MODEL
from tinyswitch.evaluate.reference import Reference


def test_ctrl_c_does_not_reach_the_workers(tmp_path):
    with Reference(MODEL, tmp_path) as reference:
        blocked = reference._workers.submit(signal.pthread_sigmask, signal.SIG_BLOCK, []).result()
    assert signal.SIGINT in blocked  # else each worker prints a traceback
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])

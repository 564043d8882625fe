"""The host's end of the serial line: two file descriptors, read and written without ever blocking."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import time

READ_BYTES = 4096
KEPT_BYTES = 1 << 20  # output that nobody takes; a real wire would lose it at once
ORPHAN_SECONDS = 1.0  # how often to look whether the process that started us is still there


class Line:
    """Bytes from and to the host."""

    def __init__(self, source: int, sink: int):
        self._source, self._sink = source, sink
        self._blocking = {fd: os.get_blocking(fd) for fd in (source, sink)}
        for fd in self._blocking:
            os.set_blocking(fd, False)
        self._out = bytearray()
        self._parent = os.getppid()
        self.ended = False  # the host has closed its end, or is gone

    def close(self) -> None:
        """Sends what is left, if the host takes it, and leaves the descriptors as they were."""
        self.flush()
        for fd, blocking in self._blocking.items():
            with contextlib.suppress(OSError):
                os.set_blocking(fd, blocking)

    def read(self) -> bytes:
        """What has arrived, maybe nothing."""
        if self.ended:
            return b""
        try:
            data = os.read(self._source, READ_BYTES)
        except BlockingIOError:
            return b""
        except OSError as error:  # EIO: the last one to have the pseudo-terminal open has closed it
            if error.errno != errno.EIO:
                raise
            data = b""
        if not data:
            self.ended = True
        return data

    def write(self, data: bytes) -> None:
        """Queues bytes; they leave at the next :meth:`flush`."""
        self._out += data
        if len(self._out) > KEPT_BYTES:
            del self._out[: len(self._out) - KEPT_BYTES]

    def flush(self) -> None:
        """Sends as much as the host takes now."""
        while self._out:
            try:
                sent = os.write(self._sink, self._out)
            except BlockingIOError:
                return
            except OSError:  # nobody will ever read it
                self._out.clear()
                self.ended = True
                return
            del self._out[:sent]

    def wait(self, seconds: float | None) -> float:
        """Waits until something arrives, or ``seconds``; returns how long it was."""
        if self.ended:
            return seconds or 0.0
        start = time.monotonic()
        limit = ORPHAN_SECONDS if seconds is None else min(seconds, ORPHAN_SECONDS)
        select.select([self._source], [self._sink] if self._out else [], [], limit)
        if os.getppid() != self._parent:
            self.ended = True
        return time.monotonic() - start

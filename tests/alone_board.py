"""A firmware for this machine with nobody at the other end of its line but a terminal."""

from __future__ import annotations

import os
import select
import subprocess
import time
from pathlib import Path

import numpy as np


class Alone:
    """``program`` runs; its sensor or microphones give ``samples``: the file that ``variable`` names."""

    def __init__(self, program: Path, variable: str, file: Path, samples: np.ndarray):
        self.file = file
        self.file.write_bytes(samples.astype("<i2").tobytes())
        pipe = subprocess.PIPE
        environment = {**os.environ, variable: str(self.file)}
        self.process = subprocess.Popen([program], stdin=pipe, stdout=pipe, env=environment)
        self._text = b""

    def lines(self, count: int, timeout: float) -> list[str]:
        """The next lines; fewer when the time is over."""
        until = time.monotonic() + timeout
        while self._text.count(b"\r\n") < count:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                break
            self._text += self.process.stdout.read1(4096)
        *whole, self._text = self._text.split(b"\r\n")
        self._text = b"\r\n".join([*whole[count:], self._text])
        return [line.rpartition(b"\0")[2].decode() for line in whole[:count]]

    def close(self) -> int:
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait(5)

"""The host's end of the link."""

from __future__ import annotations

import numpy as np
import serial

from tinyswitch.link.messages import BoardInfo, ModelInfo, Result


class Client:
    """Talks to one board over an open serial port at 115,200 baud.

    Lost or damaged frames are sent again. Raises :class:`LinkError` if the board refuses, :class:`LinkLost`
    if there is no progress for ``timeout_s`` seconds, :class:`BoardReset` if the board restarts.
    """

    def __init__(self, port: serial.Serial, *, timeout_s: float = 20.0):
        raise NotImplementedError

    def hello(self) -> BoardInfo: ...

    def models(self) -> list[ModelInfo]: ...

    def select(self, index: int) -> None: ...

    def infer(self, frame: np.ndarray) -> Result: ...

    def set_baud(self, baud: int) -> None: ...

    def reset(self) -> None: ...

    def close(self) -> None: ...

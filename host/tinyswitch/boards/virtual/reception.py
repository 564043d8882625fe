"""Bytes on their way from the host to a receiver, as fast as its line carries them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tinyswitch.boards.virtual.machine import Machine

QUEUE_BYTES = 4096  # more is left with the host until these have been received


class Reception:
    """What the host sends faster than the line waits, so a byte is lost only where the chip would lose it."""

    def __init__(self, machine: Machine):
        self._machine = machine
        self.queue = bytearray()  # from the host, not received yet
        self.arrival = 0  # machine time at which the first of the queue is complete
        self._asked_at = 0

    def fetch(self, frame: int) -> None:
        """Asks the host for more; ``frame``: cycles that a byte takes on the line."""
        now = self._machine.now()
        if len(self.queue) >= QUEUE_BYTES or (self.queue and now < self._asked_at + frame):
            return
        self._asked_at = now
        waiting = bool(self.queue)
        self.queue += self._machine.hear()
        if not waiting:
            self.arrival = max(self.arrival, now + frame)

    def restart(self, frame: int) -> None:
        """The receiver has been switched on: nothing can be complete before a frame from now."""
        self.arrival = max(self.arrival, self._machine.now() + frame)

    def take(self, frame: int, most: int = QUEUE_BYTES) -> bytes:
        """The bytes that are complete by now, oldest first, ``most`` at a time."""
        late = self._machine.now() - self.arrival
        if not self.queue or late < 0:
            return b""
        count = min(len(self.queue), 1 + late // frame, most)
        data = bytes(self.queue[:count])
        del self.queue[:count]
        self.arrival += count * frame
        return data

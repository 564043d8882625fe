"""Successive approximation converter (nRF52840 PS v1.1, 6.23): converts the supply voltage."""

from __future__ import annotations

from typing import ClassVar

from tinyswitch.boards.virtual.errors import Refused
from tinyswitch.boards.virtual.nrf52840.nordic import Nordic
from tinyswitch.boards.virtual.peripheral import Register

CHANNELS = 8
VDD = 9  # of PSELP
GAINS = (1 / 6, 1 / 5, 1 / 4, 1 / 3, 1 / 2, 1, 2, 4)
ACQUISITION = (3e-6, 5e-6, 10e-6, 15e-6, 20e-6, 40e-6)  # seconds by TACQ
CONVERSION = 2e-6
BITS = (8, 10, 12, 14)
REFERENCE_MV = 600
GAIN, TACQ = 7 << 8, 7 << 16  # of CONFIG; all else is as at reset: single-ended, internal reference
CONFIG_RESET = 2 << 16


def _channel(i: int) -> dict[int, Register]:
    at = 0x510 + 0x10 * i
    return {
        at: Register(f"CH{i}_PSELP", 0, 0x1F),
        at + 4: Register(f"CH{i}_PSELN", 0, 0x1F),
        at + 8: Register(f"CH{i}_CONFIG", CONFIG_RESET, GAIN | TACQ),
    }


class Saadc(Nordic):
    """Single-ended conversions of VDD against the internal reference, without noise and oversampling."""

    name = "SAADC"
    base = 0x40007000
    irq = 7
    tasks: ClassVar = {"START": 0x000, "SAMPLE": 0x004, "STOP": 0x008}
    events: ClassVar = {"STARTED": 0x100, "END": 0x104, "DONE": 0x108, "RESULTDONE": 0x10C, "STOPPED": 0x114}
    plain: ClassVar = {
        0x400: Register("STATUS"),
        0x500: Register("ENABLE", 0, 1),
        **{offset: register for i in range(CHANNELS) for offset, register in _channel(i).items()},
        0x5F0: Register("RESOLUTION", 1, 3),
        0x5F4: Register("OVERSAMPLE"),
        0x5F8: Register("SAMPLERATE"),
        0x62C: Register("RESULT_PTR", 0, 0xFFFFFFFF),
        0x630: Register("RESULT_MAXCNT", 0, 0x7FFF),
        0x634: Register("RESULT_AMOUNT"),
    }

    def reset(self) -> None:
        super().reset()
        self._buffer: tuple[int, int] | None = None  # address and results wanted, from START to END or STOP
        self._done_at: int | None = None  # machine time at which the conversions that go on are complete
        self._results: list[int] = []  # of the buffer

    def is_on(self) -> bool:
        return bool(self.values["ENABLE"])

    def write_OVERSAMPLE(self, value: int) -> None:
        if value:
            raise Refused(f"SAADC_OVERSAMPLE: {value} isn't modelled, only 0")

    def _chosen(self) -> list[int]:
        return [i for i in range(CHANNELS) if self.values[f"CH{i}_PSELP"]]

    def task_START(self) -> None:
        address, count = self.values["RESULT_PTR"], self.values["RESULT_MAXCNT"]
        if not count:
            raise Refused("SAADC_TASKS_START: RESULT_MAXCNT is 0")
        self.check_dma("RESULT_PTR", address, 2 * count)
        if address % 4:
            raise Refused(f"SAADC_RESULT_PTR: 0x{address:08x} isn't a word's address")
        self._buffer, self._results = (address, count), []
        self.trigger("STARTED")

    def task_SAMPLE(self) -> None:
        if self._buffer is None:
            raise Refused("SAADC_TASKS_SAMPLE: no buffer, START comes first")
        if self._done_at is not None:
            raise Refused("SAADC_TASKS_SAMPLE: the conversion before goes on")
        seconds = sum(self._seconds(i) for i in self._chosen())
        if not seconds:
            raise Refused("SAADC_TASKS_SAMPLE: no channel has an input, see CHn_PSELP")
        self._done_at = self.machine.now() + round(seconds * self.machine.clocks.core_hz)

    def _seconds(self, channel: int) -> float:
        """What a conversion takes; refuses what isn't modelled."""
        source, config = self.values[f"CH{channel}_PSELP"], self.values[f"CH{channel}_CONFIG"]
        if source != VDD:
            raise Refused(f"SAADC_CH{channel}_PSELP: input {source} isn't modelled, only {VDD}, VDD")
        if (config & TACQ) >> 16 >= len(ACQUISITION):
            raise Refused(f"SAADC_CH{channel}_CONFIG: there is no TACQ {(config & TACQ) >> 16}")
        return ACQUISITION[(config & TACQ) >> 16] + CONVERSION

    def _convert(self, channel: int) -> int:
        gain = GAINS[(self.values[f"CH{channel}_CONFIG"] & GAIN) >> 8]
        steps = 1 << BITS[self.values["RESOLUTION"]]
        return min(steps - 1, round(self.machine.supply_mv * gain / REFERENCE_MV * steps))

    def advance(self) -> None:
        if self._done_at is None or self.machine.now() < self._done_at:
            return
        self._done_at = None
        for channel in self._chosen():
            self._store(self._convert(channel))
        if self._buffer and len(self._results) == self._buffer[1]:
            self._end()

    def _store(self, result: int) -> None:
        if self._buffer and len(self._results) < self._buffer[1]:
            self.write_dma(
                "RESULT_PTR", self._buffer[0] + 2 * len(self._results), result.to_bytes(2, "little")
            )
            self._results.append(result)
        self.trigger("DONE")
        self.trigger("RESULTDONE")

    def _end(self) -> None:
        self._buffer = None
        self.values["RESULT_AMOUNT"] = len(self._results)
        self.trigger("END")

    def task_STOP(self) -> None:
        self._done_at = None
        if self._buffer:
            self._end()
        self.trigger("STOPPED")

    def read_STATUS(self) -> int:
        return int(self._done_at is not None)

    def due(self, event: str) -> int | None:
        return self._done_at if event in ("END", "DONE", "RESULTDONE") else None

    def next_event(self) -> int | None:
        return self._done_at

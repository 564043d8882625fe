"""TWIM1, the I2C master with EasyDMA (nRF52840 PS v1.1, 6.31). The sensors are at the other end."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tinyswitch.boards.virtual.errors import Refused
from tinyswitch.boards.virtual.nrf52840.nordic import Nordic
from tinyswitch.boards.virtual.nrf52840.sensors import SCL, SDA, Sensors
from tinyswitch.boards.virtual.peripheral import Register

if TYPE_CHECKING:
    from tinyswitch.boards.virtual.machine import Machine
    from tinyswitch.boards.virtual.nrf52840.ppi import Ppi

ENABLED = 6
ALL = 0xFFFFFFFF
ANACK, DNACK = 1 << 1, 1 << 2  # ERRORSRC
FREQUENCIES = {  # Hz; 390 kHz is the way around anomaly 219: at 400 kHz the clock is low for too short a time
    0x01980000: 100_000,
    0x04000000: 250_000,
    0x06200000: 390_000,
    0x06400000: 400_000,
}
BYTE_BITS = 9
PIN_FIELDS, PIN_I2C = 0x703, 0x600  # PIN_CNF: an input, connected, drive S0D1 (6.31.5)
MOVING = ("address", "data", "stop")  # phases that end by themselves


class Twim1(Nordic):
    """Bytes take as long as at the speed in FREQUENCY, in emulated time; the sensor sees each when it is
    complete. A transfer on a bus that is held low never ends, as on the chip. SUSPEND isn't modelled."""

    name = "TWIM1"
    base = 0x40004000
    irq = 4
    tasks: ClassVar = {"STARTRX": 0x000, "STARTTX": 0x008, "STOP": 0x014}
    events: ClassVar = {
        "STOPPED": 0x104,
        "ERROR": 0x124,
        "RXSTARTED": 0x14C,
        "TXSTARTED": 0x150,
        "LASTRX": 0x15C,
        "LASTTX": 0x160,
    }
    shorts: ClassVar = {("LASTTX", "STARTRX"): 7, ("LASTTX", "STOP"): 9, ("LASTRX", "STOP"): 12}
    plain: ClassVar = {
        0x4C4: Register("ERRORSRC", 0, 1 | ANACK | DNACK),
        0x500: Register("ENABLE", 0, 0xF),
        0x508: Register("PSEL_SCL", ALL, ALL),
        0x50C: Register("PSEL_SDA", ALL, ALL),
        0x524: Register("FREQUENCY", 0x04000000, ALL),
        0x534: Register("RXD_PTR", 0, ALL),
        0x538: Register("RXD_MAXCNT", 0, 0xFFFF),
        0x53C: Register("RXD_AMOUNT"),
        0x544: Register("TXD_PTR", 0, ALL),
        0x548: Register("TXD_MAXCNT", 0, 0xFFFF),
        0x54C: Register("TXD_AMOUNT"),
        0x588: Register("ADDRESS", 0, 0x7F),
    }

    def __init__(self, machine: Machine, ppi: Ppi, sensors: Sensors):
        self._sensors = sensors
        super().__init__(machine, ppi)

    def reset(self) -> None:
        super().reset()
        self._abort()

    def _abort(self) -> None:
        self._phase: str | None = None  # one of MOVING; held: waits for a task; hung: for ever
        self._due = 0  # when the phase, or its byte, ends
        self._receiving = False
        self._restart = self._stop = False  # after this byte: a repeated start to receive, a stop
        self._place = self._count = self._length = 0

    def is_on(self) -> bool:
        return self.values["ENABLE"] == ENABLED

    # Time

    def has_input(self) -> bool:
        """A recording that plays need not wait for the wall's clock."""
        return self._sensors.plays_fast()

    def _bit_cycles(self, count: int) -> int:
        return round(count * self.machine.clocks.core_hz / FREQUENCIES[self.values["FREQUENCY"]])

    def _segment_end(self) -> int:
        """When the last byte of this direction has gone, if all are acknowledged."""
        return self._due + (
            self._bit_cycles(BYTE_BITS) * (self._length - self._count - 1) if self._phase == "data" else 0
        )

    def next_event(self) -> int | None:
        if self._phase not in MOVING or not any(self.is_wanted(event) for event in self.events):
            return None
        return self._segment_end()

    def due(self, event: str) -> int | None:
        return self._segment_end() if self._phase in MOVING and event in ("STOPPED", "ERROR") else None

    def advance(self) -> None:
        now = self.machine.now()
        while self._phase in MOVING and self._due <= now:
            getattr(self, f"_end_{self._phase}")()

    # A transfer

    def task_STARTTX(self) -> None:
        self._check_ready()
        if self._phase in MOVING:
            raise Refused("TWIM1_TASKS_STARTTX: another transfer goes on")
        if self._phase != "hung":
            self._start(False, self.machine.now())

    def task_STARTRX(self) -> None:
        self._check_ready()
        if self._phase in MOVING and not self._receiving:  # by the shortcut
            self._restart = True
        elif self._phase in MOVING:
            raise Refused("TWIM1_TASKS_STARTRX: another transfer goes on")
        elif self._phase != "hung":
            self._start(True, self.machine.now())

    def task_STOP(self) -> None:
        if self._phase is None:
            raise Refused("TWIM1_TASKS_STOP: no transfer goes on; what happens then isn't modelled")
        if self._phase == "held":
            self._begin_stop(self.machine.now())
        else:
            self._stop = True

    def _check_ready(self) -> None:
        for register, pin in (("PSEL_SCL", SCL), ("PSEL_SDA", SDA)):
            if self.values[register] != pin:
                raise Refused(f"TWIM1_{register} is 0x{self.values[register]:x}: the sensors are at P0.{pin}")
            if self._sensors.config(pin) & PIN_FIELDS != PIN_I2C:
                raise Refused(f"TWIM1: PIN_CNF of P0.{pin} must be a connected input with drive S0D1")

    def _start(self, receiving: bool, begin: int) -> None:
        """A start condition, or a repeated one, at machine time ``begin``."""
        which = "RXD" if receiving else "TXD"
        self._place, self._length = self.values[f"{which}_PTR"], self.values[f"{which}_MAXCNT"]
        self.check_dma(f"{which}_PTR", self._place, self._length)
        if not self._length:
            raise Refused(f"TWIM1_{which}_MAXCNT is 0: a transfer without a byte isn't modelled")
        self._receiving, self._count = receiving, 0
        self._restart = self._stop = False
        self.values[f"{which}_AMOUNT"] = 0
        self._phase, self._due = "address", begin + self._bit_cycles(1 + BYTE_BITS)
        self.trigger("RXSTARTED" if receiving else "TXSTARTED")

    def _end_address(self) -> None:
        now = self._seconds()
        if not self._sensors.free(now):
            self._phase = "hung"
        elif not self._sensors.lsm9ds1.start(self.values["ADDRESS"], self._receiving, now):
            self._fail(ANACK)
        else:
            self._phase = "data"
            self._begin_byte()

    def _begin_byte(self) -> None:
        self._due += self._bit_cycles(BYTE_BITS)
        if self._count == self._length - 1:
            self.trigger("LASTRX" if self._receiving else "LASTTX")

    def _end_data(self) -> None:
        at, now = self._place + self._count, self._seconds()
        sensor = self._sensors.lsm9ds1
        acknowledged = True
        if self._receiving:
            self.write_dma("RXD_PTR", at, bytes([sensor.get(now) if self._sensors.free(now) else 0]))
        else:
            acknowledged = sensor.put(self.read_dma("TXD_PTR", at, 1)[0], now)
        self._count += 1
        self.values["RXD_AMOUNT" if self._receiving else "TXD_AMOUNT"] = self._count
        if not acknowledged:
            self._fail(DNACK)
        elif self._stop:
            self._begin_stop(self._due)
        elif self._count < self._length:
            self._begin_byte()
        elif self._restart:
            self._start(True, self._due)
        else:
            self._phase = "held"

    def _fail(self, source: int) -> None:
        self.values["ERRORSRC"] |= source
        if self._stop:
            self._begin_stop(self._due)
        else:
            self._phase = "held"
        self.trigger("ERROR")

    def _begin_stop(self, begin: int) -> None:
        self._phase, self._due = "stop", begin + self._bit_cycles(1)

    def _end_stop(self) -> None:
        self._phase = None if self._sensors.free(self._seconds()) else "hung"
        if self._phase is None:
            self.trigger("STOPPED")

    def _seconds(self) -> float:
        """When the byte ended; it may be looked at later."""
        return self.machine.seconds() - (self.machine.now() - self._due) / self.machine.clocks.core_hz

    # Registers

    def write_ENABLE(self, value: int) -> None:
        if value not in (0, ENABLED):
            raise Refused(f"TWIM1_ENABLE: {value} isn't modelled, only {ENABLED} and 0")
        if value == 0:
            self._abort()
        self.values["ENABLE"] = value

    def _set_while_off(self, name: str, value: int) -> None:
        if self.values["ENABLE"]:
            raise Refused(f"TWIM1_{name} can only be written while ENABLE is 0")
        self.values[name] = value

    def write_PSEL_SCL(self, value: int) -> None:
        self._set_while_off("PSEL_SCL", value)

    def write_PSEL_SDA(self, value: int) -> None:
        self._set_while_off("PSEL_SDA", value)

    def write_FREQUENCY(self, value: int) -> None:
        if value not in FREQUENCIES:
            raise Refused(f"TWIM1_FREQUENCY: 0x{value:08x} isn't one of the chip's")
        self.values["FREQUENCY"] = value

    def write_ERRORSRC(self, value: int) -> None:
        """A 1 clears a flag."""
        self.values["ERRORSRC"] &= ~value

"""What is wired to the nRF52840 of the Arduino Nano 33 BLE Sense for its sensors: a supply, and an I2C bus
with the LSM9DS1 on it (the board's schematics)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyswitch.boards.virtual.nrf52840.lsm9ds1 import FAULTS, Lsm9ds1
from tinyswitch.boards.virtual.nrf52840.playing import Playing

if TYPE_CHECKING:
    from tinyswitch.boards.virtual.machine import Machine
    from tinyswitch.boards.virtual.nrf52840.gpio import P0, P1

SDA, SCL = 14, 15  # P0
SUPPLY = 22  # P0: high supplies the sensors
PULL_UPS = 0  # P1: high supplies the bus's pull-up resistors
FAST_SECONDS = 10.0  # of emulated time after the host's last byte in which time may run away from the wall's


class Sensors:
    """The wires between the two ports and the sensor."""

    def __init__(self, machine: Machine, port0: P0, port1: P1):
        options = machine.options
        fault = FAULTS.parse(options.sensor_fault) if options.sensor_fault else None
        self.lsm9ds1 = Lsm9ds1(Playing.of(options.motion), fault)
        self._machine, self._port0, self._port1 = machine, port0, port1
        self._clock = 1
        port0.outside[SDA] = self.data
        port0.outside[SCL] = self.clock
        for port in (port0, port1):
            port.watchers.append(self.follow)

    def follow(self) -> None:
        """The chip has changed what its pins do."""
        now = self._machine.seconds()
        self.lsm9ds1.power(self._port0.driven(SUPPLY) == 1, now)
        clock = self.clock()
        if clock and not self._clock:
            self.lsm9ds1.clock(now)
        self._clock = clock

    def config(self, pin: int) -> int:
        """PIN_CNF of a pin of port 0."""
        return self._port0.config(pin)

    def pulled_up(self) -> bool:
        """Whether the bus's pull-up resistors have a supply."""
        return self._port1.driven(PULL_UPS) == 1

    def data(self) -> int:
        """The level of the data line, as long as no transfer goes on."""
        return self._line(SDA, self.lsm9ds1.holds_data(self._machine.seconds()))

    def clock(self) -> int:
        """The level of the clock line, as long as no transfer goes on."""
        return self._line(SCL, False)

    def _line(self, pin: int, held: bool) -> int:
        driven = self._port0.driven(pin)
        return 0 if held or driven == 0 else int(self.pulled_up() or driven == 1)

    def free(self, now: float) -> bool:
        """Whether nobody but the master pulls the lines low at emulated second ``now``."""
        return self.pulled_up() and not self.lsm9ds1.holds_data(now)

    def plays_fast(self) -> bool:
        """Whether a recording is being played for which time need not be the wall's; or is going to be, when
        the host has hung up."""
        machine = self._machine
        if not machine.options.motion_fast:
            return False
        now = machine.seconds()
        recent = now < machine.heard_at + FAST_SECONDS
        if machine.line.ended:
            return self.lsm9ds1.playing(now) or (recent and not self.lsm9ds1.has_played())
        return recent and self.lsm9ds1.playing(now)

"""What Nordic's peripherals have in common: tasks, events, shortcuts, interrupts, PPI, EasyDMA (nRF52840 PS
v1.1, 6.1 and 6.16)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tinyswitch.boards.virtual.errors import Refused
from tinyswitch.boards.virtual.peripheral import Peripheral, Register

if TYPE_CHECKING:
    from tinyswitch.boards.virtual.machine import Machine
    from tinyswitch.boards.virtual.nrf52840.ppi import Ppi

EVENTS = 0x100
SHORTS, INTEN, INTENSET, INTENCLR = 0x200, 0x300, 0x304, 0x308
RAM, RAM_BYTES = 0x20000000, 256 << 10
ALL = 0xFFFFFFFF
MHZ16 = 4  # processor cycles of the peripherals' clock, PCLK16M


class Nordic(Peripheral):
    """A peripheral with tasks and events.

    A subclass gives ``tasks`` and ``events`` (name: offset), ``shorts`` ((event, task): bit of SHORTS) and
    ``plain``, its other registers by offset, as class attributes or before it calls ``__init__``. It has a
    method ``task_NAME()`` for each task, calls :meth:`trigger` where the chip generates an event, and
    catches up with ``machine.now()`` in ``advance()``, which is called before each access to a register. The
    bit of an event in INTEN follows from its offset. Values are in ``self.values`` by register name, events
    as ``EVENTS_NAME``.
    """

    irq: int
    size = 0x1000
    has_inten = True  # else only INTENSET and INTENCLR
    tasks: ClassVar[dict[str, int]] = {}
    events: ClassVar[dict[str, int]] = {}
    shorts: ClassVar[dict[tuple[str, str], int]] = {}
    plain: ClassVar[dict[int, Register]] = {}

    def __init__(self, machine: Machine, ppi: Ppi | None = None):
        self.ppi = ppi
        self._bits = {name: (offset - EVENTS) // 4 for name, offset in self.events.items()}
        self.registers = self._all_registers()
        super().__init__(machine)
        for name in self.tasks:
            self._writers[f"TASKS_{name}"] = lambda value, name=name: self._write_task(name, value)
        for name in self.events:
            self._writers[f"EVENTS_{name}"] = lambda value, name=name: self._write_event(name, value)
            self._readers[f"EVENTS_{name}"] = lambda name=name: self._read_event(name)

    def _all_registers(self) -> dict[int, Register]:
        mask = sum(1 << bit for bit in self._bits.values())
        found = dict(self.plain)
        for name, offset in self.tasks.items():
            found[offset] = Register(f"TASKS_{name}", 0, 1, readable=False)
        for name, offset in self.events.items():
            found[offset] = Register(f"EVENTS_{name}", 0, 1)
        if self.shorts:
            found[SHORTS] = Register("SHORTS", 0, sum(1 << bit for bit in self.shorts.values()))
        if self.events:
            found[INTENSET] = Register("INTENSET", 0, mask)
            found[INTENCLR] = Register("INTENCLR", 0, ALL)
            if self.has_inten:
                found[INTEN] = Register("INTEN", 0, mask)
        return found

    def reset(self) -> None:
        super().reset()
        self._enabled_interrupts = 0
        self.machine.exceptions.set_line(self.irq, False)

    def read(self, offset: int, size: int) -> int:
        self._catch_up()
        return super().read(offset, size)

    def write(self, offset: int, size: int, value: int) -> None:
        self._catch_up()
        super().write(offset, size, value)
        self.machine.event_at(self.next_event())

    def _catch_up(self) -> None:
        """With this peripheral and those whose events trigger its tasks; what others have to do isn't due
        before their own next event."""
        self.machine.advance((*self.ppi.sources(self), self) if self.ppi else (self,))

    # Tasks

    def is_on(self) -> bool:
        """Whether ENABLE lets tasks do something."""
        return True

    def _write_task(self, name: str, value: int) -> None:
        if value & 1:
            self.run(name)

    def run(self, task: str, times: int = 1) -> None:
        """Triggers a task, ``times`` times at once: only tasks that count need know that."""
        if not self.is_on():
            raise Refused(f"{self.name}_TASKS_{task}: the peripheral is off, see {self.name}_ENABLE")
        method = getattr(self, f"task_{task}")
        if self.counts(task):
            method(times)
        else:
            method()

    def counts(self, task: str) -> bool:
        """Whether ``task_NAME(times)`` wants to know how often."""
        return False

    def is_timely(self, task: str) -> bool:
        """Whether it matters when exactly another peripheral's event triggers ``task``."""
        return True

    # Events

    def trigger(self, event: str, times: int = 1) -> None:
        """The chip generates ``event``."""
        self.values[f"EVENTS_{event}"] = 1
        self.update_line()
        for (source, task), bit in self.shorts.items():
            if source == event and self.values["SHORTS"] >> bit & 1:
                self.run(task)
        if self.ppi:
            self.ppi.signal(self.base + self.events[event], times)

    def is_wanted(self, event: str) -> bool:
        """Whether something hangs on the moment at which ``event`` comes: an interrupt or another task."""
        if self._enabled_interrupts >> self._bits[event] & 1:
            return True
        return bool(self.ppi and self.ppi.is_timely(self.base + self.events[event]))

    def due(self, event: str) -> int | None:
        """Machine time at which ``event`` will come by itself; None if that isn't known. Firmware that polls
        it then need not be executed until then."""
        return None

    def _read_event(self, name: str) -> int:
        key = f"EVENTS_{name}"
        if not self.values[key] and self.machine.is_polling():
            due = self.due(name)
            if due is not None:
                self.machine.poll_until_event(due)
        return self.values[key]

    def _write_event(self, name: str, value: int) -> None:
        if value:
            raise Refused(f"{self.name}_EVENTS_{name}: an event can only be cleared, by writing 0")
        self.values[f"EVENTS_{name}"] = 0
        self.update_line()

    # Interrupts

    def update_line(self) -> None:
        """The interrupt line is high while an enabled event is set."""
        on = any(
            self._enabled_interrupts >> bit & 1 and self.values[f"EVENTS_{name}"]
            for name, bit in self._bits.items()
        )
        self.machine.exceptions.set_line(self.irq, on)

    def _set_interrupts(self, mask: int) -> None:
        self._enabled_interrupts = mask
        self.update_line()

    def read_INTEN(self) -> int:
        return self._enabled_interrupts

    read_INTENSET = read_INTENCLR = read_INTEN

    def write_INTEN(self, value: int) -> None:
        self._set_interrupts(value)

    def write_INTENSET(self, value: int) -> None:
        self._set_interrupts(self._enabled_interrupts | value)

    def write_INTENCLR(self, value: int) -> None:
        self._set_interrupts(self._enabled_interrupts & ~value)

    # EasyDMA

    def check_dma(self, register: str, address: int, count: int) -> None:
        """Refuses what EasyDMA cannot reach: anything but RAM (6.16)."""
        if not RAM <= address <= address + count <= RAM + RAM_BYTES:
            raise Refused(
                f"{self.name}_{register}: {count} bytes at 0x{address:08x} aren't in RAM, and EasyDMA "
                "reaches nothing else"
            )

    def read_dma(self, register: str, address: int, count: int) -> bytes:
        """Bytes of RAM."""
        self.check_dma(register, address, count)
        if not count:
            return b""
        data, offset = self.machine.cpu.memory_at(address, count, write=True)
        return bytes(data[offset : offset + count])

    def write_dma(self, register: str, address: int, content: bytes) -> None:
        """Bytes into RAM."""
        self.check_dma(register, address, len(content))
        if content:
            data, offset = self.machine.cpu.memory_at(address, len(content), write=True)
            data[offset : offset + len(content)] = content

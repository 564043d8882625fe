"""The machine: processor, peripherals and time, and what happens when the firmware goes wrong."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Protocol

from unicorn import arm_const as reg

from tinyswitch.boards.virtual.chip import Chip, Options
from tinyswitch.boards.virtual.cortexm.exceptions import Exceptions, Fault
from tinyswitch.boards.virtual.counter import DIVIDES_BY_ZERO
from tinyswitch.boards.virtual.cpu import Access, Cpu, Stop
from tinyswitch.boards.virtual.errors import EndOfInput, Halt, Refused
from tinyswitch.boards.virtual.firmware import Firmware
from tinyswitch.boards.virtual.line import Line
from tinyswitch.boards.virtual.peripheral import Peripheral
from tinyswitch.errors import TinyswitchError

SLICE_SECONDS = 0.005  # emulated; how often the host is looked after at least
LINGER_SECONDS = 1.0
POLL_INSTRUCTIONS = 100  # two reads of a register no further apart are the same loop's
ERASED = 0xFF


class Clocks(Protocol):
    """What the machine asks the chip's clock controller."""

    core_hz: int

    def enabled(self, register: str, bit: int) -> bool:
        """Whether that bit of that register switches a peripheral's clock on."""

    def note_reset(self, cause: str) -> None:
        """The chip has been reset: ``software`` or ``watchdog``."""


class Machine:
    """One chip with a firmware in it. :meth:`run` runs it until it halts or the host hangs up.

    Time is counted in processor cycles: one per instruction executed, plus the cycles skipped while the
    processor sleeps or polls a status bit. ``supply_mv``: the chip's supply voltage; it may change any time.
    """

    clocks: Clocks  # set by the chip's clock controller

    def __init__(self, chip: Chip, firmware: Firmware, line: Line, options: Options | None = None):
        self.chip, self.firmware, self.line = chip, firmware, line
        self.options = options or Options()
        self.supply_mv = self.options.supply_mv
        self.heard_at = 0.0  # emulated second at which the host's latest bytes were fetched
        self.cpu = Cpu(chip, self._read, self._write)
        self._skipped = 0  # cycles that passed without instructions
        self._slept = 0  # those of them in sleep
        self.sleeping = False
        self._accessing = False
        self._accessed = 0  # instructions completed at the access in progress
        self._halt: Halt | None = None
        self._read_at: dict[int, int] = {}  # instructions at the latest read of each register, since a write
        self._polls = False
        self._reset: str | None = None
        self.reset_cause = "power"  # of the latest reset: else software or watchdog
        self._epoch = (0, 0.0)  # time at which the clock's speed last changed, in cycles and seconds
        self.boot = _boot_address(chip, firmware)
        self.exceptions = Exceptions(self.cpu, self.boot)
        self.peripherals = chip.peripherals(self)
        self._timed = [p for p in self.peripherals if type(p).advance is not Peripheral.advance]
        self._pages = _by_address(self.peripherals)
        self._ended_at: float | None = None  # when the host was first seen to have hung up
        self._load()
        self._boot()

    # Memory and reset

    def _load(self) -> None:
        """Programs the flash; RAM is left as random as at power-up, but the same each time."""
        noise = random.Random(self.chip.name)
        for _, size, data, writable in self.cpu.memories:
            data[:] = noise.randbytes(size) if writable else bytes([ERASED]) * size
        for memory in self.chip.memories:
            for at, contents in memory.factory:
                data, offset = self.cpu.memory_at(memory.bases[0] + at, len(contents), write=False)
                data[offset : offset + len(contents)] = contents
        for segment in self.firmware.segments:
            place = self.cpu.memory_at(segment.load, len(segment.data), write=False)
            if place is None:
                raise TinyswitchError(
                    f"{self.firmware.path}: {len(segment.data)} bytes at 0x{segment.load:08x} are outside "
                    f"the memory of {self.chip.name}; build it for this board"
                )
            data, offset = place
            data[offset : offset + len(segment.data)] = segment.data
            if segment.executable:
                for address in _divisions(segment.data, segment.run):
                    self.cpu.counter.add_division(address)

    def _boot(self) -> None:
        self.cpu.counter.forget()
        try:
            self.exceptions.reset()
        except Halt as halt:
            raise TinyswitchError(f"{self.firmware.path}: {halt}; link it for {self.chip.name}") from None
        if self.chip.handover and self.boot != self.chip.boots[0]:
            self.chip.handover(self)

    def request_reset(self, cause: str) -> None:
        """The chip resets before the next block; RAM keeps its contents. ``cause``: see :class:`Clocks`."""
        self._reset = cause
        self.cpu.request_stop()

    def _restart(self) -> None:
        cause, self._reset = self._reset or "", None
        self.reset_cause = cause
        for peripheral in self.peripherals:
            peripheral.reset()
        self.clocks.note_reset(cause)
        self._boot()

    # Time

    def now(self) -> int:
        """Cycles since power-up; exact, also in the middle of a block."""
        return self.instructions() + self._skipped

    def awake(self) -> int:
        """Cycles since power-up in which the processor didn't sleep."""
        return self.now() - self._slept

    def instructions(self) -> int:
        """Instructions completed since power-up; exact."""
        return self._accessed if self._accessing else self.cpu.state.executed

    def seconds(self) -> float:
        """Emulated seconds since power-up."""
        cycles, seconds = self._epoch
        return seconds + (self.now() - cycles) / self.clocks.core_hz

    def cycle_of(self, seconds: float) -> int:
        """The machine time at an emulated second, if the clock stays as it is."""
        cycles, start = self._epoch
        return cycles + round((seconds - start) * self.clocks.core_hz)

    def clock_changes(self) -> None:
        """To be called by the clock controller before ``core_hz`` changes."""
        self._epoch = (self.now(), self.seconds())

    def skip_to(self, time: int) -> None:
        """Lets time pass without instructions: the processor would only wait anyway."""
        cycles = max(0, time - self.now())
        self._skipped += cycles
        if self.sleeping:
            self._slept += cycles
        self._set_deadline()

    def poll_until(self, time: int) -> None:
        """Lets time pass as if the firmware polled meanwhile: unlike in sleep, the cycle counter goes on."""
        state = self.cpu.state
        state.cyccnt_origin = state.cyccnt_origin - max(0, time - self.now()) & (1 << 64) - 1
        self.skip_to(time)

    def poll_until_event(self, time: int) -> None:
        """The same, but not past what may interrupt the polling; then lets happen what has become due."""
        event = self._next_event()
        self.poll_until(time if event is None else min(time, event))
        self.catch_up()

    def is_polling(self) -> bool:
        """Whether the register that is read now was read just before, and nothing was written in between: the
        firmware waits for something in a loop."""
        return self._polls

    def timer_changed(self) -> None:
        """A peripheral's next event has moved: look at it before the next block."""
        self.cpu.request_stop()

    def event_at(self, time: int | None) -> None:
        """A peripheral's next event is at ``time``: don't run past it."""
        if time is not None and time < self._skipped + self.cpu.state.deadline:
            self.cpu.request_stop()

    def catch_up(self) -> None:
        """Lets all peripherals do what has become due."""
        self.advance(self._timed)

    def advance(self, peripherals: Iterable[Peripheral]) -> None:
        """Lets these do what has become due."""
        try:
            for peripheral in peripherals:
                peripheral.advance()
        except Refused as refusal:  # nothing to do with an access that may be in progress
            raise Halt(str(refusal)) from None

    def _set_deadline(self) -> None:
        now = self.now()
        deadline = now + round(SLICE_SECONDS * self.clocks.core_hz)
        event = self._next_event()
        if event is not None:
            deadline = min(deadline, event)
        self.cpu.state.deadline = max(0, deadline - self._skipped)

    def _next_event(self) -> int | None:
        return min((t for p in self._timed if (t := p.next_event()) is not None), default=None)

    # Running

    def run(self) -> None:
        """Raises Halt when the firmware did something illegal, EndOfInput when the host has hung up."""
        while True:
            self.step()

    def step(self) -> Stop:
        """Runs until the next thing that needs attention, and attends to it. Raises as :meth:`run`."""
        self._settle()
        stop = self.cpu.run()
        if self._halt:
            raise self._halt
        self._attend(stop)
        return stop

    def _settle(self) -> None:
        """Brings peripherals up to now, resets or interrupts if due."""
        self.catch_up()
        self.line.flush()
        self._check_host()
        if self._reset is not None:
            self._restart()
        self.exceptions.deliver()
        self._set_deadline()

    def _attend(self, stop: Stop) -> None:
        if stop is Stop.SLEEP:
            self._sleep()
        elif stop is Stop.RETURN:
            self.exceptions.leave(self.cpu.exc_return)
        elif stop is Stop.SVC:
            self.exceptions.service_call()
        elif stop is Stop.UNDEFINED:
            self.exceptions.fault(Fault.UNDEFINED)
        elif stop is Stop.INVALID_STATE:
            self.exceptions.fault(Fault.INVALID_STATE)
        elif stop is Stop.BREAKPOINT:
            self.exceptions.fault(Fault.BREAKPOINT)
        elif stop is Stop.TRAP:
            self._trap()
        elif stop is Stop.BAD_ACCESS:
            assert self.cpu.bad_access
            raise Halt(self._describe(self.cpu.bad_access, "the chip has no memory or register there"))

    def _trap(self) -> None:
        if self.cpu.trapped & DIVIDES_BY_ZERO:
            self.exceptions.fault(Fault.DIVIDE_BY_ZERO)
        elif not self.exceptions.fpu_allowed:
            self.exceptions.fault(Fault.NO_COPROCESSOR)
        else:
            self.exceptions.fault(Fault.UNDEFINED)

    def _sleep(self) -> None:
        """WFI: time passes until an interrupt is pending. Emulated time keeps to the wall's clock while
        there is nothing from the host, and jumps while there is."""
        self.sleeping = True
        try:
            self._pass_sleep()
        finally:
            self.sleeping = False

    def _pass_sleep(self) -> None:
        while True:
            self.catch_up()
            self.line.flush()
            if self._reset is not None or self.exceptions.wakes():
                return
            busy = any(p.has_input() for p in self._timed)
            if self.line.ended and not busy:
                raise EndOfInput
            self._pass_time(busy)

    def _check_host(self) -> None:
        """Firmware that never sleeps has LINGER_SECONDS for its last answers once the host is gone."""
        if not self.line.ended or any(p.has_input() for p in self._timed):
            return
        if self._ended_at is None:
            self._ended_at = self.seconds()
        elif self.seconds() > self._ended_at + LINGER_SECONDS:
            raise EndOfInput

    def _pass_time(self, busy: bool) -> None:
        event = self._next_event()
        if busy and event is not None:
            self.skip_to(event)
            return
        hz = self.clocks.core_hz
        waited = self.line.wait(None if event is None else (event - self.now()) / hz)
        target = self.now() + round(waited * hz) + 1
        self.skip_to(target if event is None else min(target, event))

    # Peripherals

    def hear(self) -> bytes:
        """What the host has sent, maybe nothing: for the peripheral at whose pins it is."""
        data = self.line.read()
        if data:
            self.heard_at = self.seconds()
        return data

    def _read(self, address: int, size: int) -> int:
        return self._access(address, size, None) or 0

    def _write(self, address: int, size: int, value: int) -> None:
        self._access(address, size, value)

    def _access(self, address: int, size: int, value: int | None) -> int | None:
        """Called from within Unicorn: nothing may be raised through it."""
        if self._halt:
            return None  # the block in which it halted runs to its end
        self._accessing, self._accessed = True, self.cpu.instructions(self.cpu.state.pc)
        try:
            return self._dispatch(address, size, value)
        except Refused as refusal:
            self._halt = Halt(self._describe_access(address, size, value, str(refusal)))
        except Halt as halt:
            self._halt = halt
        except Exception as error:  # a bug of ours: say where, rather than run on
            self._halt = Halt(self._describe_access(address, size, value, f"internal error {error!r}"))
        finally:
            self._accessing = False
        self.cpu.stop_now()
        return None

    def _dispatch(self, address: int, size: int, value: int | None) -> int | None:
        peripheral = self.find(address)
        if peripheral is None:
            raise Refused("the chip has no memory or register there that this model knows")
        if peripheral.clock and not self.clocks.enabled(*peripheral.clock):
            register, _ = peripheral.clock
            raise Refused(f"{peripheral.name} has no clock: its bit in {register} is off")
        if value is None:
            self._note_read(address)
            return peripheral.read(address - peripheral.base, size)
        self._read_at.clear()
        peripheral.write(address - peripheral.base, size, value)
        return None

    def _note_read(self, address: int) -> None:
        now = self.instructions()
        before = self._read_at.get(address)
        self._polls = before is not None and now - before <= POLL_INSTRUCTIONS
        self._read_at[address] = now

    def find(self, address: int) -> Peripheral | None:
        """The peripheral that has that address."""
        for peripheral in self._pages.get(address >> 10, ()):
            if peripheral.base <= address < peripheral.base + peripheral.size:
                return peripheral
        return None

    # Messages

    def where(self, address: int) -> str:
        """Function and offset of a code address, also in an alias of the memory it was linked for."""
        for memory in self.chip.memories:
            for base in memory.bases[1:]:
                if base <= address < base + memory.size:
                    address += memory.bases[0] - base
        return self.firmware.where(address)

    def _describe_access(self, address: int, size: int, value: int | None, reason: str) -> str:
        kind = "read" if value is None else "write"
        return self._describe(Access(kind, address, size, value, self.cpu.state.pc), reason)

    def _describe(self, access: Access, reason: str) -> str:
        value = "" if access.value is None else f" of value 0x{access.value:0{2 * access.size}x}"
        what = f"{access.size}-byte {access.kind}{value} at" if access.kind != "execution" else "execution at"
        pc = "" if access.kind == "execution" else f" pc 0x{access.pc:08x} in {self.where(access.pc)},"
        lr = self.cpu[reg.UC_ARM_REG_LR]
        return f"{what} 0x{access.address:08x}: {reason};{pc} called from {self.where(lr - 2)}"


def _boot_address(chip: Chip, firmware: Firmware) -> int:
    """Where the firmware's vector table is; the chip's own place if the firmware isn't for this chip."""
    starts = [(s.load, s.load + len(s.data)) for s in firmware.segments]
    return next(
        (boot for boot in chip.boots if any(start <= boot < end for start, end in starts)), chip.boots[0]
    )


def _by_address(peripherals: list[Peripheral]) -> dict[int, list[Peripheral]]:
    """Peripherals by kilobyte of address."""
    pages: dict[int, list[Peripheral]] = {}
    for peripheral in peripherals:
        for page in range(peripheral.base >> 10, (peripheral.base + peripheral.size - 1 >> 10) + 1):
            pages.setdefault(page, []).append(peripheral)
    return pages


def _divisions(code: bytes, address: int) -> list[int]:
    """Addresses of what may be SDIV or UDIV (ARM DDI 0403E, A7.7.127 and A7.7.195); data may look like it."""
    halfwords = memoryview(code[: len(code) & ~1]).cast("H")
    return [
        address + 2 * i
        for i in range(len(halfwords) - 1)
        if halfwords[i] & 0xFFD0 == 0xFB90 and halfwords[i + 1] & 0xF0F0 == 0xF0F0
    ]

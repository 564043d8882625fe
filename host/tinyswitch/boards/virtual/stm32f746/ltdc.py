"""LTDC (RM0385, chapter 18) with one layer of 8 bits a pixel, and the panel of the STM32F746G-DISCO:
RK043FN48H-CT672B, 480 x 272 pixels."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from tinyswitch.boards.virtual.errors import Refused
from tinyswitch.boards.virtual.peripheral import Peripheral, Register
from tinyswitch.boards.virtual.picture import Picture

if TYPE_CHECKING:
    from tinyswitch.boards.virtual.machine import Machine
    from tinyswitch.boards.virtual.stm32f746.gpio import Gpio
    from tinyswitch.boards.virtual.stm32f746.rcc import Rcc

WIDTH, HEIGHT = 480, 272
# The panel's data sheet: pixel clock in Hz, pixel clocks a line, lines a frame, and the least of the pauses
PIXEL_HZ, LINE, FRAME = (5e6, 12e6), (490, 605), (275, 335)
LINE_BACK, LINE_FRONT, FRAME_BACK, FRAME_FRONT = 8, 2, 2, 1

PAIR = 0xFFF << 16 | 0x7FF
LTDCEN, IMR, VBR, RRIF = 1 << 0, 1 << 0, 1 << 1, 1 << 3
LEN, CLUTEN, L8 = 1 << 0, 1 << 4, 5
VDES, HDES, VSYNCS, HSYNCS = (1 << bit for bit in range(4))

# Where UM1907 has the panel's signals; by colour from bit 0 on. All alternate function 14 but PG12.
CONTROL = ("I9", "I10", "I14", "K7")  # VSYNC, HSYNC, CLK, DE
COLOURS = (
    ("I15", "J0", "J1", "J2", "J3", "J4", "J5", "J6"),
    ("J7", "J8", "J9", "J10", "J11", "K0", "K1", "K2"),
    ("E4", "J13", "J14", "J15", "G12", "K4", "K5", "K6"),
)
FUNCTION, OTHER_FUNCTIONS = 14, {"G12": 9}
ENABLE, BACKLIGHT = ("I", 12), ("K", 3)


class Ltdc(Peripheral):
    """Layer 1's registers are shadowed: what is written is used, and read, from the next reload on. Settings
    that the panel cannot do, and what isn't modelled, stop the machine."""

    name = "LTDC"
    base = 0x40016800
    clock = ("APB2ENR", 26)
    registers: ClassVar = {
        0x08: Register("SSCR", 0, PAIR),
        0x0C: Register("BPCR", 0, PAIR),
        0x10: Register("AWCR", 0, PAIR),
        0x14: Register("TWCR", 0, PAIR),
        0x18: Register("GCR", 0x2220, LTDCEN, 0x7770),
        0x24: Register("SRCR", 0, IMR | VBR),
        0x2C: Register("BCCR", 0, 0xFFFFFF),
        0x38: Register("ISR"),
        0x3C: Register("ICR", 0, RRIF, readable=False),
        0x44: Register("CPSR"),
        0x48: Register("CDSR"),
        0x84: Register("L1CR", 0, LEN | CLUTEN),
        0x88: Register("L1WHPCR", 0, 0xFFF << 16 | 0xFFF),
        0x8C: Register("L1WVPCR", 0, 0x7FF << 16 | 0x7FF),
        0x94: Register("L1PFCR", 0, 7),
        0x98: Register("L1CACR", 0xFF),
        0x9C: Register("L1DCCR"),
        0xA0: Register("L1BFCR", 0x607),
        0xAC: Register("L1CFBAR", 0, 0xFFFFFFFF),
        0xB0: Register("L1CFBLR", 0, 0x1FFF << 16 | 0x1FFF),
        0xB4: Register("L1CFBLNR", 0, 0x7FF),
        0xC4: Register("L1CLUTWR", 0, 0xFFFFFFFF, readable=False),
    }
    SHADOWED: ClassVar = ("L1CR", "L1WHPCR", "L1WVPCR", "L1PFCR", "L1CFBAR", "L1CFBLR", "L1CFBLNR")

    def __init__(self, machine: Machine, rcc: Rcc, ports: dict[str, Gpio]):
        self._rcc, self._ports = rcc, ports
        super().__init__(machine)

    def reset(self) -> None:
        super().reset()
        self._written = {name: self.values[name] for name in self.SHADOWED}
        self._palette = np.zeros((256, 3), np.uint8)
        self._flags = 0
        self._started: float | None = None  # emulated second at which the first frame began
        self._reload_at: float | None = None  # emulated second of the reload that has been asked for

    # Accesses

    def read(self, offset: int, size: int) -> int:
        self._check_clock()
        self.advance()
        if self._reload_at is not None and self.machine.is_polling():
            self.machine.poll_until_event(self.next_event())  # firmware waits for the reload
        return super().read(offset, size)

    def write(self, offset: int, size: int, value: int) -> None:
        self._check_clock()
        self.advance()
        name = self._find(offset, size)[0].name
        if name not in self.SHADOWED:
            super().write(offset, size, value)
            return
        used = self.values[name]
        super().write(offset, size, value)
        self._written[name], self.values[name] = self.values[name], used

    def _check_clock(self) -> None:
        if self._rcc.pixel_hz() is None:
            raise Refused("LTDC: the PLLSAI is off: without a pixel clock the access would never end")

    # Frames in time

    def _hz(self) -> Fraction:
        return self._rcc.pixel_hz() or Fraction(1)

    def _last(self, name: str) -> tuple[int, int]:
        """Horizontal and vertical half of a register of the timing: numbers of a last pixel and line."""
        return self.values[name] >> 16, self.values[name] & 0x7FF

    def _frame_clocks(self) -> int:
        width, height = self._last("TWCR")
        return (width + 1) * (height + 1)

    def _position(self) -> tuple[int, int]:
        """Pixel and line that are being sent, counted from the beginning of the pulses."""
        if self._started is None:
            return 0, 0
        clocks = int((self.machine.seconds() - self._started) * self._hz()) % self._frame_clocks()
        return clocks % (self._last("TWCR")[0] + 1), clocks // (self._last("TWCR")[0] + 1)

    def _next_blanking(self) -> float:
        """Emulated second at which the lines of a frame are next through."""
        frame = self._frame_clocks()
        begins = (self._last("AWCR")[1] + 1) * (self._last("TWCR")[0] + 1)
        clocks = int((self.machine.seconds() - self._started) * self._hz())
        frames = (clocks - begins) // frame + 1
        return self._started + float((frames * frame + begins) / self._hz())

    def next_event(self) -> int | None:
        return None if self._reload_at is None else self.machine.cycle_of(self._reload_at) + 1

    def advance(self) -> None:
        if self._reload_at is not None and self.machine.seconds() >= self._reload_at:
            self._reload()

    def read_CPSR(self) -> int:
        pixel, line = self._position()
        return pixel << 16 | line

    def read_CDSR(self) -> int:
        pixel, line = self._position()
        (left, top), (right, bottom), (pulse, lines) = map(self._last, ("BPCR", "AWCR", "SSCR"))
        return (
            (HSYNCS if pixel <= pulse else 0)
            | (VSYNCS if line <= lines else 0)
            | (HDES if left < pixel <= right else 0)
            | (VDES if top < line <= bottom else 0)
        )

    # The panel's timing

    def _set_timing(self, name: str, value: int) -> None:
        if self._started is not None:
            raise Refused(f"LTDC_{name}: changed while the LTDC is on")
        self.values[name] = value

    def write_SSCR(self, value: int) -> None:
        self._set_timing("SSCR", value)

    def write_BPCR(self, value: int) -> None:
        self._set_timing("BPCR", value)

    def write_AWCR(self, value: int) -> None:
        self._set_timing("AWCR", value)

    def write_TWCR(self, value: int) -> None:
        self._set_timing("TWCR", value)

    def write_GCR(self, value: int) -> None:
        if value & LTDCEN and self._started is None:
            self._check_panel()
            self._started = self.machine.seconds()
            if self.values["SRCR"] & VBR:
                self._reload_at = self._next_blanking()
        elif not value & LTDCEN:
            self._started = self._reload_at = None
        self.values["GCR"] = value & LTDCEN | 0x2220
        self.machine.timer_changed()

    def _check_panel(self) -> None:
        hz = float(self._hz())
        if not PIXEL_HZ[0] <= hz <= PIXEL_HZ[1]:
            raise Refused(f"LTDC_GCR: a pixel clock of {hz:.0f} Hz; the panel takes 5 to 12 MHz")
        for half, size, total, back, front, what in (
            (0, WIDTH, LINE, LINE_BACK, LINE_FRONT, "pixel clocks a line"),
            (1, HEIGHT, FRAME, FRAME_BACK, FRAME_FRONT, "lines a frame"),
        ):
            pulse, begin, end, last = (self._last(name)[half] for name in ("SSCR", "BPCR", "AWCR", "TWCR"))
            if end - begin != size:
                raise Refused(f"LTDC_AWCR: {end - begin} active {what}; the panel has {size}")
            if not total[0] <= last + 1 <= total[1]:
                raise Refused(f"LTDC_TWCR: {last + 1} {what}; the panel takes {total[0]} to {total[1]}")
            if begin - pulse < back or last - end < front:
                raise Refused(f"LTDC: too few {what} between pulse and picture, or after it, for the panel")

    # The layer

    def write_SRCR(self, value: int) -> None:
        if not value & (IMR | VBR):
            return
        self._check_layer()
        if value & IMR:
            self._reload()
            return
        self.values["SRCR"] = VBR
        if self._started is not None:
            self._reload_at = self._next_blanking()
            self.machine.timer_changed()

    def _reload(self) -> None:
        self.values.update(self._written)
        self.values["SRCR"] = 0
        self._reload_at = None
        self._flags |= RRIF

    def read_ISR(self) -> int:
        return self._flags

    def write_ICR(self, value: int) -> None:
        self._flags &= ~value

    def _window(self, values: dict[str, int]) -> tuple[int, int, int, int]:
        """Left, top, width and height of the layer in the picture."""
        (left, top), across, down = self._last("BPCR"), values["L1WHPCR"], values["L1WVPCR"]
        x, y = (across & 0xFFF) - left - 1, (down & 0x7FF) - top - 1
        return x, y, (across >> 16) - left - x, (down >> 16) - top - y

    def _check_layer(self) -> None:
        """Refuses what is about to be taken over, if it isn't modelled or reads what isn't there."""
        values = self._written
        if not values["L1CR"] & LEN:
            return
        x, y, width, height = self._window(values)
        if values["L1PFCR"] != L8 or not values["L1CR"] & CLUTEN:
            raise Refused("LTDC_SRCR: only a layer of 8 bits a pixel (L8) with its palette on is modelled")
        if min(x, y) < 0 or min(width, height) < 1 or x + width > WIDTH or y + height > HEIGHT:
            raise Refused(f"LTDC_SRCR: a layer of {width} x {height} at {x}, {y} isn't in the picture")
        length, pitch, lines = values["L1CFBLR"] & 0x1FFF, values["L1CFBLR"] >> 16, values["L1CFBLNR"]
        if length != width + 3 or pitch < width:
            raise Refused(f"LTDC_L1CFBLR: lines of {length} - 3 bytes, {pitch} apart, for {width} pixels")
        if lines != height:
            raise Refused(f"LTDC_L1CFBLNR: {lines} lines for a layer of {height}")
        if self._place(values) is None:
            raise Refused(f"LTDC_L1CFBAR: there's no memory for a frame at 0x{values['L1CFBAR']:08x}")

    def _place(self, values: dict[str, int]) -> tuple[object, int] | None:
        size = values["L1CFBLR"] >> 16
        return self.machine.cpu.memory_at(values["L1CFBAR"], size * values["L1CFBLNR"], write=False)

    def write_L1CLUTWR(self, value: int) -> None:
        line = self._position()[1]
        top, bottom = self._last("BPCR")[1], self._last("AWCR")[1]
        if self._started is not None and self.values["L1CR"] & LEN and top < line <= bottom:
            raise Refused("LTDC_L1CLUTWR: written while the layer is on and not between two frames")
        self._palette[value >> 24] = value >> 16 & 0xFF, value >> 8 & 0xFF, value & 0xFF

    # What is seen

    def picture(self) -> Picture:
        """The panel; black while it is off, not lit, or gets no picture. A colour's bit whose pin isn't the
        LTDC's is 0."""
        rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        self.advance()
        if self._started is not None and self._lit() and all(self._connected(pin) for pin in CONTROL):
            background = self.values["BCCR"]
            rgb[:] = background >> 16 & 0xFF, background >> 8 & 0xFF, background & 0xFF
            self._draw_layer(rgb)
            for colour, pins in enumerate(COLOURS):
                rgb[:, :, colour] &= sum(1 << bit for bit, pin in enumerate(pins) if self._connected(pin))
        return Picture(WIDTH, HEIGHT, rgb.tobytes())

    def _draw_layer(self, rgb: np.ndarray) -> None:
        place = self._place(self.values)
        if not self.values["L1CR"] & LEN or place is None:
            return
        x, y, width, height = self._window(self.values)
        data, offset = place
        pitch = self.values["L1CFBLR"] >> 16
        frame = np.frombuffer(data, np.uint8, pitch * height, offset).reshape(height, pitch)
        rgb[y : y + height, x : x + width] = self._palette[frame[:, :width]]

    def _lit(self) -> bool:
        return all(self._ports[port].driven_high(pin) for port, pin in (ENABLE, BACKLIGHT))

    def _connected(self, pin: str) -> bool:
        return self._ports[pin[0]].alternate(int(pin[1:])) == OTHER_FUNCTIONS.get(pin, FUNCTION)

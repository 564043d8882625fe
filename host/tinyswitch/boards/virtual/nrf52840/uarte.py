"""UARTE0 (nRF52840 PS v1.1, 6.34): 8N1 with EasyDMA; the host is at the other end of the board's pins D0 and
D1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tinyswitch.boards.virtual.errors import Refused
from tinyswitch.boards.virtual.nrf52840.nordic import MHZ16, Nordic
from tinyswitch.boards.virtual.peripheral import Register
from tinyswitch.boards.virtual.reception import Reception

ON = 8  # of ENABLE
# BAUDRATE, and the clocks of 16 MHz that a bit then takes: 16 MHz over the actual rates of 6.34.10.28
BIT_CLOCKS = {
    0x0004F000: 13333, 0x0009D000: 6667, 0x0013B000: 3333, 0x00275000: 1667, 0x003AF000: 1111,
    0x004EA000: 833, 0x0075C000: 556, 0x00800000: 512, 0x009D0000: 417, 0x00E50000: 286, 0x00EB0000: 278,
    0x013A9000: 208, 0x01D60000: 139, 0x03B00000: 69, 0x04000000: 64, 0x07400000: 35, 0x0F000000: 17,
    0x10000000: 16,
}  # fmt: skip
FRAME_BITS = 10
OVERRUN = 1
FIFO_BYTES = 4  # received without a buffer (6.34.2); more is lost
STOP_FRAMES = 4  # between STOPRX and RXTO (6.34.2)
PORT1 = 1 << 5
TX_PIN, RX_PIN = PORT1 | 3, PORT1 | 10  # P1.03, P1.10: the serial port of the Nano 33 BLE
DISCONNECTED = 0xFFFFFFFF


@dataclass
class Buffer:
    """What EasyDMA works on: ``done`` of ``size`` bytes from ``address`` on."""

    address: int
    size: int
    done: int = 0

    @property
    def left(self) -> int:
        return self.size - self.done


class Uarte0(Nordic):
    """Bytes take as long as at the speed in BAUDRATE, in emulated time. What the host sends faster waits;
    before the receiver is on, all waits. A byte is lost where the chip loses it: when the receiver's buffer
    is full, and STARTRX comes later than the FIFO fills."""

    name = "UARTE0"
    base = 0x40002000
    irq = 2
    tasks: ClassVar = {"STARTRX": 0x00, "STOPRX": 0x04, "STARTTX": 0x08, "STOPTX": 0x0C, "FLUSHRX": 0x2C}
    events: ClassVar = {
        "RXDRDY": 0x108, "ENDRX": 0x110, "TXDRDY": 0x11C, "ENDTX": 0x120, "ERROR": 0x124, "RXTO": 0x144,
        "RXSTARTED": 0x14C, "TXSTARTED": 0x150, "TXSTOPPED": 0x158,
    }  # fmt: skip
    shorts: ClassVar = {("ENDRX", "STARTRX"): 5, ("ENDRX", "STOPRX"): 6}
    plain: ClassVar = {
        0x480: Register("ERRORSRC", 0, 0xF),
        0x500: Register("ENABLE", 0, ON),
        0x508: Register("PSEL_RTS", DISCONNECTED, DISCONNECTED),
        0x50C: Register("PSEL_TXD", DISCONNECTED, DISCONNECTED),
        0x510: Register("PSEL_CTS", DISCONNECTED, DISCONNECTED),
        0x514: Register("PSEL_RXD", DISCONNECTED, DISCONNECTED),
        0x524: Register("BAUDRATE", 0x04000000, 0xFFFFFFFF),
        0x534: Register("RXD_PTR", 0, 0xFFFFFFFF),
        0x538: Register("RXD_MAXCNT", 0, 0xFFFF),
        0x53C: Register("RXD_AMOUNT"),
        0x544: Register("TXD_PTR", 0, 0xFFFFFFFF),
        0x548: Register("TXD_MAXCNT", 0, 0xFFFF),
        0x54C: Register("TXD_AMOUNT"),
        0x56C: Register("CONFIG"),
    }

    def reset(self) -> None:
        super().reset()
        self._incoming = Reception(self.machine)
        self._receiving = False  # from STARTRX to RXTO
        self._buffer: Buffer | None = None  # from STARTRX to ENDRX
        self._fifo = bytearray()  # received, not in memory
        self._stops_at: int | None = None  # machine time of RXTO
        self._sending: Buffer | None = None  # from STARTTX to ENDTX
        self._byte_at = 0  # machine time at which the byte that is being sent has been
        self._stop_sending = False  # STOPTX came while it sends

    def is_on(self) -> bool:
        return self.values["ENABLE"] == ON

    def frame_cycles(self) -> int:
        """Processor cycles that a byte takes on the wire."""
        return FRAME_BITS * BIT_CLOCKS[self.values["BAUDRATE"]] * MHZ16

    def _check_pin(self, task: str, name: str, pin: int) -> None:
        if self.values[name] != pin:
            raise Refused(
                f"UARTE0_TASKS_{task}: UARTE0_{name} is 0x{self.values[name]:08x}; the board's serial "
                f"port is at 0x{pin:02x}, P1.{pin & 0x1F:02}"
            )

    # Receiving

    def task_STARTRX(self) -> None:
        if self._buffer:
            raise Refused("UARTE0_TASKS_STARTRX: the receiver is running, its buffer isn't full")
        address, size = self.values["RXD_PTR"], self.values["RXD_MAXCNT"]
        if not size:
            raise Refused("UARTE0_TASKS_STARTRX: RXD_MAXCNT is 0")
        self._check_pin("STARTRX", "PSEL_RXD", RX_PIN)
        self.check_dma("RXD_PTR", address, size)
        if not self._receiving:
            self._receiving = True
            self._incoming.restart(self.frame_cycles())
            self._incoming.fetch(self.frame_cycles())
        self._stops_at = None
        self._buffer = Buffer(address, size)
        self.trigger("RXSTARTED")
        if self._fifo:
            self._empty_fifo(self._buffer)

    def _empty_fifo(self, buffer: Buffer) -> None:
        waiting = bytes(self._fifo[: buffer.left])
        del self._fifo[: buffer.left]
        self._fill(buffer, waiting)

    def _fill(self, buffer: Buffer, data: bytes) -> None:
        self.write_dma("RXD_PTR", buffer.address + buffer.done, data)
        buffer.done += len(data)
        if not buffer.left:
            self._end_reception(buffer)

    def _end_reception(self, buffer: Buffer) -> None:
        self._buffer = None
        self.values["RXD_AMOUNT"] = buffer.done
        self.trigger("ENDRX")

    def _receive(self) -> None:
        """Takes from the line what has arrived."""
        if not self._receiving:
            return
        frame = self.frame_cycles()
        self._incoming.fetch(frame)
        while data := self._incoming.take(frame, self._room()):
            if self._buffer:
                self.trigger("RXDRDY", len(data))
                self._fill(self._buffer, data)
            elif len(self._fifo) < FIFO_BYTES:
                self._fifo += data
                self.trigger("RXDRDY", len(data))
            else:
                self.values["ERRORSRC"] |= OVERRUN
                self.trigger("ERROR")

    def _room(self) -> int:
        """How many bytes have the same fate."""
        return self._buffer.left if self._buffer else max(1, FIFO_BYTES - len(self._fifo))

    def task_STOPRX(self) -> None:
        if self._receiving:
            self._stops_at = self.machine.now() + STOP_FRAMES * self.frame_cycles()

    def _stop_receiving(self) -> None:
        """The rest of what 6.34.2 says: a last ENDRX, then RXTO."""
        self._stops_at = None
        if self._buffer:
            self._end_reception(self._buffer)
        self._receiving = False
        self.trigger("RXTO")

    def task_FLUSHRX(self) -> None:
        """AMOUNT stays if there is nothing to flush."""
        if self._receiving:
            raise Refused("UARTE0_TASKS_FLUSHRX: the receiver is running; STOPRX and RXTO come first")
        if not self._fifo:
            self.trigger("ENDRX")
            return
        buffer = Buffer(self.values["RXD_PTR"], min(self.values["RXD_MAXCNT"], len(self._fifo)))
        if buffer.size:
            self._empty_fifo(buffer)

    def has_input(self) -> bool:
        return bool(self._incoming.queue)

    # Sending

    def task_STARTTX(self) -> None:
        if self._sending:
            raise Refused("UARTE0_TASKS_STARTTX: the transmission before goes on")
        address, size = self.values["TXD_PTR"], self.values["TXD_MAXCNT"]
        if not size:
            raise Refused("UARTE0_TASKS_STARTTX: TXD_MAXCNT is 0")
        self._check_pin("STARTTX", "PSEL_TXD", TX_PIN)
        self.check_dma("TXD_PTR", address, size)
        self._sending, self._stop_sending = Buffer(address, size), False
        self._byte_at = self.machine.now() + self.frame_cycles()
        self.trigger("TXSTARTED")

    def _send(self) -> None:
        """Gives the host what has been sent by now."""
        buffer, now, frame = self._sending, self.machine.now(), self.frame_cycles()
        if buffer is None or now < self._byte_at:
            return
        count = min(buffer.left, 1 + (now - self._byte_at) // frame)
        self.machine.line.write(self.read_dma("TXD_PTR", buffer.address + buffer.done, count))
        buffer.done += count
        self._byte_at += count * frame
        self.trigger("TXDRDY", count)
        if not buffer.left or self._stop_sending:
            self._end_sending(buffer)

    def _end_sending(self, buffer: Buffer) -> None:
        self._sending = None
        self.values["TXD_AMOUNT"] = buffer.done
        self.trigger("ENDTX")
        if self._stop_sending:
            self._stop_sending = False
            self.trigger("TXSTOPPED")

    def task_STOPTX(self) -> None:
        """The byte that is being sent still is."""
        if self._sending:
            self._stop_sending = True
        else:
            self.trigger("TXSTOPPED")

    def _sent_at(self) -> int | None:
        if not self._sending:
            return None
        bytes_left = 1 if self._stop_sending else self._sending.left
        return self._byte_at + (bytes_left - 1) * self.frame_cycles()

    # Time

    def advance(self) -> None:
        self._receive()
        if self._stops_at is not None and self.machine.now() >= self._stops_at:
            self._stop_receiving()
        self._send()

    def due(self, event: str) -> int | None:
        if event in ("ENDTX", "TXSTOPPED"):
            return self._sent_at()
        if event == "TXDRDY":
            return self._byte_at if self._sending else None
        if event == "RXTO":
            return self._stops_at
        return self._received_at(event)

    def _received_at(self, event: str) -> int | None:
        """The same of RXDRDY, ENDRX, RXSTARTED and ERROR, as far as the bytes are here already."""
        if not self._receiving or not self._incoming.queue:
            return None
        if event == "RXDRDY" or not self._buffer:
            return self._incoming.arrival
        if len(self._incoming.queue) < self._buffer.left:
            return None
        return self._incoming.arrival + (self._buffer.left - 1) * self.frame_cycles()

    def next_event(self) -> int | None:
        times = [self._sent_at(), self._stops_at]
        times += [self.due(event) for event in ("RXDRDY", "TXDRDY") if self.is_wanted(event)]
        if self.values["SHORTS"] or any(map(self.is_wanted, ("ENDRX", "RXSTARTED", "ERROR"))):
            times.append(self._received_at("ENDRX"))
        return min((t for t in times if t is not None), default=None)

    # Registers

    def write_ENABLE(self, value: int) -> None:
        if not value and (self._receiving or self._sending):
            raise Refused("UARTE0_ENABLE: switched off while it receives or sends; STOPRX, STOPTX come first")
        if value and not self.is_on():
            self._check_pins_of_flow_control()
        self.values["ENABLE"] = value

    def _check_pins_of_flow_control(self) -> None:
        for name in ("PSEL_RTS", "PSEL_CTS"):
            if self.values[name] != DISCONNECTED:
                raise Refused(f"UARTE0_{name}: flow control isn't modelled; leave it 0x{DISCONNECTED:08x}")

    def _select(self, name: str, value: int) -> None:
        if self.is_on() and value != self.values[name]:
            raise Refused(f"UARTE0_{name}: can only be changed while the peripheral is off")
        self.values[name] = value

    def write_PSEL_RTS(self, value: int) -> None:
        self._select("PSEL_RTS", value)

    def write_PSEL_TXD(self, value: int) -> None:
        self._select("PSEL_TXD", value)

    def write_PSEL_CTS(self, value: int) -> None:
        self._select("PSEL_CTS", value)

    def write_PSEL_RXD(self, value: int) -> None:
        self._select("PSEL_RXD", value)

    def write_BAUDRATE(self, value: int) -> None:
        if value not in BIT_CLOCKS:
            raise Refused(f"UARTE0_BAUDRATE: 0x{value:08x} isn't one of the product specification's values")
        if value != self.values["BAUDRATE"] and (self._receiving or self._sending):
            raise Refused("UARTE0_BAUDRATE: changed while it receives or sends")
        self.values["BAUDRATE"] = value

    def write_ERRORSRC(self, value: int) -> None:
        """A 1 clears a bit."""
        self.values["ERRORSRC"] &= ~value

    def write_CONFIG(self, value: int) -> None:
        if value:
            raise Refused(f"UARTE0_CONFIG: 0x{value:x} isn't modelled, only 8N1 without flow control")

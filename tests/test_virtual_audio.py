"""Virtual models of the microphones' chain: codec, its bus, serial audio interface, DMA stream, clock."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyswitch.boards.virtual.chip import Options
from tinyswitch.boards.virtual.errors import Halt, Refused
from tinyswitch.boards.virtual.fault import Fault
from tinyswitch.boards.virtual.stm32f746.dma import IRQS, SAI2_B_CHANNEL, Stream
from tinyswitch.boards.virtual.stm32f746.gpio import Gpio
from tinyswitch.boards.virtual.stm32f746.i2c import I2c3
from tinyswitch.boards.virtual.stm32f746.rcc import Rcc
from tinyswitch.boards.virtual.stm32f746.sai import Sai2
from tinyswitch.boards.virtual.stm32f746.wm8994 import ADDRESS, FAULTS, REGISTERS, Wm8994
from tinyswitch.errors import TinyswitchError

CORE_HZ = 216_000_000
MASTER_HZ = Fraction(213_000_000, 13 * 2 * 2)
POWER = [(0x039, 0x006C), (0x001, 0x0013)]
LISTEN = [
    (0x210, 0x0033),
    (0x300, 0x4010),
    (0x200, 0x0001),
    (0x208, 0x000A),
    (0x608, 0x0002),
    (0x609, 0x0002),
    (0x004, 0x0C30),
]
RAM = 0x20000000


class FakeMachine:
    """Time that tests set, and 64 KiB of memory."""

    def __init__(self):
        self.time = 0
        self.heard_at = 0.0
        self.options = Options()
        self.memory = bytearray(1 << 16)
        self.lines: dict[int, bool] = {}
        self.clocks = SimpleNamespace(core_hz=CORE_HZ, pclk1_hz=CORE_HZ // 4)
        self.cpu = SimpleNamespace(memory_at=self._memory_at)
        self.exceptions = SimpleNamespace(set_line=self.lines.__setitem__)

    def _memory_at(self, address: int, size: int, write: bool):
        inside = RAM <= address <= RAM + len(self.memory) - size
        return (self.memory, address - RAM) if inside else None

    def now(self) -> int:
        return self.time

    def seconds(self) -> float:
        return self.time / CORE_HZ

    def catch_up(self) -> None:
        pass

    def timer_changed(self) -> None:
        pass

    def clock_changes(self) -> None:
        pass

    def poll_until_event(self, time: int) -> None:
        self.time = max(self.time, time)


# Codec


def write(codec: Wm8994, address: int, value: int, now: float) -> None:
    assert codec.starts(False, now)
    for byte in (*address.to_bytes(2, "big"), *value.to_bytes(2, "big")):
        assert codec.takes(byte, now)


def read(codec: Wm8994, address: int, now: float = 0.0) -> int:
    assert codec.starts(False, now)
    for byte in address.to_bytes(2, "big"):
        codec.takes(byte, now)
    assert codec.starts(True, now)
    return codec.gives() << 8 | codec.gives()


def listening(sound, leave_out: int | None = None, fault: Fault | None = None) -> Wm8994:
    codec = Wm8994(sound, fault)
    for address, value in POWER:
        write(codec, address, value, 0.0)
    for address, value in LISTEN:
        if address != leave_out:
            write(codec, address, value, 0.06)
    return codec


def test_the_codec_resets_to_what_the_data_sheet_says():
    codec = Wm8994(np.empty(0))
    assert read(codec, 0) == 0x8994
    assert {a: read(codec, a) for a in (0x001, 0x210, 0x300, 0x404)} == {
        0x001: 0, 0x210: 0x0083, 0x300: 0x4050, 0x404: 0x00C0,
    }  # fmt: skip
    write(codec, 0x210, 0x0033, 0.0)
    assert read(codec, 0x210) == 0x0033
    write(codec, 0, 0, 0.0)
    assert codec.registers == {address: register.reset for address, register in REGISTERS.items()}


def test_the_codec_refuses_what_it_does_not_model():
    codec = Wm8994(np.empty(0))
    with pytest.raises(Refused, match="register 0x123 isn't modelled"):
        write(codec, 0x123, 0, 0.0)
    with pytest.raises(Refused, match="register 0x001: bits 0x2000 aren't modelled"):
        write(codec, 0x001, 0x2013, 0.0)
    with pytest.raises(Refused, match="register 0x300: bits 0x0001"):
        write(codec, 0x300, 0x4011, 0.0)
    with pytest.raises(Refused, match="0x700"):
        read(codec, 0x700)


def test_microphones_need_their_supply_for_50_ms():
    codec = Wm8994(np.empty(0))
    write(codec, 0x001, 0x0013, 0.0)
    with pytest.raises(Refused, match="less than 50 ms"):
        write(codec, 0x004, 0x0C30, 0.049)
    write(codec, 0x001, 0x0003, 0.049)
    with pytest.raises(Refused, match="less than 50 ms"):
        write(codec, 0x004, 0x0C30, 1.0)


def test_both_microphones_hear_the_sound_then_silence():
    codec = listening(np.arange(1, 8, dtype=np.int16))
    assert codec.playing()
    frames = np.concatenate([codec.frames(n, MASTER_HZ, 0.07) for n in (3, 2, 4)])
    assert frames[:, 1].tolist() == frames[:, 3].tolist() == [1, 2, 3, 4, 5, 6, 7, 0, 0]
    assert not frames[:, [0, 2]].any() and not codec.playing()


@pytest.mark.parametrize("missing", [0x210, 0x300, 0x200, 0x208, 0x004])
def test_nothing_is_heard_while_something_on_the_way_is_off(missing):
    codec = listening(np.full(100, 7, np.int16), leave_out=missing)
    assert not codec.frames(50, MASTER_HZ, 0.07).any()
    write(codec, missing, dict(LISTEN)[missing], 0.08)
    assert codec.frames(1, MASTER_HZ, 0.09)[0].tolist() == [0, 7, 0, 7]
    assert codec.position == 1  # the sound stood still


@pytest.mark.parametrize(("missing", "heard"), [(0x608, [0, 0, 0, 7]), (0x609, [0, 7, 0, 0])])
def test_a_channel_without_its_way_is_silent(missing, heard):
    codec = listening(np.full(100, 7, np.int16), leave_out=missing)
    assert codec.frames(1, MASTER_HZ, 0.07)[0].tolist() == heard


def test_the_sound_begins_anew_if_a_codec_that_listens_is_reset_by_the_firmware():
    codec = listening(np.arange(1, 8, dtype=np.int16))
    for _ in range(2):
        assert codec.frames(3, MASTER_HZ, 0.07)[:, 1].tolist() == [1, 2, 3]
        write(codec, 0, 0, 0.1)
        assert codec.position == 0
        for address, value in POWER:
            write(codec, address, value, 0.2)
        for address, value in LISTEN:
            write(codec, address, value, 0.3)
    codec = listening(np.arange(1, 8, dtype=np.int16), fault=FAULTS.parse("reset@1"))
    codec.frames(3, MASTER_HZ, 0.07)
    write(codec, 0, 0, 1.1)  # of a codec that had lost its settings
    assert codec.position == 3


def test_a_master_clock_that_does_not_fit_the_rate_gives_silence():
    codec = listening(np.full(100, 7, np.int16))
    assert not codec.frames(5, Fraction(3_072_000), 0.07).any()
    assert codec.frames(5, Fraction(4_096_000), 0.07)[:, 1].all()


def test_faults_of_the_codec():
    assert not Wm8994(np.empty(0), FAULTS.parse("absent")).starts(False, 0.0)
    codec = listening(np.full(100, 7, np.int16), fault=FAULTS.parse("absent@1-2"))
    assert codec.frames(1, MASTER_HZ, 0.9).any()
    assert not codec.starts(False, 1.0) and not codec.frames(1, MASTER_HZ, 1.5).any()
    assert codec.starts(False, 2.0) and codec.registers[0x004] == 0  # it had no supply meanwhile
    codec = Wm8994(np.empty(0), FAULTS.parse("hang@1"))
    assert not codec.holds_data(0.9) and codec.holds_data(1.0)
    for _ in range(9):
        assert codec.holds_data(1.1)
        codec.clock(1.1)
    assert not codec.holds_data(1.2)


@pytest.mark.parametrize("text", ["", "gone", "absent@2-1", "absent@1", "reset", "hang@x", "hang@1.2.3"])
def test_unknown_faults_are_one_line(text):
    with pytest.raises(TinyswitchError, match=r"codec fault .*must be absent"):
        FAULTS.parse(text)


# DMA

CIRCULAR_16 = 1 << 13 | 1 << 11 | 1 << 10 | 1 << 8 | 1 << 4 | 1 << 3  # TCIE, HTIE
TCIF, HTIF = 1 << 5, 1 << 4


def stream(machine: FakeMachine, items: int, control: int = CIRCULAR_16, memory: int = RAM) -> Stream:
    dma = Stream(machine, 7)
    dma.write_PAR(0x40015C40)
    dma.write_M0AR(memory)
    dma.write_NDTR(items)
    dma.write_CR(control | 1)
    return dma


@given(st.lists(st.integers(1, 40), max_size=40), st.integers(1, 12))
def test_a_ring_of_halfwords(sizes, pairs):
    machine, items = FakeMachine(), 2 * pairs
    dma = stream(machine, items)
    expected = np.zeros(items, "<u2")
    count = 0
    for size in sizes:
        data = np.arange(count, count + size).astype("<u2")
        half = (count + size) // pairs > count // pairs
        assert dma.transfer(data.tobytes()) == 2 * size
        for value in data:
            expected[value % items] = value
        count += size
        assert dma.read_NDTR() == items - count % items
        assert machine.lines[IRQS[7]] == half
        assert bool(dma.flags & TCIF) == (count // items > (count - size) // items)
        dma.clear(TCIF | HTIF)
        assert not machine.lines[IRQS[7]]
    assert machine.memory[: 2 * items] == expected.tobytes()


@pytest.mark.parametrize(
    ("items", "control", "memory", "why"),
    [
        (0, CIRCULAR_16, RAM, "NDTR 0"),
        (8, CIRCULAR_16 & ~(1 << 11), RAM, "only PSIZE and MSIZE"),
        (8, CIRCULAR_16, RAM + 1, "odd address"),
    ],
)
def test_streams_that_cannot_be(items, control, memory, why):
    with pytest.raises(Refused, match=why):
        stream(FakeMachine(), items, control, memory)


def test_a_stream_that_runs_is_left_alone():
    machine = FakeMachine()
    dma = stream(machine, 8)
    for change in (dma.write_NDTR, dma.write_M0AR, dma.write_PAR):
        with pytest.raises(Refused, match="while the stream is enabled"):
            change(4)
    with pytest.raises(Refused, match="only EN and the interrupts"):
        dma.write_CR(1)
    with pytest.raises(Halt, match="no RAM"):
        stream(machine, 8, memory=0x30000000).transfer(b"12")


# Serial audio interface


def interface(machine: FakeMachine, sound, dma: Stream) -> Sai2:
    """Both blocks set up; off."""
    ports = {port: Gpio(machine, port) for port in "GI"}
    ports["G"].values.update(MODER=2 << 20, AFRH=10 << 8)
    ports["I"].values.update(MODER=0x8A00, AFRL=0xA0AA0000)
    rcc = SimpleNamespace(sai2_hz=lambda: 2 * MASTER_HZ)
    sai = Sai2(machine, rcc, ports, dma, listening(sound))
    machine.time = CORE_HZ // 10
    for block in (0x00, 0x20):
        sai.write(block + 0x0C, 4, 0x00051F3F)
        sai.write(block + 0x10, 4, 0x000A0300)
    sai.write(0x04, 4, 0x00100281)
    sai.write(0x24, 4, 0x00020683)
    return sai


def switch_on(sai: Sai2) -> None:
    sai.write(0x24, 4, sai.values["BCR1"] | 1 << 16)
    sai.write(0x04, 4, sai.values["ACR1"] | 1 << 16)


def test_frames_come_at_the_rate_of_the_clocks():
    machine = FakeMachine()
    dma = stream(machine, 2048, CIRCULAR_16 | SAI2_B_CHANNEL << 25)
    sai = interface(machine, np.arange(1, 2000, dtype=np.int16), dma)
    switch_on(sai)
    start, frame = machine.time, CORE_HZ * 256 / MASTER_HZ
    machine.time = start + int(100 * frame)  # the hundredth is not over
    sai.advance()
    assert dma.read_NDTR() == 2048 - 2 * 99
    machine.time += 1
    sai.advance()
    assert dma.read_NDTR() == 2048 - 2 * 100
    ring = np.frombuffer(bytes(machine.memory[:400]), "<i2")
    assert ring.tolist() == [n // 2 + 1 for n in range(200)]  # left, right, left, right


def test_the_next_event_is_half_of_the_ring_to_the_cycle():
    machine = FakeMachine()
    dma = stream(machine, 2048, CIRCULAR_16)
    sai = interface(machine, np.zeros(1), dma)
    assert sai.next_event() is None
    switch_on(sai)
    for halves in (1, 2, 3):
        machine.time = sai.next_event() - 1
        sai.advance()
        assert not dma.flags
        machine.time += 1
        sai.advance()
        assert dma.flags and machine.lines[IRQS[7]], halves
        dma.clear(TCIF | HTIF)


def test_what_nobody_takes_overruns_after_eight_samples():
    machine = FakeMachine()
    sai = interface(machine, np.arange(1, 100, dtype=np.int16), Stream(machine, 7))
    switch_on(sai)
    machine.time += CORE_HZ // 16_000 * 4 + 100
    assert sai.read(0x38, 4) & 1 == 0 and sai.read(0x38, 4) >> 16 == 5  # full
    machine.time += CORE_HZ // 16_000
    assert sai.read(0x38, 4) & 1
    sai.write(0x3C, 4, 1)
    assert not sai.read(0x38, 4) & 1
    assert [sai.read(0x40, 4) for _ in range(8)] == [1, 1, 2, 2, 3, 3, 4, 4]
    assert sai.read(0x18, 4) & 1  # block A too


def refused(register: int, value: int, before: tuple[tuple[int, int], ...] = ()) -> str:
    machine = FakeMachine()
    sai = interface(machine, np.zeros(1), Stream(machine, 7))
    for at, earlier in before:
        sai.write(at, 4, earlier)
    with pytest.raises(Refused) as refusal:
        sai.write(register, 4, value)
    return str(refusal.value)


def test_interfaces_that_would_make_noise_are_refused():
    assert "as MODE, SYNCEN, DS and CKSTR" in refused(0x24, 0x00010483)  # data at the wrong edge
    assert "the frame of I2S" in refused(0x24, 0x00010683, ((0x2C, 0x00011F3F),))
    assert "only four slots" in refused(0x24, 0x00010683, ((0x30, 0x00030100),))
    assert "before its master" in refused(0x24, 0x00010683, ((0x04, 0x00110281),))
    assert "while the block is enabled" in refused(0x2C, 0, ((0x24, 0x00010683),))
    assert "only SAIEN and DMAEN" in refused(0x04, 0x00210281, ((0x04, 0x00110281),))


def test_pins_and_clock_must_be_there():
    machine = FakeMachine()
    sai = interface(machine, np.zeros(1), Stream(machine, 7))
    sai._ports["I"].values["AFRL"] = 0
    with pytest.raises(Refused, match="PI4 isn't set to alternate function 10"):
        switch_on(sai)
    sai = interface(machine, np.zeros(1), Stream(machine, 7))
    sai._rcc.sai2_hz = lambda: None
    with pytest.raises(Refused, match="without a clock"):
        switch_on(sai)


# Clocks


def test_the_audio_clock_comes_from_plli2s():
    machine = FakeMachine()
    rcc = Rcc(machine, SimpleNamespace(latency=7), SimpleNamespace(over_drive=True))
    rcc.write(0x00, 4, rcc.read(0x00, 4) | 1 << 16)
    rcc.write(0x04, 4, 25 | 432 << 6 | 1 << 22 | 9 << 24)
    rcc.write(0x84, 4, 213 << 6 | 13 << 24 | 2 << 28)
    rcc.write(0x8C, 4, 1 | 1 << 22)
    assert rcc.sai2_hz() is None
    rcc.write(0x00, 4, rcc.read(0x00, 4) | 1 << 26)
    assert rcc.read(0x00, 4) & 1 << 27  # ready
    assert rcc.sai2_hz() == Fraction(213_000_000, 26)
    with pytest.raises(Refused, match="while the PLLI2S is off"):
        rcc.write(0x84, 4, 192 << 6 | 4 << 24 | 2 << 28)
    with pytest.raises(Refused, match="while the PLLs are off"):
        rcc.write(0x04, 4, 25 | 400 << 6 | 1 << 22 | 9 << 24)
    rcc.write(0x00, 4, rcc.read(0x00, 4) & ~(1 << 26))
    rcc.write(0x84, 4, 50 << 6 | 4 << 24 | 2 << 28)
    with pytest.raises(Refused, match="PLLI2SCFGR: factor 50"):
        rcc.write(0x00, 4, rcc.read(0x00, 4) | 1 << 26)


# The codec's bus

CR1, CR2, TIMINGR, ISR, ICR, RXDR, TXDR = 0x00, 0x04, 0x10, 0x18, 0x1C, 0x24, 0x28
START, READ, AUTOEND = 1 << 13, 1 << 10, 1 << 25
TXIS, RXNE, NACKF, STOPF, TC = 1 << 1, 1 << 2, 1 << 4, 1 << 5, 1 << 6
TIMING = 12 << 28 | 5 << 20 | 2 << 16 | 18 << 8 | 21
BIT = 13 * 41 * 4  # processor cycles


def bus(machine: FakeMachine, codec: Wm8994, timing: int = TIMING) -> I2c3:
    port = Gpio(machine, "H")
    port.values.update(MODER=0xA << 14, OTYPER=0x180, AFRL=4 << 28, AFRH=4)
    i2c = I2c3(machine, port, codec)
    i2c.write(TIMINGR, 4, timing)
    i2c.write(CR1, 4, 1)
    return i2c


def test_a_register_is_written_and_read_in_the_time_it_takes():
    machine, codec = FakeMachine(), Wm8994(np.empty(0))
    i2c = bus(machine, codec)
    i2c.write(CR2, 4, ADDRESS << 1 | 4 << 16 | START | AUTOEND)
    for byte in (0x02, 0x10, 0x00, 0x33):
        assert i2c.read(ISR, 4) & TXIS
        i2c.write(TXDR, 4, byte)
    while not i2c.read(ISR, 4) & STOPF:
        pass
    assert codec.registers[0x210] == 0x0033
    assert machine.time == (1 + 5 * 9 + 1) * BIT
    i2c.write(ICR, 4, STOPF)
    i2c.write(CR2, 4, ADDRESS << 1 | 2 << 16 | START)
    for byte in (0x02, 0x10):
        assert i2c.read(ISR, 4) & TXIS
        i2c.write(TXDR, 4, byte)
    assert i2c.read(ISR, 4) & TC
    i2c.write(CR2, 4, ADDRESS << 1 | 2 << 16 | START | READ | AUTOEND)
    value = []
    for _ in range(2):
        while not i2c.read(ISR, 4) & RXNE:
            pass
        value.append(i2c.read(RXDR, 4))
    assert value == [0x00, 0x33]
    assert i2c.read(ISR, 4) & STOPF


def test_nobody_at_an_address():
    machine = FakeMachine()
    i2c = bus(machine, Wm8994(np.empty(0)))
    i2c.write(CR2, 4, 0x1B << 1 | 1 << 16 | START | AUTOEND)
    assert i2c.read(ISR, 4) & (NACKF | TXIS) == NACKF
    assert i2c.read(ISR, 4) & STOPF  # sent by itself


def test_misuse_of_the_bus_is_refused():
    codec = Wm8994(np.empty(0))
    with pytest.raises(Refused, match="TXIS is 0"):
        bus(FakeMachine(), codec).write(TXDR, 4, 1)
    with pytest.raises(Refused, match=r"a clock of .* is over 400000 Hz"):
        bus(FakeMachine(), codec, 1 << 8 | 1).write(CR2, 4, ADDRESS << 1 | 1 << 16 | START)
    i2c = bus(FakeMachine(), codec)
    i2c.write(CR2, 4, ADDRESS << 1 | 1 << 16 | START)
    with pytest.raises(Refused, match="while a transfer goes on"):
        i2c.write(CR2, 4, ADDRESS << 1 | 1 << 16 | START)
    i2c = bus(FakeMachine(), codec)
    i2c._port.values["AFRH"] = 0
    with pytest.raises(Refused, match="PH8 isn't an open drain of alternate function 4"):
        i2c.write(CR2, 4, ADDRESS << 1 | 1 << 16 | START)


def test_a_codec_that_holds_the_line_blocks_the_bus_until_it_is_clocked():
    machine = FakeMachine()
    codec = Wm8994(np.empty(0), FAULTS.parse("hang@0"))
    i2c = bus(machine, codec)
    i2c.write(CR2, 4, ADDRESS << 1 | 4 << 16 | START | AUTOEND)
    machine.time += CORE_HZ
    assert i2c.read(ISR, 4) & (TXIS | NACKF | STOPF) == 0
    port = i2c._port
    assert not port.read(0x10, 4) & 1 << 8
    port.write(0x18, 4, 1 << 7)
    port.write(0x00, 4, 0x9 << 14)  # the clock line as output
    for _ in range(9):
        port.write(0x18, 4, 1 << 23)
        port.write(0x18, 4, 1 << 7)
    port.values["PUPDR"] = 5 << 14
    assert port.read(0x10, 4) & 1 << 8

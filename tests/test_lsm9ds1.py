"""The virtual board's motion sensor by itself: registers, FIFO, bus, recordings, faults."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyswitch.boards.virtual.errors import Refused
from tinyswitch.boards.virtual.nrf52840 import lsm9ds1 as chip
from tinyswitch.boards.virtual.nrf52840.lsm9ds1 import FAULTS, Lsm9ds1
from tinyswitch.boards.virtual.nrf52840.playing import Playing
from tinyswitch.errors import TinyswitchError
from tinyswitch.gestures import recording as recordings
from tinyswitch.gestures.sampling import at_rate

FLAT = (0, 0, 8197)  # 1 g in steps of 122 micro-g
ODR_119 = 3 << 5 | 2 << 3  # and 4 g
CONTINUOUS = 6 << 5


def make(path, seconds=3.0, rate=62.5):
    """A recording of a movement that never repeats itself."""
    t = np.arange(round(seconds * rate)) / rate
    values = np.stack([0.9 * np.sin(t * 7), 0.5 * np.cos(t * 11) * t / seconds, 1 - 0.1 * t], 1)
    sensors = [{"name": name, "units": "g"} for name in ("accX", "accY", "accZ")]
    payload = {"interval_ms": 1000 / rate, "sensors": sensors, "values": values.tolist()}
    path.write_text(json.dumps({"payload": payload}))
    return path


@pytest.fixture
def recording(tmp_path):
    return recordings.read(make(tmp_path / "wave.json"))


def powered(recording=None, fault=None):
    sensor = Lsm9ds1(Playing(recording), FAULTS.parse(fault) if fault else None)
    sensor.power(True, 0.0)
    return sensor


def sampling(recording=None, control=ODR_119, decimation=0, at=0.0, fault=None):
    """One that samples into its FIFO."""
    sensor = powered(recording, fault)
    sensor.write(chip.CTRL_REG9, 0x02, at)
    sensor.write(chip.FIFO_CTRL, CONTINUOUS, at)
    sensor.write(chip.CTRL_REG5_XL, decimation << 6 | 0x38, at)
    sensor.write(chip.CTRL_REG6_XL, control, at)
    return sensor


def bus_read(sensor, register, count, now):
    """As a master does: the register's address, then bytes."""
    assert sensor.start(0x6B, False, now) and sensor.put(register, now)
    assert sensor.start(0x6B, True, now)
    return bytes(sensor.get(now) for _ in range(count))


def samples(sensor, now):
    """All that wait."""
    waiting = sensor.read(chip.FIFO_SRC, now) & 0x3F
    return np.frombuffer(bus_read(sensor, 0x28, 6 * waiting, now), "<i2").reshape(-1, 3)


def test_registers_after_power_up():
    sensor = powered()
    assert sensor.read(0x0F, 0) == 0x68
    values = {0x10: 0, 0x1F: 0x38, 0x20: 0, 0x22: 4, 0x23: 0, 0x27: 0, 0x2E: 0, 0x2F: 0}
    assert {register: sensor.read(register, 0) for register in values} == values


@pytest.mark.parametrize("register", [0x00, 0x04, 0x0E, 0x15, 0x18, 0x26, 0x30, 0x7F])
def test_unknown_registers_are_refused(register):
    with pytest.raises(Refused, match=f"0x{register:02x}"):
        powered().read(register, 0)
    with pytest.raises(Refused, match=f"0x{register:02x}"):
        powered().write(register, 0, 0)


@pytest.mark.parametrize(
    ("register", "value"),
    [
        (0x0F, 0x69),
        (0x10, 0x60),
        (0x1F, 0x30),
        (0x20, 0xE0),
        (0x21, 0x80),
        (0x22, 0x06),
        (0x23, 0x06),
        (0x2E, 0x60),
    ],
)
def test_what_is_not_modelled_is_refused(register, value):
    """Gyroscope, axes off, a rate that isn't there, filters, big endian, I2C off, a mode with a trigger."""
    with pytest.raises(Refused, match=f"0x{value:02x} written to register 0x{register:02x}"):
        powered().write(register, value, 0)


def test_another_address_is_not_acknowledged():
    assert not powered().start(0x6A, False, 0)
    assert not Lsm9ds1(Playing()).start(0x6B, False, 0)  # without supply


def test_data_ready_and_the_newest_sample():
    sensor = powered()
    sensor.write(chip.CTRL_REG6_XL, ODR_119, 1.0)
    assert sensor.read(chip.STATUS_REG, 1 + 0.9 / 119) == 0
    assert sensor.read(chip.STATUS_REG, 1 + 1.1 / 119) == 1
    assert bus_read(sensor, 0x28, 6, 1 + 1.2 / 119) == bytes(6)  # has not settled
    assert sensor.read(chip.STATUS_REG, 1 + 1.3 / 119) == 0
    assert np.frombuffer(bus_read(sensor, 0x28, 6, 1 + 3.1 / 119), "<i2").tolist() == list(FLAT)


@pytest.mark.parametrize(("full_scale", "expected"), [(0, 16393), (2, 8197), (3, 4098), (1, 1366)])
def test_full_scales(full_scale, expected):
    """Also the odd coding: 1 is 16 g. One g in steps of 61, 122, 244 and 732 micro-g, within one of them."""
    sensor = powered()
    sensor.write(chip.CTRL_REG6_XL, 3 << 5 | full_scale << 3, 0)
    z = int.from_bytes(bus_read(sensor, 0x2C, 2, 1.0), "little")
    assert abs(z - expected) <= 1


def test_addresses_go_around_and_may_stand():
    sensor = sampling()
    now = 10.5 / 119
    assert bus_read(sensor, 0x28, 60, now)[12:] == 8 * np.array(FLAT, "<i2").tobytes()
    assert bus_read(sensor, 0x1F, 3, now) == bytes([0x38, ODR_119, 0])
    sensor.write(chip.CTRL_REG8, 0, now)
    assert bus_read(sensor, 0x0F, 3, now) == bytes([0x68] * 3)


def test_writes_increase_the_address_too():
    sensor = powered()
    assert sensor.start(0x6B, False, 0)
    assert all(sensor.put(byte, 0) for byte in (0x1F, 0x78, ODR_119))
    assert sensor.rate_hz() == 59.5


@pytest.mark.parametrize(
    ("odr", "decimation", "rate"),
    [
        (1, 0, 10),
        (2, 0, 50),
        (3, 3, 14.875),
        (3, 2, 29.75),
        (3, 1, 59.5),
        (3, 0, 119),
        (4, 0, 238),
        (5, 0, 476),
        (6, 0, 952),
    ],
)
def test_plays_what_at_rate_says(recording, odr, decimation, rate):
    """Sample k of the recording comes (k + 3) / rate after the rate was set, and the last stays."""
    sensor = sampling(recording, odr << 5 | 2 << 3, decimation, at=0.25)
    expected = at_rate(recording, rate)
    found = []
    for k in range(len(expected) + 5):
        found.append(samples(sensor, 0.25 + (k + 1.5) / rate))
    assert [len(part) for part in found] == [1] * len(found)
    found = np.concatenate(found)
    assert not found[:2].any()
    assert np.array_equal(found[2 : len(expected) + 2], expected)
    assert np.array_equal(found[-3:], [expected[-1]] * 3)


@given(st.lists(st.floats(0.001, 0.4), min_size=1, max_size=20))
def test_fifo_keeps_the_newest(pauses):
    """However it is read: all samples in their order, but the oldest where more than 32 came."""
    ramp = recordings.Recording(None, "ramp", 119.0, np.arange(1200)[:, None] * np.ones(3) * 122e-6)
    sensor = sampling(ramp)
    now, taken = 0.0, 0
    for pause in pauses:
        now += pause
        come = int(np.floor(now * 119 + 1e-9))
        source = sensor.read(chip.FIFO_SRC, now)
        lost = max(0, come - taken - 32)
        assert source == min(32, come - taken) | (0x40 if lost else 0)
        found = samples(sensor, now)
        first = taken + lost - 2  # of the recording
        assert found[:, 0].tolist() == [max(0, first + i) for i in range(len(found))]
        taken = come


def test_fifo_threshold_and_modes():
    sensor = sampling()
    sensor.write(chip.FIFO_CTRL, CONTINUOUS | 4, 0)
    assert sensor.read(chip.FIFO_SRC, 3.5 / 119) == 3
    assert sensor.read(chip.FIFO_SRC, 4.5 / 119) == 0x80 | 4
    sensor.write(chip.FIFO_CTRL, 0, 4.6 / 119)
    assert sensor.read(chip.FIFO_SRC, 5.5 / 119) == 0
    sensor.write(chip.FIFO_CTRL, 1 << 5, 5.6 / 119)
    assert sensor.read(chip.FIFO_SRC, 1.0) == 32  # full, and it stops
    sensor.write(chip.CTRL_REG9, 0, 1.0)
    assert sensor.read(chip.FIFO_SRC, 2.0) == 0


def test_a_change_of_rate_goes_on_in_the_recording(recording):
    sensor = sampling(recording)
    first = samples(sensor, 0.2)
    now = 10 / 119  # of the recording, 3 samples after the start
    samples(sensor, 3 / 119 + now)
    sensor.write(chip.CTRL_REG5_XL, 1 << 6 | 0x38, 3 / 119 + now + 0.001)
    found = samples(sensor, 3 / 119 + now + 0.5)
    expected = at_rate(recording, 59.5)
    assert len(first) and np.array_equal(found, expected[6 : 6 + len(found)]) and len(found) > 25


def test_power_down_begins_the_recording_anew_but_loss_of_supply_does_not(recording):
    sensor = sampling(recording)
    expected = at_rate(recording, 119)
    sensor.write(chip.CTRL_REG6_XL, 0, 0.2)
    assert not sensor.playing(0.3)
    samples(sensor, 0.2)
    sensor.write(chip.CTRL_REG6_XL, ODR_119, 1.0)
    assert sensor.playing(1.0)
    assert np.array_equal(samples(sensor, 1.1)[2:], expected[:9])
    sensor.power(False, 1.2)
    sensor.power(True, 1.3)
    assert sensor.read(chip.CTRL_REG6_XL, 1.3) == 0
    sensor.write(chip.CTRL_REG9, 0x02, 1.4)
    sensor.write(chip.FIFO_CTRL, CONTINUOUS, 1.4)
    sensor.write(chip.CTRL_REG6_XL, ODR_119, 1.4)
    found = samples(sensor, 1.5)
    first = int((0.4 - 3 / 119) * 119) + 1  # those 0.4 s went by without a sensor
    assert np.array_equal(found[2:], expected[first + 2 : first + len(found)])
    assert sensor.playing(3.9) and not sensor.playing(4.1)


def test_knows_whether_it_has_played(recording):
    sensor = powered(recording)
    assert not sensor.has_played()
    sensor.write(chip.CTRL_REG6_XL, ODR_119, 0.2)
    sensor.write(chip.CTRL_REG6_XL, 0, 0.3)
    assert sensor.has_played()


def test_reset_by_software():
    sensor = sampling()
    sensor.write(chip.CTRL_REG8, 0x05, 0.2)
    assert sensor.read(chip.CTRL_REG6_XL, 0.2) == 0 and sensor.read(chip.FIFO_SRC, 0.5) == 0


def test_absent_and_silent():
    assert not powered(fault="absent").start(0x6B, False, 0)
    sensor = powered(fault="silent@1-2.5")
    assert [sensor.start(0x6B, False, now) for now in (0.9, 1, 2.4, 2.5)] == [True, False, False, True]


def test_hangs_until_nine_clocks_have_come():
    sensor = powered(fault="hang@1")
    assert not sensor.holds_data(0.9) and sensor.holds_data(1.1)
    for _ in range(8):
        sensor.clock(1.2)
    assert sensor.holds_data(1.2)
    sensor.clock(1.2)
    assert not sensor.holds_data(1.3) and sensor.start(0x6B, False, 1.3)


@pytest.mark.parametrize("kind", ["hang", "stuck"])
def test_loss_of_supply_frees_the_bus(kind):
    sensor = powered(fault=f"{kind}@1")
    if kind == "stuck":
        for _ in range(20):
            sensor.clock(1.2)
    assert sensor.holds_data(1.5)
    sensor.power(False, 1.6)
    assert not sensor.holds_data(1.7)
    sensor.power(True, 1.8)
    assert not sensor.holds_data(1.9)


def test_falls_back_to_its_reset_values_once():
    sensor = sampling(fault="reset@0.5")
    assert sensor.read(chip.CTRL_REG6_XL, 0.4) == ODR_119
    assert sensor.read(chip.CTRL_REG6_XL, 0.6) == 0
    sensor.write(chip.CTRL_REG6_XL, ODR_119, 0.7)
    assert sensor.read(chip.CTRL_REG6_XL, 0.8) == ODR_119


@pytest.mark.parametrize(
    "text", ["", "gone", "hang", "hang@", "hang@1..2", "silent@2", "silent@3-2", "absent@1", "hang@-1"]
)
def test_unknown_faults_are_named(text):
    with pytest.raises(TinyswitchError, match="silent@S-T") as error:
        FAULTS.parse(text)
    assert repr(text) in str(error.value)

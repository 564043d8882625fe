"""Lines of the model table: energy class, group, and numbers that fit their fields."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import examples
from tinyswitch.compiler import table
from tinyswitch.compiler.table import Known
from tinyswitch.errors import TinyswitchError

MEGA = 1 << 20


@pytest.mark.parametrize(
    ("cycles", "expected"),
    [
        (None, 0),
        (0, 0),
        (MEGA - 1, 0),
        (MEGA, 1),
        (1_482_910, 1),  # 2^20 * sqrt(2) is 1,482,910.4
        (1_482_911, 2),
        (2 * MEGA, 3),
        (100_000_000, 14),  # 2 log2(95.4) = 13.2
        (128 * MEGA, 15),
        (2**40, 15),
    ],
)
def test_energy_classes_are_half_octaves_from_a_million(cycles, expected):
    assert table.energy_class(cycles) == expected


@examples(100)
@given(st.integers(0, 2**32), st.integers(0, 2**32))
def test_more_cycles_are_never_of_a_lower_class(one, other):
    low, high = sorted((one, other))
    assert 0 <= table.energy_class(low) <= table.energy_class(high) <= table.HIGHEST_CLASS


@examples(100)
@given(st.integers(MEGA, 64 * MEGA - 1))
def test_twice_the_cycles_are_two_classes_more(cycles):
    assert table.energy_class(2 * cycles) == table.energy_class(cycles) + 2


def plan(channels, *outputs):
    return SimpleNamespace(
        input=SimpleNamespace(shape=(24, 24, channels)),
        outputs=[SimpleNamespace(shape=shape) for shape in outputs],
    )


def test_a_group_is_what_can_take_each_other_s_place():
    ten, four = (1, 1, 10), (1, 1, 4)
    plans = [plan(3, ten), plan(1, ten), plan(3, ten), plan(3, four), plan(3, ten, four), plan(1, ten)]
    assert table.groups(plans) == [0, 1, 0, 2, 3, 1]
    assert table.groups([]) == []


def test_groups_are_a_byte():
    plans = [plan(3, (1, 1, count)) for count in range(1, table.MAX_GROUPS + 2)]
    assert table.groups(plans[:-1])[-1] == table.MAX_GROUPS - 1
    with pytest.raises(TinyswitchError, match="257 models with 257 kinds of input and output"):
        table.groups(plans)


def test_an_entry_says_what_is_known():
    known = table.table_entry(Known(accuracy=0.69812, cycles=3 * MEGA), group=4)
    assert known == {"cycles": 3 * MEGA, "accuracy": 6981, "energy": 4, "group": 4}
    assert table.table_entry(Known(), 0) == {"cycles": 0, "accuracy": 0, "energy": 0, "group": 0}
    assert table.table_entry(Known(cycles=2**33), 0)["cycles"] == 2**32 - 1

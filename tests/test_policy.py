"""The policies: what they choose, and that they keep to it under a noisy load."""

from __future__ import annotations

import itertools
import random
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyswitch.errors import TinyswitchError
from tinyswitch.switcher import KINDS, Budget, Choice, Chooser, Option, Policy, library
from tinyswitch.switcher.policy import predict_us

CLOCK = 216_000_000
SUBNETS = [  # cycles, accuracy and RAM as of sub-networks of a family
    Option(76_000, 118_000_000, 81_800_000, 0.69, 14),
    Option(60_000, 79_000_000, 53_000_000, 0.647, 13),
    Option(48_000, 50_000_000, 33_000_000, 0.521, 12),
    Option(40_000, 38_000_000, 25_000_000, 0.483, 11),
]


def ms(cycles: float, cpu: float = 1.0) -> float:
    return cycles / CLOCK / cpu * 1000


def budget(ram: int = 1 << 20, deadline_ms: float = 0, **more: float | None) -> Budget:
    return Budget(ram, CLOCK, round(deadline_ms * 1000), **more)


def first(policy: Policy | str, options: list[Option], given_: Budget) -> Choice:
    policy = Policy(policy) if isinstance(policy, str) else policy
    return Chooser(policy, options).choose(given_)


def test_ram_takes_the_most_accurate_that_fits():
    assert first("ram", SUBNETS, budget(76_000)) == Choice(0, "best", True)
    assert first("ram", SUBNETS, budget(75_999, 1)) == Choice(1, "RAM", True)  # no deadline for it
    assert first("ram", SUBNETS, budget(40_000)) == Choice(3, "RAM", True)
    assert first("ram", SUBNETS, budget(39_999)) == Choice(3, "nothing fits", False)


def test_deadline_counts_with_the_share_that_is_left_and_a_safety():
    policy = Policy("deadline", safety=0.05)
    exactly = ms(118_000_000) * 1.05
    assert first(policy, SUBNETS, budget(deadline_ms=exactly + 0.01)).option == 0
    assert first(policy, SUBNETS, budget(deadline_ms=exactly - 0.01)) == Choice(1, "deadline", True)
    assert first(policy, SUBNETS, budget(deadline_ms=exactly, cpu=0.4)) == Choice(3, "deadline", True)
    assert first(policy, SUBNETS, budget(deadline_ms=exactly, cpu=0.0)) == Choice(3, "nothing fits", False)
    assert first(policy, SUBNETS, budget(deadline_ms=0, cpu=0.01)) == Choice(0, "best", True)


def test_ram_goes_before_time_where_nothing_fits():
    """The fewest cycles of those whose RAM is there; without any, the least RAM."""
    options = [
        Option(10, 50_000_000, accuracy=0.2),
        Option(90, 10_000_000, accuracy=0.1),
        Option(5, 90_000_000),
    ]
    assert first("deadline", options, budget(50, 0.001)) == Choice(0, "nothing fits", False)
    assert first("deadline", options, budget(4, 0.001)) == Choice(2, "nothing fits", False)


def test_priority_looks_at_work_of_higher_priority_and_takes_memory_back():
    loaded = budget(50_000, ms(118_000_000) * 1.2, cpu=0.3, cpu_high=1.0, ram_low_bytes=26_000)
    assert first("priority", SUBNETS, loaded) == Choice(0, "best", True)
    assert first("deadline", SUBNETS, loaded) == Choice(3, "deadline", True)
    busy = budget(50_000, ms(118_000_000) * 1.2, cpu=1.0, cpu_high=0.5, ram_low_bytes=26_000)
    assert first("priority", SUBNETS, busy) == Choice(2, "deadline", True)


def test_energy_goes_down_with_the_battery():
    chosen = {
        percent: first("energy", SUBNETS, budget(battery=percent / 100)).option
        for percent in (100, 90, 89, 51, 50, 22, 10, 0)
    }
    # cycles allowed: 38 M at 10 %, 118 M at 90 %: 79 M at 51 %, 50 M at 22 %
    assert chosen == {100: 0, 90: 0, 89: 1, 51: 1, 50: 2, 22: 2, 10: 3, 0: 3}
    assert first("energy", SUBNETS, budget(battery=None)) == Choice(0, "best", True)
    assert first("energy", SUBNETS, budget(battery=0.5)).reason == "energy"
    late = budget(battery=1.0, deadline_ms=ms(50_000_000) * 1.1)
    assert first("energy", SUBNETS, late) == Choice(2, "deadline", True)


def test_fixed_stays_and_tells_whether_it_fits():
    assert first(Policy("fixed", option=2), SUBNETS, budget()) == Choice(2, "fixed", True)
    assert first(Policy("fixed", option=2), SUBNETS, budget(47_999)) == Choice(2, "fixed", False)
    assert first(Policy("fixed"), SUBNETS, budget(deadline_ms=ms(118_000_000))) == Choice(0, "fixed", False)


def test_cascade_begins_small_and_escalates_step_by_step():
    chooser = Chooser(Policy("cascade", threshold=0.5), SUBNETS)
    free = budget()
    assert chooser.choose(free) == Choice(3, "first", True)
    assert chooser.escalate(free, 3, 0.5) == Choice(3, "certain", True)
    assert chooser.escalate(free, 3, 0.49) == Choice(2, "escalate", True)
    assert chooser.escalate(free, 3, 0.49).escalate
    assert chooser.escalate(free, 0, 0.0) == Choice(0, "best", True)


def test_cascade_escalates_only_while_there_is_time_and_memory():
    chooser = Chooser(Policy("cascade", safety=0), SUBNETS)
    whole = ms(38_000_000 + 50_000_000) + 0.01
    used = round(ms(38_000_000) * 1000)
    assert chooser.escalate(budget(deadline_ms=whole), 3, 0, used).option == 2
    assert chooser.escalate(budget(deadline_ms=whole), 3, 0, used + 100) == Choice(3, "deadline", True)
    assert chooser.escalate(budget(deadline_ms=1), 3, 0, 1000) == Choice(3, "deadline", True)
    assert chooser.escalate(budget(45_000), 3, 0) == Choice(3, "RAM", True)
    assert Chooser(Policy("ram"), SUBNETS).escalate(budget(), 3, 0) == Choice(3, "certain", True)


def test_unknown_cycles_come_from_the_slowest_known_option():
    options = [Option(1, 0, 1_000), Option(1, 500, 250), Option(1, 900, 300), Option(1, 0, 0)]
    chooser = Chooser(Policy("ram"), options)
    assert [chooser.cycles(i) for i in range(4)] == [3_000, 500, 900, 0]
    assert Chooser(Policy("ram"), [Option(1, 0, 1_000)]).cycles(0) == 2_000


def test_without_accuracies_the_slower_is_taken_for_the_better():
    options = [Option(9, 100, accuracy=0.9), Option(9, 300), Option(9, 200, accuracy=0.5)]
    assert first("ram", options, budget()).option == 1
    equal = [Option(9, 300, accuracy=0.5), Option(9, 200, accuracy=0.5), Option(9, 200, accuracy=0.5)]
    assert first("ram", equal, budget()).option == 1  # the cheaper of equals


def test_down_at_once_and_up_after_some_decisions():
    chooser = Chooser(Policy("deadline", up_frames=3), SUBNETS)
    free, busy = (budget(deadline_ms=700, cpu=cpu) for cpu in (1.0, 0.4))
    assert chooser.choose(free).option == 0
    assert chooser.choose(busy).option == 2
    assert [chooser.choose(free).option for _ in range(3)] == [2, 2, 0]


def test_waiting_is_the_reason_told():
    chooser = Chooser(Policy("ram", up_frames=2), SUBNETS)
    chooser.choose(budget(50_000))
    assert chooser.choose(budget()) == Choice(2, "hold", True)
    assert chooser.choose(budget()) == Choice(0, "best", True)


def test_up_needs_the_margin():
    chooser = Chooser(Policy("deadline", up_frames=1, safety=0, margin=0.1), SUBNETS)
    needed = ms(118_000_000)
    chooser.choose(budget(deadline_ms=needed * 0.9))
    assert [chooser.choose(budget(deadline_ms=needed * 1.09)).option for _ in range(20)] == [1] * 20
    assert chooser.choose(budget(deadline_ms=needed * 1.11)).option == 0
    assert chooser.choose(budget(deadline_ms=needed * 1.01)).option == 0  # no margin to stay


def test_a_change_taken_back_makes_the_next_slower():
    chooser = Chooser(Policy("ram", up_frames=1), SUBNETS)
    little, much = budget(60_000), budget(76_000)
    chooser.choose(little)

    def waits() -> int:
        """Decisions until the large one is taken; then it is taken back."""
        count = 1
        while chooser.choose(much).option != 0:
            count += 1
        chooser.choose(little)
        return count

    assert [waits() for _ in range(6)] == [1, 2, 4, 8, 16, 16]
    for _ in range(16):
        chooser.choose(much)
    for _ in range(20):
        chooser.choose(much)  # it lasts: half as long from now on
    chooser.choose(little)
    assert waits() == 8


def switches(policy: Policy, budgets: list[Budget]) -> int:
    chooser = Chooser(policy, SUBNETS)
    chosen = [chooser.choose(b).option for b in budgets]
    return sum(a != b for a, b in itertools.pairwise(chosen))


@pytest.mark.parametrize("noise", [0.02, 0.05, 0.1, 0.2])
@pytest.mark.parametrize("seed", range(3))
def test_a_noisy_load_around_a_boundary_does_not_make_it_flap(noise: float, seed: int):
    rng = random.Random(seed)
    boundary = ms(118_000_000) * 1.05 / 0.5
    loads = [budget(deadline_ms=boundary, cpu=0.5 * (1 + rng.uniform(-noise, noise))) for _ in range(1000)]
    assert switches(Policy("deadline"), loads) <= (1 if noise < 0.1 else 12)
    alone = [first("deadline", SUBNETS, load).option for load in loads]
    assert sum(a != b for a, b in itertools.pairwise(alone)) > 300  # what hysteresis spares


@pytest.mark.parametrize("seed", range(3))
def test_noisy_memory_does_not_make_it_flap(seed: int):
    rng = random.Random(seed)
    assert switches(Policy("ram"), [budget(round(76_000 * rng.uniform(0.9, 1.1))) for _ in range(1000)]) <= 20


def test_it_recovers_after_a_load():
    free, busy = (budget(deadline_ms=700, cpu=cpu) for cpu in (1.0, 0.4))
    assert switches(Policy("deadline"), [free] * 50 + [busy] * 50 + [free] * 50) == 2


options = st.lists(
    st.builds(
        Option,
        ram_bytes=st.integers(0, 200),
        cycles=st.one_of(st.just(0), st.integers(1, 2_000), st.integers(2**31, 2**32 - 1)),
        macs=st.one_of(st.integers(0, 1_000), st.just(2**32 - 1)),
        accuracy=st.one_of(st.none(), st.integers(1, 100).map(lambda p: p / 100)),
    ),
    min_size=1,
    max_size=8,
)
shares = st.integers(0, 1000).map(lambda p: p / 1000)
budgets = st.builds(
    Budget,
    ram_bytes=st.integers(0, 250),
    clock_hz=st.sampled_from([0, 1_000, 216_000_000, 2**32 - 1]),
    deadline_us=st.one_of(st.just(0), st.integers(1, 10_000_000), st.just(2**32 - 1)),
    cpu=shares,
    battery=st.one_of(st.none(), shares),
    cpu_high=shares,
    ram_low_bytes=st.one_of(st.integers(0, 100), st.just(2**32 - 1)),
)
policies = st.builds(
    Policy,
    kind=st.sampled_from(KINDS[1:]),
    up_frames=st.integers(0, 5),
    safety=st.integers(0, 10_000).map(lambda p: p / 1000),
    margin=st.integers(0, 10_000).map(lambda p: p / 1000),
)


def fits(policy: Policy, chooser: Chooser, i: int, b: Budget) -> bool:
    """Whether option i fits, in Python's integers, which do not overflow."""
    option, kind = chooser.options[i], policy.kind
    ram = b.ram_bytes + (b.ram_low_bytes if kind == "priority" else 0)
    if option.ram_bytes > ram:
        return False
    counts = [chooser.cycles(k) for k in range(len(chooser.options))]
    if kind != "ram" and b.deadline_us:
        share = round((b.cpu_high if kind == "priority" else b.cpu) * 1000)
        rate = b.clock_hz * share
        us = -(-counts[i] * 10**9 // rate) if rate else (0 if counts[i] == 0 else 2**32)
        if us >= 2**32 - 1 or us * (1000 + round(policy.safety * 1000)) > b.deadline_us * 1000:
            return False
    if kind == "energy" and b.battery is not None:
        charge = min(max(round(b.battery * 1000) - 100, 0), 800)
        return (counts[i] - min(counts)) * 800 <= (max(counts) - min(counts)) * charge
    return True


@settings(max_examples=400)
@given(policies, options, st.lists(budgets, min_size=1, max_size=12))
def test_never_what_does_not_fit_if_something_fits(policy, options, budgets):
    chooser = Chooser(policy, options)
    for b in budgets:
        choice = chooser.choose(b)
        good = [fits(policy, chooser, i, b) for i in range(len(options))]
        if policy.kind == "cascade":
            assert choice.fits == good[choice.option]
        else:
            assert choice.fits == any(good) == good[choice.option]
        if not choice.fits:
            ram = b.ram_bytes + (b.ram_low_bytes if policy.kind == "priority" else 0)
            there = [i for i, o in enumerate(options) if o.ram_bytes <= ram]
            if there:
                assert chooser.cycles(choice.option) == min(map(chooser.cycles, there))
            else:
                assert options[choice.option].ram_bytes == min(o.ram_bytes for o in options)


def rank(chooser: Chooser, i: int) -> tuple:
    cycles, accuracy = chooser.cycles(i), chooser.options[i].accuracy
    known = all(o.accuracy is not None for o in chooser.options)
    return (accuracy, -cycles, -i) if known else (cycles, -i)


@settings(max_examples=400)
@given(policies.filter(lambda p: p.kind != "cascade"), options, budgets, st.data())
def test_more_budget_never_gives_a_worse_choice(policy, options, small, data):
    more = {
        "ram_bytes": small.ram_bytes + data.draw(st.integers(0, 100)),
        "clock_hz": small.clock_hz,
        "deadline_us": small.deadline_us and data.draw(st.sampled_from([0, small.deadline_us, 2**32 - 1])),
        "cpu": max(small.cpu, data.draw(shares)),
        "cpu_high": max(small.cpu_high, data.draw(shares)),
        "battery": None if small.battery is None else max(small.battery, data.draw(shares)),
        "ram_low_bytes": small.ram_low_bytes,
    }
    chooser = Chooser(policy, options)
    less, large = chooser.choose(small), Chooser(policy, options).choose(Budget(**more))
    if less.fits:
        assert large.fits
        assert rank(chooser, large.option) >= rank(chooser, less.option)


@settings(max_examples=200)
@given(options, budgets, st.floats(0, 1), st.integers(0, 2**32 - 1), st.data())
def test_escalation_goes_up_and_ends(options, b, margin, used, data):
    chooser = Chooser(Policy("cascade"), options)
    current = chooser.choose(b).option
    for _ in options:
        again = chooser.escalate(b, current, margin, used)
        if not again.escalate:
            assert again.option == current
            return
        assert margin < 0.5
        assert rank(chooser, again.option) > rank(chooser, current)
        assert chooser.cycles(again.option) > chooser.cycles(current)
        assert options[again.option].ram_bytes <= b.ram_bytes
        current = again.option
    pytest.fail("escalates for ever")


def test_prediction():
    assert predict_us(216_000_000, CLOCK, 0.5) == 2_000_000
    assert predict_us(1, CLOCK, 1) == 1
    assert predict_us(2**32 - 1, 1, 0.001) == predict_us(1, 0, 1) == predict_us(1, CLOCK, 0) == 2**32 - 1


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Policy("best"), "policy 'best' is unknown; there are fixed, ram"),
        (lambda: Policy("deadline", safety=11), "safety is 11; it must be within 0 and 10"),
        (lambda: Policy("cascade", threshold=float("nan")), "threshold is nan"),
        (lambda: Chooser(Policy("fixed", option=4), SUBNETS), "no option 4; give 0 to 3"),
        (lambda: Chooser(Policy("ram"), []), "0 models to choose from"),
    ],
)
def test_mistakes(make, text: str):
    with pytest.raises(TinyswitchError, match=text) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_structs_are_as_in_the_header(tmp_path):
    """Sizes and offsets of every field, as the C compiler sees them."""
    structs = {
        "ts_option": library.COption,
        "ts_budget": library.CBudget,
        "ts_policy": library.CPolicy,
        "ts_policy_state": library.CState,
        "ts_choice": library.CChoice,
    }
    checks = [
        f"_Static_assert(offsetof({name}, {field}) == {getattr(struct, field).offset}"
        f' && sizeof((({name} *)0)->{field}) == {getattr(struct, field).size}, "{name}.{field}");'
        for name, struct in structs.items()
        for field, _ in struct._fields_
    ]
    sizes = [
        f'_Static_assert(sizeof({name}) == {library.ctypes.sizeof(struct)}, "{name}");'
        for name, struct in structs.items()
    ]
    source = tmp_path / "check.c"
    source.write_text("\n".join(["#include <stddef.h>", '#include "policy.h"', *checks, *sizes]))
    subprocess.run(
        ["cc", "-std=gnu11", f"-I{library.SOURCE.parent}", "-fsyntax-only", str(source)], check=True
    )

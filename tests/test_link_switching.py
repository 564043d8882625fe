"""Switching over the link: tasks, limits, policies and decisions on the native board.

How exactly shares are kept and measured is tested in test_switcher.py and on the virtual board: here, other
programs come in between.
"""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from link_support import firmware
from tinyswitch.boards.native import NativeBoard
from tinyswitch.errors import TinyswitchError
from tinyswitch.link import Client, EntryInfo, LinkError, Status, requests
from tinyswitch.link.frames import Decoder, Frame, encode
from tinyswitch.link.messages import ErrorCode, Type
from tinyswitch.switcher import Policy

LARGE, SMALL, MIDDLE, OTHER = range(4)
ARENA = 20_484
HIGH, LOW = 200, 10
SHAPE = (8, 8, 3)


@contextmanager
def board(*flags: str) -> Iterator[Client]:
    with NativeBoard(firmware(*flags, table="switching_table")) as native:
        client = Client(native.open())
        client.hello()
        yield client


@pytest.fixture
def client() -> Iterator[Client]:
    with board() as found:
        yield found


def frame(scores: list[int] | None = None, seed: int = 0) -> np.ndarray:
    """An image that is answered with these ten scores (raw; each unit is 0.5)."""
    pixels = np.random.default_rng(seed).integers(-128, 128, SHAPE).astype(np.int8)
    if scores is not None:
        pixels[-1].ravel()[: len(scores)] = scores
    return pixels


def check_infer(client: Client, during=(), seed: int = 0) -> None:
    pixels = frame(seed=seed)
    outputs = client.infer(pixels, during).outputs
    assert outputs[0].ravel().tolist() == pixels[-1].ravel()[:10].tolist()
    assert client.status().damaged == 0


def eventually(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    """This machine has other things to do, so what is measured may take a while to show."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def refused(code: ErrorCode, call: Callable[[], object], detail: object = "") -> None:
    with pytest.raises(LinkError, match=rf"refuses .*\({detail}") as caught:
        call()
    assert caught.value.code == code


def test_the_table(client: Client):
    assert client.table() == [
        EntryInfo(LARGE, 16_000_000, 0.7, 8, 0, 1),
        EntryInfo(SMALL, 1_000_000, 0.5, 0, 0, 1),
        EntryInfo(MIDDLE, 4_000_000, 0.6, 4, 0, 1),
        EntryInfo(OTHER, 0, None, 0, 1, 1),
    ]


def test_until_told_otherwise_entry_0_is_fixed(client: Client):
    decision = client.next()
    assert (decision.entry, decision.reason, decision.fits, decision.escalate) == (
        LARGE,
        "fixed",
        True,
        False,
    )
    assert (decision.budget.ram_bytes, decision.budget.deadline_us, decision.budget.cpu) == (ARENA, 0, 1.0)
    assert (decision.budget.clock_hz, decision.budget.battery) == (10**9, None)
    assert 0 < decision.switch_ticks < 10**7
    check_infer(client)


def test_ram_is_taken_and_given_back(client: Client):
    client.policy(Policy("ram", up_frames=2))
    assert client.next().entry == LARGE
    check_infer(client)
    assert client.task(0, HIGH, 0.0, 10_000) == 0  # the outputs are still there
    decision = client.next()
    assert client.status().granted[0] == 10_000
    assert (decision.entry, decision.reason) == (MIDDLE, "RAM")
    assert decision.budget.ram_bytes == 20_480 - 10_000
    for seed in range(3):
        check_infer(client, seed=seed)
    client.task(0, HIGH, 0.0)
    assert (client.next().reason, client.next().entry) == ("hold", LARGE)
    check_infer(client)
    assert client.status().switches == 2


def test_an_entry_that_tasks_left_no_room_for_is_refused(client: Client):
    client.select(LARGE)
    check_infer(client)
    client.task(3, LOW, 0.0, 8)
    refused(ErrorCode.RAM, lambda: client.infer(frame()), 20_472)
    client.policy(Policy("fixed", option=LARGE))
    assert not client.next().fits
    client.select(SMALL)
    check_infer(client)
    client.task(3, LOW, 0.0)
    client.select(LARGE)
    check_infer(client)


def test_an_image_in_progress_keeps_its_memory(client: Client):
    client.policy(Policy("ram"))
    client.select(LARGE)
    check_infer(
        client, [(0.0, requests.task(0, HIGH, 0.0, 15_000)), (1.0, requests.task(1, LOW, 0.0, 1_000))]
    )
    assert client.status().granted[:2] == (0, 0)
    assert client.next().entry == SMALL
    assert client.status().granted[:2] == (15_000, 1_000)
    check_infer(client)


def test_tasks_of_higher_priority_come_first_and_the_smallest_entry_stays(client: Client):
    assert client.task(0, LOW, 0.0, 19_000) == 19_000
    assert client.task(1, HIGH, 0.0, 12_000) == 12_000
    status = client.status()
    assert status.granted[:2] == (20_480 - 1_024 - 12_000, 12_000)
    assert (status.budget.ram_bytes, status.budget.ram_low_bytes) == (1_024, 7_456)
    client.select(SMALL)
    check_infer(client)


def test_under_priority_lower_tasks_give_their_memory_back(client: Client):
    client.task(0, LOW, 0.0, 19_456)
    client.policy(Policy("ram"))
    assert client.next().entry == SMALL
    client.policy(Policy("priority"))
    assert client.next().entry == LARGE
    check_infer(client)
    assert client.status().granted[0] == 0
    client.task(1, HIGH, 0.0, 8_000)
    assert client.next().entry == MIDDLE
    check_infer(client)
    assert client.status().granted[:2] == (20_480 - 8_000 - 8_192, 8_000)


def test_priorities_are_relative_to_that_of_inference(client: Client):
    client.task(0, LOW, 0.0, 8_000)
    client.policy(Policy("priority"), priority=LOW - 1)
    assert client.status().budget.ram_low_bytes == 0
    client.policy(Policy("priority"), priority=LOW)
    assert client.status().budget.ram_low_bytes == 8_000


def test_the_share_that_is_left_is_measured(client: Client):
    assert client.status().budget.cpu == 1.0
    client.task(0, HIGH, 0.6)
    eventually(lambda: 0.05 <= client.status().budget.cpu <= 0.95)
    assert client.status().budget.cpu_high <= 0.4
    client.task(0, HIGH, 0.0)
    eventually(lambda: client.status().budget.cpu == 1.0)
    assert client.status().budget.cpu_high == 1.0


def test_stolen_ticks_are_told_and_cycles_learned_without_them(client: Client):
    client.select(LARGE)
    alone = client.infer(frame())
    assert alone.stolen == 0
    client.task(0, HIGH, 0.6)
    loaded = [client.infer(frame()) for _ in range(5)]
    assert all(0 < result.stolen < result.cycles for result in loaded)
    own = [result.cycles - result.stolen for result in (alone, *loaded)]
    learned = client.table()[LARGE].cycles
    assert learned != 16_000_000
    assert max(8_000_000, min(own)) * 0.99 <= learned <= max(8_000_000, *own)


def test_a_load_makes_the_deadline_policy_switch_down_and_its_end_up_again(client: Client):
    client.policy(Policy("deadline", up_frames=2))
    client.limits(deadline_us=18_500)
    assert client.next().entry == LARGE
    client.task(0, HIGH, 0.9)
    eventually(lambda: client.next().entry != LARGE)
    decision = client.next()
    assert decision.budget.cpu_high <= 0.1
    client.task(0, HIGH, 0.0)
    eventually(lambda: client.next().entry == LARGE)
    client.limits(deadline_us=1)
    assert (client.next().entry, client.next().reason) == (SMALL, "nothing fits")


def test_the_priority_policy_counts_what_is_declared_at_once(client: Client):
    client.policy(Policy("priority"))
    client.limits(deadline_us=20_000)
    client.task(0, HIGH, 0.6)
    assert client.next().entry == MIDDLE


def test_tasks_below_inference_take_what_it_does_not_need(client: Client):
    client.task(0, LOW, 0.5, 4_000)
    before = client.status()

    def share() -> float:
        now = client.status()
        return (now.yielded - before.yielded) / (now.ticks - before.ticks)

    time.sleep(0.2)
    eventually(lambda: 0.1 < share() < 0.6)
    after = client.status()
    assert (after.stolen, after.budget.cpu, after.damaged) == (0, 1.0, 0)


def test_energy(client: Client):
    client.policy(Policy("energy"))
    client.limits(battery=1.0)
    assert client.next().entry == LARGE
    client.limits(battery=0.5)
    decision = client.next()
    assert (decision.entry, decision.reason, decision.budget.battery) == (MIDDLE, "energy", 0.5)
    client.limits(battery=0.05)
    assert client.next().entry == SMALL


def test_cascade(client: Client):
    client.policy(Policy("cascade", threshold=2.0))
    certain, doubtful = frame([0, 4] + [-9] * 8), frame([0, 3] + [-9] * 8)  # differ by 2.0 and 1.5
    assert client.next().entry == SMALL
    client.infer(certain)
    decision = client.next(again=True)
    assert (decision.entry, decision.reason, decision.escalate) == (SMALL, "certain", False)
    client.next()
    entries = []
    for _ in range(3):
        entries.append(client.infer(doubtful).arena_bytes)
        decision = client.next(again=True)
    assert entries == [1_024, 8_192, 20_480]
    assert (decision.entry, decision.reason, decision.escalate) == (LARGE, "best", False)
    client.task(0, LOW, 0.0, 1_000)
    assert client.next().entry == SMALL
    client.infer(doubtful)
    assert client.next(again=True).entry == MIDDLE
    client.infer(doubtful)
    assert client.next(again=True).reason == "RAM"


def test_cascade_stops_where_the_deadline_is(client: Client):
    client.policy(Policy("cascade", threshold=2.0))
    client.limits(deadline_us=10**6)
    client.next()
    client.infer(frame([0] * 10))
    assert client.next(again=True).escalate
    client.infer(frame([0] * 10))
    client.limits(deadline_us=2)
    assert client.next(again=True).reason == "deadline"


def test_a_decision_about_a_frame_needs_one(client: Client):
    client.policy(Policy("cascade"))
    refused(ErrorCode.STATE, lambda: client.next(again=True), 0)
    client.infer(frame())
    refused(ErrorCode.STATE, lambda: client.next(1, again=True), 2)
    check_infer(client)


def test_groups(client: Client):
    client.policy(Policy("ram"))
    assert client.next(1).entry == OTHER
    check_infer(client)
    assert client.next(0).entry == LARGE
    refused(ErrorCode.GROUP, lambda: client.next(2), 2)
    client.policy(Policy("fixed", option=OTHER))
    refused(ErrorCode.GROUP, lambda: client.next(0), 0)
    check_infer(client)


def test_hello_forgets(client: Client):
    client.policy(Policy("ram"))
    client.limits(5, 0.5)
    client.task(0, HIGH, 0.5, 10_000)
    client.next()
    check_infer(client)
    client.hello()
    status = client.status()
    assert (status.stolen, status.switches, status.granted) == (0, 0, (0,) * 8)
    assert (status.budget.deadline_us, status.budget.battery, status.budget.cpu) == (0, None, 1.0)
    assert client.next().reason == "fixed"
    assert client.table()[MIDDLE].cycles == 4_000_000


@pytest.mark.parametrize(
    ("kind", "payload", "code", "detail"),
    [
        (Type.TABLE, b"\4\0", ErrorCode.MODEL, 4),
        (Type.POLICY, bytes([6]) + bytes(10), ErrorCode.POLICY, 6),
        (Type.POLICY, b"\0\4" + bytes(9), ErrorCode.MODEL, 4),
        (Type.POLICY, bytes(7) + b"\x11\x27\0\0", ErrorCode.LIMIT, 10_000),
        (Type.POLICY, bytes(9) + b"\xff\xff", ErrorCode.LIMIT, 10_000),
        (Type.POLICY, bytes(10), ErrorCode.LENGTH, 10),
        (Type.TASK, b"\x08" + bytes(7), ErrorCode.SLOT, 8),
        (Type.TASK, b"\0\0\xb7\x03" + bytes(4), ErrorCode.SHARE, 950),
        (Type.TASK, b"\0\0\0\0\x01\x4c\0\0", ErrorCode.MEMORY, 19_456),
        (Type.TASK, b"\0\0\0\0\xff\xff\xff\xff", ErrorCode.MEMORY, 19_456),
        (Type.LIMITS, bytes(4) + b"\xe9\x03", ErrorCode.LIMIT, 1_000),
        (Type.NEXT, b"\xff\0", ErrorCode.GROUP, 255),
        (Type.NEXT, b"\0\1", ErrorCode.STATE, 0),
        (Type.STATUS, b"\0", ErrorCode.LENGTH, 1),
    ],
)
def test_refusals(client: Client, kind: Type, payload: bytes, code: ErrorCode, detail: int):
    refused(code, lambda: client._channel.command(kind, payload), rf"{detail}\)")
    check_infer(client)


def test_shares_add_up(client: Client):
    client.task(0, HIGH, 0.5)
    client.task(1, LOW, 0.4)
    refused(ErrorCode.SHARE, lambda: client.task(2, HIGH, 0.06))
    client.task(1, LOW, 0.0)
    client.task(2, HIGH, 0.4)
    check_infer(client)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: requests.task(8, 0, 0.0), "slot of a task 8 is out of range; give 0 to 7"),
        (lambda: requests.task(0, 256, 0.0), "priority 256"),
        (lambda: requests.task(0, 0, 1.5), "CPU share 1.5"),
        (lambda: requests.task(0, 0, float("nan")), "CPU share nan"),
        (lambda: requests.task(0, 0, 0.0, -1), "RAM -1"),
        (lambda: requests.limits(2**32), "deadline 4294967296"),
        (lambda: requests.limits(0, 1.01), "battery 1.01"),
    ],
)
def test_numbers_that_do_not_fit_are_told_before_they_are_sent(make: Callable[[], object], text: str):
    with pytest.raises(TinyswitchError, match=text):
        make()


def test_commands_during_an_image_are_sent_in_order(client: Client):
    client.select(SMALL)
    orders = [(0.5, requests.task(0, LOW, 0.0, 8 * i)) for i in range(1, 5)]
    client.infer(frame(), [(1.0, requests.limits(7)), *orders, (0.0, requests.limits(9))])
    status = client.status()
    assert (status.granted[0], status.budget.deadline_us) == (32, 7)


def _commands(rng: random.Random) -> Iterator[tuple[Type, bytes]]:
    """Sensible commands, an image now and then."""
    for _ in range(60):
        chosen = rng.choice(["policy", "task", "task", "limits", "next", "next", "select", "image", "status"])
        if chosen == "policy":
            kind = rng.choice(["fixed", "ram", "deadline", "priority", "energy", "cascade"])
            yield requests.policy(Policy(kind, rng.randrange(4)), rng.choice([0, 100, 255]))
        elif chosen == "task":
            ram = rng.choice([0, 1, rng.randrange(20_000)])
            yield requests.task(rng.randrange(8), rng.randrange(256), rng.choice([0, 0.05, 0.1]), ram)
        elif chosen == "limits":
            yield requests.limits(rng.choice([0, 1, 5_000, 2**32 - 1]), rng.choice([None, rng.random()]))
        elif chosen == "next":
            yield Type.NEXT, bytes([rng.randrange(2), rng.randrange(2)])
        elif chosen == "select":
            yield Type.SELECT, bytes([rng.randrange(4), 0])
        elif chosen == "status":
            yield Type.STATUS, b""
        else:
            yield Type.BEGIN, b""
            for at in range(0, 192, 48):
                yield Type.DATA, at.to_bytes(4, "little") + rng.randbytes(48)
                if rng.random() < 0.3:
                    yield requests.task(rng.randrange(8), rng.randrange(256), 0.1, rng.randrange(20_000))
            yield Type.FINISH, b""


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_asked_nobody_writes_where_he_should_not(seed: int):
    rng = random.Random(seed)
    line = b""
    for session in range(1, 6):
        line += encode(Frame(Type.HELLO, 0, session, b"\1\1"))
        for seq, (kind, payload) in enumerate([*_commands(rng), (Type.STATUS, b"")], 1):
            line += encode(Frame(kind, seq & 0xFF, session, payload))
    path = firmware(
        "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", table="switching_table"
    )
    result = subprocess.run([path], input=line, capture_output=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, b"")
    answers = list(Decoder().feed(result.stdout))
    told = [Status.unpack(f.payload, 1) for f in answers if f.type == Type.ANSWER | Type.STATUS]
    assert len(told) >= 5
    assert all(status.damaged == 0 for status in told)
    assert {Type.ANSWER | t for t in (Type.NEXT, Type.TASK, Type.FINISH, Type.POLICY)} <= {
        f.type for f in answers
    }

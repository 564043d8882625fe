"""Memory maps: what they say of a plan, and how it is shown."""

import io
import json
import re
from itertools import combinations, pairwise

import pytest
from PIL import Image
from rich.console import Console

from link_support import FIRMWARE, ROOT
from tinyswitch import data
from tinyswitch.compiler import compile_model
from tinyswitch.compiler.kinds import COLOURS, OTHER, colour, kind
from tinyswitch.compiler.memory_map import MemoryMap
from tinyswitch.compiler.plan import INPUT
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate import plan_picture, plan_text

DIGITS = ROOT / "models" / "digits.tflite"


def vww():
    path = data.local("mcunet/mcunet-5fps_vww.tflite")
    if path is None:
        pytest.skip(f"{data.VARIABLE} is unset: no published model")
    return path


@pytest.fixture(
    scope="module", params=[("digits", "portable"), ("digits", "dsp"), ("vww", "dsp")], ids="-".join
)
def memory_map(request):
    name, kernels = request.param
    return MemoryMap(compile_model(DIGITS if name == "digits" else vww(), kernels))


@pytest.fixture(scope="module")
def digits():
    return MemoryMap(compile_model(DIGITS))


def shown(tables, width=140):
    console = Console(width=width, record=True, file=io.StringIO())
    for table in tables:
        console.print(table)
    return console.export_text()


def test_no_two_blocks_meet_in_time_and_space(memory_map):
    for a, b in combinations(memory_map.blocks, 2):
        apart = a.end <= b.offset or b.end <= a.offset or a.last < b.first or b.last < a.first
        assert apart, (memory_map.name(a.owner), memory_map.name(b.owner))


def test_blocks_fill_the_arena(memory_map):
    plan = memory_map.plan
    assert min(b.offset for b in memory_map.blocks) == 0
    assert plan.arena_bytes - 8 < max(b.end for b in memory_map.blocks) <= plan.arena_bytes
    maps = {b.owner for b in memory_map.blocks} & set(plan.placements)
    assert maps == set(plan.placements)
    whole = [b for b in memory_map.blocks if b.owner is plan.output_maps[0]]
    assert max(b.last for b in whole) == len(plan.schedule)


def test_what_a_step_reads_and_writes_is_in_use(memory_map):
    plan, steps = memory_map.plan, [0] * len(memory_map.plan.stages)
    for now, entry in enumerate(plan.schedule):
        if entry == INPUT:
            continue
        stage, step = plan.stages[entry], steps[entry]
        steps[entry] += 1
        alive = {(b.owner, b.row) for b in memory_map.blocks if b.alive(now)}
        for source, reads in zip(stage.inputs, stage.reads, strict=True):
            for row in reads(step) if source.constant is None else ():
                assert (source, row) in alive
        row = stage.row_made(step)
        assert row is None or (stage.output, row) in alive
        assert not stage.scratch_bytes or (stage, None) in alive


def test_segments_follow_each_other_and_one_sets_the_peak(memory_map):
    plan, segments = memory_map.plan, memory_map.segments
    assert [s.stages for s in segments] == plan.segments
    assert segments[0].first == 0 and segments[-1].last == len(plan.schedule)
    assert all(b.first == a.last + 1 for a, b in pairwise(segments))
    assert memory_map.peak.top == max(s.top for s in segments) <= plan.steps_offset
    for s in segments:
        in_use = sum(i.end - i.offset for i in memory_map.at(s.worst) if i.owner is not None)
        assert s.first <= s.worst <= s.last and in_use == s.alive <= s.top


def test_rows_side_by_side_are_one_item(digits):
    places = digits.plan.placements
    owner = next(m for m, place in places.items() if place.slots == m.height > 4)
    of_owner = [b for b in digits.blocks if b.owner is owner]
    now = next(e for e in range(len(digits.plan.schedule)) if sum(b.alive(e) for b in of_owner) > 2)
    items = [i for i in digits.at(now) if i.owner is owner]
    assert len(items) == 1 and items[0].rows == tuple(range(items[0].rows[0], items[0].rows[-1] + 1))
    assert items[0].end - items[0].offset == len(items[0].rows) * owner.row_bytes


def test_rows_of_a_ring_share_its_slots(memory_map):
    places = memory_map.plan.placements
    rings = [b for b in memory_map.blocks if b.owner in places and places[b.owner].slots < b.owner.height]
    assert rings
    for b in rings:
        place = places[b.owner]
        assert b.offset == place.offset + b.row % place.slots * b.owner.row_bytes
        assert b.end <= place.offset + place.slots * b.owner.row_bytes


def test_text_is_short_and_says_the_figures(memory_map):
    text = shown(plan_text.tables(memory_map, plan_text.chosen(memory_map, None)))
    assert len(text.splitlines()) < 60
    assert f"{memory_map.plan.arena_bytes:,} bytes" in text
    peak = memory_map.peak
    assert re.search(rf"│ +{peak.index} │.*│ +{peak.top:,} │ +peak", text)
    assert f"segment {peak.index} at entry {peak.worst:,}: {peak.alive:,} bytes in use" in text
    assert "step counters" in text and "ring of" in text


def test_segments_to_choose_from(digits):
    assert plan_text.chosen(digits, None) == [digits.peak]
    assert plan_text.chosen(digits, "1") == [digits.segments[1]]
    everything = shown(plan_text.tables(digits, plan_text.chosen(digits, "all")))
    assert len(re.findall(r"segment \d at entry", everything)) == len(digits.segments)
    with pytest.raises(TinyswitchError, match="--segment 77: digits has the segments 0 to"):
        plan_text.chosen(digits, "77")


def test_picture(digits, tmp_path):
    svg, png = plan_picture.draw(digits, tmp_path / "new")
    assert Image.open(png).size[0] > 1000
    text = svg.read_text()
    group = text[text.index('id="PatchCollection') :]
    assert group[: group.index("</g>")].count("<path ") == len(digits.blocks)
    plan_picture.draw(digits, tmp_path / "again")
    assert (tmp_path / "again" / svg.name).read_text() == text


def test_kinds():
    class Named:
        def __init__(self, kernel):
            self.kernel = kernel

    names = {
        "ts_pointwise_dsp": "pointwise",
        "ts_average_pool": "average_pool",
        "ts_global_average": "global_average",
    }
    assert {name: kind(Named(name)) for name in names} == names
    assert kind(Named("ts_convolve")) == "convolve" and colour("convolve") == OTHER


def test_every_portable_kernel_has_a_colour():
    header = (FIRMWARE / "engine/stages.h").read_text()
    kernels = re.findall(r"void ts_(\w+)\(const ts_engine", header)
    assert {k.removesuffix("_dsp") for k in kernels} == set(COLOURS)
    assert len(set(COLOURS.values())) == len(COLOURS)


def test_baselines_are_json():
    assert set(json.loads((ROOT / "models/baselines.json").read_text())) >= {"how", "cortex-m7"}

"""dynamic-eval on the native board: a family, the real monitor and tasks."""

import io
import json
import shutil

import pytest
from rich.console import Console

from tinyswitch import families, firmware
from tinyswitch.boards import connect
from tinyswitch.evaluate.dynamic import dynamic_eval, trace
from tinyswitch.evaluate.dynamic.run import Job
from tinyswitch.evaluate.images import find_images
from tinyswitch.families import record
from tinyswitch.training.digits import write_images

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc to build the native board with")

# The RAM is the one thing that does not depend on how busy this machine is
TRACE = """time_s,cpu,ram,deadline,battery
0,0,0,1000,1
2,0.5,1,,
4.5,0.2,0,,0.5
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Two of the digits' sub-networks, in a place where no other test replaces them."""
    family = families.load("digits")
    folder = family.source.with_suffix("")
    rows = {row.name: row for row in record.read(folder).subnets}
    entries = [firmware.Entry(folder / rows[n].file, rows[n].accuracy) for n in ("full", "small")]
    build = firmware.build("native", "image", entries)
    elf = tmp_path_factory.mktemp("native") / "firmware.elf"
    shutil.copy2(build.elf, elf)
    return firmware.Build(build.board, build.app, elf, build.models, build.memory)


def test_digits_give_way_and_come_back(built, tmp_path):
    (tmp_path / "t.csv").write_text(TRACE)
    job = Job(
        board=connect("native", "auto", built),
        build=built,
        family="digits",
        policies=["ram"],
        thresholds=[2.0],
        trace=trace.read(tmp_path / "t.csv"),
        dataset=find_images(write_images(tmp_path / "digits")).first(4),
        frames=9,
        fps=1.0,
        out=tmp_path / "out",
        cache=tmp_path / "cache",
    )
    summary = dynamic_eval(job, Console(file=io.StringIO()))
    lines = [json.loads(line) for line in (job.out / "ram.jsonl").read_text().splitlines()]
    # The RAM comes back in the middle of frame 4; the third decision in a row in which it is there takes it
    assert [line["entry"] for line in lines] == ["full"] * 2 + ["small"] * 5 + ["full"] * 2
    assert [line["decision"]["reason"] for line in lines[2:5]] == ["RAM"] * 3
    assert lines[4]["during"][0]["at"] == 0.5
    assert [line["budget"]["battery"] for line in lines] == [1] * 5 + [0.5] * 4
    for name, found in summary["details"].items():
        assert found["identical_outputs"] == found["inferences"] == 9 - found["no_ram"], name
    assert {name: found["no_ram"] for name, found in summary["details"].items()} == {
        "ram": 0,
        "fixed:full": 3,  # frame 4 began before the RAM came back
        "fixed:small": 0,
    }
    assert summary["policies"]["ram"]["deadline_misses"] == 0
    assert summary["policies"]["fixed:full"]["deadline_misses"] == 3
    assert summary["policies"]["ram"]["switches"] == 2

"""The whole way on the native board: build, stream, a board that dies, resume, verify."""

import io
import json
import shutil

import pytest
from rich.console import Console

from tinyswitch import firmware
from tinyswitch.boards import connect
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate.demo import MODEL, draw
from tinyswitch.evaluate.images import find_images
from tinyswitch.evaluate.stream import stream_eval
from tinyswitch.evaluate.verify import verify
from tinyswitch.link import Client
from tinyswitch.training.digits import write_images

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc to build the native board with")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The build of the digits, in a place where no other test replaces it."""
    build = firmware.build("native", "image", [MODEL])
    elf = tmp_path_factory.mktemp("native") / "firmware.elf"
    shutil.copy2(build.elf, elf)
    return firmware.Build(build.board, build.app, elf, build.models, build.memory)


def test_digits_on_the_native_board(built, tmp_path):
    images = find_images(write_images(tmp_path / "the digits")).first(40)
    console = Console(file=io.StringIO())
    out, cache = tmp_path / "out", tmp_path / "cache"
    board = connect("native", "auto", built)

    class Killer(Client):
        """Kills a board's process once five images are answered; others may work beside it."""

        def infer(self, frame):
            if len((out / "results.jsonl").read_text().splitlines()) >= 5 and board.process:
                board.process.kill()
            return super().infer(frame)

    with pytest.raises(TinyswitchError, match="signal 9"):
        stream_eval(board, built, images, out, cache, console, client=Killer)
    kept = (out / "results.jsonl").read_text()
    assert 5 <= len(kept.splitlines()) < 40

    summary = stream_eval(board, built, images, out, cache, console)
    assert summary["answered"] == summary["identical_outputs"] == 40
    assert summary["top1"] == summary["host_top1"] > 0.9
    assert summary["instructions_per_inference"] is None and summary["latency_ms"] > 0
    assert summary["ram"]["total"] == sum(v for k, v in summary["ram"].items() if k != "total") > 0
    assert (out / "results.jsonl").read_text().startswith(kept)

    picture = draw(images, out)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_verify_on_the_native_board(built, tmp_path):
    report = verify(
        connect("native", "auto", built), built, 5, 1, tmp_path / "cache", Console(file=io.StringIO())
    )
    assert report == {"model": "digits", "count": 5, "identical": 5, "max_abs_difference": 0}


def test_results_name_their_board(built, tmp_path):
    images = find_images(write_images(tmp_path / "digits")).first(2)
    console = Console(file=io.StringIO())
    out, cache = tmp_path / "out", tmp_path / "cache"
    stream_eval(connect("native", "auto", built), built, images, out, cache, console)
    assert json.loads((out / "run.json").read_text())["board"] == "native"
    built.elf.write_bytes(built.elf.read_bytes() + b"\0")  # another firmware
    with pytest.raises(TinyswitchError, match="holds results of firmware"):
        stream_eval(connect("native", "auto", built), built, images, out, cache, console)

"""compare-nets, and what a model takes on this machine."""

import io
import json

import numpy as np
import pytest
from rich.console import Console

from fake_board import write_images, write_model
from models import OneOperator
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate.compare import compare, compare_table
from tinyswitch.evaluate.images import find_images, load_frame, to_model_input
from tinyswitch.evaluate.litert import LiteRtModel
from tinyswitch.evaluate.profile import SMALL, profile


def test_a_table_a_net_and_right_figures(tmp_path):
    models = [write_model(tmp_path / f"m{n}.tflite", seed=n) for n in (1, 2)]
    dataset = find_images(write_images(tmp_path / "images", 6))
    records = compare(models, dataset, tmp_path / "out", tmp_path / "cache", Console(file=io.StringIO()), 3)
    for model, record in zip(models, records, strict=True):
        litert = LiteRtModel(model)
        right = in_five = 0
        for entry in dataset.entries:
            scores = litert.run(to_model_input(load_frame(entry.path, litert.input.shape), litert.input))[0]
            order = sorted(range(10), key=lambda index: (-int(scores.ravel()[index]), index))
            right += order[0] == entry.label
            in_five += entry.label in order[:5]
        assert (record["name"], record["top1"], record["top5"]) == (model.stem, right / 6, in_five / 6)
        assert 0 < record["ms"] < 1000 and record["rounds"] == 3
    saved = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert saved["nets"] == records
    screen = io.StringIO()
    Console(file=screen, width=160).print(compare_table(records))
    assert "m1" in screen.getvalue() and f"{100 * records[1]['top5']:.1f} %" in screen.getvalue()


def test_labels_of_other_classes_give_no_accuracy(tmp_path):
    dataset = find_images(write_images(tmp_path / "images", 6))
    model = write_model(tmp_path / "m.tflite", classes=4)
    records = compare([model], dataset, tmp_path / "out", tmp_path, Console(file=io.StringIO()), 1)
    assert records[0]["top1"] is None
    screen = io.StringIO()
    Console(file=screen, width=200).print(compare_table(records))
    assert "label 5 is not among the model's 4 classes" in " ".join(screen.getvalue().split())


def test_a_damaged_model_is_one_line(tmp_path):
    bad = tmp_path / "bad.tflite"
    bad.write_bytes(SMALL.read_bytes()[:5000])
    with pytest.raises(TinyswitchError, match=r"bad\.tflite: LiteRT") as error:
        profile(bad, None, 1)
    assert "\n" not in str(error.value)


def test_memory_of_a_model_is_what_it_adds(tmp_path):
    """A dense layer with 4 MB of weights takes at least those more than one with 0.4 MB."""
    found = {}
    for width in (100, 1000):
        builder = OneOperator((1, 4000), 0.1, 0, 1)
        weights, bias = builder.filter((width, 4000), 0, True, 4000)
        out = builder.output((1, width), 0.1, 0)
        builder.writer.op("FULLY_CONNECTED", [builder.x, weights, bias], [out])
        (path := tmp_path / f"{width}.tflite").write_bytes(builder.build(out))
        found[width] = profile(path, None, 3).ram_bytes
    assert 3_500_000 < found[1000] - found[100] < 12_000_000


@pytest.mark.parametrize("dtype", [np.int8, np.float32])
def test_optimised_kernels_answer_nearly_the_same(tmp_path, dtype):
    path = SMALL if dtype == np.int8 else float_boundary(tmp_path / "float.tflite")
    reference, fast = LiteRtModel(path), LiteRtModel(path, optimised=True)
    rng = np.random.default_rng(1)
    for _ in range(5):
        frame = rng.integers(-128, 128, reference.input.shape).astype(np.int8)
        [expected], [found] = reference.run(frame), fast.run(frame)
        assert found.dtype == expected.dtype and found.shape == expected.shape
        assert np.abs(found.astype(int) - expected).max() <= 2
        assert expected.std() > 1
    assert 0 < fast.cpu_seconds <= fast.seconds * 1.5 + 1e-3


def float_boundary(path):
    """QUANTIZE, a dense layer, DEQUANTIZE."""
    builder = OneOperator((1, 64), 0.05, 3, 2)
    writer = builder.writer
    real_in, real_out = writer.tensor((1, 64), np.float32), writer.tensor((1, 10), np.float32)
    weights, bias = builder.filter((10, 64), 0, True, 64)
    out = builder.output((1, 10), 0.05, -7)
    writer.op("QUANTIZE", [real_in], [builder.x])
    writer.op("FULLY_CONNECTED", [builder.x, weights, bias], [out])
    writer.op("DEQUANTIZE", [out], [real_out])
    path.write_bytes(writer.build([real_in], [real_out]))
    return path

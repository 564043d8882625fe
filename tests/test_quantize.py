"""Conversion to int8: the arithmetic of padding and correction, the model that comes out, its accuracy."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyswitch import nets
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate.images import find_images, load_frame, to_model_input
from tinyswitch.evaluate.litert import LiteRtModel
from tinyswitch.nets import weights
from tinyswitch.nets.weights import Weights
from tinyswitch.quantize import calibration, convert, correction, float_model
from tinyswitch.tensor import TensorInfo

# Issue: "Any int8 .tflite" of the compiler; what the converter may make of a net.
OPERATORS = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "MEAN", "PAD"}
SMALL = {
    "resolution": 15,  # odd, then 8: SAME is right for the first stride 2, wrong for the second
    "layers": [
        "conv k3 s2 c8",
        "block k3 c8 add",
        "block k5 s2 e24 c12",
        "block k3 e24 c12 add",
        "pool",
        "dense c10",
    ],
}


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> nets.Net:
    file = tmp_path_factory.mktemp("nets") / "small.json"
    file.write_text(json.dumps(SMALL))
    return nets.load(file)


@given(st.integers(1, 300), st.sampled_from(range(1, 16, 2)), st.integers(1, 4))
def test_padding_is_that_of_pytorch(size, kernel, stride):
    """Window number 0 starts kernel // 2 before the first pixel, and there are (size - 1) // stride + 1."""
    explicit = float_model.padding(size, kernel, stride)
    if explicit is None:
        windows = -(-size // stride)  # TensorFlow's SAME
        before = max((windows - 1) * stride + kernel - size, 0) // 2
    else:
        before, after = explicit
        windows = (size + before + after - kernel) // stride + 1
        assert after >= 0
    assert (before, windows) == (kernel // 2, (size - 1) // stride + 1)


def test_constant_channels_keep_their_value_and_get_a_sane_scale(small):
    folded = weights.fold(small, weights.random_tensors(small, 0), "random")
    name = "blocks.0.depth_conv"
    kernel, bias = folded[name].kernel.copy(), folded[name].bias.copy()
    kernel[:, :, 3] *= 1e-12
    bias[3] = 2.5
    tamed = correction.tame_constants(small, {**folded, name: Weights(kernel, bias)})[name]
    assert np.abs(tamed.kernel[:, :, 3]).sum() == pytest.approx(2.5e-5)
    np.testing.assert_array_equal(np.delete(tamed.kernel, 3, axis=2), np.delete(kernel, 3, axis=2))
    np.testing.assert_array_equal(tamed.bias, bias)


def test_bias_correction_removes_the_mean_error(small):
    folded = weights.fold(small, weights.random_tensors(small, 5), "random")
    images = calibration.to_real(calibration.random_frames(small, 1))

    def scores(own: dict[str, Weights], rounded: bool) -> np.ndarray:
        if rounded:
            by_name = {layer.name: layer for layer in small.layers}
            own = {name: correction._rounded(by_name[name], w) for name, w in own.items()}
        model = float_model.build(small, own)
        return np.concatenate([model(image[None]).numpy() for image in images])

    exact = scores(folded, rounded=False)
    before = np.abs((scores(folded, rounded=True) - exact).mean(axis=0)).max()
    corrected = correction.correct_bias(small, folded, images)
    after = np.abs((scores(corrected, rounded=True) - exact).mean(axis=0)).max()
    assert after < 1e-4 < before


@pytest.fixture(scope="module")
def model(small, tmp_path_factory) -> Path:
    return convert(small, "random", None, tmp_path_factory.mktemp("a b") / "small.tflite", lambda line: None)


def test_the_model_is_int8_and_made_of_few_operators(model):
    interpreter = Interpreter(str(model), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    names = [op["op_name"] for op in interpreter._get_ops_details()]
    assert set(names) <= OPERATORS
    assert names.count("PAD") == 1  # the 5x5 with stride 2 on 8 pixels; nowhere else is it needed
    litert = LiteRtModel(model)
    assert litert.input == TensorInfo((15, 15, 3), np.dtype(np.int8), pytest.approx(2 / 255), -1)
    assert litert.outputs[0].dtype == np.int8 and litert.outputs[0].shape == (1, 1, 10)


def test_the_model_computes_what_the_net_does(small, model):
    folded = weights.fold(small, weights.random_tensors(small, 0), "random")
    exact, litert = float_model.build(small, folded), LiteRtModel(model)
    info = litert.outputs[0]
    for frame in calibration.random_frames(small, 7):
        expected = exact(calibration.to_real(frame[None])).numpy().ravel()
        (answer,) = litert.run(to_model_input(frame, litert.input))
        real = info.scale * (answer.ravel().astype(float) - info.zero_point)
        assert np.abs(real - expected).max() < 0.08 * np.ptp(expected)


def test_pixels_are_converted_to_half_a_step(model):
    litert = LiteRtModel(model)
    pixels = np.arange(225, dtype=np.uint8).reshape(15, 15, 1).repeat(3, axis=2)
    quantised = to_model_input(pixels, litert.input).astype(float)
    assert np.abs(quantised - (pixels.astype(float) - 128)).max() <= 1
    real = litert.input.scale * (quantised - litert.input.zero_point)
    assert np.abs(real - calibration.to_real(pixels)).max() <= litert.input.scale / 2 + 1e-6


def test_only_our_own_lines_are_printed(small, model, capfd):
    again = convert(small, "random", None, model.with_name("again.tflite"))
    out, err = capfd.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert lines[0] == "small: converting to int8, calibrated on 16 images"
    assert lines[1].startswith(f"{again}: ") and len(lines) == 2
    assert again.read_bytes() == model.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("random", None, "x.bin"), "ends with .tflite"),
        ((None, None, "x.tflite"), "small: no trained weights are known.*--checkpoint random"),
        ((Path("none.pth"), None, "x.tflite"), "none.pth: No such file"),
        (("random", Path("none"), "x.tflite"), "none: no such folder"),
    ],
)
def test_what_is_missing_is_said_in_one_line(small, tmp_path, monkeypatch, arguments, expected):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TinyswitchError, match=expected) as caught:
        convert(small, *arguments)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_without_images_the_message_says_how_to_give_some(monkeypatch):
    monkeypatch.delenv("TINYSWITCH_DATA", raising=False)
    with pytest.raises(TinyswitchError, match=r"--calibration DIR .*TINYSWITCH_DATA .*imagenet-sample/"):
        calibration.frames(nets.load("mcunet-320kb-1mb"), None)


def test_calibration_images_are_taken_evenly():
    assert calibration._indices(7) == list(range(7))
    assert calibration._indices(500) == list(range(0, 500, 5))


@settings(max_examples=50)
@given(st.integers(1, 5000))
def test_any_number_of_images_will_do(count):
    chosen = calibration._indices(count)
    assert len(chosen) == len(set(chosen)) == min(count, calibration.COUNT)
    assert chosen[0] == 0 and chosen[-1] < count


def _right(path: Path, frames: list[np.ndarray], labels: list[int]) -> int:
    """How many of the frames the model classifies right (LiteRT's fast kernels)."""
    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    info = TensorInfo(tuple(source["shape"][1:]), np.dtype(np.int8), *source["quantization"])
    right = 0
    for frame, label in zip(frames, labels, strict=True):
        interpreter.set_tensor(source["index"], to_model_input(frame, info)[None])
        interpreter.invoke()
        right += int(interpreter.get_tensor(target["index"]).argmax()) == label
    return right


def test_our_model_is_as_good_as_the_published_one(tmp_path):
    """mcunet-320kb-1mb, top-1: at most 1.5 points below the published .tflite.

    On every second sample image, for the time it takes; docs/nets.md has the figures of all 500.
    """
    root = os.environ.get("TINYSWITCH_DATA")
    if not root:
        pytest.skip("TINYSWITCH_DATA is unset: neither images nor checkpoint are here")
    net = nets.load("mcunet-320kb-1mb")
    ours = convert(net, None, None, tmp_path / "ours.tflite", lambda line: None)
    dataset = find_images(Path(root) / "imagenet-sample")
    entries = dataset.entries[1::2]
    frames = [load_frame(entry.path, net.input) for entry in entries]
    labels = [entry.label for entry in entries]
    published = _right(Path(root) / "mcunet/mcunet-320kb-1mb_imagenet.tflite", frames, labels)
    assert _right(ours, frames, labels) >= published - 0.015 * len(frames)

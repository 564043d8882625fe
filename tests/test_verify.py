"""verify: random inputs, and what it says of a board that is wrong."""

import io

import numpy as np
import pytest
from rich.console import Console

from fake_board import FakeBoard, build_of, write_model
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate.verify import largest_difference, random_frames, verify
from tinyswitch.link import LinkError
from tinyswitch.tensor import TensorInfo


def run(tmp_path, board, model, count=6):
    console = Console(file=io.StringIO())
    return verify(board, build_of(model), count, 7, tmp_path / "cache", console, client=board.client)


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "m.tflite")


def test_a_right_board_is_identical(tmp_path, model):
    report = run(tmp_path, FakeBoard(model), model)
    assert report == {"model": "m", "count": 6, "identical": 6, "max_abs_difference": 0}


def test_one_wrong_value_is_found(tmp_path, model):
    board = FakeBoard(model)

    def corrupt(outputs):
        if len(board.sent) == 5:
            value = outputs[0].ravel()
            value[9] = value[9] - 3 if value[9] > 0 else value[9] + 3
        return outputs

    board.corrupt = corrupt
    report = run(tmp_path, board, model)
    assert (report["identical"], report["max_abs_difference"]) == (5, 3)


def test_no_answer_is_an_error(tmp_path, model):
    board = FakeBoard(model, {number: LinkError("refused", 4) for number in range(2, 9)})
    with pytest.raises(TinyswitchError, match="no answer to input 2: refused"):
        run(tmp_path, board, model)


def test_largest_difference_does_not_wrap():
    low, high = np.full((1, 1, 2), -128, np.int8), np.full((1, 1, 2), 127, np.int8)
    assert largest_difference([low], [high]) == 255
    assert largest_difference([low, low], [low, low]) == 0
    with pytest.raises(TinyswitchError, match="shapes"):
        largest_difference([low], [low, low])


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_frames_begin_with_the_extremes_and_depend_on_the_seed(dtype):
    limits = np.iinfo(dtype)
    info = TensorInfo((9, 5, 3), np.dtype(dtype), 0.1, 7)
    frames = list(random_frames(info, 6, 1))
    assert all(f.shape == (9, 5, 3) and f.dtype == dtype for f in frames)
    assert [np.unique(f).tolist() for f in frames[:3]] == [[limits.min], [limits.max], [7]]
    assert all(len(np.unique(f)) > 20 for f in frames[3:])
    again, other = list(random_frames(info, 6, 1)), list(random_frames(info, 6, 2))
    assert all(np.array_equal(a, b) for a, b in zip(frames, again, strict=True))
    assert not np.array_equal(frames[5], other[5])

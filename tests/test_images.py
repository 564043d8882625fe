"""Folders of images, labels, and what a model sees of an image."""

import numpy as np
import pytest
from PIL import Image

from fake_board import write_images
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate.images import find_images, load_frame, to_model_input
from tinyswitch.tensor import TensorInfo


def save(path, size=(8, 8), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size).save(path)
    return path


def refused(folder, *words):
    with pytest.raises(TinyswitchError) as error:
        find_images(folder)
    text = str(error.value)
    assert "\n" not in text
    for word in words:
        assert word in text, text


def test_labels_csv_gives_labels_and_names_in_its_order(tmp_path):
    folder = write_images(tmp_path / "with a space", 5, classes=3)
    found = find_images(folder)
    assert [entry.label for entry in found.entries] == [0, 1, 2, 0, 1]
    assert found.entries[4].path == folder / "images" / "004.png"
    assert found.class_names == {0: "class 0", 1: "class 1", 2: "class 2"}
    assert len(found.first(2)) == 2 and len(found.first(None)) == 5


def test_classes_csv_names_every_class(tmp_path):
    folder = write_images(tmp_path / "d", 2)
    (folder / "classes.csv").write_text("class_index,name\n0,cat\n1,dog\n2,cow\n")
    found = find_images(folder)
    assert found.class_names == {0: "cat", 1: "dog", 2: "cow"}
    assert found.mismatch(3) is None and "3 classes" in found.mismatch(4)


def test_class_folders_take_turns(tmp_path):
    for name in ("dog/a.png", "dog/b.png", "cat/c.png"):
        save(tmp_path / name)
    found = find_images(tmp_path)
    assert [(entry.name, entry.label) for entry in found.entries] == [
        ("cat/c.png", 0),
        ("dog/a.png", 1),
        ("dog/b.png", 1),
    ]
    assert found.mismatch(2) is None and found.mismatch(3) is not None


def test_numbered_class_folders_are_the_indices(tmp_path):
    for name in ("2", "10"):
        save(tmp_path / name / "a.png")
    assert [entry.label for entry in find_images(tmp_path).entries] == [10, 2]


def test_images_without_labels(tmp_path):
    save(tmp_path / "b.jpg")
    save(tmp_path / "a.PNG")
    found = find_images(tmp_path)
    assert [(entry.name, entry.label) for entry in found.entries] == [("a.PNG", None), ("b.jpg", None)]
    assert "no labels" in found.mismatch(10)


def test_labels_and_files_must_agree(tmp_path):
    folder = write_images(tmp_path / "d", 3)
    labels = folder / "labels.csv"
    lines = labels.read_text().splitlines()
    labels.write_text("\n".join(lines[:-1]))
    refused(folder, str(labels), "002.png")
    labels.write_text("\n".join([*lines, "gone.png,0,x"]))
    refused(folder, str(labels), "line 5", "gone.png")
    labels.write_text("\n".join([*lines, lines[1]]))
    refused(folder, "line 5", "twice")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "file"),
        (b"file,name\n000.png,x\n", "class_index"),
        (b"file,class_index\n000.png\n", "line 2"),
        (b"file,class_index\n000.png,dog\n", "'dog'"),
        (b"file,class_index\n000.png,-1\n", "'-1'"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b'file,class_index\n"000.png,1', "CSV"),
    ],
)
def test_damaged_label_files(tmp_path, content, word):
    folder = write_images(tmp_path / "d", 1)
    (folder / "labels.csv").write_bytes(content)
    refused(folder, str(folder / "labels.csv"), word)


def test_folders_that_are_none(tmp_path):
    refused(tmp_path / "missing", "missing", "no such folder")
    refused(tmp_path, "no images")
    refused(save(tmp_path / "x.png"), "not a folder")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "labels.csv").write_text("file,class_index\n")
    refused(tmp_path / "d", "images/")
    with pytest.raises(TinyswitchError, match="limit 0"):
        find_images(write_images(tmp_path / "e", 1)).first(0)


def test_an_image_of_the_right_size_is_untouched(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (6, 4, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert np.array_equal(load_frame(tmp_path / "a.png", (6, 4, 3)), pixels)


@pytest.mark.parametrize(
    "size", [(341, 256), (256, 384), (177, 177), (100, 60), (176, 500), (1, 1), (3000, 8)]
)
@pytest.mark.parametrize("shape", [(176, 176, 3), (80, 80, 1), (40, 90, 3)])
def test_any_size_becomes_the_model_s(tmp_path, size, shape):
    frame = load_frame(save(tmp_path / "a.png", size), shape)
    assert frame.shape == shape and frame.dtype == np.uint8


def test_a_large_image_is_cropped_at_the_centre_of_256_over_224(tmp_path):
    # 352 wide: scaled to int(176 * 256 / 224) = 201, of which the middle 176 show source columns 22 to 330
    image = Image.new("RGB", (352, 352), "black")
    image.paste("white", (0, 0, 19, 352))
    image.paste("white", (333, 0, 352, 352))
    image.save(tmp_path / "a.png")
    assert load_frame(tmp_path / "a.png", (176, 176, 3)).max() == 0
    image.paste("white", (20, 0, 30, 352))
    image.save(tmp_path / "a.png")
    assert load_frame(tmp_path / "a.png", (176, 176, 3))[:, 1].min() > 200


def test_damaged_images(tmp_path):
    good = save(tmp_path / "good.jpg", (64, 64)).read_bytes()
    for name, content in {"cut": good[: len(good) // 2], "empty": b"", "text": b"hello" * 50}.items():
        path = tmp_path / f"{name}.jpg"
        path.write_bytes(content)
        with pytest.raises(TinyswitchError, match=name):
            load_frame(path, (8, 8, 3))
    with pytest.raises(TinyswitchError, match=r"gone.*No such file"):
        load_frame(tmp_path / "gone.png", (8, 8, 3))
    with pytest.raises(TinyswitchError, match="4 channels"):
        load_frame(tmp_path / "good.jpg", (8, 8, 4))


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1"])
def test_other_kinds_of_pixels(tmp_path, mode):
    path = save(tmp_path / ("a.jpg" if mode == "CMYK" else "a.png"), (8, 8), mode)
    assert load_frame(path, (8, 8, 3)).shape == (8, 8, 3)
    assert load_frame(path, (8, 8, 1)).shape == (8, 8, 1)


@pytest.mark.parametrize(
    ("dtype", "scale", "zero_point", "black", "grey", "white"),
    [
        (np.int8, 1 / 127.5, 0, -128, 0, 127),  # [-1, 1]; every pixel lies between two integers
        (np.int8, 0.007874016, 0, -127, 0, 127),  # [-1, 1] of the published ImageNet model
        (np.int8, 1 / 255, -128, -128, 0, 127),  # [0, 1]
        (np.uint8, 1 / 255, 0, 0, 128, 255),
        (np.int8, 1.0, -128, -128, 0, 127),  # [0, 255]
        (np.int8, 0.02, 3, -128, 0, 127),  # none of these: the pixels' own range
        (np.uint8, 0.02, 3, 0, 128, 255),
    ],
)
def test_quantised_pixels(dtype, scale, zero_point, black, grey, white):
    info = TensorInfo((1, 3, 1), np.dtype(dtype), scale, zero_point)
    pixels = np.array([0, 128, 255], np.uint8).reshape(1, 3, 1)
    result = to_model_input(pixels, info)
    assert result.dtype == dtype
    assert result.ravel().tolist() == [black, grey, white]

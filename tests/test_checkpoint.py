"""Checkpoints: what PyTorch writes is read without it, and nothing in a file can do harm."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinyswitch import nets
from tinyswitch.errors import TinyswitchError
from tinyswitch.nets import torchfile, weights
from tinyswitch.nets.net import Layer, Net

PUBLISHED = "mcunet/mcunet-320kb-1mb_imagenet.pth"


def _tensors() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {
        "a.weight": rng.normal(size=(2, 3, 5, 5)).astype(np.float32),
        "b.bias": rng.normal(size=4).astype(np.float32),
    }


def _zip() -> bytes:
    file = io.BytesIO()
    torchfile.write(_tensors(), file)
    return file.getvalue()


# A checkpoint refers to globals by name; these stand in for PyTorch's while pickling.
class _Global:
    def __init__(self, module: str, name: str):
        self.module, self.name = module, name


class _Call:
    def __init__(self, function: _Global, arguments: tuple):
        self.function, self.arguments = function, arguments


class _Stored:
    def __init__(self, key: str, count: int, storage: str):
        self.id = ("storage", _Global("torch", storage), key, "cpu", count, None)


class _Pickler(pickle._Pickler):
    """Python's own pickler, so that a file's pickle is not made by the code that reads it."""

    def persistent_id(self, value):
        return value.id if isinstance(value, _Stored) else None

    def save(self, value, *rest, **more):
        if isinstance(value, _Global):
            self.write(pickle.GLOBAL + f"{value.module}\n{value.name}\n".encode())
        elif isinstance(value, _Call):
            self.save(value.function)
            self.save(value.arguments)
            self.write(pickle.REDUCE)
        else:
            super().save(value, *rest, **more)


def _pickled(value) -> bytes:
    file = io.BytesIO()
    _Pickler(file, protocol=2).dump(value)
    return file.getvalue()


def _tensor(key: str, array: np.ndarray, **changed):
    values = {"offset": 0, "size": array.shape, "count": array.size, "storage": "FloatStorage"} | changed
    strides = tuple(step // array.itemsize for step in array.strides)
    stored = _Stored(key, values["count"], values["storage"])
    ordered = _Call(_Global("collections", "OrderedDict"), ())
    arguments = (stored, values["offset"], values["size"], values.get("stride", strides), False, ordered)
    return _Call(_Global("torch._utils", "_rebuild_tensor_v2"), arguments)


def _stream(tensors=None, description=None) -> bytes:
    """A checkpoint of torch.save before version 1.6, as the published ones are."""
    tensors = _tensors() if tensors is None else tensors
    state = {name: _tensor(name, array) for name, array in tensors.items()}
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4}}
    header = [torchfile.STREAM_MAGIC, 1001, system, description or {"state_dict": state}, list(tensors)]
    storages = [struct.pack("<q", array.size) + array.tobytes() for array in tensors.values()]
    return b"".join([_pickled(part) for part in header] + storages)


def _read(folder: Path, content: bytes) -> dict[str, np.ndarray]:
    file = folder / "net.pth"
    file.write_bytes(content)
    return torchfile.read(file)


@pytest.mark.parametrize("content", [_zip(), _stream()], ids=["zip", "stream"])
def test_both_containers(tmp_path, content):
    read = _read(tmp_path, content)
    assert list(read) == list(_tensors())
    for name, array in _tensors().items():
        assert read[name].dtype == np.float32
        np.testing.assert_array_equal(read[name], array)


def test_the_published_checkpoint():
    root = os.environ.get("TINYSWITCH_DATA")
    if not root:
        pytest.skip("TINYSWITCH_DATA is unset: the published checkpoint is not here")
    path = Path(root) / PUBLISHED
    tensors = torchfile.read(path)
    assert len(tensors) == 326
    raw = path.read_bytes()
    for name in ("first_conv.conv.weight", "classifier.linear.bias"):
        assert tensors[name].tobytes() in raw
    net = nets.load("mcunet-320kb-1mb")
    trainable = sum(array.size for name, array in tensors.items() if name.endswith(("weight", "bias")))
    assert trainable == net.parameters
    folded = weights.fold(net, tensors, path)
    assert set(folded) == {layer.name for layer in net.layers if layer.weights}


def test_views_into_a_storage(tmp_path):
    array = np.arange(12, dtype=np.float32)
    view = _tensor("s", array, offset=1, size=(2, 3), stride=(1, 4))
    state = {"state_dict": {"view": view, "all": _tensor("s", array)}}
    read = _read(tmp_path, _stream({"s": array}, state))
    np.testing.assert_array_equal(read["view"], [[1, 5, 9], [2, 6, 10]])
    np.testing.assert_array_equal(read["all"], array)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"size": (13,)}, "beyond its storage"),
        ({"offset": 1}, "beyond its storage"),
        ({"offset": -1}, "impossible shape"),
        ({"size": (2**29,), "stride": (0,)}, "beyond its storage"),
        ({"size": (2, 3)}, "2 sizes and 1 strides"),
        ({"count": 11, "size": (11,)}, "12 elements, its tensors say 11"),
        ({"count": 2**30, "size": (2**29,)}, "cut off"),
        ({"storage": "QInt8Storage"}, "torch.QInt8Storage"),
    ],
)
def test_tensors_that_are_not_in_the_file(tmp_path, changed, expected):
    array = np.arange(12, dtype=np.float32)
    state = {"state_dict": {"x": _tensor("s", array, **changed)}}
    with pytest.raises(TinyswitchError, match=expected):
        _read(tmp_path, _stream({"s": array}, state))


@pytest.mark.parametrize("kind", ["zip", "stream"])
def test_nothing_is_executed(tmp_path, kind):
    witness = tmp_path / "executed"
    call = _Call(_Global("os", "system"), (f"touch {witness}",))
    if kind == "stream":
        content = _stream(description={"state_dict": {"x": call}})
    else:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("archive/data.pkl", _pickled({"state_dict": {"x": call}}))
        content = file.getvalue()
    with pytest.raises(TinyswitchError, match=r"os\.system"):
        _read(tmp_path, content)
    assert not witness.exists()


def _compressed(name: str, size: int) -> bytes:
    file = io.BytesIO(_zip())
    with zipfile.ZipFile(file) as archive:
        entries = {entry: archive.read(entry) for entry in archive.namelist()}
    entries[name] = bytes(size)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, content in entries.items():
            archive.writestr(entry, content)
    return file.getvalue()


@pytest.mark.parametrize("name", ["archive/data.pkl", "archive/data/0"])
def test_zip_bombs_are_not_unpacked(tmp_path, name):
    with pytest.raises(TinyswitchError, match="compressed"):
        _read(tmp_path, _compressed(name, 50_000_000))


@pytest.mark.parametrize(
    ("pickled", "expected"),
    [
        (b"\x80\x02r\xff\xff\xff\x7f.", "takes what is not there"),
        (b"\x80\x02]" + b"2" * 20 + b".", "operation DUP"),
        (b"\x80\x02})Ns.", "a key that is a tuple"),
        (b"\x80\x02K\x01.", "no named tensors"),
        (b"\x80\x02}", "exhausted|does not end"),
        (b"\x80\x02c__builtin__\neval\n.", "__builtin__.eval"),
    ],
)
def test_odd_pickles(tmp_path, pickled, expected):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
    with pytest.raises(TinyswitchError, match=expected):
        _read(tmp_path, file.getvalue())


def test_files_that_are_no_checkpoints(tmp_path):
    with pytest.raises(TinyswitchError, match="No such file"):
        torchfile.read(tmp_path / "none.pth")
    with pytest.raises(TinyswitchError, match="directory"):
        torchfile.read(tmp_path)
    with pytest.raises(TinyswitchError, match=r"net\.pth: not a checkpoint"):
        _read(tmp_path, b"")


@pytest.mark.parametrize("content", [_zip(), _stream()], ids=["zip", "stream"])
def test_every_truncation_is_noticed(tmp_path, content):
    for length in range(0, len(content) - 1, 7):
        with pytest.raises(TinyswitchError):
            _read(tmp_path, content[:length])


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([_zip(), _stream()]),
    st.lists(st.tuples(st.integers(0, 10**6), st.binary(min_size=1, max_size=8)), min_size=1, max_size=4),
    st.integers(0, 30),
)
def test_mutations_give_tensors_or_one_line(tmp_path, content, changes, removed):
    damaged = bytearray(content)
    for position, replacement in changes:
        position %= len(damaged)
        damaged[position : position + removed] = replacement
    try:
        tensors = _read(tmp_path, bytes(damaged))
        weights.fold(_net(), tensors, tmp_path / "net.pth")
    except TinyswitchError as error:
        assert str(error).startswith(f"{tmp_path / 'net.pth'}: ") and "\n" not in str(error)


def _net() -> Net:
    first = Layer("first_conv", "conv", (4, 4, 2), (4, 4, 3), 3, 1, True, True)
    depth = Layer("blocks.0.depth_conv", "depthwise", (4, 4, 3), (4, 4, 3), 3, 1, True, True)
    pool = Layer("pool", "pool", (4, 4, 3), (1, 1, 3))
    return Net("n", 4, 2, 1e-3, (first, depth, pool, Layer("classifier", "dense", (1, 1, 3), (1, 1, 2))))


def test_folding_equals_convolution_then_batch_norm():
    net, rng = _net(), np.random.default_rng(2)
    tensors = {
        name: rng.uniform(0.5, 2, array.shape) for name, array in weights.random_tensors(net, 0).items()
    }
    folded = weights.fold(net, tensors, "test")
    window = rng.normal(size=(2, 3, 3))  # channels first, as in PyTorch
    for name, prefix in (
        ("first_conv", "first_conv"),
        ("blocks.0.depth_conv", "blocks.0.mobile_inverted_conv.depth_conv"),
    ):
        kernel, own = tensors[f"{prefix}.conv.weight"], folded[name]
        gamma, beta, mean, variance = (
            tensors[f"{prefix}.bn.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
        )
        if name == "first_conv":
            value = np.einsum("oihw,ihw->o", kernel, window)
            ours = np.einsum("hwio,ihw->o", own.kernel, window)
        else:
            value = np.einsum("ohw,hw->o", kernel[:, 0], window[0])
            ours = np.einsum("hwo,hw->o", own.kernel[..., 0], window[0])
        expected = gamma * (value - mean) / np.sqrt(variance + net.bn_eps) + beta
        np.testing.assert_allclose(ours + own.bias, expected, rtol=1e-5)
    np.testing.assert_allclose(folded["classifier"].kernel, tensors["classifier.linear.weight"].T, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda t: t.pop("first_conv.bn.bias"), "'first_conv.bn.bias' of net n is missing"),
        (lambda t: t.update({"extra": t["first_conv.bn.bias"]}), "'extra' does not belong to net n"),
        (lambda t: t.update({"first_conv.bn.bias": np.zeros(4)}), r"shape \(4,\), net n needs \(3,\)"),
        (lambda t: t.update({"first_conv.bn.bias": np.full(3, np.nan)}), "not finite"),
        (lambda t: t.update({"first_conv.bn.running_var": np.full(3, -1.0)}), "negative"),
        (lambda t: t.update({"first_conv.bn.weight": np.full(3, 1e300)}), "exceed float32"),
    ],
)
def test_weights_of_another_net_are_refused(change, expected):
    tensors = weights.random_tensors(_net(), 0)
    change(tensors)
    with pytest.raises(TinyswitchError, match=f"net.pth: .*{expected}"):
        weights.fold(_net(), tensors, "net.pth")


def test_random_weights_are_seeded():
    one, same, other = (weights.random_tensors(_net(), seed) for seed in (3, 3, 4))
    name = "first_conv.conv.weight"
    assert (one[name] == same[name]).all() and (one[name] != other[name]).any()

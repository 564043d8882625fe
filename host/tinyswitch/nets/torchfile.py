"""PyTorch checkpoint files, read and written without PyTorch.

Two containers hold the same things - a pickle that describes tensors, and the raw storages they lie in:
the *zip* of ``torch.save`` since 1.6 (``NAME/data.pkl``, ``NAME/data/KEY``) and the *stream* before that
(magic, version, system, object and storage keys as five pickles, then the storages; the published MCUNet
checkpoints are such streams). Source: pytorch/torch/serialization.py.

A pickle is a program. Here it is run by ``_Machine``, which knows only the operations that build dicts,
lists, tuples and numbers, and compares the names of globals with a short list instead of importing them:
nothing from the file is ever executed.
"""

from __future__ import annotations

import io
import math
import pickletools
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tinyswitch.errors import TinyswitchError

MAX_BYTES = 2**30  # of a file
MAX_PICKLE = 2**22  # the published ones have 65 kB
STREAM_MAGIC = 0x1950A86A20F9469CFC6C
STREAM_VERSION = 1001
DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "|b1",
}

# What damage, found by the parsers of the standard library or by _Machine, looks like.
DAMAGE = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    AssertionError,
    EOFError,
    struct.error,
    zipfile.BadZipFile,
)


def read(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a checkpoint, by name: the file's ``state_dict`` entry, or the file's object itself.

    Arrays keep the shape and dtype of the file (float64/32/16, int64/32/16/8, uint8 or bool). Raises
    TinyswitchError, one line, for a file that cannot be read, is damaged or holds anything but tensors.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            if size > MAX_BYTES:
                raise TinyswitchError(f"{path}: {size} bytes; checkpoints of up to {MAX_BYTES} are read")
            if zipfile.is_zipfile(file):
                return _read_zip(file, size)
            file.seek(0)
            return _read_stream(file, size)
    except OSError as error:
        raise TinyswitchError(f"{path}: {error.strerror or error}") from None
    except DAMAGE as error:
        reason = (str(error).splitlines() or [""])[0][:120] or type(error).__name__
        raise TinyswitchError(f"{path}: not a checkpoint that can be read, or damaged: {reason}") from None


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: np.dtype
    count: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass(frozen=True)
class _Global:
    name: str  # "module name"


_REBUILD = _Global("torch._utils _rebuild_tensor_v2")
_PARAMETER = _Global("torch._utils _rebuild_parameter")
_ORDERED_DICT = _Global("collections OrderedDict")
_GLOBALS = {g.name: g for g in (_REBUILD, _PARAMETER, _ORDERED_DICT)} | {
    f"torch {storage}": _Global(f"torch {storage}") for storage in DTYPES
}


class _Dict(dict):
    """A dict whose keys are text or numbers; attributes that a pickle gives it are dropped."""


class _Machine:
    """Runs one pickle. ``run`` returns its object; raises one of DAMAGE for anything unexpected."""

    _PUSH = frozenset({"BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE", "SHORT_BINUNICODE", "BINFLOAT"})
    _CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}  # noqa: RUF012
    _TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}  # noqa: RUF012
    _IGNORED = frozenset({"PROTO", "FRAME"})

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self, file: BinaryIO) -> Any:
        for opcode, argument, _ in pickletools.genops(file):
            if opcode.name == "STOP":
                return self._pop()
            self._step(opcode.name, argument)
        raise ValueError("its pickle does not end")

    def _step(self, name: str, argument: Any) -> None:
        if name in self._PUSH:
            self._stack.append(argument)
        elif name in self._CONSTANTS:
            self._stack.append(self._CONSTANTS[name])
        elif name in self._TUPLES:
            self._stack.append(tuple(self._take(self._TUPLES[name])))
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = self._top()
        elif name in ("BINGET", "LONG_BINGET"):
            self._stack.append(self._memo[argument])
        elif name not in self._IGNORED:
            action = self._ACTIONS.get(name)
            if action is None:
                raise ValueError(f"operation {name} does not belong into a checkpoint")
            action(self, argument)

    def _top(self) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise ValueError("its pickle takes what is not there")
        return self._stack[-1]

    def _pop(self) -> Any:
        top = self._top()
        del self._stack[-1]
        return top

    def _take(self, count: int) -> list[Any]:
        return [self._pop() for _ in range(count)][::-1]

    def _to_mark(self) -> list[Any]:
        mark = self._marks.pop()
        items = self._stack[mark:]
        del self._stack[mark:]
        return items

    def _global(self, name: str) -> None:
        if name not in _GLOBALS:
            raise ValueError(f"it refers to {name.replace(' ', '.')!r}, which a checkpoint does not need")
        self._stack.append(_GLOBALS[name])

    def _stack_global(self) -> None:
        module, name = self._take(2)
        self._global(f"{module} {name}")

    def _set_items(self, items: list[Any]) -> None:
        target = self._top()
        if not isinstance(target, _Dict) or len(items) % 2:
            raise ValueError("its pickle sets an item of what is not a dict")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str | int):
                raise ValueError(f"a dict has a key that is a {type(key).__name__}")
            target[key] = value

    def _append(self, items: list[Any]) -> None:
        target = self._top()
        if not isinstance(target, list):
            raise ValueError("its pickle appends to what is not a list")
        target.extend(items)

    def _build(self) -> None:
        self._pop()  # attributes: a state_dict has its _metadata, which is of no use here
        if not isinstance(self._top(), _Dict):
            raise ValueError("its pickle sets attributes of what is not a dict")

    def _persistent(self) -> None:
        kind, storage, key, _device, count = self._pop()[:5]
        if kind != "storage" or not isinstance(storage, _Global) or not isinstance(key, str):
            raise ValueError("it refers to what is not a storage")
        dtype = np.dtype(DTYPES[storage.name.removeprefix("torch ")])
        if not _is_count(count):
            raise ValueError(f"storage {key!r} has {count} elements")
        self._stack.append(_Storage(key, dtype, count))

    def _reduce(self) -> None:
        function, arguments = self._take(2)
        if not isinstance(function, _Global) or not isinstance(arguments, tuple):
            raise ValueError("it calls what is not a function")
        if function == _ORDERED_DICT and not arguments:
            self._stack.append(_Dict())
        elif function == _REBUILD:
            self._stack.append(_tensor(*arguments[:4]))
        elif function == _PARAMETER and isinstance(arguments[0], _Tensor):
            self._stack.append(arguments[0])
        else:
            raise ValueError(f"it calls {function.name.replace(' ', '.')} in an unknown way")

    _ACTIONS: dict[str, Callable[[_Machine, Any], Any]] = {  # noqa: RUF012
        "MARK": lambda self, _: self._marks.append(len(self._stack)),
        "EMPTY_DICT": lambda self, _: self._stack.append(_Dict()),
        "EMPTY_LIST": lambda self, _: self._stack.append([]),
        "TUPLE": lambda self, _: self._stack.append(tuple(self._to_mark())),
        "MEMOIZE": lambda self, _: self._memo.update({len(self._memo): self._top()}),
        "GLOBAL": lambda self, argument: self._global(argument),
        "STACK_GLOBAL": lambda self, _: self._stack_global(),
        "BINPERSID": lambda self, _: self._persistent(),
        "REDUCE": lambda self, _: self._reduce(),
        "BUILD": lambda self, _: self._build(),
        "SETITEM": lambda self, _: self._set_items(self._take(2)),
        "SETITEMS": lambda self, _: self._set_items(self._to_mark()),
        "APPEND": lambda self, _: self._append(self._take(1)),
        "APPENDS": lambda self, _: self._append(self._to_mark()),
    }


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_BYTES


def _tensor(storage: Any, offset: Any, size: Any, stride: Any) -> _Tensor:
    counts = (offset, *size, *stride)
    if not isinstance(storage, _Storage) or not all(_is_count(count) for count in counts):
        raise ValueError("a tensor has an impossible shape")
    if len(size) != len(stride) or len(size) > 8:
        raise ValueError(f"a tensor has {len(size)} sizes and {len(stride)} strides")
    last = offset + sum((s - 1) * step for s, step in zip(size, stride, strict=True))
    values = math.prod(size)
    if values and (last >= storage.count or values > storage.count):
        raise ValueError(f"a tensor reaches beyond its storage {storage.key!r}")
    return _Tensor(storage, offset, tuple(size), tuple(stride))


def _read_zip(file: BinaryIO, size: int) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(file) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ValueError(f"a zip with {len(pickles)} entries data.pkl; a checkpoint has one")
        root = pickles[0].removesuffix("data.pkl")
        byte_order = f"{root}byteorder"
        if byte_order in archive.namelist() and _entry(archive, byte_order, 16) != b"little":
            raise ValueError("its numbers are not little-endian")
        tensors = _tensors(_Machine().run(io.BytesIO(_entry(archive, pickles[0], MAX_PICKLE))))
        storages = {t.storage.key: t.storage for t in tensors.values()}
        _check_total(storages.values(), size)
        raw = {
            key: _entry(archive, f"{root}data/{key}", storage.count * storage.dtype.itemsize)
            for key, storage in storages.items()
        }
    return _views(tensors, raw)


def _entry(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """A stored entry. PyTorch compresses nothing, so nothing can be larger than the file."""
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED or info.file_size > limit:
        raise ValueError(f"entry {name!r} is compressed or has {info.file_size} bytes; {limit} expected")
    return archive.read(info)


def _read_stream(file: BinaryIO, size: int) -> dict[str, np.ndarray]:
    if _first_pickle(file) != STREAM_MAGIC:
        raise ValueError("neither a zip nor a stream of torch.save")
    version = _first_pickle(file)
    if version != STREAM_VERSION:
        raise ValueError(f"version {version!r} of the stream; {STREAM_VERSION} is known")
    system = _first_pickle(file)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ValueError("its numbers are not little-endian")
    tensors = _tensors(_first_pickle(file))
    keys = _first_pickle(file)
    storages = {t.storage.key: t.storage for t in tensors.values()}
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ValueError("no list of storages")
    if len(set(keys)) != len(keys) or set(keys) != set(storages):
        raise ValueError("its list of storages is not that of its tensors")
    _check_total(storages.values(), size)
    return _views(tensors, dict(_stream_storages(file, keys, storages)))


def _first_pickle(file: BinaryIO) -> Any:
    """The object of the pickle that ``file`` stands at; leaves it just behind."""
    start = file.tell()
    buffer = io.BytesIO(file.read(MAX_PICKLE))
    result = _Machine().run(buffer)
    file.seek(start + buffer.tell())
    return result


def _stream_storages(
    file: BinaryIO, keys: list[str], storages: dict[str, _Storage]
) -> Iterator[tuple[str, bytes]]:
    for key in keys:
        storage = storages[key]
        (count,) = struct.unpack("<q", file.read(8))
        if count != storage.count:
            raise ValueError(f"storage {key!r} has {count} elements, its tensors say {storage.count}")
        yield key, file.read(count * storage.dtype.itemsize)


def _tensors(content: Any) -> dict[str, _Tensor]:
    """Name → tensor; the storages of one key must agree."""
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not state:
        raise ValueError("it holds no named tensors")
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, _Tensor):
            raise ValueError(f"{str(name)[:40]!r} is not a tensor; the weights are expected in 'state_dict'")
    storages: dict[str, _Storage] = {}
    for tensor in state.values():
        if storages.setdefault(tensor.storage.key, tensor.storage) != tensor.storage:
            raise ValueError(f"two kinds of storage {tensor.storage.key!r}")
    return dict(state)


def _check_total(storages: Any, size: int) -> None:
    total = sum(storage.count * storage.dtype.itemsize for storage in storages)
    if total > size:
        raise ValueError(f"it describes {total} bytes of tensors, the file has {size}: cut off")


def _views(tensors: dict[str, _Tensor], raw: dict[str, bytes]) -> dict[str, np.ndarray]:
    arrays = {}
    for name, tensor in tensors.items():
        storage = tensor.storage
        if len(raw[storage.key]) != storage.count * storage.dtype.itemsize:
            raise ValueError(f"storage {storage.key!r} is cut off")
        values = np.frombuffer(raw[storage.key], storage.dtype)
        strides = tuple(step * storage.dtype.itemsize for step in tensor.stride)
        view = np.lib.stride_tricks.as_strided(values[tensor.offset :], tensor.size, strides, writeable=False)
        arrays[name] = view.copy()
    return arrays


def write(tensors: dict[str, np.ndarray], file: BinaryIO) -> None:
    """Writes float32 tensors as a zip that ``torch.load(..., weights_only=True)`` and ``read`` understand.

    The bytes depend on the tensors alone: entries carry no time.
    """
    pickle = [b"\x80\x02}", _text("state_dict"), b"ccollections\nOrderedDict\n)R("]
    pickle += [_text(name) + _rebuild(str(i), a) for i, (name, a) in enumerate(tensors.items())]
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo("archive/data.pkl"), b"".join([*pickle, b"us."]))
        archive.writestr(zipfile.ZipInfo("archive/byteorder"), b"little")
        for index, array in enumerate(tensors.values()):
            content = np.ascontiguousarray(array, "<f4").tobytes()
            archive.writestr(zipfile.ZipInfo(f"archive/data/{index}"), content)
        archive.writestr(zipfile.ZipInfo("archive/version"), b"3\n")


def _text(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text.encode())) + text.encode()


def _numbers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(b"J" + struct.pack("<i", value) for value in values) + b"t"


def _rebuild(key: str, array: np.ndarray) -> bytes:
    """Pickle operations for _rebuild_tensor_v2(storage, 0, size, stride, False, OrderedDict())."""
    storage = b"(" + _text("storage") + b"ctorch\nFloatStorage\n" + _text(key) + _text("cpu")
    storage += b"J" + struct.pack("<i", array.size) + b"tQ"
    strides = tuple(math.prod(array.shape[axis + 1 :]) for axis in range(array.ndim))
    arguments = storage + b"K\x00" + _numbers(array.shape) + _numbers(strides)
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"\x89ccollections\nOrderedDict\n)RtR"

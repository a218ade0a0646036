"""Checkpoints of others (torch's files of any age, safetensors): plain values and arrays, and nothing is run.

torch is not needed to read them. Arrays are views of the file on the disk; bfloat16, which NumPy does not have, is
raised to float32.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import as_strided

from rerankit.arrays import AnyArray
from rerankit.errors import FormatError
from rerankit.files import check_regular, unchanged
from rerankit.reading.archive import Archive
from rerankit.reading.builders import ELEMENTS
from rerankit.reading.machine import Machine
from rerankit.reading.pickles import faults_of, mapped_bytes
from rerankit.reading.plain import ContentError, Name, Storage, Tensor
from rerankit.reading.resolved import resolved
from rerankit.reading.safetensors_file import read_tensors
from rerankit.reading.states import plain_names

_MAGIC = 0x1950A86A20F9469CFC6C  # the first value in files of torch before 1.6
WIDTHS = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "int64": 8, "int32": 4, "int16": 2, "int8": 1}
WIDTHS |= {"uint8": 1, "bool": 1}
WHAT = "a checkpoint of tensors and plain values"


def read_checkpoint(path: str | os.PathLike[str], *, records: Collection[str] = ()) -> Any:
    """The content of a checkpoint: numbers, texts, lists, dictionaries, and arrays in the place of tensors.

    `records` are names of classes whose objects become a `Record` of their attributes, such as "argparse.Namespace".
    What names anything else is refused with that name; nothing in the file is called, whatever it is.
    """
    return unchanged(Path(path), lambda: _content(Path(path), records))


def _content(path: Path, records: Collection[str]) -> Any:
    file = check_regular(path, "checkpoint")
    if file.suffix == ".safetensors":
        return read_tensors(file)
    with file.open("rb") as opened:
        zipped = opened.read(4) == b"PK\x03\x04"
    if zipped:
        return _Zipped(file).read(records)
    return _read_old(file, records)


def read_state(path: str | os.PathLike[str], *, under: Sequence[str] = ("state_dict", "model")) -> dict[str, AnyArray]:
    """The named arrays of a checkpoint: at its top, or under the first of the keys `under` that it has.

    Names lose the prefix "module.", which they get where a model was trained on several devices.
    """
    content = read_checkpoint(path)
    if isinstance(content, Mapping) and not any(isinstance(value, np.ndarray) for value in content.values()):
        content = next((content[key] for key in under if key in content), content)
    return plain_names(content, path)


class _Zipped:
    """A file of torch since 1.6: a zip with a pickle and a member for every storage."""

    def __init__(self, path: Path) -> None:
        self.path, self.archive = path, Archive(path)
        found = [name for name in self.archive.names if name.endswith("/data.pkl") or name == "data.pkl"]
        if len(found) != 1:
            raise FormatError(
                f"{path}: not {WHAT}: the zip file has no data.pkl of torch (got {self.archive.names[:3]})"
            )
        self.folder = found[0].removesuffix("data.pkl")
        order = f"{self.folder}byteorder"
        self.big = order in self.archive.members and self.archive.read(order) == b"big"
        self.maps: dict[str, AnyArray] = {}

    def read(self, records: Collection[str]) -> Any:
        """The content."""
        data = memoryview(self.archive.read(f"{self.folder}data.pkl"))
        views = Views(self.path, ">" if self.big else "<")
        with faults_of(self.path, WHAT):
            value = Machine(data, records, storage_of).run()
            return resolved(value, lambda tensor: views.of(tensor, self._bytes(tensor.storage.key)))

    def _bytes(self, key: str) -> AnyArray:
        """The bytes of a storage: mapped where they lie in the file as they are."""
        name = f"{self.folder}data/{key}"
        if name not in self.archive.members:
            raise ContentError(f"it has no storage '{key}'")
        if key not in self.maps:
            span = self.archive.span(name)
            if span is None or span.size == 0:
                self.maps[key] = np.frombuffer(self.archive.read(name), np.uint8)
            else:
                self.maps[key] = np.memmap(self.path, np.uint8, mode="r", offset=span.start, shape=(span.size,))
        return self.maps[key]


def _read_old(path: Path, records: Collection[str]) -> Any:
    """A file of torch before 1.6: pickles one after the other, then the storages, each behind its length."""
    data = mapped_bytes(path)
    with faults_of(path, WHAT):
        first = Machine(data)
        if first.run() != _MAGIC:
            raise ContentError("it does not begin as a file of torch does")
        at = first.at
        for _ in range(2):  # the version, and the machine that it was written on
            each = Machine(data, start=at)
            each.run()
            at = each.at
        stored: dict[str, Storage] = {}
        content = Machine(data, records, lambda name: stored.setdefault((one := storage_of(name)).key, one), at)
        value = content.run()
        keys = Machine(data, start=content.at)
        places = _places(keys.run(), keys.at, stored)
        views, numbers = Views(path, "<"), np.memmap(path, np.uint8, mode="r")
        return resolved(value, lambda tensor: views.of(tensor, numbers[places[tensor.storage.key]]))


def _places(keys: Any, at: int, stored: Mapping[str, Storage]) -> dict[str, slice]:
    """Where the storages lie that follow the pickles of an old file."""
    places = {}
    for key in keys if isinstance(keys, list) else []:
        if key not in stored:
            raise ContentError(f"it has numbers for storage '{key}', which it does not use")
        at += 8
        places[key] = slice(at, at + stored[key].count * WIDTHS[stored[key].kind])
        at = places[key].stop
    missing = next((key for key in stored if key not in places), None)
    if missing is not None:
        raise ContentError(f"it has no storage '{missing}'")
    return places


def storage_of(name: Any) -> Storage:
    """What torch writes in the place of the numbers of a tensor."""
    if not isinstance(name, tuple) or len(name) not in (5, 6) or name[0] != "storage" or (name[5:] or (None,))[0]:
        raise ContentError("it refers to something other than the numbers of a tensor")
    kind, key, count = name[1], name[2], name[4]
    element = ELEMENTS.get(kind.name.removeprefix("_")) if isinstance(kind, Name) else None
    if element is None:
        raise ContentError(f"its tensors must hold plain numbers (got {getattr(kind, 'full', type(kind).__name__)})")
    if not isinstance(key, str) or type(count) is not int or count < 0:
        raise ContentError("it refers to numbers without a key or a size")
    return Storage(key, element, count)


class Views:
    """Tensors as arrays of the bytes of a file."""

    def __init__(self, path: Path, order: Literal["<", ">"]) -> None:
        self.order = order
        self.raised, self.most = 0, 1_000_000 + 8 * path.stat().st_size

    def of(self, tensor: Tensor, data: AnyArray) -> AnyArray:
        """A read-only view (bfloat16: a float32 copy), which must lie within the numbers there are."""
        width = WIDTHS[tensor.kind]
        shape, strides, offset = tensor.shape, tensor.strides, tensor.offset
        numbers = (offset, *shape, *strides)
        if len(shape) != len(strides) or len(shape) > 32 or not all(type(n) is int and n >= 0 for n in numbers):
            raise ContentError(f"a tensor must have a shape and strides of whole numbers (got {shape!s:.80})")
        cells, room = math.prod(shape), len(data) // width - offset
        last = sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
        if cells and (cells > room or last >= room):
            raise ContentError(f"a tensor of shape {shape} claims more numbers than it has ({max(room, 0)})")
        kind = "u2" if tensor.kind == "bfloat16" else np.dtype(tensor.kind).str[1:]
        dtype = np.dtype(kind).newbyteorder(self.order)
        if not cells:
            return np.empty(shape, np.float32 if tensor.kind == "bfloat16" else dtype)
        flat = data[offset * width : (offset + last + 1) * width].view(dtype)
        array = as_strided(flat, shape, [width * stride for stride in strides], subok=True, writeable=False)
        return self._raised(array) if tensor.kind == "bfloat16" else array

    def _raised(self, array: AnyArray) -> AnyArray:
        """bfloat16 is the upper half of a float32; a file that has one storage raised again and again is refused."""
        self.raised += 4 * array.size
        if self.raised > self.most:
            raise ContentError("its bfloat16 tensors claim more numbers than it has")
        return (array.astype(np.uint32) << 16).view(np.float32)

"""Safetensors, npy and gzip: what fills a file, what it claims, and what it unpacks to."""

from __future__ import annotations

import gzip
import json
import struct
import time
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rerankit
from rerankit import limits
from rerankit.errors import FormatError
from rerankit.formats.safetensors import write_tensors
from rerankit.measure import measure
from rerankit.reading.safetensors_file import read_tensors


def safetensors(path: Path, header: Any, data: bytes) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def entry(begin: int, end: int, shape: list[int] | None = None, dtype: str = "U8") -> dict[str, Any]:
    return {"dtype": dtype, "shape": [end - begin] if shape is None else shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("header", "rule"),
    [
        ({"a": entry(0, 4), "b": entry(2, 6)}, "'b' lies over another array"),
        ({"a": entry(0, 6), "b": entry(0, 6)}, "'b' lies over another array"),
        ({"a": entry(0, 2), "b": entry(3, 6)}, "'b' has bytes before it that belong to no array"),
        ({"a": entry(1, 6)}, "'a' has bytes before it that belong to no array"),
        ({"a": entry(0, 5)}, "has 1 bytes behind its last array"),
        ({"a": entry(0, 9)}, "'a' is truncated"),
        (b'{"a": {"dtype": "U8", "shape": [6], "data_offsets": [0, 6]}, "a": {}}', r"once in an object .*\['a'\]"),
        ({"a": entry(0, 6, [10**12, 0])}, "'a' is damaged"),
        ({"a": {"dtype": "U8", "shape": [-2, -3], "data_offsets": [0, 6]}}, "damaged header entry"),
        ({"a": {"dtype": "U8", "shape": [2.0, 3], "data_offsets": [0, 6]}}, "damaged header entry"),
        ({"a": {"dtype": "U8", "shape": [True, 6], "data_offsets": [0, 6]}}, "damaged header entry"),
        ({"a": {"dtype": "U8", "shape": [6], "data_offsets": [0, 6, 9]}}, "damaged header entry"),
        ({"a": {"dtype": ["U8"], "shape": [6], "data_offsets": [0, 6]}}, "damaged header entry"),
        ({"a": None}, "damaged header entry"),
        ({"a": entry(0, 6), "__metadata__": []}, "'__metadata__' must hold texts"),
        ({"a": entry(0, 6), "__metadata__": {"rerankit": "3"}}, "must hold texts as JSON"),
        ({"a": entry(0, 6), "__metadata__": {"rerankit": '["b"]'}}, "must have each text once"),
        ({"a": entry(0, 6), "__metadata__": {"rerankit": '["a"]', "a": '"x"'}}, "must have each text once"),
        ({"a": entry(0, 6), "__metadata__": {"rerankit": '["b"]', "b": "{"}}, "truncated or not JSON"),
        ({"a": entry(0, 6), "__metadata__": {"rerankit.crc32": "{}"}}, "its header is damaged: it is not what its"),
        ({"a": entry(0, 6), "__metadata__": {"rerankit.header": "0"}}, "its header is damaged: it is not what its ch"),
        (b"[" * 100_000 + b"]" * 100_000, "lists and objects in each other"),
        (b"\xff\xfe", "must be UTF-8 text"),
    ],
)  # fmt: skip
def test_a_header_must_say_of_each_byte_whose_it_is(tmp_path: Path, header: Any, rule: str) -> None:
    with pytest.raises(FormatError, match=rule):
        rerankit.read(safetensors(tmp_path / "a.safetensors", header, b"123456"))


def test_every_changed_byte_of_ours_is_noticed(tmp_path: Path) -> None:
    arrays = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b": np.arange(4, dtype=np.int16),
        "c": np.empty((0, 2)),
    }
    path = tmp_path / "a.safetensors"
    write_tensors(path, arrays, {"note": "x"})
    found = read_tensors(path)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
    data = path.read_bytes()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    for at in range(start, len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(FormatError, match="is damaged: it is not what its checksum says"):
            read_tensors(path)


def test_headers_over_the_limit_are_refused(tmp_path: Path) -> None:
    path = safetensors(tmp_path / "a.safetensors", {"a": entry(0, 6), "__metadata__": {"note": "x" * 5000}}, b"123456")
    with (
        limits.using(header=1000),
        pytest.raises(FormatError, match=r"size of the header must be at most 1000 \(got 5"),
    ):
        rerankit.read(path)


@pytest.mark.parametrize(
    ("descr", "shape", "rule"),
    [
        ("'|S0'", "(1000000000000,)", "which cannot be"),
        ("'<U0'", "(1000000000000,)", "which cannot be"),
        ("'<f4'", "(1000000000000, 1000000000000)", "is truncated"),
        ("'<f4'", "(-1, 4)", "cannot be|damaged"),
        ("'<f4'", "(2,)", "has 8 bytes behind its array"),
        ("'<f4'", "(2.0, 2)", "damaged"),
        ("'<f4'", "(1,) * 10", "damaged"),
        ("'(1000000,1000000)f4'", "(4,)", "damaged|must be real numbers"),
        ("[('a', '<f4')]", "(4,)", "must be real numbers"),
        ("'|O'", "(2,)", "pickles"),
    ],
)
@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_npy_headers_that_cannot_be_are_refused(tmp_path: Path, descr: str, shape: str, rule: str, ending: str) -> None:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + bytes(16)
    path = tmp_path / f"a.{ending}"
    if ending == "npy":
        path.write_bytes(data)
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.npy", data)
    with pytest.raises(FormatError, match=rule):
        rerankit.read(path)


def test_a_long_npy_header_is_refused(tmp_path: Path) -> None:
    text = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "1," * 20_000 + "), }\n"
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x02\x00" + struct.pack("<L", len(text)) + text.encode())
    with pytest.raises(FormatError, match="damaged"):
        rerankit.read(tmp_path / "a.npy")


@pytest.mark.parametrize("name", ["a.run.gz", "a.csv.gz", "a.json.gz"])
def test_gzip_bombs_are_refused_before_they_are_large(tmp_path: Path, name: str) -> None:
    packer, path = zlib.compressobj(9, 8, 31), tmp_path / name
    path.write_bytes(b"".join([*(packer.compress(b" " * 10_000_000) for _ in range(30)), packer.flush()]))
    start = time.process_time()
    with measure() as cost, pytest.raises(FormatError, match="in multiples of its packed size, must be at most 250"):
        rerankit.read(path)
    assert time.process_time() - start < 5
    assert cost.peak_bytes < 100_000_000


def test_gzip_checksums_are_compared(tmp_path: Path) -> None:
    data = gzip.compress(b"q Q0 d 1 0.5 x\n")
    for at in range(len(data) - 8, len(data)):
        (tmp_path / "a.run.gz").write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(FormatError, match="truncated or not a gzip file"):
            rerankit.read(tmp_path / "a.run.gz")
    (tmp_path / "a.run.gz").write_bytes(data + b"what is this")
    with pytest.raises(FormatError, match="truncated or not a gzip file"):
        rerankit.read(tmp_path / "a.run.gz")

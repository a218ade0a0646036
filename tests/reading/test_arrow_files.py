"""Parquet and Arrow files of others: bounded, compared with their checksums, and never the end of the process."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rerankit
from rerankit import Problem, limits
from rerankit.errors import FormatError
from rerankit.reading import unpacking
from rerankit.reading.arrow_files import ParquetColumns
from rerankit.shards import open_shards

arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
parquet = pytest.importorskip("pyarrow.parquet")
POOLS: list[Any] = []  # what is still there has memory of theirs
RULE = "what is read of it, in multiples of its packed size, must be at most 250"


def vectors(rows: int) -> Any:
    """A table of vectors that takes no room on the disk."""
    return arrow.table({"v": arrow.FixedSizeListArray.from_arrays(arrow.array(np.zeros(64 * rows, np.float32)), 64)})


def test_a_run_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    rows = np.zeros(2_000_000, np.int32)
    names = {name: arrow.DictionaryArray.from_arrays(rows, [name]) for name in ("query", "item")}
    parquet.write_table(arrow.table(names | {"score": rows}), tmp_path / "run.parquet")
    with pytest.raises(FormatError, match=RULE):
        rerankit.read(tmp_path / "run.parquet")


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_vectors_that_unpack_to_too_much_are_refused(tmp_path: Path, ending: str) -> None:
    file, table = tmp_path / f"v0.{ending}", vectors(200_000)
    if ending == "parquet":
        parquet.write_table(table, file, compression="zstd")
    else:
        options = arrow.ipc.IpcWriteOptions(compression="zstd")
        with arrow.ipc.new_file(str(file), table.schema, options=options) as made:
            made.write_table(table)
    with pytest.raises(FormatError, match=RULE):
        open_shards(tmp_path)
    with limits.using(ratio=100_000):
        assert open_shards(tmp_path).shape == (200_000, 64)


def test_a_page_that_is_not_what_its_checksum_says_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "run.parquet"
    rerankit.write(file, Problem(np.arange(12.0).reshape(3, 4)).ranking(4))
    whole, content = rerankit.read(file), file.read_bytes()
    pages = content.index(np.float32(11).tobytes())
    for place in range(pages, pages + 16):
        file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(FormatError, match="CRC"):
            rerankit.read(file)
    file.write_bytes(content)
    assert rerankit.read(file) == whole


def test_numbers_that_lie_anywhere_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "v0.arrow"
    table = arrow.table({"v": [[float(row), 1.0] for row in range(9)]})
    with arrow.ipc.new_file(str(file), table.schema) as made:
        made.write_table(table)
    content, refused = file.read_bytes(), 0
    for place in range(8, len(content) - 8, 4):
        file.write_bytes(content[:place] + struct.pack("<q", -(2**62) - 1091071179) + content[place + 8 :])
        try:
            np.array(open_shards(tmp_path)[:])
        except FormatError:
            refused += 1
    assert refused > 20


@contextmanager
def memory_taken() -> Iterator[list[int]]:
    """How much memory Arrow takes at the most."""
    usual, pool, found = arrow.default_memory_pool(), arrow.proxy_memory_pool(arrow.system_memory_pool()), [0]
    POOLS.append(pool)
    arrow.set_memory_pool(pool)
    try:
        yield found
    finally:
        arrow.set_memory_pool(usual)
        found[0] = pool.max_memory()


@contextmanager
def refused_beforehand(match: str = RULE) -> Iterator[None]:
    """Refused before Arrow takes memory for it."""
    with memory_taken() as taken, pytest.raises(FormatError, match=match):
        yield
    assert taken[0] < 1_000_000


def test_what_unpacks_to_too_much_takes_no_memory_first(tmp_path: Path) -> None:
    table = vectors(500_000)
    parquet.write_table(table, tmp_path / "v.parquet", compression="zstd", data_page_size=2**30, use_dictionary=False)
    with refused_beforehand():
        rerankit.read(tmp_path / "v.parquet")
    options = arrow.ipc.IpcWriteOptions(compression="zstd")
    (tmp_path / "shards").mkdir()
    with arrow.ipc.new_file(str(tmp_path / "shards" / "v0.arrow"), table.schema, options=options) as made:
        made.write_table(table, max_chunksize=500_000)
    with refused_beforehand():
        open_shards(tmp_path / "shards")


def test_a_row_that_holds_everything_is_refused(tmp_path: Path) -> None:
    table = arrow.table({"v": arrow.array([np.zeros(20_000_000, np.float32)])})
    parquet.write_table(table, tmp_path / "v.parquet")
    assert (tmp_path / "v.parquet").stat().st_size < 100_000
    with refused_beforehand():
        rerankit.read(tmp_path / "v.parquet")


@pytest.mark.parametrize("kept", [(), ("text",)])
@pytest.mark.parametrize("encoding", ["RLE_DICTIONARY", "DELTA_BYTE_ARRAY"])
def test_a_long_text_that_is_repeated_is_read_in_smaller_parts(tmp_path: Path, encoding: str, kept: Any) -> None:
    table = arrow.table({"text": arrow.array(["x" * 500_000] * 200)})
    ways = {} if encoding == "RLE_DICTIONARY" else {"use_dictionary": False, "column_encoding": {"text": encoding}}
    parquet.write_table(table, tmp_path / "t.parquet", compression="zstd", **ways)
    with limits.using(free="2MB", ratio=10**6), memory_taken() as taken:
        for batch in ParquetColumns(tmp_path / "t.parquet", ["text"], kept).batches():
            assert batch.num_rows
    assert taken[0] < 20_000_000


def test_a_page_that_says_it_is_larger_than_it_is(tmp_path: Path) -> None:
    table = arrow.table({"v": arrow.FixedSizeListArray.from_arrays(arrow.array(np.zeros(90_000)), 9)})
    parquet.write_table(table, tmp_path / "v.parquet", compression="zstd", use_dictionary=False, data_page_size=2**30)
    with limits.using(free="900KB"):
        assert rerankit.read(tmp_path / "v.parquet").shape == (10_000, 9)
        content = (tmp_path / "v.parquet").read_bytes()
        size = next(said for said in range(720_000, 800_000) if content.find(_varint(2 * said), 4, 12) > 0)
        (tmp_path / "v.parquet").write_bytes(content.replace(_varint(2 * size), _varint(2**21 - 2), 1))
        with refused_beforehand():
            rerankit.read(tmp_path / "v.parquet")


def _varint(number: int) -> bytes:
    return bytes([number & 127 | 128, number >> 7 & 127 | 128, number >> 14])


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_what_is_looked_up_is_what_is_read(tmp_path: Path, ending: str) -> None:
    random = np.random.default_rng(0)
    table = arrow.table(
        {"v": random.normal(size=(5000, 8)).tolist(), "text": [f"text {row}" for row in range(5000)], "n": range(5000)}
    )
    path = tmp_path / f"a.{ending}"
    for compression in ("none", "zstd", "lz4"):
        if ending == "parquet":
            parquet.write_table(table, path, compression=compression, row_group_size=700, data_page_version="2.0")
            assert table["v"].nbytes / 2 < unpacking.of_parquet(path, ["v"])["v"].size < 2 * table["v"].nbytes
            assert 5000 * 8 <= unpacking.of_parquet(path, ["n"])["n"].size < 5000 * 17
            continue
        options = arrow.ipc.IpcWriteOptions(compression=None if compression == "none" else compression)
        with arrow.ipc.new_file(str(path), table.schema, options=options) as made:
            made.write_table(table, max_chunksize=700)
        assert table.nbytes * 0.9 < unpacking.of_arrow(path) < table.nbytes * 1.2


def test_a_run_whose_texts_repeat_beginnings_is_read(tmp_path: Path) -> None:
    run = Problem(np.arange(12.0).reshape(3, 4)).ranking(4)
    rerankit.write(tmp_path / "run.parquet", run)
    table = parquet.read_table(tmp_path / "run.parquet")
    ways = {name: "DELTA_BYTE_ARRAY" for name in ("query", "item")}
    parquet.write_table(table, tmp_path / "again.parquet", use_dictionary=False, column_encoding=ways)
    assert rerankit.read(tmp_path / "again.parquet") == rerankit.read(tmp_path / "run.parquet")

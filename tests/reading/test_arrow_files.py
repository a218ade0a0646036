"""Parquet and Arrow files of others: bounded, compared with their checksums, and never the end of the process."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rerankit
from rerankit import Problem, limits
from rerankit.errors import FormatError
from rerankit.shards import open_shards

arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
parquet = pytest.importorskip("pyarrow.parquet")
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

"""Pickles as data: what plain ones hold, and that nothing else comes through."""

from __future__ import annotations

import argparse
import collections
import os
import pickle
import pickletools
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reading_files import refusal

from rerankit import limits
from rerankit.errors import FormatError
from rerankit.reading import Record, read_pickle

PLAIN: dict[str, Any] = {
    "numbers": [0, -3, 255, 70_000, -(2**40), 2**90, 1.5, float("inf"), True, False, None],
    "texts": ["", "grüße", "日本", "a\nb", "\\u00e9", 'it\'s "so"'],
    "bytes": [b"", b"\x00\xff", b"x" * 300],
    "nested": {"a": (1, (2, [3, {"b": ()}])), 4: [], 5.5: {}},
    "sets": [set(), {1, 2}, {"a"}],
    "ordered": collections.OrderedDict([("z", 1), ("a", 2)]),
    "counted": collections.Counter("hello"),
}
ARRAYS = {
    "matrix": np.arange(6.0).reshape(2, 3),
    "columns": np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3)),
    "big-endian": np.arange(3, dtype=">i4"),
    "texts": np.array(["ab", "c"]),
    "bytes": np.array([b"ab", b"c"]),
    "empty": np.zeros((0, 3), np.float16),
    "flags": np.array([True, False]),
    "unsigned": np.arange(5, dtype=np.uint8)[::2],
}
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def saved(path: Path, value: Any, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(value, protocol))
    return path


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_plain_values_are_those_that_pickle_reads(tmp_path: Path, protocol: int) -> None:
    path = saved(tmp_path / "a.pkl", PLAIN, protocol)
    assert read_pickle(path) == pickle.loads(path.read_bytes())
    shared = [1]
    both = read_pickle(saved(path, [shared, shared], protocol))
    assert both[0] is both[1]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_are_those_that_pickle_reads(tmp_path: Path, protocol: int, name: str) -> None:
    array = read_pickle(saved(tmp_path / "a.pkl", {"x": [ARRAYS[name]]}, protocol))["x"][0]
    assert array.dtype == ARRAYS[name].dtype
    assert not array.flags.writeable
    np.testing.assert_array_equal(array, ARRAYS[name])
    assert read_pickle(saved(tmp_path / "b.pkl", np.float32(0.5), protocol)) == 0.5


def test_a_pickle_of_python_2_and_an_old_numpy_is_read(tmp_path: Path) -> None:
    """As published ground truth is: texts and bytes are one, and NumPy's modules have other names."""
    text = (
        b"\x80\x02}q\x00U\x03gndq\x01cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03K\x00\x85q\x04"
        b"U\x01bq\x05\x87q\x06Rq\x07(K\x01K\x02\x85q\x08cnumpy\ndtype\nq\tU\x02i4q\nK\x00K\x01\x87q\x0bRq\x0c(K\x03"
        b"U\x01<q\rNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x0eb\x89U\x08\x01\x00\x00\x00\x02\x00\x00\x00q\x0ftq"
        b"\x10bs."
    )
    (tmp_path / "old.pkl").write_bytes(text)
    assert read_pickle(tmp_path / "old.pkl")["gnd"].tolist() == [1, 2]


class Words:
    """Stands for somebody's class."""

    def __init__(self) -> None:
        self.word2idx = {"a": 0}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_objects_that_are_expected_are_records(tmp_path: Path, protocol: int) -> None:
    space = read_pickle(saved(tmp_path / "a.pkl", argparse.Namespace(k=3), protocol), records=["argparse.Namespace"])
    assert space == Record("argparse.Namespace", (), {"k": 3})
    words = read_pickle(saved(tmp_path / "b.pkl", Words(), protocol), records=["*.Words"])
    assert words.attributes == {"word2idx": {"a": 0}}
    with pytest.raises(FormatError, match="Namespace', which is not data and never run"):
        read_pickle(tmp_path / "a.pkl", records=["*.Words"])


class Runs:
    """Runs a function when it is unpickled."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call[0], self.call[1:]


HARMFUL = [
    Runs(os.system, "touch ran"),
    Runs(eval, "open('ran', 'w')"),
    Runs(Path.touch, Path("ran")),
    Runs(__import__, "os"),
    Runs(np.load, "x.npy"),
    Runs(bytearray, 10**12),
    Runs(range, 10**12),
    Runs(argparse.Namespace),
    {"deep": [1, (Runs(exec, "open('ran', 'w')"),)]},
    os.system,
    np.dtype,
    np.array([None, Runs(os.system, "touch ran")], dtype=object),
    np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
    {(1, 2): 3},
    {2**70: 1},
    slice(3),
    1j,
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("value", HARMFUL, ids=range(len(HARMFUL)))
def test_what_is_not_data_is_refused_and_not_run(
    tmp_path: Path, protocol: int, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = saved(tmp_path / "a.pkl", value, protocol)
    with pytest.raises(FormatError, match=r"^[^\n]*a\.pkl: not a pickle of plain data: [^\n]*$"):
        read_pickle(path)
    assert not (tmp_path / "ran").exists()


def test_array_functions_write_nowhere(tmp_path: Path) -> None:
    """`dtype.__setstate__` and `ndarray.__setstate__` of NumPy can be driven to write beyond an array."""
    forged = (
        b"\x80\x02cnumpy\ndtype\nX\x02\x00\x00\x00f4\x85R(K\x03X\x01\x00\x00\x00<NN}X\x01\x00\x00\x00a(cnumpy\ndtype\n"
        b"X\x02\x00\x00\x00f8\x85RJ\x00\x00\x00\x7ftsK\x04K\x04K\x00tb."
    )
    (tmp_path / "a.pkl").write_bytes(forged)
    with pytest.raises(FormatError, match="plain elements, without fields"):
        read_pickle(tmp_path / "a.pkl")


def array_of(shape: bytes, data: bytes, code: bytes = b"f4") -> bytes:
    """A pickle of an array that claims a shape."""
    dtype = (
        b"cnumpy\ndtype\nU"
        + bytes([len(code)])
        + code
        + b"K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    start = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01"
    return start + shape + dtype + b"\x89U" + bytes([len(data)]) + data + b"tb."


@pytest.mark.parametrize(
    ("shape", "code", "rule"),
    [
        (b"K\x02\x85", b"f4", r"an array of \(2,\) float32 must have 8 bytes \(got 4 bytes\)"),
        (b"\x8a\x05\x00\x00\x00\x00\x7f\x85", b"f4", "must have .* bytes"),
        (b"J\xff\xff\xff\xff\x85", b"f4", "must be whole numbers"),
        (b"G?\xf0\x00\x00\x00\x00\x00\x00\x85", b"f4", "must be whole numbers"),
        (b"\x8a\x05\x00\x00\x00\x00\x7f\x85", b"S0", "must have 0 bytes"),
        (b"N", b"f4", "without a shape"),
        (b"K\x01\x85", b"O8", "must hold numbers or texts"),
        (b"K\x01\x85", b"V4", "must hold numbers or texts"),
        (b"K\x01\x85", b"c8", "must hold numbers or texts"),
    ],
)
def test_arrays_that_claim_what_they_do_not_have_are_refused(
    tmp_path: Path, shape: bytes, code: bytes, rule: str
) -> None:
    (tmp_path / "ok.pkl").write_bytes(array_of(b"K\x01\x85", struct.pack("<f", 2.5)))
    assert read_pickle(tmp_path / "ok.pkl").tolist() == [2.5]
    (tmp_path / "a.pkl").write_bytes(array_of(shape, struct.pack("<f", 2.5), code))
    with pytest.raises(FormatError, match=rule):
        read_pickle(tmp_path / "a.pkl")


CALL = b"c_codecs\nencode\nh\x00\x85R"
BOMBS = {
    "long text": b"\x80\x04X\xff\xff\xff\x7f.",
    "long bytes": b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
    "long number": b"\x80\x02\x8b\xff\xff\xff\x7f.",
    "long digits": b"I" + b"9" * 900_000 + b"\n.",
    "laughs": b"\x80\x02]q\x00" + b"".join(
        b"]q" + bytes([n]) + b"(" + (b"h" + bytes([n - 1])) * 10 + b"e" for n in range(1, 40)
    ) + b".",
    "deep": b"\x80\x02" + b"]" * 300_000 + b"a" * 299_999 + b".",
    "itself": b"\x80\x02]q\x00h\x00a.",
    "copies": b"\x80\x02X\x00\x00\x04\x00" + b"x" * 2**18 + b"q\x00](" + CALL * 30_000 + b"e.",
    "lists": b"\x80\x02](" + b"N" * 100_000 + b"eq\x00](" + b"c__builtin__\nlist\nh\x00\x85R" * 30_000 + b"e.",
    "lines": b"(" + b"V\n" * 400_000 + b"l.",
    "steps": b"\x80\x02" + b"N0" * 3_000_000 + b"N.",
}  # fmt: skip


def test_a_far_place_in_memory_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(b"\x80\x02Nr\xff\xff\xff\xff.")  # Python's reader makes room for 2**32 values
    assert read_pickle(tmp_path / "a.pkl") is None


@pytest.mark.parametrize("name", [name for name in BOMBS if name != "lines"])
def test_bombs_are_refused_at_once(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.pkl").write_bytes(BOMBS[name])
    start = time.process_time()
    with pytest.raises(FormatError, match="not a pickle of plain data"):
        read_pickle(tmp_path / "a.pkl")
    assert time.process_time() - start < 10  # a second, on a machine that does nothing else


def test_many_short_lines_are_no_bomb(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(BOMBS["lines"])
    assert read_pickle(tmp_path / "a.pkl") == [""] * 400_000


def test_limits_can_be_raised(tmp_path: Path) -> None:
    deep: Any = []
    for _ in range(150):
        deep = [deep]
    saved(tmp_path / "a.pkl", deep)
    with pytest.raises(FormatError, match=r"at most 100 lists in each other \(rerankit\.limits: depth\)"):
        read_pickle(tmp_path / "a.pkl")
    with limits.using(depth=200):
        assert read_pickle(tmp_path / "a.pkl") == deep


def test_damaged_bytes_are_refused_in_one_line(tmp_path: Path) -> None:
    """Every instruction alone and every cut: an error of ours, or a value; never anything else."""
    path, rng = tmp_path / "a.pkl", np.random.default_rng(0)
    whole = [pickle.dumps({**PLAIN, **ARRAYS}, protocol) for protocol in PROTOCOLS]
    codes = [code.code.encode("latin-1") for code in pickletools.opcodes]
    cuts = [data[:at] for data in whole for at in rng.integers(0, len(data), 60)]
    pieces = [b"".join(rng.choice(codes, 12).tolist()) + b"." for _ in range(2000)]
    flips = []
    for data in whole:
        for _ in range(150):
            changed = bytearray(data)
            changed[rng.integers(len(data))] = rng.integers(256)
            flips.append(bytes(changed))
    for data in [b"", *codes, *cuts, *pieces, *flips]:
        path.write_bytes(data)
        message = refusal(read_pickle, path)
        assert message == "" or (message.startswith(str(path)) and len(message) < len(str(path)) + 400)

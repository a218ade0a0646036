"""Zip files: checksums, members that share bytes, and bombs."""

from __future__ import annotations

import io
import struct
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

import rerankit
from rerankit import limits
from rerankit.errors import FormatError
from rerankit.measure import measure
from rerankit.reading import Archive


def zipped(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_every_changed_byte_of_an_array_is_noticed(tmp_path: Path, save) -> None:
    matrix = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    save(tmp_path / "a.npz", scores=matrix)
    data = (tmp_path / "a.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        (info,) = archive.infolist()
    start = info.header_offset + 30 + sum(struct.unpack("<HH", data[info.header_offset + 26 : info.header_offset + 30]))
    for at in range(start, start + info.compress_size):
        (tmp_path / "b.npz").write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
        try:
            found = rerankit.read(tmp_path / "b.npz").scores.rows()
        except FormatError:
            continue
        np.testing.assert_array_equal(found, matrix)  # the last bits of a compressed stream mean nothing
    with limits.using(verified=1):
        (tmp_path / "b.npz").write_bytes(data)
        assert rerankit.read(tmp_path / "b.npz").shape == (6, 5)


def test_what_is_wrong_with_a_directory_is_told(tmp_path: Path) -> None:
    good = zipped(tmp_path / "good.npz", {"a.npy": npy(np.eye(2)), "b.npy": npy(np.ones(3))})
    assert Archive(good).names == ["a.npy", "b.npy"]
    with zipfile.ZipFile(tmp_path / "twice.npz", "w") as archive:
        archive.writestr("a.npy", npy(np.eye(2)))
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.npy", npy(np.ones(2)))
    with pytest.raises(FormatError, match=r"'a\.npy' is in the file twice"):
        rerankit.read(tmp_path / "twice.npz")
    zipped(tmp_path / "bz.npz", {"a.npy": npy(np.eye(2))}, zipfile.ZIP_BZIP2)
    with pytest.raises(FormatError, match=r"'a\.npy' must be stored or deflated"):
        rerankit.read(tmp_path / "bz.npz")
    zipped(tmp_path / "text.npz", {"a.txt": b"hello"})
    with pytest.raises(FormatError, match=r"'a\.txt' is not an array"):
        rerankit.read(tmp_path / "text.npz")


def test_members_that_share_bytes_are_refused(tmp_path: Path) -> None:
    """The directory of these files names the same bytes under two names, or a member that goes on into the next."""
    path = zipped(tmp_path / "a.npz", {"a.npy": npy(np.zeros(1000))}, zipfile.ZIP_DEFLATED)
    data = path.read_bytes()
    at = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    entry = data[at:end]
    other = entry.replace(b"a.npy", b"b.npy")
    head = bytearray(data[end:])
    struct.pack_into("<HHL", head, 8, 2, 2, 2 * len(entry))
    (tmp_path / "b.npz").write_bytes(data[:at] + entry + other + bytes(head))
    with pytest.raises(FormatError, match=r"'b\.npy' is damaged: there is no member where the directory says"):
        Archive(tmp_path / "b.npz")
    both = {name: npy(np.zeros(1000)) for name in ("a.npy", "b.npy")}
    data = bytearray(zipped(tmp_path / "c.npz", both, zipfile.ZIP_DEFLATED).read_bytes())
    at = data.index(b"PK\x01\x02") + 20
    struct.pack_into("<L", data, at, struct.unpack_from("<L", data, at)[0] + 40)
    (tmp_path / "c.npz").write_bytes(data)
    with pytest.raises(FormatError, match=r"'b\.npy' is damaged: it lies over another, or is cut short"):
        Archive(tmp_path / "c.npz")


def test_names_and_number_of_members_must_fit_the_directory(tmp_path: Path) -> None:
    whole = zipped(tmp_path / "a.npz", {"a.npy": npy(np.ones(3)), "b.npy": npy(np.ones(3))}).read_bytes()
    at = whole.index(b"PK\x01\x02")
    renamed = whole[:at] + whole[at:].replace(b"b.npy", b"c.npy")
    (tmp_path / "a.npz").write_bytes(renamed)
    with pytest.raises(FormatError, match=r"'c\.npy' is damaged: there is no member where the directory says"):
        Archive(tmp_path / "a.npz")
    hidden = bytearray(whole)
    struct.pack_into("<H", hidden, at + 32, len(whole) - 22 - whole.index(b"PK\x01\x02", at + 4))  # a comment
    (tmp_path / "a.npz").write_bytes(hidden)
    with pytest.raises(FormatError, match="its directory is damaged: it says 2 members and has 1"):
        Archive(tmp_path / "a.npz")


def bomb(path: Path, count: int, size: int) -> Path:
    """A small file with arrays of zeros."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(count):
            with archive.open(f"{number}.npy", "w") as member:
                np.lib.format.write_array_header_1_0(member, {"descr": "<f8", "fortran_order": False, "shape": (size,)})
                for _ in range(size // 100_000):
                    member.write(bytes(800_000))
    return path


@pytest.mark.parametrize(("count", "size"), [(1, 20_000_000), (20, 1_000_000)])
def test_small_files_do_not_become_large_arrays(tmp_path: Path, count: int, size: int) -> None:
    path = bomb(tmp_path / "a.npz", count, size)
    assert path.stat().st_size < 200_000
    start = time.process_time()
    with measure() as cost, pytest.raises(FormatError, match="in multiples of its packed size, must be at most 250"):
        rerankit.read(path)
    assert time.process_time() - start < 5
    assert cost.peak_bytes < 100_000_000
    with limits.using(ratio=2000, unpacked=1000), pytest.raises(FormatError, match="must be at most 1000"):
        rerankit.read(path)


def test_a_file_that_is_trusted_is_read_with_another_limit(tmp_path: Path) -> None:
    path = bomb(tmp_path / "a.npz", 1, 5_000_000)
    with pytest.raises(FormatError, match=r"rerankit\.limits\.using\(ratio=…\) or RERANKIT_LIMITS=\"ratio=…\""):
        rerankit.read(path)
    with limits.using(ratio=2000):
        assert rerankit.read(path, "array").shape == (5_000_000,)


def test_a_member_that_unpacks_to_more_than_it_says_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.npz", {"a.npy": npy(np.zeros(100_000))}, zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    for at in (data.index(b"PK\x03\x04") + 22, data.index(b"PK\x01\x02") + 24):
        struct.pack_into("<L", data, at, 200)
    path.write_bytes(data)
    with pytest.raises(FormatError):
        rerankit.read(path)


def test_a_directory_of_a_million_members_is_not_read(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.npz", {"a.npy": npy(np.eye(2))})
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x05\x06")
    struct.pack_into("<HHL", data, at + 8, 60_000, 60_000, 2**31)
    path.write_bytes(data)
    with pytest.raises(FormatError, match="the size of the directory must be at most 32000000"):
        rerankit.read(path)
    with limits.using(files=1000), pytest.raises(FormatError, match="the number of members must be at most 1000"):
        rerankit.read(path)

"""Damaged files of every kind: each is read as what it says, or refused in words; never anything else.

A sample in `make test`; `make test-hostile` tries 3,400 files for each reader, some 10⁵ in all.
"""

from __future__ import annotations

import resource
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mutation import Mutator
from readers import READERS, Reader

from rerankit.errors import RerankitError

SECONDS, BYTES = 5.0, 2_000_000_000
RUNS_CODE = {"os.system", "os.exec", "os.fork", "os.posix_spawn", "os.startfile", "subprocess.Popen"}
RUNS_CODE |= {"pickle.find_class", "socket.connect", "webbrowser.open"}
RAN: list[str] = []


@pytest.fixture(scope="session", autouse=True)
def _watch() -> None:
    """Note what no reader may do; an audit hook stays for as long as the process does."""
    sys.addaudithook(lambda event, _: RAN.append(event) if event in RUNS_CODE else None)


def files_of(folder: Path) -> dict[Path, bytes]:
    found = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size < 1_000_000]
    return {path: path.read_bytes() for path in found}


def answer(reader: Reader, folder: Path) -> Any:
    """What the reader says of the folder, or None for a refusal; anything else fails the test."""
    RAN.clear()
    start = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = reader.read(folder)
        except RerankitError as error:
            found = None if str(error).strip() else error
    assert time.monotonic() - start < SECONDS, "it takes too long"
    assert RAN == []
    return found


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return list(one) == list(other) and all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", READERS)
def test_damaged_files_are_read_or_refused(
    name: str, tmp_path: Path, amount: Callable[[int, int], int], rng: np.random.Generator, tried: Callable[..., None]
) -> None:
    reader, mutator = READERS[name], Mutator(rng)
    if name == "task eccv-caption":
        pytest.importorskip("eccv_caption")
    reader.write(tmp_path)
    whole = files_of(tmp_path)
    content = answer(reader, tmp_path)
    assert content is not None
    count = amount(12, 3400)
    for _ in range(count):
        path = mutator.one(list(whole))
        # Bytes anywhere in a file of ours: what its checksums cover must not come back as something else.
        raw = reader.checked and path.name != "config.json" and rng.random() < 0.5
        damaged = mutator.bytes(whole[path]) if raw else mutator.file(path.name, whole[path])
        path.write_bytes(damaged)
        try:
            found = answer(reader, tmp_path)
            assert found is None or not raw or same(found, content), "other content was accepted"
        except BaseException:
            print(f"{name}: {path.name}: {damaged[:3000]!r}")
            raise
        finally:
            path.write_bytes(whole[path])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 < BYTES
    tried(f"damaged files: {name}", count)

"""Features of pictures on disk, bounded, shared by processes."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rerankit.arrays import AnyArray
from rerankit.errors import FormatError, RerankitWarning
from rerankit.files import atomic, clear_leftovers, scratch_in
from rerankit.formats.safetensors import write_tensors
from rerankit.reading.safetensors_file import read_tensors
from rerankit.settings import parse_bytes

if TYPE_CHECKING:
    from torch import nn

_NAME = "features"


def fingerprint(network: nn.Module, *rest: object) -> str:
    """What encodes the pictures, as a short text: a hash of the weights and of `rest`."""
    import torch

    digest = hashlib.sha256(repr(rest).encode())
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode())
        # As bytes: NumPy does not know every type of weights.
        digest.update(value.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


class FeatureCache:
    """What networks make of pictures, on disk: one safetensors file per model and picture.

    A file is written whole or not at all, so work that was stopped goes on where it stopped. What was read longest ago
    goes first once the files of all models exceed `max_bytes`; what killed processes left behind goes before that.
    Several processes may share the folder: each looks at all of it again after it has written a sixteenth of the
    bound. A file whose checksum is wrong is reported, removed and made again.
    """

    def __init__(self, folder: str | os.PathLike[str], model: str, *, max_bytes: int | str = "20GB") -> None:
        self.folder, self.model = Path(folder), model
        self.max_bytes = parse_bytes(max_bytes, "cache_bytes")
        self._written: int | None = None
        """Bytes since the whole folder was looked at; None before."""
        self._full = False

    def __repr__(self) -> str:
        return f"FeatureCache({str(self.folder)!r}, {self.model!r}, max_bytes={self.max_bytes})"

    def _path(self, key: str) -> Path:
        return self.folder / self.model / key[:2] / f"{key}.safetensors"

    def get(self, key: str) -> AnyArray | None:
        """The features of a picture, such as tokens (P, width), or None."""
        path = self._path(key)
        if self._written is None:  # a lower bound than before holds also where all is found
            with suppress(PermissionError):  # a cache that may only be read stays as it is
                self._shrink()
        if not path.is_file():
            return None
        try:
            features = np.array(_features(path))
            with suppress(PermissionError):
                os.utime(path)
        except FileNotFoundError:  # another process has made room for its own
            return None
        except (FormatError, OSError) as broken:
            if path.is_file():
                warnings.warn(f"cached features: {broken}; they are made again", RerankitWarning, stacklevel=2)
                path.unlink(missing_ok=True)
            return None
        return features

    def put(self, key: str, features: AnyArray) -> None:
        """Keep the features of a picture, and make room for them; on a full disk the work goes on without."""
        if self._full:
            return
        path = self._path(key)
        try:
            # What a cache loses is made again: it need not wait for the disk.
            with atomic(path, durable=False) as temporary:
                write_tensors(temporary, {_NAME: np.ascontiguousarray(features)})
            size = path.stat().st_size
        except FileNotFoundError:  # another process has made room already
            size = 0
        except (FormatError, OSError) as error:
            self._full = True
            warnings.warn(f"{error}: features are no longer kept there", RerankitWarning, stacklevel=2)
            return
        self._written = None if self._written is None else self._written + size
        if self._written is None or self._written > self.max_bytes // 16:
            self._shrink()

    def _shrink(self) -> None:
        """Remove leftovers, and what was read longest ago, until nine tenths of the bound are left."""
        places = list(self.folder.glob("*/??"))
        entries = [found for place in places for found in _files(place)]
        writing = sum(size for place in places for folder in scratch_in(place) for _, _, size in _inside(folder))
        total, self._written = writing + sum(size for _, _, size in entries), 0
        if total <= self.max_bytes - self.max_bytes // 16:
            return
        for _, path, size in sorted(entries):
            path.unlink(missing_ok=True)
            total -= size
            if total <= 0.9 * self.max_bytes:
                return


def _files(place: Path) -> Iterator[tuple[int, Path, int]]:
    """The files of a part of the cache: only what has the name of one, so that nothing else can be removed."""
    clear_leftovers(place)
    return (found for found in _inside(place) if fnmatch(found[1].name, f"{place.name}*.safetensors"))


def _inside(folder: Path) -> Iterator[tuple[int, Path, int]]:
    """The files of a folder by age, with their sizes; another process may be removing them."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                found = entry.stat(follow_symlinks=False)
                if entry.is_file(follow_symlinks=False):
                    yield found.st_mtime_ns, Path(entry.path), found.st_size


def _features(path: Path) -> AnyArray:
    arrays = list(read_tensors(path).values())
    if len(arrays) != 1 or arrays[0].dtype.kind != "f":
        raise FormatError(f"{path}: must hold one array of floating-point numbers")
    return arrays[0]

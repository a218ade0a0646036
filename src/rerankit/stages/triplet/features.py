"""Image tokens: from arrays, or from pictures through a cache on disk."""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rerankit import settings
from rerankit.errors import InputError, rule
from rerankit.stages.triplet.cache import TokenCache
from rerankit.stages.triplet.images import ImageTransform, checksum, unreadable

IntArray = NDArray[np.int64]


def fingerprint(network: nn.Module, *rest: object) -> str:
    """What encodes the pictures, as a short text: a hash of the weights and of `rest`."""
    digest = hashlib.sha256(repr(rest).encode())
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(value.detach().cpu().numpy()).data)
    return digest.hexdigest()[:16]


class ArrayTokens:
    """Tokens (items, P, width) from an array, a memory map or a tensor; or one array (P, width) or None each.

    An item without tokens is one that is None, or all NaN.
    """

    def __init__(self, array: Any, width: int, argument: str) -> None:
        self.array, self.argument = array, argument
        self.ragged = isinstance(array, (list, tuple))
        shapes = {np.shape(one) for one in array if one is not None} if self.ragged else {tuple(array.shape[1:])}
        wrong = next((s for s in shapes if len(s) != 2 or s[1] != width), None)
        if wrong is not None:
            raise rule(argument, f"must hold tokens (P, {width}) for each item, as wide as the network's", wrong)
        if len(shapes) > 1:
            raise rule(argument, "must hold as many tokens for each item", sorted(shapes))
        self._missing: dict[int, bool] = {}

    def missing(self, rows: IntArray) -> NDArray[np.bool_]:
        """Which rows have no tokens."""
        for row in np.unique(rows).tolist():
            if row not in self._missing:
                one = self.array[row]
                # The first number tells: a half-precision map is not read through for this.
                self._missing[row] = one is None or bool(np.isnan(float(one[0][0])))
        return np.array([self._missing[row] for row in rows.tolist()], bool)

    def together(self, rows: IntArray) -> IntArray:
        """Places of `rows` in their order: no row is dearer than another."""
        return np.arange(len(rows))

    def tokens(self, rows: IntArray) -> Tensor:
        """(len(rows), P, width) float32."""
        if isinstance(self.array, Tensor):
            return self.array[torch.from_numpy(rows).to(self.array.device)].float()
        picked = np.stack([np.asarray(self.array[row], np.float32) for row in rows.tolist()])
        return torch.from_numpy(picked)


class ImageTokens:
    """Tokens of pictures, encoded when asked for and kept in a cache where there is one.

    A picture that several rows name (the same path, the same object) is encoded once for all of them, as far
    as the latest pictures fit into a part of the memory budget; `together` puts such rows beside each other.
    """

    def __init__(
        self,
        images: Sequence[Any],
        encode: Callable[[Tensor], Tensor],
        transform: ImageTransform,
        *,
        kind: str,
        cache: TokenCache | None = None,
        batch: int = 8,
        on_error: str = "raise",
    ) -> None:
        self.images, self.encode, self.transform = images, encode, transform
        self.kind, self.cache, self.batch, self.on_error = kind, cache, batch, on_error
        self._readable: dict[Hashable, bool] = {}
        self._latest: OrderedDict[Hashable, NDArray[np.float16]] = OrderedDict()
        self._room = settings.memory_budget() // 4

    def together(self, rows: IntArray) -> IntArray:
        """Places of `rows` in an order in which the rows of one picture follow each other."""
        first: dict[Hashable, int] = {}
        groups = [first.setdefault(self._name(row), place) for place, row in enumerate(rows.tolist())]
        return np.argsort(groups, kind="stable").astype(np.int64)

    def _name(self, row: int) -> Hashable:
        """What the rows of one picture have in common: its path, or that it is the same object."""
        if isinstance(self.images, Rows):
            return int(self.images.rows[row])
        given = self.images[row]
        if isinstance(given, (str, os.PathLike)):
            return os.fspath(given)
        # A row cut out of an array is a new object every time.
        return ("object", id(given)) if isinstance(self.images, (list, tuple)) else row

    def missing(self, rows: IntArray) -> NDArray[np.bool_]:
        """Which rows cannot be read; unless `on_error` is "skip", one that cannot is an error."""
        names = {row: self._name(row) for row in np.unique(rows).tolist()}
        new = {name: row for row, name in reversed(names.items()) if name not in self._readable}
        broken = {}
        for row, error in unreadable(self.images, sorted(new.values()), self.kind):
            if self.on_error != "skip":
                raise error
            broken[names[row]] = error
        self._readable |= {name: name not in broken for name in new}
        return np.array([not self._readable[names[row]] for row in rows.tolist()], bool)

    def tokens(self, rows: IntArray) -> Tensor:
        """(len(rows), P, width) float32."""
        names = [self._name(row) for row in rows.tolist()]
        found = {name: self._latest[name] for name in names if name in self._latest}
        new = {name: row for name, row in zip(names, rows.tolist(), strict=True) if name not in found}
        waiting = list(new.items())
        for at in range(0, len(waiting), self.batch):
            some = waiting[at : at + self.batch]
            found |= zip((name for name, _ in some), self._some([row for _, row in some]), strict=True)
        self._keep(found)
        return torch.from_numpy(np.stack([found[name] for name in names]).astype(np.float32))

    def _keep(self, found: dict[Hashable, NDArray[np.float16]]) -> None:
        """Remember what was just asked for, and forget the oldest beyond the room there is."""
        for name, tokens in found.items():
            self._latest[name] = tokens
            self._latest.move_to_end(name)
        size = next(iter(found.values())).nbytes if found else 1
        while len(self._latest) > max(1, self._room // size):
            self._latest.popitem(last=False)

    def _some(self, rows: list[int]) -> list[NDArray[np.float16]]:
        keys = [checksum(self.images[row]) if self.cache else "" for row in rows]
        kept: list[Any] = [self.cache.get(key) if self.cache else None for key in keys]
        new = [place for place, tokens in enumerate(kept) if tokens is None]
        if new:
            pixels = [self.transform(self.images[rows[place]], f"{self.kind} {rows[place]}") for place in new]
            encoded = self.encode(torch.stack(pixels)).float().cpu()
            for place, tokens in zip(new, encoded, strict=True):
                # The same rounding with and without a cache, so that a cache never changes a score.
                kept[place] = tokens.numpy().astype(np.float16)
                if self.cache:
                    self.cache.put(keys[place], kept[place])
        return kept


class Rows:
    """A view of some rows of an array, taken when asked for: references out of a gallery's tokens, say.

    >>> import numpy as np
    >>> view = Rows(np.arange(6).reshape(3, 2), [2, 0, 2])
    >>> len(view), view[1].tolist(), view.shape
    (3, [0, 1], (3, 2))
    """

    def __init__(self, array: Any, rows: Any) -> None:
        self.array, self.rows = array, np.asarray(rows, np.int64)
        if self.rows.size and (self.rows.min() < 0 or self.rows.max() >= len(array)):
            raise InputError(f"'rows' must lie in 0…{len(array) - 1} (got {self.rows.min()}…{self.rows.max()})")

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.rows), *self.array.shape[1:])

    def __getitem__(self, row: Any) -> Any:
        chosen = self.rows[row]
        return Rows(self.array, chosen) if isinstance(chosen, np.ndarray) else self.array[chosen]

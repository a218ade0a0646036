"""Image tokens: from arrays, or from pictures through a cache on disk."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rerankit import settings
from rerankit.errors import rule
from rerankit.feature_cache import FeatureCache
from rerankit.features import Pictures, Tokens, as_feature
from rerankit.stages.triplet.images import ImageTransform, checksum, unreadable

IntArray = NDArray[np.int64]


class ArrayTokens:
    """Tokens (items, P, width) that are given: a feature, or anything that makes one.

    An item without tokens is one that is None, or all NaN.
    """

    def __init__(self, given: Any, width: int, argument: str) -> None:
        feature = as_feature(argument, given, argument)
        if not isinstance(feature, Tokens):
            raise rule(argument, f"must hold tokens (P, {width}) for each item, as wide as the network's", feature)
        self.feature, self.argument = feature, argument
        shapes = {one.shape for one in feature if one is not None} if feature.ragged else {feature.shape[1:]}
        wrong = next((shape for shape in shapes if shape[1] != width), None)
        if wrong is not None:
            raise rule(argument, f"must hold tokens (P, {width}) for each item, as wide as the network's", wrong)
        if len(shapes) > 1:
            raise rule(argument, "must hold as many tokens for each item", sorted(shapes))
        self._missing: dict[int, bool] = {}

    def missing(self, rows: IntArray) -> NDArray[np.bool_]:
        """Which rows have no tokens."""
        for row in np.unique(rows).tolist():
            if row not in self._missing:
                one = self.feature[row]
                # The first number tells: a half-precision map is not read through for this.
                self._missing[row] = one is None or bool(np.isnan(float(one[0][0])))
        return np.array([self._missing[row] for row in rows.tolist()], bool)

    def together(self, rows: IntArray) -> IntArray:
        """Places of `rows` in their order: no row is dearer than another."""
        return np.arange(len(rows))

    def tokens(self, rows: IntArray) -> Tensor:
        """(len(rows), P, width) float32."""
        return torch.from_numpy(np.stack([np.asarray(self.feature[row], np.float32) for row in rows.tolist()]))


class ImageTokens:
    """Tokens of pictures, encoded when asked for and kept in a cache where there is one.

    A picture that several rows name (the same path, the same object) is encoded once for all of them, as far
    as the latest pictures fit into a part of the memory budget; `together` puts such rows next to each other.
    """

    def __init__(
        self,
        images: Pictures,
        encode: Callable[[Tensor], Tensor],
        transform: ImageTransform,
        *,
        kind: str,
        cache: FeatureCache | None = None,
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
        groups = [first.setdefault(self.images.key(row), place) for place, row in enumerate(rows.tolist())]
        return np.argsort(groups, kind="stable").astype(np.int64)

    def missing(self, rows: IntArray) -> NDArray[np.bool_]:
        """Which rows cannot be read; unless `on_error` is "skip", one that cannot is an error."""
        names = {row: self.images.key(row) for row in np.unique(rows).tolist()}
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
        names = [self.images.key(row) for row in rows.tolist()]
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

"""A gallery after items were removed and others added."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from rerankit.arrays import AnyArray, IntArray
from rerankit.bank import Bank
from rerankit.errors import InputError, rule
from rerankit.features import Feature, Vectors
from rerankit.gallery import Gallery, rows_of
from rerankit.ids import Ids
from rerankit.pipelines.prepared import Change
from rerankit.scores import DenseScores, EmbeddingScores, Scores
from rerankit.sides import Side
from rerankit.values import Named


def changed(gallery: Gallery, add: Any = None, remove: Any = None) -> Change:
    """The gallery without the items `remove` (ids or rows) and with those of `add` behind the others.

    `add` is a `Gallery` of the same kind, or vectors (items, d) where there are neither ids nor features.
    """
    gone = np.empty(0, np.int64) if remove is None else rows_of(gallery, remove, "remove")
    kept = np.delete(np.arange(gallery.size), gone)
    more = None if add is None else _addition(gallery, add)
    if not len(kept):
        raise rule("remove", "must leave at least one item", f"all {gallery.size}")
    side = _joined(gallery.side, kept, None if more is None else more.side)
    return Change(Gallery.from_checked(side=side, bank=_bank(gallery, kept, side, more)), kept)


def _addition(gallery: Gallery, add: Any) -> Gallery:
    own = gallery.embeddings
    if not isinstance(add, Gallery):
        if own is None:
            raise rule("add", "must be a rerankit.Gallery of the items to be added", type(add).__name__)
        add = Gallery(add, metric=own.metric)
    given: Gallery = add
    theirs = given.embeddings
    if (own is None) != (theirs is None):
        raise rule("add", "must have vectors exactly where the gallery has", given)
    if own is not None and theirs is not None:
        if own.gallery.shape[1] != theirs.gallery.shape[1] or own.metric != theirs.metric:
            raise rule("add", f"must have the gallery's width and metric ({gallery!r})", given)
    elif gallery.side.scores is not None:
        raise InputError("'add' cannot tell how new items relate to those of 'gallery_scores': make a new Gallery")
    if gallery.side.bank is not None:
        raise InputError("'add' cannot tell how new items relate to the 'gallery_bank': make a new Gallery")
    if (gallery.ids is None) != (given.ids is None):
        raise rule("add", "must have ids exactly where the gallery has", given)
    if set(gallery.side.features) != set(given.side.features):
        raise rule("add", f"must have the gallery's features, {list(gallery.side.features)}", given)
    return given


def _joined(side: Side, kept: IntArray, more: Side | None) -> Side:
    """Some of a side's items, and behind them others."""
    among = side.scores
    if side.computed and isinstance(among, EmbeddingScores):
        theirs = more.scores if more is not None and isinstance(more.scores, EmbeddingScores) else None
        among = among.changed(kept, theirs)
    elif among is not None:
        among = among.take(kept, kept)
    ids = None if side.ids is None else side.ids.take(kept)
    if more is not None and ids is not None and more.ids is not None:
        ids = Ids(_concatenated(ids.values, more.ids.values), "add")
    return replace(
        side,
        size=len(kept) + (0 if more is None else more.size),
        ids=ids,
        scores=among,
        features=Named({name: _with(feature.take(kept), more, name) for name, feature in side.features.items()}),
        bank=None if side.bank is None else side.bank.take(None, kept),
    )


def _with(feature: Feature, more: Side | None, name: str) -> Feature:
    if more is None:
        return feature
    other = more.features[name]
    if isinstance(feature, Vectors) and isinstance(other, Vectors):
        return Vectors(np.concatenate([feature.values, other.values]))
    made: Any = type(feature)
    joined: Feature = made([*feature, *other])
    return joined


def _concatenated(one: AnyArray, other: AnyArray) -> AnyArray:
    if one.dtype.kind != other.dtype.kind:
        raise rule("add", "must have ids of the gallery's kind", f"{other.dtype}, not {one.dtype}")
    return np.concatenate([one, other])


def _bank(gallery: Gallery, kept: IntArray, side: Side, more: Gallery | None) -> Bank | None:
    """The gallery's bank, for the changed items."""
    bank = gallery.bank
    if bank is None or bank.to_gallery is None:
        return bank
    if isinstance(bank.to_gallery, EmbeddingScores) and isinstance(side.scores, EmbeddingScores) and side.computed:
        scores = bank.to_gallery.beside(side.scores)
        return Bank.from_checked(size=bank.size, to_gallery=scores, to_queries=None, to_bank=scores.facing(scores))
    to_gallery = bank.to_gallery.take(None, kept)
    if more is not None:
        theirs = None if more.bank is None else more.bank.to_gallery
        if theirs is None or theirs.shape[0] != bank.size:
            raise rule("add", f"must have the scores of the bank's {bank.size} queries: Gallery(…, bank=Bank(…))", more)
        to_gallery = _side_by_side(to_gallery, theirs)
    return Bank(to_gallery=to_gallery, to_bank=bank.to_bank)


def _side_by_side(one: Scores, other: Scores) -> Scores:
    if not one.complete or not other.complete:
        raise InputError("'add' cannot join a bank of top-k lists, which leave pairs out: make a new Gallery")
    return DenseScores(np.concatenate([one.rows(), other.rows()], axis=1))

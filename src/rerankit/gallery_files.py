"""A gallery as arrays that are mapped from a file when it is read, and a few values with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rerankit.arrays import AnyArray, frozen
from rerankit.bank import Bank
from rerankit.errors import rule
from rerankit.features import feature_arrays, feature_from
from rerankit.formats.scores import from_scores, to_scores
from rerankit.gallery import Gallery
from rerankit.ids import Ids
from rerankit.scores import EmbeddingScores, Scores
from rerankit.scores.vectors import GridVectors, Held
from rerankit.sides import Side
from rerankit.values import Named

_PARTS = ("to_gallery", "to_bank")


def gallery_arrays(gallery: Gallery) -> tuple[dict[str, AnyArray], dict[str, Any]]:
    """Arrays by name, and values that JSON holds."""
    side, among = gallery.side, gallery.embeddings
    values: dict[str, Any] = {"size": side.size}
    arrays: dict[str, AnyArray] = {}
    if among is not None:
        items = among.standing
        held = items.held
        assert held is not None, "a standing side keeps its vectors"
        arrays |= {"vectors": items.array, **_of_held(held)}
        arrays |= {} if items.centre is None else {"centre": items.centre}
        values["metric"] = among.metric
    elif side.scores is not None:
        arrays |= from_scores("gallery_scores", side.scores)
    if side.ids is not None:
        arrays["ids"] = side.ids.values
    for name, feature in side.features.items():
        arrays |= feature_arrays(f"features/{name}", feature)
    arrays |= _bank_arrays("bank", gallery.bank, among) | _bank_arrays("gallery_bank", side.bank, None)
    return arrays, values


def gallery_of(arrays: Mapping[str, AnyArray], values: Mapping[str, Any]) -> Gallery:
    """The gallery of what `gallery_arrays` gave; arrays stay where they are."""
    if "ids" in arrays:
        _check_shape("ids", arrays["ids"], (values["size"],))
    among = _among(arrays, values)
    computed = "vectors" in arrays
    ids = Ids.from_checked(values=frozen(arrays["ids"]), _rows=None) if "ids" in arrays else None
    bank = _bank("gallery_bank", arrays, None)
    side = Side(int(values["size"]), ids, among, computed, Named(_features(arrays)), bank)
    of_queries = _bank("bank", arrays, among if isinstance(among, EmbeddingScores) and computed else None)
    return Gallery.from_checked(side=side, bank=of_queries)


def _among(arrays: Mapping[str, AnyArray], values: Mapping[str, Any]) -> Scores | None:
    if "vectors" not in arrays:
        return to_scores("gallery_scores", arrays)
    _check_shape("vectors", arrays["vectors"], (values["size"], arrays["vectors"].shape[-1]))
    items = GridVectors.trusted(arrays["vectors"], unit=values["metric"] == "cosine", centre=arrays.get("centre"))
    return EmbeddingScores.of_standing(values["metric"], items.with_held(_held(arrays, arrays["vectors"])))


def _of_held(held: Held) -> dict[str, AnyArray]:
    return {
        "held/vectors": held.vectors,
        "held/squares": held.squares,
        "held/longest": np.array([held.longest]),
    }


def _held(arrays: Mapping[str, AnyArray], of: AnyArray, prefix: str = "") -> Held:
    vectors, squares, longest = (arrays[f"{prefix}held/{part}"] for part in ("vectors", "squares", "longest"))
    _check_shape(f"{prefix}held/vectors", vectors, of.shape)
    _check_shape(f"{prefix}held/squares", squares, of.shape[:1])
    _check_shape(f"{prefix}held/longest", longest, (1,))
    return Held(frozen(vectors), squares, float(longest[0]))


def _check_shape(name: str, array: AnyArray, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise rule(name, f"must have the shape {shape}", array.shape)


def _bank_arrays(name: str, bank: Bank | None, among: EmbeddingScores | None) -> dict[str, AnyArray]:
    if bank is None:
        return {}
    if among is not None and isinstance(bank.to_gallery, EmbeddingScores):
        rows = bank.to_gallery.held_rows
        kept = {} if rows is None else _of_held(rows)
        return {f"{name}/vectors": bank.to_gallery.queries, **{f"{name}/{part}": kept[part] for part in kept}}
    arrays: dict[str, AnyArray] = {}
    for part in _PARTS:
        scores = getattr(bank, part)
        arrays |= {} if scores is None else from_scores(f"{name}/{part}", scores)
    return arrays


def _bank(name: str, arrays: Mapping[str, AnyArray], among: EmbeddingScores | None) -> Bank | None:
    if f"{name}/vectors" in arrays and among is not None:
        held: Held | bool = False
        if f"{name}/held/vectors" in arrays:
            held = _held(arrays, arrays[f"{name}/vectors"], f"{name}/")
        return Bank.from_embeddings(arrays[f"{name}/vectors"], among, name, held=held).facing(None)
    parts = {part: to_scores(f"{name}/{part}", arrays) for part in _PARTS}
    return Bank(**parts) if parts["to_gallery"] is not None else None


def _features(arrays: Mapping[str, AnyArray]) -> dict[str, Any]:
    parts: dict[str, dict[str, AnyArray]] = {}
    for name, array in arrays.items():
        if name.startswith("features/"):
            feature, _, part = name.partition("/")[2].partition("/")
            parts.setdefault(feature, {})[part] = array
    return {name: feature_from(name, given, f"features/{name}") for name, given in parts.items()}

"""From plain values to the kind of feature they look like."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from rerankit.arrays import numbers, to_numpy
from rerankit.errors import InputError, rule
from rerankit.features.base import Feature
from rerankit.features.pictures import Pictures
from rerankit.features.texts import TextLists, Texts
from rerankit.features.tokens import Tokens
from rerankit.features.vectors import Vectors
from rerankit.values import Named

_PICTURES = re.compile("(image|picture)s?$")


def features_of(given: Any, size: int, argument: str) -> Named[Feature]:
    """Features of `size` items by name; plain values become the kind they look like."""
    if given is None:
        return Named()
    if not isinstance(given, Mapping):
        raise rule(argument, "must map names to values", type(given).__name__)
    found = {}
    for name, value in given.items():
        if not isinstance(name, str) or not name or "/" in name or "\\" in name:
            raise rule(argument, "must have names without '/'", repr(name))
        found[name] = _counted(as_feature(name, value, f"{argument}[{name!r}]"), size, f"{argument}[{name!r}]")
    return Named(found)


def as_feature(name: str, value: Any, argument: str = "feature") -> Feature:
    """A feature from itself or from plain values: texts, lists of texts, numbers, tokens, pictures.

    Texts are paths of pictures where the name ends in "images" or "pictures".

    >>> as_feature("text", ["a", "b"]), as_feature("images", ["a.png"]), as_feature("age", [3, 4])
    (Texts(2 items), Pictures(1 items, paths), Vectors(2 items, int64))
    """
    if isinstance(value, Feature):
        return value
    if isinstance(value, str | bytes) or not hasattr(value, "__len__"):
        raise rule(
            argument, "must have one entry per item", repr(value) if isinstance(value, str) else type(value).__name__
        )
    if hasattr(value, "shape") or hasattr(value, "__array_interface__"):
        return _of_array(name, value, argument)
    if not isinstance(value, list | tuple):
        raise rule(argument, "must be a list, an array or a rerankit.features.Feature", type(value).__name__)
    return _of_list(name, value, argument)


def _of_array(name: str, value: Any, argument: str) -> Feature:
    array = to_numpy(value, argument)
    if array.dtype.kind == "O":
        return _of_list(name, array.tolist(), argument)
    if array.dtype.kind in "US":
        texts = array.astype(np.str_)
        return _of_texts(name, texts.tolist(), argument) if array.ndim == 1 else _of_rows(texts.tolist(), argument)
    array = numbers(value, argument)
    if array.ndim == 4:
        return Pictures(array, argument)
    return Tokens(array, argument=argument) if array.ndim == 3 else Vectors(array, argument)


def _of_list(name: str, value: Any, argument: str) -> Feature:
    first = next((one for one in value if one is not None), None)
    if isinstance(first, str):
        return _of_texts(name, value, argument)
    if isinstance(first, list | tuple) and (not first or isinstance(first[0], str)):
        return TextLists(value, argument)
    if isinstance(first, os.PathLike) or _is_picture(first):
        return Pictures(value, argument)
    if first is None and len(value):
        raise rule(argument, "must have an entry for at least one item", f"{len(value)} times None")
    if getattr(first, "ndim", 0) == 2 or any(one is None for one in value):
        return Tokens(value, argument=argument)
    return _of_numbers(value, argument)


def _of_rows(rows: Any, argument: str) -> TextLists:
    """Rows of an array of texts, in which empty texts at the end stand for those that an item does not have."""
    return TextLists([row[: max((n for n, text in enumerate(row, 1) if text), default=1)] for row in rows], argument)


def _of_numbers(value: Any, argument: str) -> Feature:
    array = numbers(value, argument)
    return Tokens(array, argument=argument) if array.ndim == 3 else Vectors(array, argument)


def _of_texts(name: str, value: Any, argument: str) -> Feature:
    return Pictures(value, argument) if _PICTURES.search(name) else Texts(value, argument)


def _is_picture(value: Any) -> bool:
    """A PIL picture, or an array (height, width, 3)."""
    if hasattr(value, "convert") and hasattr(value, "size"):
        return True
    return getattr(value, "ndim", 0) == 3 and 3 in (value.shape[0], value.shape[2])


def _counted(feature: Feature, size: int, argument: str) -> Feature:
    side = argument.partition("_features")[0]
    items = f"{side} items" if side in ("query", "gallery") else "items"
    if len(feature) != size:
        raise InputError(
            f"'{argument}' must have one entry for each of the {size} {items} (got {len(feature)} entries)"
        )
    return feature

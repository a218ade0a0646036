"""Features as named arrays, and back: `NAME`, or `NAME/PART` for a kind of several parts."""

from __future__ import annotations

from collections.abc import Mapping

from rerankit.arrays import AnyArray
from rerankit.errors import InputError
from rerankit.features.base import Feature
from rerankit.features.guess import as_feature
from rerankit.features.pictures import Pictures
from rerankit.features.regions import Regions
from rerankit.features.texts import TextLists
from rerankit.features.tokens import Tokens

_KINDS: dict[frozenset[str], type[TextLists] | type[Tokens] | type[Regions] | type[Pictures]] = {
    frozenset({"texts", "counts"}): TextLists,
    frozenset({"values", "counts"}): Tokens,
    frozenset({"tokens", "counts"}): Tokens,
    frozenset({"regions", "counts"}): Regions,
    frozenset({"regions"}): Regions,
    frozenset({"paths"}): Pictures,
    frozenset({"pixels"}): Pictures,
    frozenset({"pixels", "sizes"}): Pictures,
}


def feature_arrays(name: str, feature: Feature) -> dict[str, AnyArray]:
    """The arrays of a feature, by `name` and by `name/PART`."""
    return {f"{name}/{part}" if part else name: array for part, array in feature.to_arrays().items()}


def feature_from(name: str, arrays: Mapping[str, AnyArray], argument: str) -> Feature:
    """The feature of the arrays of one name, by part; "" for the one without a part."""
    if arrays.keys() == {""}:
        return as_feature(name, arrays[""], argument)
    kind = _KINDS.get(frozenset(arrays))
    if kind is None:
        known = "; ".join(", ".join(sorted(parts)) for parts in _KINDS)
        raise InputError(f"'{argument}' must have the parts of one kind: {known} (got {', '.join(sorted(arrays))})")
    return kind.from_arrays(dict(arrays), argument)

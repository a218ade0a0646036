"""Features: what is known of a side's items besides scores; each kind checks, counts, takes and writes itself.

========================  ==================================================================
`Texts`                   a text for each item
`TextLists`               several texts for each item
`Vectors`                 a number or a vector for each item
`Tokens`                  several vectors for each item, (items, T, d), or of uneven numbers
`Regions`                 the same of a picture's regions, (pictures, R, d)
`Pictures`                a picture for each item: a path, a PIL picture, an array
========================  ==================================================================

Plain values become the kind they look like (`as_feature`); other kinds are subclasses of `Feature`.
"""

from __future__ import annotations

from rerankit.features.base import Feature
from rerankit.features.guess import as_feature, features_of
from rerankit.features.pictures import Pictures
from rerankit.features.regions import Regions
from rerankit.features.stored import feature_arrays, feature_from
from rerankit.features.texts import TextLists, Texts
from rerankit.features.tokens import Tokens
from rerankit.features.vectors import Vectors

__all__ = [
    "Feature",
    "Pictures",
    "Regions",
    "TextLists",
    "Texts",
    "Tokens",
    "Vectors",
    "as_feature",
    "feature_arrays",
    "feature_from",
    "features_of",
]

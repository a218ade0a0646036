"""What an item looks like to people: its name, its text and its picture, out of a problem's features."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rerankit.errors import rule
from rerankit.pictures import ENDINGS
from rerankit.problem import Feature, Problem
from rerankit.sides import SideName

_TEXTS = re.compile("text|caption|title|description|quer")
_SEVERAL = " · "
"""Between the texts of an item that has several."""


@dataclass(frozen=True)
class Face:
    """One item: `picture` is anything that `rerankit.pictures.open_image` opens, or None."""

    name: str
    text: str = ""
    picture: Any = None


class Faces:
    """The items of one side of a problem, by row.

    Of its features, one that holds texts gives the text, and one that holds pictures (PIL pictures, paths of
    pictures, arrays of bytes) gives the picture.

    >>> faces = Faces(Problem([[0.1, 0.9]], features={"captions": Feature(["a cat", "a dog"], "gallery")}), "gallery")
    >>> faces[1]
    Face(name='1', text='a dog', picture=None)
    """

    def __init__(self, problem: Problem, side: SideName) -> None:
        items = problem.queries if side == "query" else problem.gallery
        self._ids, features = items.ids, items.features
        # Other kinds of values may read files when they are asked, and what they give is nothing to look at.
        own = {
            name: each for name, each in features.items() if isinstance(each, list | tuple | np.ndarray) and len(each)
        }
        texts = [name for name, values in own.items() if _is_text(name, values[0])]
        pictures = [name for name, values in own.items() if _is_picture(name, values[0])]
        texts.sort(key=lambda name: _TEXTS.search(name) is None)
        self._texts = own[texts[0]] if texts else None
        self._pictures = own[pictures[0]] if pictures else None

    def __getitem__(self, row: int) -> Face:
        name = str(row if self._ids is None else self._ids[row])
        text = "" if self._texts is None else self._texts[row]
        picture = None if self._pictures is None else self._pictures[row]
        return Face(name, text if isinstance(text, str) else _SEVERAL.join(map(str, text)), picture)

    @property
    def pictured(self) -> bool:
        """Whether there are pictures."""
        return self._pictures is not None


def _is_text(name: str, value: Any) -> bool:
    if isinstance(value, list | tuple) and value:
        return all(isinstance(each, str) for each in value)
    return isinstance(value, str) and not name.endswith("path") and not _is_picture(name, value)


def _is_picture(name: str, value: Any) -> bool:
    if isinstance(value, (str, os.PathLike)):
        return not name.endswith("path") and (name.endswith("images") or os.fspath(value).lower().endswith(ENDINGS))
    if isinstance(value, np.ndarray):
        return value.ndim == 3 and (name.endswith("images") or (value.dtype == np.uint8 and value.shape[2] == 3))
    return hasattr(value, "convert") and hasattr(value, "size")


def with_pictures(problem: Problem, pattern: str, *, but: Iterable[str] = ()) -> Problem:
    """The problem with the pictures of its items, which lie at `pattern`: {id} stands for an item's id, {path} for
    what the task calls its path.

    Gallery items get the feature "candidate_images", and queries that name a reference get "reference_images".
    A side that already has one of the features `but` is left alone.
    """
    features, ids = problem.features, problem.gallery_ids
    known = features.keys() & set(but)
    more: dict[str, Feature] = {}
    if "reference" in features and not {name for name in known if name.startswith("reference")}:
        paths = _paths(pattern, features["reference"], features.get("reference_path"))
        more["reference_images"] = Feature(paths, "query")
    if ids is not None and not {name for name in known if name.startswith("candidate")}:
        paths = _paths(pattern, ids.tolist(), features.get("candidate_path"))
        more["candidate_images"] = Feature(paths, "gallery")
    return problem.with_features(**more) if more else problem


def with_query_pictures(problem: Problem, pattern: str) -> Problem:
    """The problem with the pictures of its queries, which lie at `pattern`, a path with {id}."""
    if problem.query_ids is None:
        raise rule("problem", "must have query_ids to know where the queries' pictures are", "none")
    return problem.with_features(query_images=Feature(_paths(pattern, problem.query_ids.tolist(), None), "query"))


def check_pattern(argument: str, pattern: str | None) -> str | None:
    """A pattern with a place for the item's id or path, or an error."""
    if pattern is not None and not re.search(r"\{(id|path)\b", pattern):
        raise rule(argument, "must be a path with {id} in place of an item's id, or {path} of its path", pattern)
    return pattern


def _paths(pattern: str, names: Iterable[Any], paths: Iterable[Any] | None) -> list[str]:
    """Where pictures lie, of their names and, where the pattern asks for them, paths."""
    if "{path" in pattern and paths is None:
        raise rule("images", "must be a path with {id}: this problem has no paths of pictures", pattern)
    if paths is None:
        return [pattern.format(id=name) for name in names]
    return [os.path.normpath(pattern.format(id=n, path=path)) for n, path in zip(names, paths, strict=True)]


def face_to_dict(face: Face) -> dict[str, str]:
    """A face as JSON takes it: of its picture only a path, which stays where it is."""
    path = os.fspath(face.picture) if isinstance(face.picture, (str, os.PathLike)) else ""
    return {name: value for name, value in (("name", face.name), ("text", face.text), ("picture", path)) if value}


def face_from_dict(data: Mapping[str, str]) -> Face:
    """What `face_to_dict` gave."""
    return Face(data.get("name", ""), data.get("text", ""), data.get("picture"))

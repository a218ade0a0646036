"""What an item looks like to people: its name, its text and its picture, out of a problem's features."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rerankit.errors import rule
from rerankit.features import Pictures, TextLists, Texts
from rerankit.pictures import ENDINGS
from rerankit.problem import Problem
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

    Of its features, one that holds texts gives the text, and one that holds pictures, or texts that are paths of
    pictures, gives the picture.

    >>> faces = Faces(Problem([[0.1, 0.9]], gallery_features={"text": ["a cat", "a dog"]}), "gallery")
    >>> faces[1]
    Face(name='1', text='a dog', picture=None)
    """

    def __init__(self, problem: Problem, side: SideName) -> None:
        items = problem.queries if side == "query" else problem.gallery
        self._ids = items.ids
        texts = [name for name, each in items.features.items() if isinstance(each, Texts | TextLists)]
        texts = [name for name in texts if not name.endswith("path")]
        texts.sort(key=lambda name: _TEXTS.search(name) is None)
        shown = [name for name, each in items.features.items() if isinstance(each, Pictures)]
        shown += [name for name in texts if str(items.features[name][0]).lower().endswith(ENDINGS)]
        texts = [name for name in texts if name not in shown]
        self._texts = items.features[texts[0]] if texts else None
        self._pictures = items.features[shown[0]] if shown else None

    def __getitem__(self, row: int) -> Face:
        name = str(row if self._ids is None else self._ids[row])
        text = "" if self._texts is None else self._texts[row]
        picture = None if self._pictures is None else self._pictures[row]
        return Face(name, text if isinstance(text, str) else _SEVERAL.join(map(str, text)), picture)

    @property
    def pictured(self) -> bool:
        """Whether there are pictures."""
        return self._pictures is not None


def with_pictures(problem: Problem, pattern: str, *, but: Iterable[str] = ()) -> Problem:
    """The problem with the pictures of its items, which lie at `pattern`: {id} stands for an item's id, {path} for
    what the task calls its path.

    Gallery items get the feature "candidate_images", and queries that name a reference get "reference_images".
    A side that already has one of the features `but` is left alone.
    """
    of_queries, offered, ids = problem.query_features, problem.gallery_features, problem.gallery_ids
    known = {*of_queries, *offered} & set(but)
    more: dict[str, dict[str, Pictures]] = {"query_features": {}, "gallery_features": {}}
    if "reference" in of_queries and not {name for name in known if name.startswith("reference")}:
        paths = _paths(pattern, of_queries["reference"], of_queries.get("reference_path"))
        more["query_features"]["reference_images"] = Pictures(paths)
    if ids is not None and not {name for name in known if name.startswith("candidate")}:
        paths = _paths(pattern, ids.tolist(), offered.get("candidate_path"))
        more["gallery_features"]["candidate_images"] = Pictures(paths)
    return problem.with_features(**more)


def with_query_pictures(problem: Problem, pattern: str) -> Problem:
    """The problem with the pictures of its queries, which lie at `pattern`, a path with {id}."""
    if problem.query_ids is None:
        raise rule("problem", "must have query_ids to know where the queries' pictures are", "none")
    return problem.with_features(query_features={"images": _paths(pattern, problem.query_ids.tolist(), None)})


def check_pattern(argument: str, pattern: str | None) -> str | None:
    """A pattern with a place for the item's id or path, or an error."""
    if pattern is not None and not re.search(r"\{(id|path)\b", pattern):
        raise rule(argument, "must be a path with {id} in place of an item's id, or {path} of its path", pattern)
    return pattern


def _paths(pattern: str, names: Iterable[Any], paths: Iterable[Any] | None) -> list[str]:
    """Where pictures lie, of their names and, where the pattern asks for them, paths."""
    if "{path" in pattern and paths is None:
        raise rule("images", "must be a path with {id}: this problem has no paths of pictures", pattern)
    try:
        if paths is None:
            return [pattern.format(id=name) for name in names]
        return [os.path.normpath(pattern.format(id=n, path=path)) for n, path in zip(names, paths, strict=True)]
    except (ValueError, LookupError) as cause:
        first = next(iter(names))
        raise rule("images", f"must be a pattern that fits ids such as {first!r} ({cause})", repr(pattern)) from cause


def face_to_dict(face: Face) -> dict[str, str]:
    """A face as JSON takes it: of its picture only a path, which stays where it is."""
    path = os.fspath(face.picture) if isinstance(face.picture, (str, os.PathLike)) else ""
    return {name: value for name, value in (("name", face.name), ("text", face.text), ("picture", path)) if value}


def face_from_dict(data: Mapping[str, str]) -> Face:
    """What `face_to_dict` gave."""
    return Face(data.get("name", ""), data.get("text", ""), data.get("picture"))

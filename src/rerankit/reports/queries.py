"""The queries of a report that moved most, with texts and pictures where there are any."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rerankit.bench.examples import Candidate, Example
from rerankit.display import Face, Faces
from rerankit.pictures import UnreadableImageError, data_uri, open_image
from rerankit.problem import Problem
from rerankit.reports.views import View

SIZE = 96
"""Pixels of a picture's side."""
_PIPELINES = 5
"""So many pipelines of a view show their queries, the best ones."""


class Thumbnails:
    """The small pictures of a page, each held once.

    `problems` say what items look like, by the name of a part or of a matrix; without them, a result knows texts and
    the paths of pictures.
    """

    def __init__(self, problems: Mapping[str, Problem] | None = None) -> None:
        self.uris: dict[str, str] = {}
        self._keys: dict[Any, str] = {}
        self._problems = dict(problems or {})
        self._faces: dict[tuple[str, str], Faces] = {}

    def key(self, face: Face, *place: Any) -> str:
        """The id of a face's picture on the page; nothing where there is none, or none that can be read.

        `place` says which item it is, for pictures that are not files.
        """
        if face.picture is None:
            return ""
        known = os.fspath(face.picture) if isinstance(face.picture, (str, os.PathLike)) else place
        if known not in self._keys:
            self._keys[known] = self._added(face)
        return self._keys[known]

    def _added(self, face: Face) -> str:
        try:
            uri = data_uri(open_image(face.picture, face.name), SIZE)
        except UnreadableImageError:
            return ""
        key = f"p{len(self.uris)}"
        self.uris[key] = uri
        return key

    def face(self, part: str, side: str, row: int, face: Face) -> Face:
        """An item as the part's problem shows it, where one was given."""
        problem = self._problems.get(part)
        if problem is None:
            return face
        if (part, side) not in self._faces:
            self._faces[part, side] = Faces(problem, side)  # type: ignore[arg-type]
        seen = self._faces[part, side][row]
        picture = face.picture if seen.picture is None else seen.picture
        return replace(face, text=seen.text or face.text, picture=picture)


def moved(view: View, pictures: Thumbnails) -> list[dict[str, Any]]:
    """For the best pipelines, the queries that they moved most."""
    found = [system for system in view.pipelines if system.row.examples][:_PIPELINES]
    listed = f"> {view.row.k:,}"
    return [
        {
            "key": system.key,
            "label": system.label,
            "queries": [query(one, pictures, listed, view.part) for one in system.row.examples],
        }
        for system in found
    ]


def query(example: Example, pictures: Thumbnails, beyond: str = "not listed", part: str = "") -> dict[str, Any]:
    """A query as a card shows it; `beyond` stands for the rank of what is not among the candidates."""
    face = pictures.face(part, "query", example.row, example.query)
    sides: list[dict[str, Any]] = [
        {"name": name, "listed": [_item(part, each, pictures) for each in listed]}
        for name, listed in (("before", example.before), ("after", example.after))
    ]
    before, after = (beyond if rank is None else f"{rank:,.4g}" for rank in example.ranks)
    old, new = (float("inf") if rank is None else rank for rank in example.ranks)
    known = example.ranks != (None, None)
    return {
        "name": face.name,
        "text": face.text,
        "picture": pictures.key(face, part, "query", example.row),
        "before": before if known else "",
        "after": after,
        "kind": "gain" if new < old else "loss" if new > old else "",
        "sides": sides,
        "pictured": any(item["picture"] for side in sides for item in side["listed"]),
    }


def _item(part: str, candidate: Candidate, pictures: Thumbnails) -> dict[str, Any]:
    face = pictures.face(part, "gallery", candidate.row, candidate.face)
    picture = pictures.key(face, part, "gallery", candidate.row)
    return {"name": face.name, "text": face.text, "picture": picture, "right": candidate.right}

"""Seeing a composed query: reference, text, and its candidates before and after."""

from __future__ import annotations

import base64
import html
import io
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rerankit.errors import rule
from rerankit.extras import require
from rerankit.files import atomic
from rerankit.pictures import open_image
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance
from rerankit.stages.triplet.reading import Reading, completed

_RIGHT, _INK = (22, 140, 60), (30, 30, 30)


@dataclass(frozen=True)
class Shown:
    """One query's picture in parts: names and PIL pictures, and which candidates are right."""

    title: str
    text: str
    reference: Any
    rows: tuple[tuple[str, tuple[tuple[str, Any, bool], ...]], ...]


def compose(
    problem: Problem,
    query: int,
    before: Ranking,
    after: Ranking,
    *,
    relevance: Relevance | None = None,
    k: int = 8,
    images: str | None = None,
) -> Shown:
    """The parts of a query's picture; `images` is a path pattern with {id}, as the stage takes it.

    With `relevance` the right candidates are marked, and those it leaves out are not shown.
    """
    if not 0 <= query < problem.shape[0]:
        raise rule("query", f"must be in 0…{problem.shape[0] - 1}", query)
    problem = completed(problem, Reading(images=images))
    for name in ("reference_images", "candidate_images"):
        if name not in problem.features:
            raise rule("problem", f"must have the feature '{name}' to be drawn", sorted(problem.features))
    said = problem.features.get("text", [""] * problem.shape[0])[query]
    right: Collection[int] = () if relevance is None else relevance.of(query).items.tolist()
    out: Collection[int] = () if relevance is None else relevance.of(query).excluded.tolist()
    rows = tuple(
        (label, tuple(_candidate(problem, item, place, right) for place, item in _first(ranking, query, k, out)))
        for label, ranking in (("before", before), ("after", after))
    )
    name = str(query if problem.query_ids is None else problem.query_ids[query])
    reference = open_image(problem.features["reference_images"][query], f"reference image {query}")
    return Shown(f"query {name}", said if isinstance(said, str) else " and ".join(said), reference, rows)


def _first(ranking: Ranking, query: int, k: int, out: Collection[int]) -> list[tuple[int, int]]:
    items = [item for item in ranking.indices[query].tolist() if item >= 0 and item not in out]
    return list(enumerate(items[:k], 1))


def _candidate(problem: Problem, item: int, place: int, right: Collection[int]) -> tuple[str, Any, bool]:
    name = str(item if problem.gallery_ids is None else problem.gallery_ids[item])
    picture = open_image(problem.features["candidate_images"][item], f"candidate image {item}")
    return f"{place}. {name}", picture, item in right


def save_picture(shown: Shown, path: str | os.PathLike[str], *, size: int = 128) -> Path:
    """Write the picture as .png or as a self-contained .html page, by the path's ending."""
    target = Path(path)
    if target.suffix not in (".png", ".html"):
        raise rule("path", "must end in .png or .html", str(path))
    with atomic(target) as temporary:
        if target.suffix == ".png":
            _draw(shown, size).save(temporary)
        else:
            temporary.write_text(_page(shown, size), encoding="utf-8")
    return target


def _draw(shown: Shown, size: int) -> Any:
    pil, pen = (require(f"PIL.{name}", extra="triplet", purpose="drawing") for name in ("Image", "ImageDraw"))
    edge, line = 10, 16
    columns = 1 + max((len(items) for _, items in shown.rows), default=0)
    cell = (size + edge, size + edge + line)
    canvas = pil.new("RGB", (edge + columns * cell[0], edge + line + len(shown.rows) * (cell[1] + line)), "white")
    brush = pen.Draw(canvas)
    brush.text((edge, edge // 2), f"{shown.title}: {shown.text}", fill=_INK)
    canvas.paste(_fitted(pil, shown.reference, size), (edge, edge + 2 * line))
    brush.text((edge, edge + 2 * line + size), "reference", fill=_INK)
    for row, (label, items) in enumerate(shown.rows):
        top = edge + line + row * (cell[1] + line)
        brush.text((edge + cell[0], top), label, fill=_INK)
        for place, (name, picture, right) in enumerate(items, 1):
            x, y = edge + place * cell[0], top + line
            canvas.paste(_fitted(pil, picture, size), (x, y))
            if right:
                brush.rectangle([x - 3, y - 3, x + size + 2, y + size + 2], outline=_RIGHT, width=4)
            brush.text((x, y + size + 2), name[: size // 6] + (" (target)" if right else ""), fill=_INK)
    return canvas


def _fitted(pil: Any, picture: Any, size: int) -> Any:
    """The whole picture inside a square; small ones are enlarged."""
    scale = size / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    square = pil.new("RGB", (size, size), (235, 235, 235))
    square.paste(picture.resize((width, height)), ((size - width) // 2, (size - height) // 2))
    return square


def _page(shown: Shown, size: int) -> str:
    rows = "".join(
        f"<h2>{html.escape(label)}</h2><div class=row>{''.join(_figure(*item, size) for item in items)}</div>"
        for label, items in shown.rows
    )
    style = (
        "body{font:14px sans-serif;margin:2em}.row{display:flex;gap:10px;flex-wrap:wrap}"
        "figure{margin:0}img{border:4px solid transparent}.right img{border-color:rgb(22,140,60)}"
    )
    head = f"<meta charset=utf-8><title>{html.escape(shown.title)}</title><style>{style}</style>"
    asked = f"<h1>{html.escape(shown.title)}: {html.escape(shown.text)}</h1>"
    return f"<!doctype html>{head}{asked}{_figure('reference', shown.reference, False, size)}{rows}"


def _figure(name: str, picture: Any, right: bool, size: int) -> str:
    pil = require("PIL.Image", extra="triplet", purpose="drawing")
    buffer = io.BytesIO()
    _fitted(pil, picture, size).save(buffer, "PNG")
    data = base64.b64encode(buffer.getvalue()).decode()
    kind, mark = (" class=right", " (target)") if right else ("", "")
    alt = html.escape(name + mark)
    return f"<figure{kind}><img src='data:image/png;base64,{data}' alt='{alt}'><figcaption>{alt}</figcaption></figure>"

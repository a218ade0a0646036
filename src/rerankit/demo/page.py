"""The demo as one page that a browser opens."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rerankit.demo.section import FigureTable, Section, Story
from rerankit.files import atomic
from rerankit.measure import machine
from rerankit.reports import templating
from rerankit.reports.queries import Thumbnails, query
from rerankit.version import __version__


def write(parts: Sequence[Section], path: str | os.PathLike[str], left_out: Sequence[str] = ()) -> Path:
    """Write the page of some parts; `left_out` says in sentences what is missing and why."""
    environment, pictures = templating.environment("rerankit.demo"), Thumbnails()
    text = environment.get_template("demo.html").render(
        shown=[_shown(part, pictures) for part in parts],
        left_out=left_out,
        pictures=pictures.uris,
        version=__version__,
        machine=machine()["cpu"],
        css=templating.css(environment),
        script=templating.script(environment),
        looks_words={},
        looks_texts={},
    )
    target = Path(path)
    with atomic(target, overwrite=True) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return target


def _shown(part: Section, pictures: Thumbnails) -> dict[str, Any]:
    return {
        "name": part.name,
        "title": part.title,
        "lead": part.lead,
        "tables": [_table(each) for each in part.tables],
        "charts": part.charts,
        "caption": part.caption,
        # Pictures are told apart by the place they stand in: each digit is drawn below the half that asks for it.
        "queries": [query(each, pictures, part=f"{part.name} {each.row}") for each in part.examples],
        "stories": [_story(each, pictures) for each in part.stories],
        "card": part.card,
    }


def _table(table: FigureTable) -> dict[str, Any]:
    heads = list(table.rows[0])
    best = {name: max(row[name] for row in table.rows) for name in table.better}
    texts = {name: _texts([row[name] for row in table.rows]) for name in heads}
    lines = [
        [{"text": texts[name][at], "best": row[name] == best.get(name)} for name in heads]
        for at, row in enumerate(table.rows)
    ]
    return {"heads": heads, "lines": lines, "note": table.note, "marked": bool(table.better)}


def _texts(values: Sequence[Any]) -> list[str]:
    """The cells of a column; numbers with a point have the same number of decimals."""
    decimals = max((len(str(value).partition(".")[2]) for value in values if isinstance(value, float)), default=0)
    shown = {float: f",.{decimals}f", int: ","}
    return [format(value, shown.get(type(value), "")) for value in values]


def _story(story: Story, pictures: Thumbnails) -> dict[str, Any]:
    rounds = []
    for text, each in zip(story.texts, story.rounds, strict=True):
        card = query(each, pictures, part="stories")
        rank = {key: card[key] for key in ("before", "after", "kind")}  # none of them where it was not a candidate
        rounds.append({"text": text, "listed": card["sides"][1]["listed"], **rank})
    row = story.rounds[-1].row
    return {
        "name": story.sought.name,
        "picture": pictures.key(story.sought, "stories", "gallery", row),
        "rounds": rounds,
    }

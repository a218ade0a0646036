"""What a part of the demo shows, in the terminal and on the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rerankit.bench.examples import Example
from rerankit.display import Face
from rerankit.reports.charts.chart import Chart


@dataclass(frozen=True)
class FigureTable:
    """Rows of figures, and a sentence that says what they are; the best figures of `better` columns are marked."""

    rows: list[dict[str, Any]]
    note: str = ""
    better: tuple[str, ...] = ()


@dataclass(frozen=True)
class Story:
    """One query that grows: what is looked for, what was said in every round, and what was found after it."""

    sought: Face
    texts: tuple[str, ...]
    rounds: tuple[Example, ...]


@dataclass(frozen=True)
class Section:
    """One part: a title, what it is about, its tables and charts, and queries to look at."""

    name: str
    title: str
    lead: str
    tables: tuple[FigureTable, ...]
    charts: tuple[Chart, ...] = ()
    examples: tuple[Example, ...] = ()
    stories: tuple[Story, ...] = ()
    caption: str = ""
    """What the queries below show."""
    card: str = ""
    """What there is to know about the weights that were used."""

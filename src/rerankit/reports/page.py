"""The page of a report: what its templates show, made of views."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rerankit.bench import Result
from rerankit.bench.examples import Example
from rerankit.errors import PluginError, RerankitWarning
from rerankit.looks import TEXTS, WORDS
from rerankit.metrics import traits_of
from rerankit.plugins import manager
from rerankit.plugins.faults import FaultError
from rerankit.reports import charts, templating
from rerankit.reports.queries import Thumbnails, moved, query
from rerankit.reports.tables import figures, hub_lines, moves, overview
from rerankit.reports.views import KINDS, Chapter, System, View
from rerankit.statistics.render import caption
from rerankit.version import __version__


def render(chapters: Sequence[Chapter], pictures: Thumbnails, title: str | None = None) -> str:
    """The whole page as HTML."""
    environment = templating.environment()
    views = [view for chapter in chapters for view in chapter.views]
    results = [result for chapter in chapters for result in chapter.results]
    several = len(chapters) > 1
    pages = [_page(chapter, view, several, pictures) for chapter in chapters for view in chapter.views]
    text: str = environment.get_template("report.html").render(
        title=title or "; ".join(dict.fromkeys(str(chapter.task["title"]) for chapter in chapters)),
        lead=_lead(views),
        version=__version__,
        date=max((result.date[:10] for result in results), default=""),
        chapters=chapters,
        pages=pages,
        overviews=[(str(chapter.task["title"]), *overview(chapter)) for chapter in chapters] if len(views) > 1 else [],
        filters=_filters(views),
        environments=_machines(results),
        pictures=pictures.uris,
        css=templating.css(environment),
        script=templating.script(environment),
        looks_words=WORDS,
        looks_texts=TEXTS,
        tuned=_tuned,
    )
    return text


def render_queries(examples: Sequence[Example], *, whole: bool = True) -> str:
    """Queries as cards: a whole page, or what a notebook shows."""
    environment, pictures = templating.environment(), Thumbnails()
    cards = [query(each, pictures) for each in examples]
    text: str = environment.get_template("queries.html").render(
        queries=cards,
        pictures=pictures.uris,
        whole=whole,
        css=templating.css(environment),
        looks_words={},
        looks_texts={},
    )
    return text


def _lead(views: Sequence[View]) -> str:
    pipelines = dict.fromkeys(system.label for view in views for system in view.pipelines)
    names = list(dict.fromkeys(view.scores for view in views))
    queries = sum(view.row.queries for view in views)
    depths = " or ".join(f"{k:,}" for k in sorted({view.row.k for view in views}))
    scores = names[0] if len(names) == 1 else f"{len(names)} backbones"
    count = f"{len(pipelines)} pipeline{'s' * (len(pipelines) != 1)}"
    return f"{count} re-ranked the first {depths} candidates of {queries:,} queries; first stage: {scores}."


def _page(chapter: Chapter, view: View, several: bool, pictures: Thumbnails) -> dict[str, Any]:
    front = [str(chapter.task["title"])] if several else []
    backbones = {each.scores for each in chapter.views}
    names = [*front, *([view.scores] if len(backbones) > 1 else []), view.part]
    heads, lines, ceilings = figures(view)
    page: dict[str, Any] = {
        "view": view,
        "name": " · ".join(names),
        "verdict": verdict(view),
        "tiles": _tiles(view),
        "heads": heads,
        "lines": lines,
        "ceilings": ceilings,
        "caption": caption(view.table),
        "charts": list(_charts(view)),
        "moves": moves(view),
        "falls": charts.waterfalls(view),
        "hubs": charts.hubs(view),
        "hub_lines": hub_lines(view),
        "batches": charts.batch_sizes(view),
        "moved": moved(view, pictures),
    }
    return page | {"sections": _sections(page)}


def _charts(view: View) -> Iterator[charts.Chart]:
    """The charts that are registered, ours first; one whose plugin is broken is left out with a warning."""
    for entry in manager().charts.entries:
        try:
            with entry.blamed("failed"):
                drawn = entry.load()(view)
            if drawn is not None and not (isinstance(drawn, charts.Chart) and drawn.key.startswith(f"{view.key}-")):
                text = f"must return a Chart whose key begins with the view's and a dash, or None (got {drawn!r:.80})"
                raise FaultError(entry.fault(text))
        except PluginError as error:
            warnings.warn(str(error), RerankitWarning, stacklevel=2)
            continue
        if drawn is not None:
            yield drawn


def _sections(page: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Keys and titles of what there is on the page."""
    own = [(each.key.partition("-")[2], each.title) for each in page["charts"]]
    titles = {"moves": "Ranks", "falls": "Stages", "hubs": "Hubs", "batches": "Batch size", "moved": "Queries"}
    return [("table", "Figures"), *own, *((name, title) for name, title in titles.items() if page[name])]


def verdict(view: View) -> str:
    """The best pipeline, and the best that does not look at other test queries, in a sentence or two."""
    if not view.pipelines:
        return "Nothing was re-ranked."
    best = view.pipelines[0]
    text = f"'{best.label}' is best: {_gain(view, best)}."
    alone = next((each for each in view.pipelines if each.kind != "others"), None)
    if best.kind == "others" and alone is not None:
        text += f" Of those that do not look at the other test queries, '{alone.label}': {_gain(view, alone)}."
    marks = [view.cell(each).mark for each in view.pipelines]
    better, worse = marks.count("+"), marks.count("−")
    return f"{text} Significantly better than '{view.table.baseline}': {better} of {len(marks)}; worse: {worse}."


def _gain(view: View, system: System) -> str:
    cell, first = view.cell(system), view.cell(view.first)
    change = f"{view.shown} {view.figure(first.value)} → {view.figure(cell.value)}"
    if cell.difference_interval is None or view.table.baseline != view.first.label:
        return change
    low, high = (view.figure(end, sign=True) for end in cell.difference_interval)
    return f"{change} ({view.figure(cell.difference or 0.0, sign=True)}, interval {low} … {high})"


def _tiles(view: View) -> list[tuple[str, str, str, str]]:
    """Name, value, note and colour of the few numbers that matter."""
    first, ceiling = view.cell(view.first).value, view.ceiling(view.metric)
    tiles = [(f"{view.shown} before", view.figure(first), view.first.label, "")]
    if view.pipelines:
        best = view.pipelines[0]
        last = view.cell(best).value
        rise = traits_of(view.metric).sign * (last - first)
        kind = "gain" if rise > 0 else "loss" if rise < 0 else ""
        tiles.append(("after", view.figure(last), best.label, kind))
        share = (last - first) / (ceiling - first) if ceiling != first else math.nan
        if not math.isnan(share):
            tiles.append(("of the way", f"{100 * share:.0f} %".replace("-", "−"), "to the ceiling", ""))
    tiles.append(("ceiling", view.figure(ceiling), f"best order of {view.row.k:,}", ""))
    size = f"{view.row.queries:,}×{view.row.gallery:,}"
    return [*tiles, ("queries × gallery", size, f"{view.scores}, K = {view.row.k:,}", "")]


def _filters(views: Iterable[View]) -> list[tuple[str, str]]:
    """Kinds of pipelines that can be left out."""
    systems = [system for view in views for system in view.pipelines]
    found = [(kind, text) for kind, text in KINDS.items() if any(system.kind == kind for system in systems)]
    if any(system.labels for system in systems) and not all(system.labels for system in systems):
        found.append(("labels", TEXTS["labels"]))
    return found


def _machines(results: Sequence[Result]) -> dict[str, list[str]]:
    """What is known of the machines, each value once."""
    found: dict[str, dict[str, None]] = {}
    for result in results:
        for name, value in result.environment.items():
            found.setdefault(name, {})[str(value)] = None
    return {name: list(values) for name, values in found.items()}


def _tuned(result: Result) -> str:
    """The parameters that were chosen, and how."""
    record = result.tuning
    if record is None:
        return ""
    values = ", ".join(f"{name} {value}" for name, value in record.get("chosen", {}).items())
    how = f"{record.get('figure', '')} on {record.get('task', 'validation')}, {record.get('method', '')}"
    return f"{values} (best {how})"

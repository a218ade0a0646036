"""`rerankit show`: queries with their candidates before and after."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rerankit.cli._options import ForceOption, ImagesOption, check_target
from rerankit.cli._output import JsonOption, say, show_json


def show(
    problem: Annotated[str, typer.Argument(help="The problem that was re-ranked: docs/formats.md. Or its address.")],
    ranking: Annotated[Path, typer.Argument(help="The run that a stage made of it: rerankit rerank.")],
    queries: Annotated[
        list[str] | None, typer.Argument(help="Rows or ids of queries; those that moved most by default.")
    ] = None,
    before: Annotated[
        Path | None, typer.Option(help="Another run to begin from; the problem's own order by default.")
    ] = None,
    relevance: Annotated[
        Path | None, typer.Option(help="What is right; what lies beside the problem by default.")
    ] = None,
    k: Annotated[int, typer.Option("-k", help="Candidates of each query to show.")] = 8,
    images: ImagesOption = None,
    query_images: Annotated[str | None, typer.Option(help="Where pictures of the queries lie, with {id}.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="A picture or a page (.png, .svg, .pdf, .html) instead.")
    ] = None,
    theme: Annotated[str, typer.Option(help="Colours of the picture: light or dark.")] = "light",
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show queries before and after re-ranking, with texts and pictures where there are any.

    In the terminal, as a picture, or as a page for a browser.
    """
    from rerankit.plots import theme_of
    from rerankit.reports import show as make

    theme_of(theme)
    if out is not None:
        check_target(out, "out", force=force)
    given, judged = _opened(problem, relevance, images, query_images)
    ids = {"query_ids": given.query_ids, "gallery_ids": given.gallery_ids}
    after, first = _ranking(ranking, ids), None if before is None else _ranking(before, ids)
    sheet = make(given, after, queries or None, before=first, relevance=judged, k=k)
    if out is not None:
        say(f"wrote {sheet.save(out, theme, overwrite=force)}: {len(sheet)} queries")
    elif as_json:
        show_json([each.to_dict() for each in sheet.examples])
    else:
        from rerankit.cli._queries import print_queries

        print_queries(sheet.examples)
    if not len(sheet):
        say("note: no query moved; name the queries to show")


def _opened(path: str, relevance: Path | None, images: str | None, query_images: str | None) -> tuple[Any, Any]:
    """The problem with its pictures, and what is right."""
    from rerankit.display import check_pattern, with_pictures, with_query_pictures
    from rerankit.formats.files import read_both
    from rerankit.formats.judged import read_relevance

    problem, judged = read_both(path, "problem")
    if relevance is not None:
        judged = read_relevance(problem, relevance)
    if check_pattern("--images", images) is not None:
        problem = with_pictures(problem, str(images))
    if check_pattern("--query-images", query_images) is not None:
        problem = with_query_pictures(problem, str(query_images))
    return problem, judged


def _ranking(path: Path, ids: dict[str, Any]) -> Any:
    """A run, its rows and items in the order of the problem's."""
    from rerankit import read
    from rerankit.formats import Triples
    from rerankit.formats.registry import format_of

    named = Triples in format_of(path).holds
    return read(path, "ranking", **(ids if named else {}))

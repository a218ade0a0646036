"""`rerankit convert`: one file format into another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rerankit.cli._options import ForceOption, check_target
from rerankit.cli._output import say


def convert(
    source: Annotated[str, typer.Argument(help="A file or folder in any known format: docs/formats.md; an address.")],
    target: Annotated[Path, typer.Argument(help="Where it goes; the ending says the format, none means a folder.")],
    kind: Annotated[
        str | None, typer.Option("--as", help="Read it as problem, ranking, relevance, array or distances.")
    ] = None,
    k: Annotated[int | None, typer.Option("-k", help="Write the first K of each query of a problem as a run.")] = None,
    force: ForceOption = False,
) -> None:
    """Convert a problem, a run, judgements or an array into another format."""
    import numpy as np

    from rerankit import Problem, Relevance, checks, errors, read, write
    from rerankit.formats.files import read_both
    from rerankit.formats.judged import read_judgements
    from rerankit.formats.registry import format_of
    from rerankit.formats.sources import address_of

    if kind is not None:
        checks.choice("--as", kind, ("array", "distances", "problem", "ranking", "relevance"))
    check_target(target, "target", force=force)
    value: Any
    relevance: Any = None
    if kind == "distances":
        value = Problem.from_distances(read(source, "array"))
    else:
        value, relevance = read_both(source, "problem" if kind is None and k is not None else kind)
    left: list[str] = []
    if k is not None:
        value, relevance = (value.ranking(k) if isinstance(value, Problem) else value.top(k)), None
    elif isinstance(value, Problem):
        value, relevance, left = _fitting(value, relevance, target)
    elif isinstance(value, np.ndarray) and np.ndarray not in format_of(target, writing=True).holds:
        raise errors.InputError(
            f"{target}: say what the matrix is, --as problem or --as relevance; -k K writes the first K of each row"
        )
    # Lists of judgements name queries and items, which a `Relevance` does not know.
    names = read_judgements(source).names if isinstance(value, Relevance) and address_of(source) is None else {}
    write(target, value, relevance=relevance, overwrite=force, **names)
    say(f"wrote {target}: {'scores' if left else type(value).__name__}")
    if left:
        say(f"note: one matrix is all that {target.name} holds; left behind: {', '.join(left)}")
    if "relevance" in left:
        say(f"note: rerankit convert {source} FILE.qrels --as relevance writes the relevance")


def _fitting(problem: Any, relevance: Any, target: Path) -> tuple[Any, Any, list[str]]:
    """What of a problem and its relevance the target's format can hold, and the names of what it cannot."""
    import numpy as np

    from rerankit import DenseScores, errors
    from rerankit.formats import Tables
    from rerankit.formats.registry import format_of
    from rerankit.formats.tables import more_than_scores

    holds = format_of(target, writing=True).holds
    if Tables in holds:
        return problem, relevance, []
    if np.ndarray not in holds:
        raise errors.InputError(
            f"{target}: lists hold no problem; give -k K to write the first K of each query, "
            "or --as relevance to write the relevance that comes with it"
        )
    if not isinstance(problem.scores, DenseScores):
        return problem, None, []  # whose refusal says what to write instead
    left = [*more_than_scores(problem), *(["relevance"] if relevance is not None else [])]
    return (problem.scores.rows(), None, left) if left else (problem, None, [])

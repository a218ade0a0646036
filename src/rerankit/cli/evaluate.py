"""`rerankit evaluate`: figures of a run or of scores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rerankit.cli._output import JsonOption, say, show, show_json

METRICS = ["success@1", "success@5", "success@10", "map", "mrr", "ndcg@10"]


def evaluate(
    ranked: Annotated[Path, typer.Argument(help="A run, or a problem with its scores.")],
    relevance: Annotated[Path, typer.Argument(help="Qrels, or relevance in any format: docs/formats.md.")],
    metrics: Annotated[
        list[str] | None, typer.Option("--metric", "-m", help="A metric, such as recall@10; repeat it.")
    ] = None,
    ties: Annotated[str, typer.Option("--ties", help="expected, optimistic, pessimistic or index.")] = "expected",
    empty: Annotated[str, typer.Option("--empty", help="Queries without relevance: error, skip, zero.")] = "error",
    missing: Annotated[str, typer.Option("--missing", help="Judged queries a run lacks: error, zero.")] = "error",
    both: Annotated[bool, typer.Option("--both", help="Both directions of a matrix, and rSum.")] = False,
    per_query: Annotated[bool, typer.Option("--per-query", help="Show the value of each query (with --json).")] = False,
    as_json: JsonOption = False,
) -> None:
    """Evaluate a run or a matrix of scores against what is relevant."""
    from rerankit.metrics import evaluate as figures
    from rerankit.metrics import evaluate_both

    asked = metrics or METRICS
    options: Any = {"ties": ties, "empty": empty}
    source, right = _opened(ranked, relevance, missing)
    if both:
        ways = evaluate_both(source, right, [*asked, "rsum"], **options)
        found = {"forward": ways.forward, "reverse": ways.reverse}
        say(f"rSum {ways.rsum:.2f}")
    else:
        found = {"": figures(source, right, asked, **options)}
    if as_json and per_query:
        show_json({way or "forward": each.to_dict() for way, each in found.items()})
        return
    rows = []
    for way, each in found.items():
        front = {"direction": way} if way else {}
        rows += [{**front, "metric": name, "value": value} for name, value in each.items()]
        if each.skipped:
            say(f"note: {each.skipped} of {each.queries} queries have nothing relevant and are left out")
    if per_query:
        say("note: --json shows the value of each query")
    show(rows, title=f"{next(iter(found.values())).queries} queries", as_json=as_json)


def _opened(ranked: Path, relevance: Path, missing: str) -> tuple[Any, Any]:
    """Scores or a ranking, and relevance that fits it."""
    from rerankit import Problem, Ranking, read
    from rerankit.errors import InputError, rule, several
    from rerankit.formats import read_judged

    found = read(ranked)
    if missing not in ("error", "zero"):
        raise rule("--missing", "must be error or zero", missing)
    if isinstance(found, Ranking):
        ranking, right = read_judged(ranked, relevance)
        lost = ranking.notes.get("queries_missing_from_run", [])
        if lost and missing == "error":
            raise InputError(
                f"{ranked}: must hold every query of {relevance.name} "
                f"(got {several('missing', lost)}); --missing zero counts them as failures"
            )
        return ranking, right
    problem = found if isinstance(found, Problem) else read(ranked, "problem")
    judged = read(relevance)
    by_name = isinstance(judged, dict)
    return problem, judged if by_name else read(relevance, "relevance")

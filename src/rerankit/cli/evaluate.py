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
    ties: Annotated[str, typer.Option(help="expected, optimistic, pessimistic or index.")] = "expected",
    empty: Annotated[str, typer.Option(help="Queries without relevance: error, skip, zero.")] = "error",
    missing: Annotated[str, typer.Option(help="Judged queries a run lacks: error, zero.")] = "error",
    reverse: Annotated[
        bool,
        typer.Option("--reverse", help="Gallery items look for queries: the columns of scores, or a run of them."),
    ] = False,
    both: Annotated[bool, typer.Option("--both", help="Both directions of a matrix, and rSum.")] = False,
    per_query: Annotated[bool, typer.Option("--per-query", help="Show the value of each query (with --json).")] = False,
    as_json: JsonOption = False,
) -> None:
    """Evaluate a run or a matrix of scores against what is relevant."""
    from rerankit.errors import InputError
    from rerankit.metrics import evaluate as figures
    from rerankit.metrics import evaluate_both

    wanted = metrics or METRICS
    options: Any = {"ties": ties, "empty": empty}
    if both and reverse:
        raise InputError("give either --reverse or --both, which has both directions")
    source, right = _opened(ranked, relevance, missing, reverse)
    if both:
        ways = evaluate_both(source, right, [*wanted, "rsum"], **options)
        found = {"forward": ways.forward, "reverse": ways.reverse}
        say(f"rSum {ways.rsum:.2f}")
    else:
        found = {"": figures(source, right, wanted, **options)}
    for each in found.values():
        if each.notes.get("beyond"):
            behind, longest = ", ".join(each.notes["beyond"]), each.notes["listed"]
            say(f"note: {behind} looked beyond the longest list, of {longest} items; what is not listed is not found")
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


def _opened(ranked: Path, relevance: Path, missing: str, reverse: bool) -> tuple[Any, Any]:
    """Scores or a ranking, and relevance that fits it."""
    from rerankit import Ranking, checks
    from rerankit.errors import InputError, several
    from rerankit.formats.judged import read_judged, read_judged_problem, read_ranked

    checks.choice("--missing", missing, ("error", "zero"))
    found = read_ranked(ranked)
    if not isinstance(found, Ranking):
        return read_judged_problem(found, relevance, reverse=reverse)
    ranking, right = read_judged(ranked, relevance, reverse=reverse)
    lost = ranking.notes.get("queries_missing_from_run", [])
    if lost and missing == "error":
        raise InputError(
            f"{ranked}: must hold every query of {relevance.name} "
            f"(got {several('missing', lost)}); --missing zero counts them as failures"
        )
    return ranking, right

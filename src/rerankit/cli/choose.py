"""`rerankit choose`: which pipeline to use for a problem, or none."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rerankit.cli._options import ForceOption, ProblemArgument, check_target
from rerankit.cli._output import JsonOption, say, show


def choose(
    problem: ProblemArgument,
    relevance: Annotated[
        Path | None,
        typer.Argument(help="What is right for its queries; without it, no labels are used."),
    ] = None,
    bank: Annotated[Path | None, typer.Option(help="Other labelled pairs: a problem.")] = None,
    bank_relevance: Annotated[Path | None, typer.Option(help="What is right for the bank's queries.")] = None,
    stage: Annotated[
        list[str] | None, typer.Option("--stage", "-s", help="A stage to try; repeat it; the usual ones by default.")
    ] = None,
    metric: Annotated[str, typer.Option("--metric", "-m", help="The metric that decides.")] = "success@1",
    inductive: Annotated[
        bool, typer.Option("--inductive", help="Leave out what looks at the other test queries.")
    ] = False,
    significance: Annotated[
        float | None,
        typer.Option(help="The level at which a gain counts: 0.01 by labels and 0.05 without, by default."),
    ] = None,
    budget: Annotated[float | None, typer.Option(help="Seconds after which nothing more is tried.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="A folder for the chosen pipeline: rerank --pipeline.")
    ] = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Try stages on labels (or without) and choose the best, if it is significantly better than leaving alone."""
    from rerankit import Pipeline, errors, read
    from rerankit import choose as chosen_of
    from rerankit.formats.judged import read_relevance

    if (bank is None) != (bank_relevance is None):
        raise errors.InputError("'--bank' and '--bank-relevance' go together (got one of them)")
    if out is not None:
        check_target(out, "out", force=force)
    given = read(problem, "problem")
    pairs = None
    if bank is not None and bank_relevance is not None:
        other = read(bank, "problem")
        pairs = other, read_relevance(other, bank_relevance)
    found = chosen_of(
        given,
        None if relevance is None else read_relevance(given, relevance),
        bank=pairs,
        among=stage or None,
        metric=metric,
        test_queries=not inductive,
        significance=significance,
        budget=budget,
    )
    show(_rows(found), title=f"measured on {found.measured_on}", as_json=as_json)
    for name, why in found.left_out:
        say(f"not tried: {name} ({why})")
    say(found.reason)
    if out is not None:
        Pipeline(found.stages).save(out, overwrite=force)
        say(f"wrote {out}")


def _rows(found: Any) -> list[dict[str, Any]]:
    rows = [
        {
            "tried": " >> ".join(map(repr, each.pipeline.stages)),
            "looks at": str(each.looks_at),
            "figure": round(each.figure, 2),
            "gain": round(each.gain, 2),
            "low": round(each.low, 2),
            "high": round(each.high, 2),
            "p": round(each.p, 4),
            "chosen": each.pipeline.stages == found.stages,
        }
        for each in sorted(found.tried, key=lambda each: -each.gain)
    ]
    alone = {"tried": "the order as it came", "looks at": "nothing", "figure": round(found.base, 2), "gain": 0.0}
    return [alone | {"low": 0.0, "high": 0.0, "p": 1.0, "chosen": not found.stages}, *rows]

"""`rerankit demo`: what re-ranking does, on real data, in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rerankit.cli._options import ForceOption, check_target
from rerankit.cli._output import JsonOption, say, show


def demo(
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The folder for the picture; rerankit-demo by default.")
    ] = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Re-rank real handwritten digits, print a table and draw a picture; offline, needs no arguments."""
    from rerankit.extras import require

    for module in ("sklearn", "matplotlib"):
        require(module, extra="demo", purpose="the demo")
    from rerankit.demo import contest, draw, halves, table
    from rerankit.demo.contest import BASE, BEST, CANDIDATES

    place = (Path("rerankit-demo") if out is None else out) / "digits.png"
    # Nobody named the default folder: what is in it is a picture of this command, and it may be run twice.
    check_target(place, "out", force=force or out is None)
    digits = halves()
    queries, items = digits.problem.shape
    say(f"{queries} upper halves of handwritten digits look for their own among {items} lower halves;")
    say(f"every contender re-ranks the same {CANDIDATES} candidates (figures in percent).\n")
    outcomes = {outcome.name: outcome for outcome in contest(digits)}
    show(table(digits, list(outcomes.values())), as_json=as_json)
    say("success@k: the own half is among the first k · mAP: halves of the same digit · nDCG: both, graded")
    say(f"ceiling: the own half is among the {CANDIDATES} candidates, so no re-ranking of them can do better\n")
    picture = draw(digits, outcomes[BASE].ranking, outcomes[BEST].ranking, place)
    say(f"queries with their rankings before and after: {picture.resolve()}")

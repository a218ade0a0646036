"""`rerankit tasks`: the benchmark tasks and their files."""

from __future__ import annotations

from typing import Annotated

import typer

from rerankit.cli._output import JsonOption, show


def tasks(
    name: Annotated[str | None, typer.Argument(help="A task, to show its files.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the benchmark tasks, or the files that one reads from --data."""
    from rerankit.tasks import task, tasks_available

    if name is None:
        cards = [task(each).card for each in tasks_available()]
        columns = ["name", "title", "split", "direction", "main"]
        columns += ["revision", "licence"] if as_json else []  # of one task: `rerankit tasks NAME`
        show([{column: getattr(card, column) for column in columns} for card in cards], as_json=as_json)
        return
    one = task(name)
    rows = [{"file": each.path, "what": each.what, "optional": each.optional} for each in one.files]
    card = one.card
    title = f"{card.title}. {card.citation}. Revision: {card.revision}. Licence: {card.licence}. "
    title += f"Metrics: {', '.join(card.metrics)}"
    show(rows, title=title, as_json=as_json)

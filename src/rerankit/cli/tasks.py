"""`rerankit tasks`: the benchmark tasks and their files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rerankit.cli._options import TaskSettings, task_of
from rerankit.cli._output import JsonOption, say, show

if TYPE_CHECKING:
    from rerankit.tasks import Card, Task


def tasks(
    name: Annotated[str | None, typer.Argument(help="A task, to show its files and parameters.")] = None,
    miniature: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write made-up data of the task's layout.")
    ] = None,
    settings: TaskSettings = None,
    as_json: JsonOption = False,
) -> None:
    """List the benchmark tasks, or the files that one reads from --data.

    With --miniature, a small made-up data set of the task's layout is written, to try things out on.
    """
    from rerankit.errors import InputError
    from rerankit.tasks import tasks_available

    if name is None and miniature is not None:
        raise InputError("'--miniature' needs a task's name")
    if name is None:
        cards = [card for card in map(_card, tasks_available()) if card is not None]
        columns = ["name", "title", "split", "direction", "main"]
        columns += ["revision", "licence"] if as_json else []  # of one task: `rerankit tasks NAME`
        show([{column: getattr(card, column) for column in columns} for card in cards], as_json=as_json)
        return
    one = task_of(name, settings)
    if miniature is not None:
        _made(one, miniature, as_json)
        return
    rows = [{"file": each.path, "what": each.what, "optional": each.optional} for each in one.files]
    card = one.card
    title = f"{card.title}. {card.citation}. Revision: {card.revision}. Licence: {card.licence}. "
    own = ", ".join(f"{name}={value!r}" for name, value in one.get_params().items())
    title += f"Metrics: {', '.join(card.metrics)}. Parameters (--task-set): {own or 'none'}"
    show(rows, title=title, as_json=as_json)


def _card(name: str) -> Card | None:
    """The card of a task; None, with a line on stderr, for one whose plugin is broken."""
    from rerankit.errors import PluginError
    from rerankit.tasks import task

    try:
        return task(name).card
    except PluginError as error:
        say(f"warning: {error}")
        return None


def _made(one: Task, folder: Path, as_json: bool) -> None:
    """Write the miniature, and say which scores it wants and which parameters fit it."""
    from rerankit.errors import InputError

    if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
        raise InputError(f"'--miniature' must be a new folder or an empty one (got {folder})")
    small = one.write_miniature(folder)
    usual = type(one)().get_params()
    changed = {name: value for name, value in small.get_params().items() if usual.get(name) != value}
    options = "".join(f" --task-set {name}={value}" for name, value in changed.items())
    say(f"made up, figures on it mean nothing: rerankit bench {one.card.name} --data {folder}{options} --scores …")
    matrices = small.load(folder).matrices
    rows = [{"matrix": name, "queries": m.shape[0], "gallery": m.shape[1]} for name, m in matrices.items()]
    show(rows, as_json=as_json)

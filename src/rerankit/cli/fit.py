"""`rerankit fit STAGE`: train a stage on a problem with its relevance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rerankit.cli._options import StageSettings, check_target
from rerankit.cli._output import JsonOption, column_texts, line, say, show, show_figures


def fit(
    stage: Annotated[str, typer.Argument(help="A stage that can be trained, such as pillar-small.")],
    train: Annotated[
        Path, typer.Option(help="A problem with relevance beside it (docs/formats.md), or the folder of a --task.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="A folder for the fitted stage and its training.")],
    validation: Annotated[
        Path | None, typer.Option(help="Another such problem; decides which weights are best.")
    ] = None,
    settings: StageSettings = None,
    training: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="A training setting, such as epochs=5 or learning_rate=1e-3; repeat it."
        ),
    ] = None,
    losses: Annotated[
        list[str] | None, typer.Option("--loss", metavar="NAME=VALUE", help="The weight of a loss; repeat it.")
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="A task with a train and a val split: they are read from its own files.")
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin anew where an interrupted run could go on.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Train a stage; an interrupted run goes on where its last checkpoint was written.

    OUT gets the fitted stage (`rerankit rerank --pipeline OUT`). Of a stage that trains in epochs, OUT/training gets
    checkpoints, history.csv and curves.png.
    """
    from inspect import signature

    from rerankit import stage as make
    from rerankit.cli.rerank import parameters
    from rerankit.errors import InputError, TrainingError
    from rerankit.pipelines.storage import save

    # A folder with training/ is that of a run to go on with; what was not asked for there, the run itself refuses.
    again = restart or (out / "training").is_dir()
    check_target(out, "out", force=again, option="--restart", kept=("training/*",))
    made = make(stage, **parameters(settings or []))
    options = _options(made, parameters(training or []), parameters(losses or []))
    given = _judged(train, task, "train")
    if validation is not None and "validation" not in signature(made.fit).parameters:  # type: ignore[attr-defined]
        raise InputError(f"stage '{stage}' is fitted without --validation (got {validation})")
    held_out = None if validation is None else _judged(validation, task, "val")
    if held_out is not None:
        options["validation"] = held_out
    if _has_training(made):
        options.update(out=out / "training", resume=not restart)
    try:
        made.fit(*given, **options)  # type: ignore[attr-defined]
    except TrainingError:
        if made.fitted:
            save(made, out, overwrite=True, keep="training")
            say(f"wrote what was good into {out}")
        raise
    save(made, out, overwrite=True, keep="training")
    _report(made, as_json)
    say(f"wrote {out}")


def _options(made: Any, training: dict[str, Any], losses: dict[str, Any]) -> dict[str, Any]:
    """The settings and loss weights that `fit` takes, over the stage's own."""
    from inspect import signature

    from rerankit.errors import InputError
    from rerankit.training import TrainingSettings

    if not hasattr(made, "fit"):
        raise InputError(f"stage '{made.name}' has nothing to train")
    known = signature(made.fit).parameters
    if training and not _has_training(made):
        raise InputError(f"stage '{made.name}' has no training settings (got {', '.join(training)}): try --set")
    usual = made.training_settings() if hasattr(made, "training_settings") else TrainingSettings()
    options: dict[str, Any] = {}
    if training or hasattr(made, "training_settings"):
        options["settings"] = usual.changed(**training)
    if losses:
        if "losses" not in known:
            raise InputError(f"stage '{made.name}' has no losses to weigh")
        options["losses"] = _loss_weights(made, losses)
    return options


def _loss_weights(made: Any, losses: dict[str, Any]) -> Any:
    """The weights of the losses as the stage has them, but for those given."""
    from dataclasses import asdict

    from rerankit.errors import unknown_name

    known = asdict(made.loss_weights())
    for name in losses:
        if name not in known:
            raise unknown_name("loss", name, known)
    return made.loss_weights(**losses)


def _has_training(made: Any) -> bool:
    """Whether `fit` trains in steps that can be set and resumed; else it is done in one go, as in `learned-fusion`."""
    from inspect import signature

    return {"settings", "out", "resume"} <= set(signature(made.fit).parameters)


def _judged(path: Path, task: str | None, split: str) -> tuple[Any, Any]:
    from rerankit.errors import InputError
    from rerankit.formats.door import read_both
    from rerankit.tasks import task as find

    if task is not None:
        judged = getattr(find(task), "judged", None)
        if judged is None:
            raise InputError(f"task '{task}' has no split to train on; give a problem with relevance beside it")
        return find(task, split=split).judged(path)  # type: ignore[attr-defined,no-any-return]
    problem, relevance = read_both(path, "problem")
    if relevance is None:
        raise InputError(f"{path}: training needs relevance beside the problem: rerankit.write(…, relevance=…)")
    return problem, relevance


def _report(made: Any, as_json: bool) -> None:
    """A row for each validation, the best one marked; columns that a terminal has no room for follow below."""
    history = getattr(made, "history", None)
    if history is None or not history.rows:
        return
    if as_json:
        show([{name: row.get(name) for name in history.columns} for row in history.rows], as_json=True)
        return
    # A table of every loss term would be too wide to read; history.csv and --json have them all.
    names = [name for name in history.columns if not name.startswith("loss/") and name != "learning_rate"]
    columns = {_short(name): column_texts([row.get(name) for row in history.rows]) for name in names}
    steps = [f"{row['step']:g}{' *' if row['step'] == history.best_step else ''}" for row in history.rows]
    columns |= {"step": steps, "epoch": [f"{row['epoch']:g}" for row in history.rows]}
    show_figures([{name: texts[at] for name, texts in columns.items()} for at in range(len(history.rows))], 2)
    if history.best_step is not None:
        line(f"* best, by {history.decides}; {history.stopped}")


def _short(column: str) -> str:
    return column.rpartition("/")[2]

"""`rerankit fit STAGE`: train a stage on a problem with its relevance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rerankit.cli._options import (
    EngineOption,
    EngineSettings,
    StageSettings,
    TrustOption,
    check_target,
    engine_from,
    parameters,
)
from rerankit.cli._output import JsonOption, column_texts, line, say, show, show_figures

if TYPE_CHECKING:
    from rerankit.pipelines.trainable import Trainable
    from rerankit.training import History, TrainingSettings

TrainableArgument = Annotated[
    str,
    typer.Argument(
        help="A stage that can be trained, such as pillar-small; or a saved or imported one, or a pipeline, by its "
        "folder, to go on from."
    ),
]


def fit(
    stage: TrainableArgument,
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
    task: Annotated[
        str | None, typer.Option(help="A task with a train and a val split: they are read from its own files.")
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin again where an interrupted run could go on.")
    ] = False,
    engine: EngineOption = None,
    engine_settings: EngineSettings = None,
    trust: TrustOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train a stage; an interrupted run goes on where its last checkpoint was written.

    OUT gets the fitted stage (`rerankit rerank --pipeline OUT`). Of a stage that trains in epochs, OUT/training gets
    checkpoints, history.csv and curves.png.
    """
    from rerankit.errors import TrainingError
    from rerankit.files import clear_leftovers
    from rerankit.pipelines.storage import save

    clear_leftovers(out.parent)  # which puts a folder back that was being replaced when a run was killed
    # A folder with training/ is that of a run to go on with; what was not asked for there, the run itself refuses.
    again = restart or (out / "training").is_dir()
    check_target(out, "out", force=again, option="--restart", kept=("training/*",))
    where = engine_from(engine, engine_settings)
    made = _trainable(stage, parameters(settings), trust)
    options: dict[str, Any] = {"settings": _settings(made, parameters(training, "--training")), "resume": not restart}
    if where is not None:
        options["engine"] = where
    if "out" in made.takes:
        options["out"] = out / "training"
    given = _judged(train, task, "train")
    if validation is not None:
        options["validation"] = _judged(validation, task, "val")
    try:
        made.fit(*given, **options)
    except TrainingError:
        if made.fitted:
            save(made, out, overwrite=True, keep="training")
            say(f"wrote what was good into {out}")
        raise
    save(made, out, overwrite=True, keep="training")
    _report(made, as_json)
    say(f"wrote {out}")


def _trainable(name: str, params: dict[str, Any], trust: bool) -> Trainable:
    """A stage by its name, or what a folder holds, with other parameters."""
    from rerankit.errors import InputError
    from rerankit.pipelines.stage import stage
    from rerankit.pipelines.storage import is_saved, load
    from rerankit.pipelines.trainable import Trainable
    from rerankit.plugins import manager

    saved = name not in manager().stages and is_saved(name)
    made = load(name, trust=trust).clone(**params) if saved else stage(name, **params)
    if not isinstance(made, Trainable):
        raise InputError(f"stage '{made.name}' has nothing to train")
    return made


def _settings(made: Trainable, training: dict[str, Any]) -> TrainingSettings | None:
    """The training settings of a stage but for those given."""
    from rerankit.errors import InputError

    usual = made.training_settings()
    if training and usual is None:
        raise InputError(f"stage '{made.name}' has no training settings (got {', '.join(training)}): try --set")
    return usual.changed(**training) if usual is not None and training else None


def _judged(path: Path, task: str | None, split: str) -> tuple[Any, Any]:
    from rerankit.errors import InputError
    from rerankit.formats.files import read_both
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


def _report(made: Trainable, as_json: bool) -> None:
    """What happened in each part."""
    found = {part: history for part, history in made.histories.items() if history.rows}
    if as_json and found:
        rows = [
            ({"part": part} if part else {}) | {name: row.get(name) for name in history.columns}
            for part, history in found.items()
            for row in history.rows
        ]
        show(rows, as_json=True)
        return
    for part, history in found.items():
        if len(found) > 1:
            line(f"{part}:")
        _show(history)


def _show(history: History) -> None:
    """A row for each validation, the best one marked; columns that a terminal has no room for follow below."""
    # A table of every loss term would be too wide to read; history.csv and --json have them all.
    names = [name for name in history.columns if not name.startswith("loss/") and name != "learning_rate"]
    columns = {name.rpartition("/")[2]: column_texts([row.get(name) for row in history.rows]) for name in names}
    steps = [f"{row['step']:g}{' *' if row['step'] == history.best_step else ''}" for row in history.rows]
    columns |= {"step": steps, "epoch": [f"{row['epoch']:g}" for row in history.rows]}
    show_figures([{name: texts[at] for name, texts in columns.items()} for at in range(len(history.rows))], 2)
    if history.best_step is not None:
        line(f"* best, by {history.decides}; {history.stopped}")

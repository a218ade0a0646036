"""Every hook, typed and documented; the functions are empty.

Registering hooks are called once, when the plugin is loaded. Observers are called while a run goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from rerankit.plugins.markers import hookspec

if TYPE_CHECKING:
    from rerankit.events import Event


class Register(Protocol):
    """What registering hooks are handed."""

    def __call__(self, name: str, factory: Any, /) -> None:
        """Register `factory` under `name`: a class, a callable, or ``"module.path:Name"`` to import it when used."""


@hookspec
def rerankit_register_stages(register: Register) -> None:
    """Register stages: ``register("my-stage", MyStage)``; the factory takes the stage's parameters.

    A pipeline is a stage, so a function that returns one registers it under a name.
    """


@hookspec
def rerankit_register_metrics(register: Register) -> None:
    """Register metrics: ``register("my-metric", function)``; see docs/metrics.md for the function's arguments."""


@hookspec
def rerankit_register_tasks(register: Register) -> None:
    """Register benchmark tasks: ``register("my-task", MyTask)``."""


@hookspec
def rerankit_register_formats(register: Register) -> None:
    """Register file formats: ``register("my-format", MyFormat)``, a `rerankit.formats.Format` with its endings."""


@hookspec
def rerankit_register_engines(register: Register) -> None:
    """Register engines: ``register("my-engine", MyEngine)``; the factory takes what `--engine-set` says."""


@hookspec
def rerankit_register_sources(register: Register) -> None:
    """Register sources of problems: ``register("my-base", MyBase)``, a `rerankit.formats.Source` for addresses
    ``my-base:…``.
    """


@hookspec
def rerankit_register_fusion_rules(register: Register) -> None:
    """Register rules of fusion: ``register("my-rule", function)``, a function of values and weights."""


@hookspec
def rerankit_register_needs(register: Register) -> None:
    """Register words for what stages need: ``register("my-need", MyNeed)``, a `rerankit.pipelines.NeedWord`."""


@hookspec
def rerankit_register_commands(register: Register) -> None:
    """Register commands: ``register("my-command", function)`` makes ``rerankit my-command`` of a function."""


@hookspec
def rerankit_register_importers(register: Register) -> None:
    """Register importers of checkpoints: ``register("my-paper", function)``, a function that returns a stage, makes
    ``rerankit import my-paper … --out FOLDER``.
    """


@hookspec
def rerankit_register_scorers(register: Register) -> None:
    """Register what scores whole galleries: ``register("my-backbone", function)``, a function of matrices that gives
    scores by name, makes ``rerankit score my-backbone … --out FOLDER``.
    """


@hookspec
def rerankit_register_charts(register: Register) -> None:
    """Register charts of reports: ``register("my-chart", function)``, a function of a `rerankit.reports.View`."""


@hookspec
def rerankit_run_started(event: Event) -> None:
    """A pipeline starts: `event.pipeline`; `event.total` is its number of stages, `event.run` the run's id."""


@hookspec
def rerankit_stage_started(event: Event) -> None:
    """A stage starts: `event.stage`; `event.position` is its place in the pipeline."""


@hookspec
def rerankit_progress(event: Event) -> None:
    """Long work has come to `event.completed` of `event.total`."""


@hookspec
def rerankit_stage_finished(event: Event) -> None:
    """A stage has finished: `event.seconds`, `event.ranking`."""


@hookspec
def rerankit_run_finished(event: Event) -> None:
    """The pipeline has finished: `event.seconds`, `event.ranking`."""


@hookspec
def rerankit_run_failed(event: Event) -> None:
    """The pipeline was ended by an error, which `event.description` says; nothing follows."""


@hookspec
def rerankit_fit_started(event: Event) -> None:
    """A stage begins to learn: `event.stage`."""


@hookspec
def rerankit_fit_finished(event: Event) -> None:
    """A stage has learned: `event.stage`, `event.seconds`."""


@hookspec
def rerankit_fit_failed(event: Event) -> None:
    """Learning was ended by an error, which `event.description` says."""


@hookspec
def rerankit_evaluated(event: Event) -> None:
    """Something was measured: `event.outcome` is the `Evaluation`; within a benchmark `event.task` and `event.part`."""


@hookspec
def rerankit_result(event: Event) -> None:
    """A benchmark has a new result: `event.outcome`, a `rerankit.bench.Result`."""


@hookspec
def rerankit_tuned(event: Event) -> None:
    """Parameters were chosen: `event.outcome` is what `rerankit.tune` or `rerankit.bench.tune` returns."""

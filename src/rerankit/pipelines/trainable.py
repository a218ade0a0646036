"""Trainable: a stage that learns from queries with what is right for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar, final

import numpy as np

from rerankit.arrays import AnyArray
from rerankit.errors import InputError, NotFittedError, rule
from rerankit.pipelines.running import faults_named, observed, owned
from rerankit.pipelines.stage import Stage
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance

if TYPE_CHECKING:
    from rerankit.training.history import History
    from rerankit.training.settings import TrainingSettings

Judged = tuple[Problem, Relevance]
T = TypeVar("T", bound="Trainable")


@dataclass(frozen=True)
class Learning:
    """What `fit` is given besides the problem and what is right in it; `takes` of a stage names what it uses."""

    validation: Judged | None = None
    """Another problem and what is right in it, which decides what is kept."""
    settings: TrainingSettings | None = None
    """How to train in steps."""
    out: Path | None = None
    """A folder for checkpoints and curves, from which a run that was interrupted goes on."""
    resume: bool = True
    ranking: Ranking | None = None
    """The candidates to learn from, in the place of the problem's own."""
    bank: Judged | None = None
    """Other labelled pairs."""
    engine: Any = None
    """Where what goes over all scores is worked on in shards."""

    @property
    def given(self) -> dict[str, Any]:
        """What was given, by name."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in found.items() if value is not None and name != "resume"}

    def of(self, stage: Trainable, name: str) -> dict[str, Any]:
        """The arguments for `fit` of a stage inside, which gets a folder of its own."""
        inside = replace(self, out=None if self.out is None else self.out / name)
        return {name: value for name, value in inside.given.items() if name in stage.takes} | {"resume": self.resume}


class Trainable(Stage):
    """A stage that learns from queries with what is right for them. A subclass implements `learn`, which keeps what it
    learned as arrays by `set_weights`, and says ``needs = ("weights",)``; `learned` are the arrays.

    >>> import numpy as np
    >>> from rerankit import Problem, Relevance
    >>> class Centred(Trainable):
    ...     name, needs = "centred", ("weights",)
    ...     def learn(self, problem, relevance, how):
    ...         self.set_weights({"mean": problem.scores.rows().mean(axis=0)})
    ...     def rescore(self, problem, ranking):
    ...         return ranking.scores - self.learned["mean"][ranking.indices]
    >>> problem = Problem([[0.1, 0.9], [0.2, 0.4]])
    >>> Centred().fit(problem, Relevance.from_dense(np.eye(2))).rerank(problem, problem.ranking()).indices
    array([[1, 0],
           [0, 1]])
    """

    histories: Mapping[str, History] = MappingProxyType({})
    """What happened when it was fitted, for each part that was trained in steps."""

    takes: tuple[str, ...] = ()
    """What `learn` uses besides the problem and what is right in it: names of fields of `Learning`."""
    _weights: Mapping[str, AnyArray] = MappingProxyType({})

    def get_weights(self) -> dict[str, AnyArray]:
        return dict(self._weights)

    def set_weights(self, weights: dict[str, AnyArray]) -> None:
        self._weights = {name: np.asarray(array) for name, array in weights.items()}

    @property
    def learned(self) -> Mapping[str, AnyArray]:
        """The weights; an error where there are none."""
        if not self._weights:
            raise NotFittedError(f"stage '{self.name}' has no weights: call its fit(…), or rerankit.load(folder)")
        return self._weights

    @property
    def history(self) -> History | None:
        """What happened in the part that was trained last."""
        return next(reversed(list(self.histories.values())), None)

    def training_settings(self) -> TrainingSettings | None:
        """How it is trained by default; None when it is fitted in one go."""
        return None

    @final
    @observed
    def fit(
        self: T,
        problem: Problem,
        relevance: Relevance,
        *,
        validation: Judged | None = None,
        settings: TrainingSettings | None = None,
        out: Any = None,
        resume: bool = True,
        ranking: Ranking | None = None,
        bank: Judged | None = None,
        engine: Any = None,
    ) -> T:
        """Learn from a problem and what is right in it; what the stage does not use is refused (see `Learning`)."""
        how = Learning(validation, settings, None if out is None else Path(out), resume, ranking, bank, engine)
        for name, value in how.given.items():
            if name not in self.takes:
                raise rule(name, f"is not used by fit of stage '{self.name}': {self._instead_of(name)}", _brief(value))
        with faults_named(self, lambda: f"{owned(self)}, learning from {problem!r}"):
            self.learn(problem, relevance, how)
        return self

    def _instead_of(self, name: str) -> str:
        """What to do where `fit` does not use what it was given."""
        if name == "validation":
            return "it chooses nothing by other queries; learn from them too, or evaluate the fitted stage on them"
        return f"it takes {', '.join(self.takes)}" if self.takes else "it is fitted in one go"

    def learn(self, problem: Problem, relevance: Relevance, how: Learning) -> None:
        """Learn from a problem and what is right in it; `fit` checks what it is given and runs this."""
        raise InputError(f"stage '{self.name}' has nothing to train")


def _brief(value: Any) -> str:
    return type(value).__name__ if isinstance(value, tuple) else f"{value!r}"

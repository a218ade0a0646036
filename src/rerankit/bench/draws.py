"""Which settings of a space are tried: all, random ones, or those that a sampler of optuna proposes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from rerankit import checks
from rerankit.errors import rule
from rerankit.extras import require

SAMPLERS = ("random", "tpe")

Space = Mapping[str, Sequence[Any]]
_AGAIN = 10  # times as many proposals as trials: what is proposed again is not tried again


class Draws:
    """Settings to try in an order that is known beforehand."""

    def __init__(self, settings: Sequence[dict[str, Any]], method: str) -> None:
        self.examples, self.method = settings, method
        """Settings that show whether every value of the space can be used; how settings are chosen, in words."""

    def __len__(self) -> int:
        return len(self.examples)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.examples)

    def tell(self, figure: float) -> None:
        """The figure of the setting that was drawn last."""


class ProposedDraws(Draws):
    """Settings that a sampler of optuna proposes by the figures of those before."""

    def __init__(self, space: Space, trials: int, sampler: Any, better: str, method: str) -> None:
        super().__init__([_at(space, places) for places in _edges(space)], method)
        self.space, self.sampler, self.better = space, sampler, better
        self.trials = min(trials, _size(space))
        self._figure: float | None = None

    def __len__(self) -> int:
        return self.trials

    def __iter__(self) -> Iterator[dict[str, Any]]:
        study = _study(self.sampler, "minimize" if self.better == "lower" else "maximize")
        places_of = {name: _distribution(values) for name, values in self.space.items()}
        known: dict[tuple[int, ...], float] = {}
        for _ in range(_AGAIN * self.trials):
            trial = study.ask(places_of)
            places = tuple(int(trial.params[name]) for name in self.space)
            if places not in known:
                yield _at(self.space, places)
                assert self._figure is not None, "each setting's figure is known before the next is drawn"
                known[places] = self._figure
            study.tell(trial, known[places])
            if len(known) == self.trials:
                return

    def tell(self, figure: float) -> None:
        self._figure = figure


def draws(space: Space, trials: int | None, seed: int, sampler: Any = "random", better: str = "higher") -> Draws:
    """The settings of a space: every combination of its values, or `trials` that a sampler chooses.

    sampler: ``"random"``, ``"tpe"`` (optuna's tree-structured Parzen estimator, by `seed`), or a sampler of optuna.

    >>> list(draws({"a": [1, 2], "b": ["x", "y"]}, None, 0))
    [{'a': 1, 'b': 'x'}, {'a': 1, 'b': 'y'}, {'a': 2, 'b': 'x'}, {'a': 2, 'b': 'y'}]
    >>> len(draws({"a": [1, 2], "b": ["x", "y"]}, 3, 0))
    3
    """
    _check(space, trials, sampler)
    if trials is None:
        return Draws([dict(zip(space, values, strict=True)) for values in product(*space.values())], "grid")
    name = sampler if isinstance(sampler, str) else type(sampler).__name__
    method = f"{name}, {trials} trials" + (f", seed {seed}" if isinstance(sampler, str) else "")
    if sampler != "random":
        return ProposedDraws(space, trials, _sampler(sampler, seed), better, method)
    sizes = [len(values) for values in space.values()]
    total = _size(space)
    chosen = np.random.default_rng(seed).choice(total, min(trials, total), replace=False)
    return Draws([_at(space, np.unravel_index(number, sizes)) for number in sorted(chosen.tolist())], method)


def _check(space: Space, trials: int | None, sampler: Any) -> None:
    if not space or not all(_is_list(values) for values in space.values()):
        raise rule("space", "must name parameters with a list of at least one value each", dict(space))
    if trials is not None:
        checks.integer("trials", trials, least=1)
    if isinstance(sampler, str):
        checks.choice("sampler", sampler, SAMPLERS)
    elif not callable(getattr(sampler, "sample_relative", None)) or isinstance(sampler, type):
        raise rule("sampler", f"must be one of {', '.join(SAMPLERS)}, or a sampler of optuna", repr(sampler))
    if trials is None and sampler != "random":
        raise rule("trials", "must say how many settings the sampler may try", trials)


def _is_list(values: Any) -> bool:
    """Whether there are values to choose from: a text or a number is one value, and a distribution of optuna none."""
    return not isinstance(values, str) and hasattr(values, "__len__") and len(values) > 0


def _size(space: Space) -> int:
    return int(np.prod([len(values) for values in space.values()]))


def _at(space: Space, places: Sequence[Any]) -> dict[str, Any]:
    return {name: values[int(place)] for (name, values), place in zip(space.items(), places, strict=True)}


def _edges(space: Space) -> list[tuple[int, ...]]:
    """Places of the first values, and those that differ from them in one value."""
    first = (0,) * len(space)
    others = enumerate(space.values())
    return [first, *((*first[:at], place, *first[at + 1 :]) for at, each in others for place in range(1, len(each)))]


def _sampler(sampler: Any, seed: int) -> Any:
    optuna = _optuna()
    return optuna.samplers.TPESampler(seed=seed) if sampler == "tpe" else sampler


def _study(sampler: Any, direction: str) -> Any:
    """A study in memory; optuna would announce it on stderr."""
    optuna = _optuna()
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(sampler=sampler, direction=direction)
    finally:
        optuna.logging.set_verbosity(before)


def _distribution(values: Sequence[Any]) -> Any:
    """The places of values: near ones are alike where the values are numbers in order."""
    distributions = _optuna().distributions
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    if numbers and list(values) in (sorted(values), sorted(values, reverse=True)):
        return distributions.IntDistribution(0, len(values) - 1)
    return distributions.CategoricalDistribution(range(len(values)))


def _optuna() -> Any:
    return require("optuna", extra="optuna", purpose="a 'sampler' other than random")

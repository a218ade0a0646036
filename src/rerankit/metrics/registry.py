"""Metric names: each exact, with its cut-off after "@"; other names the field uses are taken, with a warning."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from math import fsum
from typing import Any

import numpy as np

from rerankit.arrays import unmasked
from rerankit.errors import InputError, PluginError, RerankitWarning, rule, unknown_name
from rerankit.metrics.lists import FloatArray
from rerankit.metrics.metric import Metric, MetricFunction, Traits
from rerankit.metrics.places import Places
from rerankit.plugins import manager
from rerankit.plugins.faults import FaultError


class MetricAlias(UserWarning):
    """A metric was asked for by a name that is not its own."""


@dataclass(frozen=True)
class Measure:
    """A metric with its cut-off: what a name such as ``success@5`` stands for."""

    metric: Metric
    k: int | None

    @property
    def name(self) -> str:
        """The exact name."""
        return self.metric.name if self.k is None else f"{self.metric.name}@{self.k}"

    def per_query(self, places: Places) -> FloatArray:
        """One value per query (queries,); a fault names the plugin that the metric comes from."""
        entry = manager().metrics.entry(self.metric.name)
        with entry.blamed("failed"):
            found = self.metric.function(places, *(() if self.k is None else (self.k,)))
            values = np.asarray(unmasked(found), np.float64)
        if values.shape != (places.queries,):
            raise FaultError(
                entry.fault(f"must give a value for each of {places.queries} queries (got {values.shape})")
            )
        return values

    def summary(self, values: FloatArray) -> float:
        """One figure from the values of the queries that count."""
        if not len(values):
            return float("nan")
        # An exact sum: the mean does not depend on the order of the queries, and chance comes out as chance.
        return (
            float(np.median(values)) if self.metric.traits.summary == "median" else fsum(values.tolist()) / len(values)
        )


# Other names, in lower case and without the cut-off. R@k is two different things in the literature; in this
# field it is success.
_ALIASES = {
    "r": "success",
    "hit": "success",
    "hits": "success",
    "hit_rate": "success",
    "hitrate": "success",
    "accuracy": "success",
    "acc": "success",
    "cmc": "success",
    "rank": "success",
    "r_subset": "subset_success",
    "rsubset": "subset_success",
    "recall_subset": "subset_success",
    "p": "precision",
    "rp": "r_precision",
    "r-precision": "r_precision",
    "rprec": "r_precision",
    "ap": "map",
    "map_cut": "map_all",
    "rr": "mrr",
    "medr": "median_rank",
    "medianr": "median_rank",
    "meanr": "mean_rank",
    "mnr": "mean_rank",
}
_WHOLE = {"map@r": "map_at_r", "map_r": "map_at_r", "r-precision": "r_precision"}


def metrics_available() -> dict[str, Metric]:
    """Every known metric by name, sorted; one whose plugin is broken is left out with a warning."""
    registry, found = manager().metrics, {}
    for name in registry:
        try:
            found[name] = Metric.of(name, registry[name])
        except PluginError as error:
            warnings.warn(f"metric '{name}' is left out: {error}", RerankitWarning, stacklevel=2)
    return found


def traits_of(figure: str) -> Traits:
    """What is special about the metric of a figure, such as "image-to-text/mean_rank" or "success@5".

    >>> traits_of("image-to-text/mean_rank").better, traits_of("success@5").better
    ('lower', 'higher')
    """
    name, known = figure.rpartition("/")[2].partition("@")[0], manager().metrics
    return Metric.of(name, known[name]).traits if name in known else Traits()


def register_metric(name: str, function: MetricFunction) -> None:
    """Make a metric known in this process; a plugin does it by the hook ``rerankit_register_metrics``.

    The function takes `Places`, and `k` if the metric has a cut-off, and returns one value per query.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
        raise rule("name", "must be lower-case letters, digits and underscores", name)
    manager().metrics.add(name, function, "this process")


def measure(name: str) -> Measure:
    """What a metric's name stands for.

    >>> measure("success@5").name
    'success@5'
    """
    found = _exact(name)
    if found is not None:
        return found
    other = _alias(name)
    if other is None:
        raise unknown_name("metric", name, manager().metrics)
    known = measure(other)
    warnings.warn(f"metric '{name}' is called '{known.name}' here", MetricAlias, stacklevel=2)
    return known


def _alias(name: str) -> str | None:
    lower = name.strip().lower()
    if lower in _WHOLE:
        return _WHOLE[lower]
    stem, at, k = lower.partition("@")
    if not at and (numbered := re.fullmatch(r"(?:rank|r|top)-?(\d+)", lower)):
        return f"success@{numbered[1]}"
    target = _ALIASES.get(stem, stem if stem in manager().metrics and lower != name else None)
    return None if target is None else f"{target}{at}{k}"


def _exact(name: str) -> Measure | None:
    stem, at, cut = name.partition("@")
    if stem not in manager().metrics:
        return None
    metric = Metric.of(stem, manager().metrics[stem])
    if not at:
        if metric.cut == "required":
            raise InputError(f"metric '{name}' needs a cut-off, such as '{name}@10'")
        return Measure(metric, None)
    if metric.cut == "none":
        raise InputError(f"metric '{stem}' takes no cut-off (got '{name}')")
    if not re.fullmatch(r"[1-9]\d*", cut):
        raise rule("metrics", "must have a whole number from 1 after '@'", name)
    return Measure(metric, int(cut))


def measures(names: Any) -> tuple[Measure, ...]:
    """The measures of a list of names, or of one name, each once."""
    given = (names,) if isinstance(names, str) else tuple(names)
    if not given:
        raise rule("metrics", "must name at least one metric", "none")
    return tuple(dict.fromkeys(measure(name) for name in given))

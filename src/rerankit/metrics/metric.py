"""What a metric is: a pure function of `Places`, and a few traits."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

from rerankit.metrics.lists import FloatArray

MetricFunction: TypeAlias = Callable[..., FloatArray]
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Traits:
    """How a system's one figure is made of its queries' values, among which items a query looks, and what is shown:
    fractions in percent, numbers (such as ranks) as they are.
    """

    summary: Literal["mean", "median"] = "mean"
    better: Literal["higher", "lower"] = "higher"
    scope: Literal["gallery", "subset"] = "gallery"
    unit: Literal["fraction", "number"] = "fraction"

    @property
    def sign(self) -> int:
        """1 where higher values are better, −1 where lower ones are."""
        return 1 if self.better == "higher" else -1


def traits(
    *,
    summary: Literal["mean", "median"] = "mean",
    better: Literal["higher", "lower"] = "higher",
    scope: Literal["gallery", "subset"] = "gallery",
    unit: Literal["fraction", "number"] = "fraction",
) -> Callable[[Function], Function]:
    """Say what is special about a metric's function; one without this is a mean for which higher is better."""

    def mark(function: Function) -> Function:
        function.__dict__["traits"] = Traits(summary, better, scope, unit)
        return function

    return mark


@dataclass(frozen=True)
class Metric:
    """A metric by its exact name. `cut` says whether it takes a cut-off, which its function calls `k`."""

    name: str
    function: MetricFunction
    cut: Literal["required", "optional", "none"]
    traits: Traits
    text: str

    @classmethod
    def of(cls, name: str, function: MetricFunction) -> Metric:
        """The metric that a registered function is."""
        k = inspect.signature(function).parameters.get("k")
        cut: Literal["required", "optional", "none"] = "none"
        if k is not None:
            cut = "required" if k.default is inspect.Parameter.empty else "optional"
        text = (inspect.getdoc(function) or "").partition("\n")[0]
        return cls(name, function, cut, getattr(function, "traits", Traits()), text)

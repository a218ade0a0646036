from __future__ import annotations

import numpy as np
import pytest

from rerankit.errors import InputError, PluginError, UnknownNameError
from rerankit.metrics import MetricAlias, Places, evaluate, measure, metrics_available, register_metric, success, traits
from rerankit.plugins import manager
from rerankit.statistics.render import scale


def test_names_are_exact() -> None:
    assert measure("success@5").name == "success@5"
    assert measure("map").k is None
    assert list(metrics_available()) == sorted(metrics_available())


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("R@5", "success@5"),
        ("r@1", "success@1"),
        ("hit_rate@10", "success@10"),
        ("cmc@1", "success@1"),
        ("rank-1", "success@1"),
        ("R_subset@2", "subset_success@2"),
        ("P@5", "precision@5"),
        ("mAP", "map"),
        ("mAP@10", "map@10"),
        ("mAP@R", "map_at_r"),
        ("nDCG@10", "ndcg@10"),
        ("MRR", "mrr"),
        ("medr", "median_rank"),
        ("meanr", "mean_rank"),
        ("rSum", "rsum"),
    ],
)
def test_aliases_warn_and_give_the_name(alias: str, name: str) -> None:
    with pytest.warns(MetricAlias, match="is called"):
        assert measure(alias).name == name
    result = evaluate(np.eye(12), [[i] for i in range(12)], [name], subset=[[i] for i in range(12)])
    with pytest.warns(MetricAlias):
        assert result[alias] == result[name]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("success", "needs a cut-off, such as 'success@10'"),
        ("success@0", "must have a whole number from 1 after '@'"),
        ("success@x", "must have a whole number"),
        ("rsum@5", "'rsum' takes no cut-off"),
        ("sucess@5", r"unknown metric 'sucess@5'; did you mean"),
        ("nothing-like-it", "unknown metric"),
    ],
)
def test_other_names_are_errors(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        measure(name)


def test_a_figure_that_was_not_asked_for_is_an_unknown_name() -> None:
    with pytest.raises((KeyError, UnknownNameError)):
        evaluate(np.eye(2), [0, 1], ["success@1"])["map"]
    with pytest.raises(InputError, match="'metrics' must name at least one metric"):
        evaluate(np.eye(2), [0, 1], [])


def test_metrics_can_be_added() -> None:
    @traits(better="lower")
    def failure(places: Places, k: int) -> np.ndarray:
        """Nothing relevant among the first k."""
        return 1 - success(places, k)

    register_metric("failure", failure)
    try:
        assert evaluate(np.eye(2), [0, 0], ["failure@1"])["failure@1"] == 0.5
        assert scale("text-to-image/failure@1") == (100.0, 2)
        assert scale("text-to-image/mean_rank") == (1.0, 2)
        known = metrics_available()["failure"]
        assert (known.cut, known.traits.better, known.text) == (
            "required",
            "lower",
            "Nothing relevant among the first k.",
        )
        with pytest.raises(PluginError, match=r"metric 'success' is already registered by 'rerankit'"):
            register_metric("success", success)
        with pytest.raises(InputError, match="'name' must be lower-case"):
            register_metric("Success", success)
    finally:
        manager().metrics.drop("this process")


def test_a_metric_asked_for_twice_is_computed_once() -> None:
    assert list(evaluate(np.eye(2), [0, 1], ["map", "map"])) == ["map"]

"""Composites pass fit on, and no stage takes what it does not use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rerankit
from rerankit import Pipeline, Problem, Relevance, Trainable, stage
from rerankit.errors import InputError
from rerankit.pipelines import Learning
from rerankit.training import TrainingSettings


def judged(seed: int = 0, items: int = 60) -> tuple[Problem, Relevance]:
    random = np.random.default_rng(seed)
    shared = random.normal(size=(items, 8))
    scale = np.array([1, 1, 1, 1, 4, 4, 4, 4])
    sides = (shared + scale * 0.3 * random.normal(size=(items, 8)) for _ in range(2))
    return Problem.from_embeddings(*sides), Relevance.from_dense(np.eye(items))


class Seeing(Trainable):
    """Keeps what it learned from."""

    name = "seeing"
    needs = ("weights",)

    def __init__(self, takes_all: bool = True) -> None:
        self.takes_all = takes_all
        self.seen: tuple[Problem, Learning] | None = None
        self.takes = ("validation", "ranking", "out") if takes_all else ()

    def learn(self, problem: Problem, relevance: Relevance, how: Learning) -> None:
        self.seen = problem, how

    @property
    def fitted(self) -> bool:
        return self.seen is not None

    def rescore(self, problem, ranking):  # type: ignore[no-untyped-def]
        return ranking.scores


def test_each_stage_learns_behind_those_before_it(tmp_path: Path) -> None:
    (problem, relevance), validation = judged(), judged(1, 30)
    metric, last = stage("metric", shrink=0.5, share=0.5), Seeing()
    pipeline = Pipeline([metric, stage("sinkhorn"), last])
    assert pipeline.fit(problem, relevance, validation=validation, out=tmp_path) is pipeline
    alone = stage("metric", shrink=0.5, share=0.5).fit(problem, relevance, validation=validation)
    assert metric == alone
    assert last.seen is not None
    seen, how = last.seen
    passed = alone.passes_on(problem)
    np.testing.assert_array_equal(seen.scores.rows(), passed.scores.rows())
    assert how.validation is not None
    np.testing.assert_array_equal(how.validation[0].scores.rows(), alone.passes_on(validation[0]).scores.rows())
    assert how.out == tmp_path / "02-seeing"
    assert how.ranking == rerankit.rerank(problem, alone >> "sinkhorn", k=None)


def test_what_has_weights_stays_while_another_stage_lacks_them() -> None:
    given = judged()
    known = stage("metric").fit(*given)
    before = known.clone()
    last = Seeing()
    fused = stage("fuse", sources=["scores", Pipeline([known, last]).top(20)])
    fused.fit(*judged(2))
    assert known == before
    assert last.seen is not None
    fused.fit(*judged(2))  # nobody lacks weights: all go on
    assert known != before


def test_calibrate_learns_from_what_the_stages_before_it_leave() -> None:
    problem, relevance = judged()
    pipeline = Pipeline(["sinkhorn", stage("calibrate", candidates=20)]).fit(problem, relevance)
    before = rerankit.rerank(problem, "sinkhorn", k=20)
    by_hand = stage("calibrate", candidates=20).fit(problem, relevance, ranking=before)
    assert pipeline.stages[1] == by_hand


def test_trained_parts_have_folders_and_histories(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    sizes: dict[str, Any] = {"pillars": 5, "neighbours": 3, "width": 8, "heads": 2, "candidates": 6}
    pipeline = Pipeline(["metric", stage("pillar-small", **sizes)])
    assert pipeline.training_settings() == stage("pillar-small").training_settings()  # type: ignore[attr-defined]
    settings = TrainingSettings(1, 16, device="cpu")
    pipeline.fit(*judged(), settings=settings, out=tmp_path)
    assert (tmp_path / "01-pillar-small" / "checkpoint.pt").is_file()
    assert list(pipeline.histories) == ["01-pillar-small"]
    assert pipeline.fitted
    Pipeline(["metric", stage("pillar-small", **sizes)]).fit(*judged(), settings=settings, out=tmp_path)
    with pytest.raises(InputError, match="belongs to another run"):
        Pipeline([stage("metric", share=0.9), stage("pillar-small", **sizes)]).fit(
            *judged(), settings=settings, out=tmp_path
        )


def test_fit_is_not_overridden() -> None:
    with pytest.raises(InputError, match="stage class Own must be Trainable and implement 'learn'"):

        class Own(Trainable):
            def fit(self, problem, relevance):  # type: ignore[no-untyped-def,override,misc]
                return self


@pytest.mark.parametrize(
    ("learner", "given", "message"),
    [
        (
            stage("calibrate"),
            {"validation": judged()},
            r"'validation' is not used by fit of stage 'calibrate': it chooses nothing by other queries; learn",
        ),
        (
            stage("learned-fusion"),
            {"validation": judged()},
            "'validation' is not used by fit of stage 'learned-fusion'",
        ),
        (stage("metric"), {"settings": TrainingSettings()}, "'settings' is not used by fit of stage 'metric'"),
        (stage("metric"), {"out": "folder"}, "'out' is not used by fit of stage 'metric': it takes validation"),
        (
            Seeing(False),
            {"validation": judged()},
            "'validation' is not used by fit of stage 'seeing': it chooses nothing",
        ),
        (
            Pipeline(["sinkhorn", "calibrate"]),
            {"validation": judged()},
            "'validation' is not used by fit of stage 'pipel",
        ),
        (Pipeline(["sinkhorn", "nnn"]), {}, "stage 'pipeline' has nothing to train"),
        (stage("sinkhorn").top(5), {}, "stage 'top' has nothing to train"),
    ],
)
def test_what_is_not_used_is_refused(learner: Trainable, given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        learner.fit(*judged(), **given)

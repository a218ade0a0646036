"""Stages made of stages pass on what their children need, look at, are fitted for and prepare."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rerankit
from rerankit import Bank, Gallery, Looks, Pipeline, Problem, Ranking, Relevance, Stage, prepare, rerank, stage
from rerankit.errors import UnmetNeedError
from rerankit.pipelines.composite import Composite

RANDOM = np.random.default_rng(3)
SCORES = RANDOM.normal(size=(6, 9)).astype(np.float32)
BANK = Bank(to_gallery=RANDOM.normal(size=(20, 9)))


class Half(Composite):
    """A plugin's own: the mean of what its children give, by place."""

    name = "half"

    def __init__(self, stages: Any = ()) -> None:
        self.stages = stages

    @property
    def children(self) -> tuple[Stage, ...]:
        return tuple(self.stages)

    def joined(self, children: Any, problem: Problem, ranking: Ranking) -> Ranking:
        given = [child.rerank(problem, ranking).to_dense() for child in children]
        rows = np.arange(len(ranking))[:, None]
        places = [(-dense).argsort(axis=1, kind="stable").argsort(axis=1)[rows, ranking.indices] for dense in given]
        return self.scored(ranking, -np.mean(places, axis=0))


def composites(one: Stage) -> dict[str, Stage]:
    """Every composite over one stage."""
    return {
        "top": one.top(4),
        "fuse": stage("fuse", sources=["scores", one]),
        "pipeline": Pipeline([one]),
        "auto": stage("auto", chosen=Pipeline([one])),
        "of a plugin": Half([one, one]),
        "of each other": stage("fuse", sources=["ranking", Pipeline([one.top(4), "mutual-rank"]).top(5)]),
    }


KINDS = list(composites(stage("nnn")))


@pytest.mark.parametrize("kind", KINDS)
def test_needs_looks_and_fittedness_are_passed_on(kind: str) -> None:
    made = composites(stage("consensus"))[kind]
    assert set(made.needs) == {"query_scores", "gallery_scores"}
    faults = made.unmet(Problem(SCORES))
    assert {(fault.stage.name, str(fault.need)) for fault in faults} == {
        ("consensus", "query_scores"),
        ("consensus", "gallery_scores"),
    }
    assert made.looks_at().queries
    with_bank = Problem(SCORES, query_bank=BANK)
    alone = composites(stage("inverted-softmax"))[kind].looks_at(with_bank)
    assert alone.bank
    assert not alone.queries
    learner = composites(stage("learned-fusion", opinions=["score", "margin"]))[kind]
    assert "weights" in learner.needs
    assert not learner.fitted
    with pytest.raises(UnmetNeedError, match="stage 'learned-fusion' needs weights"):
        rerank(SCORES, learner)
    right = Relevance.from_dense(np.eye(6, 9))
    taught = composites(stage("learned-fusion", opinions=["score", "margin"]).fit(Problem(SCORES), right))[kind]
    assert taught.fitted
    assert taught.looks_at(with_bank).labels
    assert rerank(SCORES, taught, k=5).shape == (6, 5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_prepared_composite_answers_as_the_batch_does(kind: str, tmp_path: Any) -> None:
    made = composites(stage("inverted-softmax"))[kind]
    given = Problem(SCORES, query_bank=BANK)
    ready = prepare(made, Gallery.of(given))
    expected = rerank(given, made, k=7)
    for row in range(6):
        assert ready.rerank(scores=SCORES[row], k=7) == rerank(given.subset(queries=[row]), made, k=7)
        np.testing.assert_array_equal(ready.rerank(scores=SCORES[row], k=7).indices[0], expected.indices[row])
    if kind != "of a plugin":  # which is not registered
        ready.save(tmp_path / "ready")
        assert rerankit.load(tmp_path / "ready").rerank(scores=SCORES[:1], k=7) == ready.rerank(scores=SCORES[:1], k=7)
    assert [row["depth"] for row in ready.info()][:2] == ([0, 1] if kind != "pipeline" else [0])


@pytest.mark.parametrize("kind", KINDS)
def test_composites_are_turned_with_their_children(kind: str) -> None:
    made, turned = (composites(stage("consensus", voters=side))[kind] for side in ("query", "gallery"))
    assert repr(made.reversed()) == repr(turned)
    assert made.reversed() == turned
    plain = composites(stage("nnn"))[kind]
    assert plain.reversed() is plain


def test_a_pipeline_is_a_stage_wherever_one_is_taken(tmp_path: Any) -> None:
    pair = stage("mutual-rank") >> stage("fuse", method="rrf")
    assert isinstance(pair, Stage)
    assert pair.top(3) == pair.clone().top(3)
    problem = Problem(SCORES)
    by_hand = problem.ranking(9)
    for one in pair:
        by_hand = one.rerank(problem, by_hand)
    inside = rerank(problem, "fuse", sources=[pair], normalise="none", k=None)
    assert inside.indices.tolist() == by_hand.indices.tolist()
    fused = stage("fuse", sources=["scores", pair])
    fused.save(tmp_path / "fused")
    assert rerankit.load(tmp_path / "fused") == fused
    assert Pipeline([pair, "nnn"]) == Pipeline(["mutual-rank", stage("fuse", method="rrf"), "nnn"])
    assert pair.name == "pipeline"


def test_stages_behind_learned_similarities_are_prepared_and_kept(tmp_path: Any) -> None:
    """What stands behind a stage that knows better similarities sees those in a prepared gallery, too."""
    random = np.random.default_rng(0)
    shared = random.normal(size=(60, 8))
    left, right = (shared + 0.4 * random.normal(size=shared.shape) for _ in range(2))
    given = Problem.from_embeddings(left, right)
    learned = stage("metric", shrink=0.5, share=0.5).fit(given, Relevance.from_dense(np.eye(60)))
    bank = random.normal(size=(15, 8))
    problem = Problem.from_embeddings(left[:5], right[:30], query_bank=bank)
    for made in (learned >> "sinkhorn", learned.top(20) >> "nnn", Pipeline([learned]).top(20) >> "csls"):
        ready = prepare(made, Gallery(right[:30], bank=bank))
        expected = rerank(problem, made, k=10)
        first = problem.ranking(10)
        assert ready.answer(problem, first).indices.tolist() == expected.indices.tolist()
        assert expected.indices.tolist() != rerank(problem, made.stages[1], k=10).indices.tolist()
        folder = tmp_path / made.stages[1].name
        ready.save(folder)
        assert rerankit.load(folder).answer(problem, first) == ready.answer(problem, first)
        more = ready.updated(add=right[30:40])
        grown = Problem.from_embeddings(left[:5], right[:40], query_bank=bank)
        again = prepare(made, Gallery(right[:40], bank=bank)).answer(grown, grown.ranking(10))
        assert more.answer(grown, grown.ranking(10)).indices.tolist() == again.indices.tolist()


def test_labels_are_seen_inside_a_choice() -> None:
    assert stage("auto", chosen=Pipeline(["mutual-rank"])).looks_at() == Looks(queries=True, labels=True)
    assert (
        stage("auto")
        .fit(Problem(np.tile(SCORES, (4, 1))), Relevance.from_dense(np.tile(np.eye(6, 9), (4, 1))))
        .looks_at()
        .labels
    )
    assert not stage("auto").looks_at().labels


def test_a_stage_that_a_composite_runs_without_naming_it_is_checked() -> None:
    class Sly(Composite):
        name = "sly"

        @property
        def children(self) -> tuple[Stage, ...]:
            return (stage("fuse"),)

        def joined(self, children: Any, problem: Problem, ranking: Any) -> Any:
            return stage("dba").rerank(problem, children[0].rerank(problem, ranking))

    with pytest.raises(UnmetNeedError, match="stage 'dba' needs gallery_scores"):
        Sly().rerank(Problem(SCORES), Problem(SCORES).ranking(3))

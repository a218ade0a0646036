"""Blocks, rounds and padding against the plain form; the stage's two ends of the cascade."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from rerankit import Problem, Ranking, load, rerank, settings
from rerankit.errors import InputError, NotFittedError, UnmetNeedError
from rerankit.features import Regions
from rerankit.stages.hmrn import scoring
from rerankit.stages.hmrn.candidates import gallery_rankings
from rerankit.stages.hmrn.files import write_matrices, write_rankings
from rerankit.stages.hmrn.representation import Descriptions
from rerankit.stages.hmrn.stage import HmrnStage


def plain_joint(naive: ModuleType, stage: HmrnStage, problem: Problem) -> list[torch.Tensor]:
    """Joint score of every pair and round, (rounds, searches, images), pair by pair by the definition."""
    regions, queries = stage.read(problem.query_features, problem.gallery_features)
    scorer = stage.scorer
    tables = []
    for number, network in enumerate(scorer.networks):
        images, searches = scorer.images(regions)[number], scorer.searches(queries)[number]
        table = torch.empty(queries.shape[1], len(queries), len(regions))
        for c in range(len(queries)):
            for i in range(len(regions)):
                own = images.regions[i : i + 1, : int(images.counts[i])]
                joint = naive.joint_all_rounds(
                    network.similarity, own, searches.queries[c : c + 1, : searches.counts[c]]
                )
                for t in range(queries.shape[1]):
                    table[t, c, i] = joint[min(t, len(joint) - 1), 0, 0]
        tables.append(table)
    return list(torch.stack(tables).mean(dim=0))


@torch.no_grad()
@pytest.mark.parametrize("variant", ["I-T", "T-I", "ensemble"])
def test_all_rounds_equal_the_definition_under_padding(cases: ModuleType, naive: ModuleType, variant: str) -> None:
    stage, problem = cases.small(variant), cases.problem(3, 5)
    expected = torch.stack(plain_joint(naive, stage, problem)).numpy()
    regions, queries = stage.read(problem.query_features, problem.gallery_features)
    scorer = stage.scorer
    images, searches = scorer.images(regions), scorer.searches(queries)
    for budget in (1, 20_000, 10**8):
        with settings.using(memory_budget=budget):
            parts = list(scorer.score(images, searches, scorer.rounds("all", 4)))
            found = np.concatenate([part.joint for part in parts], axis=1)
            np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)
    one = np.concatenate([part.joint for part in scorer.score(images, searches, [2])], axis=1)
    np.testing.assert_allclose(one[0], expected[1], atol=1e-5, rtol=0)


def test_the_stage_scores_its_candidates_as_the_gallery(cases: ModuleType) -> None:
    stage, problem = cases.small(cascade=None), cases.problem(4, 9)
    regions, queries = stage.read(problem.query_features, problem.gallery_features)
    images, searches = stage.scorer.images(regions), stage.scorer.searches(queries)
    full = next(iter(stage.scorer.score(images, searches, [4]))).joint[0]
    reranked = stage.rerank(problem, problem.ranking(6))
    rows = np.arange(4)[:, None]
    np.testing.assert_allclose(reranked.scores, full[rows, reranked.indices], atol=1e-5)


def test_all_rounds_of_candidates_at_once(cases: ModuleType) -> None:
    """`rounds="all"` gives the last round's ranking with those of the others, as one round after the other does."""
    stage, problem = cases.small("ensemble", cascade=2), cases.problem(4, 9)
    last = rerank(problem, stage.clone(rounds="all"), k=6)
    by_round = last.notes["hmrn"]["by_round"]
    assert last == by_round[-1] == rerank(problem, stage, k=6)
    assert [one.notes["hmrn"] for one in by_round] == [
        {"reasoned": 2, "candidates": 6, "rounds": t} for t in range(1, 5)
    ]
    for t, one in enumerate(by_round, start=1):
        alone = stage.clone(rounds=t).rerank(problem, problem.ranking(6))
        np.testing.assert_array_equal(one.indices, alone.indices)
        np.testing.assert_allclose(one.scores, alone.scores, atol=1e-6)
    assert "by_round" not in rerank(problem, stage, k=6).notes["hmrn"]


def test_every_level_of_candidates(cases: ModuleType) -> None:
    stage = cases.small("ensemble", cascade=3, rounds="all")
    problem = cases.problem(3, 7)
    first = Ranking(
        [[4, 1, 0, 6], [2, 5, -1, -1], [-1] * 4], [[4, 3, 2, 1], [2, 1, *[-np.inf] * 2], [-np.inf] * 4], gallery_size=7
    )
    found = stage.score_candidates(problem, first)
    scorer, (regions, queries) = stage.scorer, stage.read(problem.query_features, problem.gallery_features)
    full = next(iter(scorer.score(scorer.images(regions), scorer.searches(queries), [1, 2, 3, 4])))
    rows = np.arange(3)[:, None]
    for name in ("local", "overall", "reasoning", "joint"):
        level, expected = getattr(found, name), getattr(full, name)[:, rows, first.indices]
        reached = ~np.isnan(level)
        np.testing.assert_allclose(level[reached], expected[reached], atol=1e-6)
        most = [4, 2, 0] if name in ("local", "overall") else [3, 2, 0]
        assert reached.sum(axis=2).tolist() == [most] * 4


def test_the_cascade_reasons_for_the_best_and_keeps_the_rest_behind(cases: ModuleType) -> None:
    full, problem = cases.small(cascade=None, reasoning_weight=5.0), cases.problem(4, 9)
    short = full.clone(cascade=3)
    wide, narrow = (stage.rerank(problem, problem.ranking()) for stage in (full, short))
    assert narrow.notes["hmrn"]["reasoned"] == 3
    regions, queries = full.read(problem.query_features, problem.gallery_features)
    cheap = full.scorer.cheap(full.scorer.images(regions), full.scorer.searches(queries), [4])[0].numpy()
    for row in range(4):
        order = np.argsort(-cheap[row], kind="stable")
        assert set(narrow.indices[row, :3]) == set(order[:3])
        assert narrow.indices[row, 3:].tolist() == order[3:].tolist()
        kept = [item for item in wide.indices[row] if item in set(order[:3])]
        assert narrow.indices[row, :3].tolist() == kept
    assert (np.diff(narrow.scores, axis=1) <= 0).all()
    assert np.array_equal(full.clone(cascade=50).rerank(problem, problem.ranking()).indices, wide.indices)


def test_rankings_of_the_whole_gallery(cases: ModuleType) -> None:
    """A gallery smaller than K, and one that is ranked with and without a cascade."""
    stage, problem = cases.small("ensemble"), cases.problem(3, 7)
    scorer = stage.scorer
    regions, queries = stage.read(problem.query_features, problem.gallery_features)
    images, searches = scorer.images(regions), scorer.searches(queries)
    every = gallery_rankings(scorer, images, searches, [1, 4], depth=None, keep=50)
    deep = gallery_rankings(scorer, images, searches, [1, 4], depth=100, keep=50)
    assert [ranking.shape for ranking in every] == [(3, 7), (3, 7)]
    assert all(np.array_equal(one.indices, other.indices) for one, other in zip(every, deep, strict=True))
    reference = stage.clone(cascade=2).rerank(problem, problem.ranking())
    short = gallery_rankings(scorer, images, searches, [4], depth=2, keep=5)[0]
    assert np.array_equal(short.indices, reference.indices[:, :5])


def test_weights_travel(cases: ModuleType, tmp_path: Path) -> None:
    stage, problem = cases.small("ensemble"), cases.problem(3, 5)
    stage.save(tmp_path / "saved")
    again = load(tmp_path / "saved")
    assert again == stage
    assert again.rerank(problem, problem.ranking()) == stage.rerank(problem, problem.ranking())


def test_only_scores_are_replaced(cases: ModuleType, tmp_path: Path) -> None:
    stage, made = cases.small(), cases.problem(2, 4)
    features = made.query_features, made.gallery_features
    out, other = tmp_path / "scores", tmp_path / "photos"
    for _ in range(2):
        assert len(write_matrices(stage, features, "all", out, overwrite=True)) == 4
    write_rankings(stage, features, "last", out, 2, (None, None), overwrite=True)
    assert sorted(path.name for path in out.iterdir()) == ["rerankit.json", "round-04.npz"]
    other.mkdir()
    (other / "cat.jpg").touch()
    for write in (lambda: write_matrices(stage, features, "all", other, overwrite=True),
                  lambda: write_rankings(stage, features, "all", other, 2, (None, None), overwrite=True)):  # fmt: skip
        with pytest.raises(InputError, match="which rerankit did not write"):
            write()
    assert (other / "cat.jpg").is_file()


def test_what_is_refused(cases: ModuleType) -> None:
    stage, problem = cases.small(), cases.problem(3, 5)
    with pytest.raises(InputError, match=r"'rounds' must be at most 4, the rounds the searches have \(got 9\)"):
        stage.clone(rounds=9).rerank(problem, problem.ranking())
    with pytest.raises(InputError, match="'rounds' must be"):
        HmrnStage(rounds=0)
    with pytest.raises(InputError, match="'cascade' must be"):
        HmrnStage(cascade="some")
    with pytest.raises(InputError, match="unknown variant 'T-T'"):
        HmrnStage("T-T")
    with pytest.raises(InputError, match=r"'query_temperature' must be at most 60\.0"):
        HmrnStage(query_temperature=100)
    with pytest.raises(InputError, match="'scale' must be a finite number"):
        HmrnStage(scale="large")  # type: ignore[arg-type]
    with pytest.raises(NotFittedError, match=r"rerankit\.stages\.hmrn\.published"):
        HmrnStage().networks  # noqa: B018 - the access is what is tested
    with pytest.raises(UnmetNeedError, match="stage 'hmrn' needs weights"):
        HmrnStage().rerank(problem, problem.ranking())
    with pytest.raises(NotFittedError, match="'cascade' is 'auto'"):
        stage.clone(cascade="auto").rerank(problem, problem.ranking())
    with pytest.raises(UnmetNeedError, match="regions"):
        rerank(np.ones((2, 2)), stage)
    for regions, message in ((np.ones((5, 3, 6)), "width 7"), (np.ones((5, 6, 7)), "at most 5 regions")):
        with pytest.raises(InputError, match=message):
            stage.scorer.images(Regions(regions))
    with pytest.raises(InputError, match="token ids below 30"):
        stage.scorer.searches(Descriptions(np.full((1, 1, 2), 30)))
    with pytest.raises(InputError, match="width 8, or be token ids"):
        stage.scorer.searches(Descriptions(np.ones((1, 1, 2))))


def test_vectors_in_place_of_tokens(cases: ModuleType) -> None:
    stage, problem = cases.small(), cases.problem(2, 4)
    vectors = stage.scorer.searches(stage.read(problem.query_features, problem.gallery_features)[1])[0]
    given = Descriptions(vectors.queries.numpy(), counts=vectors.counts.numpy())
    same = Problem(
        problem.scores,
        query_features={"text": given},
        gallery_features={"regions": problem.gallery_features["regions"]},
    )
    one, other = stage.rerank(problem, problem.ranking()), stage.rerank(same, problem.ranking())
    np.testing.assert_allclose(one.scores, other.scores, atol=1e-6)


@pytest.mark.gpu
def test_rounded_factors_change_scores_little_and_only_while_scoring(cases: ModuleType) -> None:
    problem, before = cases.problem(6, 9), torch.backends.mkldnn.matmul.fp32_precision
    exact = cases.small("ensemble").rerank(problem, problem.ranking())
    stage = cases.small("ensemble", products="bf16")
    assert "products='bf16'" in repr(stage)
    rounded = stage.rerank(problem, problem.ranking())
    np.testing.assert_allclose(
        np.take_along_axis(exact.scores, np.argsort(exact.indices), axis=1),
        np.take_along_axis(rounded.scores, np.argsort(rounded.indices), axis=1),
        atol=5e-3,
    )
    assert torch.backends.mkldnn.matmul.fp32_precision == before


def test_a_rounding_of_another_device_is_refused(cases: ModuleType) -> None:
    problem = cases.problem(2, 3)
    with pytest.raises(InputError, match="'products' must be float32 or bf16 on cpu"):
        cases.small("I-T", products="tf32", device="cpu").rerank(problem, problem.ranking())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_same_scores_on_a_gpu(cases: ModuleType) -> None:
    problem: Any = cases.problem(6, 9)
    one = cases.small("ensemble", cascade=4).rerank(problem, problem.ranking())
    other = cases.small("ensemble", cascade=4, device="cuda").rerank(problem, problem.ranking())
    np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)


def test_threads_that_ask_first_make_one_scorer(cases: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second one would move the networks' weights while the first one reads them."""
    stage, made, begin = cases.small(), [], threading.Barrier(4)
    usual = scoring.Scorer.__init__

    def slow(self: scoring.Scorer, *given: Any, **named: Any) -> None:
        made.append(self)
        time.sleep(0.05)  # long enough for the others to arrive
        usual(self, *given, **named)

    def ask(_: int) -> scoring.Scorer:
        begin.wait(timeout=30)
        return stage.scorer

    monkeypatch.setattr(scoring.Scorer, "__init__", slow)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(ask, range(4)))
    assert len(made) == 1
    assert all(each is made[0] for each in found)

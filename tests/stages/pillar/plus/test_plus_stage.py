from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

import rerankit
from rerankit import ListScores, Problem, Relevance
from rerankit.errors import InputError, NotFittedError, RerankitWarning, TrainingError, UnmetNeedError
from rerankit.stages.pillar.plus.answers import diversified
from rerankit.stages.pillar.plus.fitting import TrainingCells, listwise
from rerankit.stages.pillar.plus.scale import Scale
from rerankit.stages.pillar.plus.shipped import card
from rerankit.training import TrainingSettings
from strategies import full_problem

SIZES = {"cells_seen": (16, 8), "cells_kept": (10, 6), "pillars": 4, "likely": (4, 3), "width": 8, "parts": 2}
SETTINGS = TrainingSettings(8, 1, 1e-2, schedule="one-cycle", clip_norm=5.0, device="cpu")


def paired(items=30, texts=3, seed=0, noise=1.0):
    generator = np.random.default_rng(seed)
    images = generator.normal(size=(items, 8)).astype(np.float32)
    owner = np.repeat(np.arange(items), texts)
    captions = images[owner] + noise * generator.normal(size=(len(owner), 8)).astype(np.float32)
    order = generator.permutation(len(owner))
    return Problem.from_embeddings(images, captions[order]), Relevance.from_labels(np.arange(items), owner[order])


@pytest.fixture(scope="module")
def fitted():
    return rerankit.stage("pillar-plus", **SIZES).fit(*paired(120, seed=1), settings=SETTINGS)


def success(ranking, relevance):
    return np.mean([items[0] in relevance.of(query).items for query, items in enumerate(ranking.indices)])


def test_repr():
    assert repr(rerankit.stage("pillar-plus", **SIZES)) == (
        "stage('pillar-plus', cells_seen=(16, 8), cells_kept=(10, 6), pillars=4, likely=(4, 3), width=8, parts=2)"
    )


def test_it_learns_what_carries_over(fitted):
    problem, relevance = paired(80, seed=2)
    there, back = fitted.rerank_both(problem)
    assert success(there, relevance) > success(problem.ranking(1), relevance) + 0.04
    assert success(back, relevance.reversed()) > success(problem.reversed().ranking(1), relevance.reversed())


def test_an_untrained_network_gives_the_plan():
    problem, _ = paired()
    stage = rerankit.stage("pillar-plus", **SIZES)
    network = stage.build()
    from rerankit.stages.pillar.plus.cells import cells_of

    cells = cells_of(problem, stage.settings)
    scores = network.eval()(cells)
    torch.testing.assert_close(scores[0][0], cells.first_plan)
    torch.testing.assert_close(scores[0][1], cells.first_plan)


def test_both_directions_at_once_equal_each_alone(fitted):
    problem, _ = paired(40, seed=3)
    there, back = fitted.rerank_both(problem, k=12)
    assert there == fitted.rerank(problem, problem.ranking(12))
    turned = problem.reversed()
    assert back == fitted.reversed().rerank(turned, turned.ranking(12))
    again, other = fitted.reversed().rerank_both(turned, k=12)
    assert (again, other) == (back, there)


def test_candidates_that_are_no_cell_keep_their_order_behind(fitted):
    problem, _ = paired(40, seed=3)
    first = problem.ranking()
    result = fitted.rerank(problem, first)
    for query in range(5):
        places = {item: place for place, item in enumerate(first.indices[query])}
        tail = [places[item] for item in result.indices[query][-40:]]
        assert tail == sorted(tail)


def test_diversity_keeps_the_first_place_and_spreads_the_next():
    """Three copies of the best item, then another: with diversity the other comes second."""
    vectors = np.float32([[1, 0], [1, 0], [1, 0], [0, 1], [-1, 0]])
    side = rerankit.EmbeddingScores(vectors, vectors)
    ranking = rerankit.Ranking([[0, 1, 2, 3, 4]], [[5.0, 4.9, 4.8, 4.0, 1.0]], gallery_size=5)
    scale = Scale(best=1.0, gap=1.0)
    for weight, expected in ((0.0, [0, 1, 2, 3, 4]), (1.0, [0, 3, 1, 2, 4])):
        scores = diversified(ranking.scores, ranking, side, scale, weight)
        assert ranking.with_scores(scores).indices.tolist() == [expected]


def test_diversity_leaves_the_order_behind_the_first_places_alone():
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(60, 3)).astype(np.float32)
    side = rerankit.EmbeddingScores(vectors, vectors)
    ranking = Problem(generator.normal(size=(4, 60)).astype(np.float32)).ranking()
    result = ranking.with_scores(diversified(ranking.scores, ranking, side, Scale(1.0, 0.2), 2.0))
    assert np.array_equal(result.indices[:, 0], ranking.indices[:, 0])
    assert np.array_equal(result.indices[:, 30:], ranking.indices[:, 30:])
    assert not np.array_equal(result.indices, ranking.indices)


def test_saved_and_loaded(fitted, tmp_path):
    fitted.save(tmp_path / "plus")
    again = rerankit.load(tmp_path / "plus")
    problem, _ = paired(20, seed=4)
    assert again.rerank(problem, problem.ranking(9)) == fitted.rerank(problem, problem.ranking(9))


def test_every_form_of_scores_gives_the_same_ranking(fitted):
    problem, _ = paired(20, seed=4)
    dense = [one.rows() for one in (problem.scores, problem.query_scores, problem.gallery_scores)]
    lists = [ListScores(*one.topk(one.shape[1]), one.shape[1]) for one in (problem.scores, problem.query_scores, problem.gallery_scores)]  # fmt: skip  # noqa: E501
    expected = fitted.rerank(problem, problem.ranking(9))
    for matrices in (dense, lists):
        other = Problem(matrices[0], query_scores=matrices[1], gallery_scores=matrices[2])
        found = fitted.rerank(other, other.ranking(9))
        np.testing.assert_array_equal(found.indices, expected.indices)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-3)


def test_short_lists_are_enough(fitted):
    problem, _ = paired(20, seed=4)
    lists = [
        ListScores(*one.topk(k), one.shape[1])
        for one, k in ((problem.scores, 6), (problem.query_scores, 3), (problem.gallery_scores, 3))
    ]
    listed = Problem(lists[0], query_scores=lists[1], gallery_scores=lists[2])
    result = fitted.rerank(listed, listed.ranking(6))
    assert np.isfinite(result.scores[result.mask]).all()


def test_validation_decides_and_history_is_kept(tmp_path):
    stage = rerankit.stage("pillar-plus", **SIZES)
    stage.fit(*paired(40, seed=1), validation=paired(30, seed=5), settings=SETTINGS, out=tmp_path)
    values = [row["validation/rsum"] for row in stage.history.rows]
    assert stage.history.rows[int(np.argmax(values))]["step"] == stage.history.best_step
    assert {"validation/i2t_r1", "validation/t2i_r10", "loss/i2t", "loss/t2i"} <= set(stage.history.columns)
    again = rerankit.stage("pillar-plus", **SIZES)
    again.fit(*paired(40, seed=1), validation=paired(30, seed=5), settings=SETTINGS, out=tmp_path)
    assert again == stage  # the finished run is read


def test_a_run_goes_on_only_with_the_same_relations_and_weights(fitted, tmp_path):
    problem, relevance = paired()
    once = replace(SETTINGS, epochs=1)
    first = rerankit.stage("pillar-plus", **SIZES).fit(problem, relevance, settings=once, out=tmp_path)
    assert rerankit.stage("pillar-plus", **SIZES).fit(problem, relevance, settings=once, out=tmp_path) == first
    relations = problem.query_scores.rows().copy()
    relations[-1, 0] += 0.1
    apart = problem.with_similarities(problem.scores, query_scores=relations, gallery_scores=problem.gallery_scores)
    with pytest.raises(InputError, match=r"belongs to another run \(other training: query_scores"):
        rerankit.stage("pillar-plus", **SIZES).fit(apart, relevance, settings=once, out=tmp_path)
    with pytest.raises(InputError, match=r"belongs to another run \(other weights to begin with\)"):
        fitted.clone().fit(problem, relevance, settings=once, out=tmp_path)


def test_seeds_and_sides():
    data, settings = paired(30), replace(SETTINGS, epochs=2)
    one, two, other = (
        rerankit.stage("pillar-plus", **SIZES).fit(*data, settings=replace(settings, seed=seed)) for seed in (1, 1, 2)
    )
    assert one == two
    assert one != other
    turned = rerankit.stage("pillar-plus", direction="t2i", **SIZES)
    turned.fit(data[0].reversed(), data[1].reversed(), settings=replace(settings, seed=1))
    for name, array in turned.get_weights().items():
        np.testing.assert_allclose(array, one.get_weights()[name], atol=1e-3)


def test_grades_and_several_right_items():
    problem, _ = paired(20)
    generator = np.random.default_rng(0)
    grades = generator.integers(0, 4, size=problem.shape) * (generator.random(problem.shape) < 0.1)
    stage = rerankit.stage("pillar-plus", **SIZES)
    stage.fit(problem, Relevance.from_dense(grades.astype(np.float32)), settings=replace(SETTINGS, epochs=2))
    assert stage.fitted


def test_items_left_out_of_a_query_take_no_part_in_training():
    problem, relevance = paired(20)
    right = [relevance.of(query).items for query in range(20)]
    gone = [[item for item in row if item not in right[query]] for query, row in enumerate(problem.ranking(9).indices)]
    judged = Relevance.from_lists(right, problem.shape[1], exclude=gone)
    part = TrainingCells(problem, judged, rerankit.stage("pillar-plus", **SIZES).settings)
    assert part.left_out.any()
    for row, column, out in zip(
        part.cells.row.tolist(), part.cells.column.tolist(), part.left_out.tolist(), strict=True
    ):
        assert out is (column in gone[row])
    scores = torch.zeros(len(part.cells), requires_grad=True)
    listwise(scores, part.cells.row, part, 0).backward()
    assert (scores.grad[part.left_out] == 0).all()
    stage = rerankit.stage("pillar-plus", **SIZES)
    stage.fit(problem, judged, validation=(problem, judged), settings=replace(SETTINGS, epochs=2, precision="bf16"))
    assert np.isfinite([row["loss"] for row in stage.history.rows]).all()


# -- bad and unusual input -------------------------------------------------------------------------------


def test_missing_matrices_are_named(fitted):
    with pytest.raises(UnmetNeedError) as caught:
        rerankit.rerank(np.eye(4, dtype=np.float32), fitted)
    assert "needs query_scores: give" in str(caught.value)
    assert "needs gallery_scores: give" in str(caught.value)
    with pytest.raises(UnmetNeedError, match="needs weights: give weights='captions', which ship, or call its fit"):
        rerankit.rerank(full_problem(), "pillar-plus")
    with pytest.raises(NotFittedError, match="has no weights: call its fit"):
        rerankit.stage("pillar-plus").rescore(full_problem(), full_problem().ranking(2))


@pytest.mark.parametrize(("queries", "items"), [(1, 1), (1, 5), (5, 1), (2, 3)])
def test_tiny_problems(fitted, queries, items):
    result = rerankit.rerank(full_problem(queries, items), fitted)
    assert result.shape == (queries, items)
    assert np.isfinite(result.scores).all()


def test_duplicate_items(fitted):
    vectors = np.random.default_rng(2).normal(size=(6, 8))
    problem = Problem.from_embeddings(np.repeat(vectors, 2, axis=0), np.repeat(vectors, 4, axis=0))
    scores = rerankit.rerank(problem, fitted).scores
    assert np.isfinite(scores).all()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"cells_seen": 5}, "'cells_seen' must be two numbers"),
        ({"cells_kept": (1, 0)}, "'cells_kept' must be at least 1"),
        ({"sharpness": 0}, "'sharpness' must be above 0"),
        ({"diversity": (1, 2, 3)}, "'diversity' must be two numbers"),
        ({"diversity": (-1, 0)}, "'diversity' must be at least 0"),
        ({"dropout": 2}, "'dropout' must be at most 1"),
        ({"direction": "rows"}, "unknown direction 'rows'"),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises(InputError, match=message):
        rerankit.stage("pillar-plus", **params)


def test_bad_training_data(fitted):
    problem, relevance = paired(10)
    stage = rerankit.stage("pillar-plus", **SIZES)
    with pytest.raises(InputError, match="'relevance' must have the problem's shape"):
        stage.fit(problem, relevance.reversed(), settings=SETTINGS)
    with pytest.raises(InputError, match="'relevance' must name at least one relevant item"):
        stage.fit(problem, Relevance([], [], problem.shape), settings=SETTINGS)
    with pytest.raises(InputError, match=r"'validation\[1\]' must have the problem's shape"):
        stage.fit(problem, relevance, validation=(problem, relevance.reversed()), settings=SETTINGS)
    with pytest.raises(InputError, match="'problem' must have more items to be halved"):
        stage.fit(*paired(1, texts=1), settings=SETTINGS)
    assert not stage.fitted
    wrong = rerankit.stage("pillar-plus", **{**SIZES, "width": 9})
    wrong.set_weights(fitted.get_weights())
    with pytest.raises(InputError, match="the weights do not fit the sizes"):
        wrong.rescore(problem, problem.ranking(2))


def test_nan_stops_and_keeps_what_was_good(tmp_path):
    stage = rerankit.stage("pillar-plus", **SIZES)
    with pytest.raises(TrainingError, match="training stopped at step"):
        stage.fit(
            *paired(20), settings=replace(SETTINGS, learning_rate=1e38, optimizer="sgd", clip_norm=None, epochs=50)
        )
    assert all(np.isfinite(array).all() for array in stage.get_weights().values())


def test_the_stage_needs_no_torch_to_be_made():
    code = "import sys, rerankit; rerankit.stage('pillar-plus'); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees_with_the_cpu(fitted):
    problem, _ = paired(40, seed=3)
    first = problem.ranking(10)
    cpu, cuda = (fitted.clone(device=device).rescore(problem, first) for device in ("cpu", "cuda"))
    np.testing.assert_allclose(cpu, cuda, atol=1e-3)


def test_few_queries_have_little_say_and_one_none(fitted):
    problem, _ = paired(seed=5)
    asked = fitted.get_weights()["asked"]
    for side, (stage, given) in enumerate(((fitted, problem), (fitted.reversed(), problem.reversed()))):
        assert rerankit.rerank(given, stage).notes["pillar-plus"]["say"] == 1.0
        few = given.subset(np.arange(2))
        part = rerankit.rerank(few, stage)
        assert part.notes["pillar-plus"]["say"] == pytest.approx(2 / few.shape[1] / asked[side], abs=1e-3)
        assert np.array_equal(part.indices[:, 0], few.ranking(1).indices[:, 0])
        alone = rerankit.rerank(given.subset([0]), stage)
        assert alone.notes["pillar-plus"]["note"].startswith("one query is no plan")
        assert np.array_equal(alone.indices, given.subset([0]).ranking(100).indices)


def test_how_many_were_asked_in_training_is_kept(fitted, tmp_path):
    fitted.save(tmp_path / "stage")
    again = rerankit.load(tmp_path / "stage")
    assert again.get_weights()["asked"].tolist() == fitted.get_weights()["asked"].tolist()
    rows, columns = again.get_weights()["asked"]
    assert 0 < rows <= 1
    assert 0 < columns <= 3


def test_weights_that_ship(tmp_path):
    problem, relevance = paired(80, texts=4, seed=3)
    ready = rerankit.stage("pillar-plus", weights="captions")
    assert ready.fitted
    before, after = success(problem.ranking(1), relevance), success(rerankit.rerank(problem, ready), relevance)
    assert after > before
    scaled = Problem(
        7 * problem.scores.rows(), query_scores=problem.query_scores, gallery_scores=problem.gallery_scores
    )
    assert success(rerankit.rerank(scaled, ready), relevance) == pytest.approx(after, abs=0.03)
    ready.save(tmp_path / "stage")
    assert rerankit.load(tmp_path / "stage") == ready
    assert "CC BY 4.0" in card("captions")
    with pytest.raises(InputError, match="unknown weights 'pictures'"):
        rerankit.stage("pillar-plus", weights="pictures")


def test_weights_that_ship_need_no_other_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    assert rerankit.stage("pillar-plus", weights="captions").fitted


def test_the_other_side_is_noticed():
    problem, _ = paired(100, texts=4, noise=0.3)
    made = rerankit.stage("pillar-plus", weights="captions")
    rerankit.rerank(problem, made, k=10)
    with pytest.warns(RerankitWarning, match="several queries belong to one item: direction='t2i'"):
        rerankit.rerank(problem.reversed(), made, k=10)
    with pytest.warns(RerankitWarning, match="several items belong to one query: direction='i2t'"):
        rerankit.rerank(problem, made.reversed(), k=10)
    rerankit.rerank(problem.reversed(), made.reversed(), k=10)


@pytest.mark.parametrize("texts", [1, 4])
def test_weights_for_several_texts_leave_pairs_to_the_balance(texts):
    random = np.random.default_rng(0)
    images = random.normal(size=(120, 32))
    captions = np.repeat(images, texts, axis=0) + random.normal(size=(120 * texts, 32))
    problem = Problem.from_embeddings(images, captions)
    found = rerankit.rerank(problem, "pillar-plus", weights="captions", diversity=(0, 0), k=5)
    like = found.notes["pillar-plus"]["like_training"]
    if texts == 1:
        assert like == 0
        balanced = rerankit.rerank(problem, "sinkhorn", k=5)
        assert np.mean(found.indices[:, 0] == balanced.indices[:, 0]) > 0.97
    else:
        assert like == 1


def test_thinning_by_nothing_is_refused():
    with pytest.raises(InputError, match="'thinned' must have at least one number, 0 for whole parts"):
        rerankit.stage("pillar-plus", thinned=())

"""Training of the stage: the terms, the loop around them, what it keeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import rerankit
from rerankit import Problem, Relevance
from rerankit.errors import InputError, TrainingError, UnmetNeedError
from rerankit.stages.pillar.fitting import PillarTask
from rerankit.stages.pillar.inference import batch_of
from rerankit.stages.pillar.network import node_scores
from rerankit.stages.pillar.settings import LossWeights
from rerankit.stages.pillar.sides import sides_of, targets_of
from rerankit.training import TrainingSettings

SIZES = {"pillars": 6, "neighbours": 4, "width": 16, "heads": 2, "candidates": (8, 5), "threshold": (0.05, 0.1)}
SETTINGS = TrainingSettings(2, 16, 3e-3, schedule="constant", device="cpu")


def paired(items=24, texts=3, seed=0, noise=0.9):
    """Images with several texts each, as noisy copies of one vector; and which text is whose."""
    generator = np.random.default_rng(seed)
    images = generator.normal(size=(items, 8)).astype(np.float32)
    owner = np.repeat(np.arange(items), texts)
    captions = images[owner] + noise * generator.normal(size=(len(owner), 8)).astype(np.float32)
    problem = Problem.from_embeddings(images, captions)
    return problem, Relevance.from_labels(np.arange(items), owner)


def task_of(stage, problem, relevance, **weights):
    torch.manual_seed(0)
    return PillarTask(stage.build(), sides_of(stage, problem, relevance), LossWeights(**weights))


def test_loss_weights_repr_and_checks():
    assert eval(repr(LossWeights(triplet=0.5))) == LossWeights(triplet=0.5)
    with pytest.raises(InputError, match="'hinge' must be at least 0"):
        rerankit.stage("pillar", losses={"hinge": -1})
    with pytest.raises(InputError, match="unknown loss 'hindge'; did you mean 'hinge'"):
        rerankit.stage("pillar", losses={"hindge": 1})


def test_fitting_improves_on_the_first_ranking_and_saves(tmp_path):
    train, validation = paired(60, seed=1), paired(40, seed=2)
    stage = rerankit.stage("pillar-small", **SIZES)
    fitted = stage.fit(*train, validation=validation, settings=replace(SETTINGS, epochs=6), out=tmp_path / "run")
    assert fitted is stage
    values = [row["validation/rsum"] for row in stage.history.rows]
    assert max(values) > values[0]
    assert stage.history.last("loss") < stage.history.rows[0]["loss"]
    stage.save(tmp_path / "stage")
    again = rerankit.load(tmp_path / "stage")
    assert again == stage
    problem = validation[0]
    assert again.rerank(problem, problem.ranking(8)) == stage.rerank(problem, problem.ranking(8))
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["checkpoint.pt", "curves.png", "history.csv"]


def test_the_validation_figure_is_that_of_the_fitted_stage():
    train, (problem, relevance) = paired(30, seed=1), paired(25, seed=2)
    stage = rerankit.stage("pillar", **SIZES).fit(*train, validation=(problem, relevance), settings=SETTINGS)
    best = next(row for row in stage.history.rows if row["step"] == stage.history.best_step)
    for direction, one, judged in (("i2t", problem, relevance), ("t2i", problem.reversed(), relevance.reversed())):
        made = stage.clone(direction=direction)
        order = made.rerank(one, one.ranking(10)).indices
        for k in (1, 5, 10):
            hits = targets_of(judged, order[:, :k])[:, 1:].any(axis=1).mean() * 100
            assert best[f"validation/{direction}_r{k}"] == pytest.approx(hits, abs=1e-4)


def test_seeds_decide():
    data = paired()
    one, two, other = (
        rerankit.stage("pillar", **SIZES).fit(*data, settings=replace(SETTINGS, seed=seed)) for seed in (3, 3, 4)
    )
    assert one == two
    assert one != other


def test_fitting_from_the_other_side_trains_the_same_networks():
    problem, relevance = paired()
    settings = replace(
        SETTINGS, batch_size=1000, epochs=1, optimizer="sgd"
    )  # one batch of everything: the order cannot matter
    losses = {"alignment": 0, "aligned": 0}  # nothing drawn at random
    stage = rerankit.stage("pillar", **SIZES, losses=losses)
    one = stage.clone().fit(problem, relevance, settings=settings)
    two = stage.reversed().fit(problem.reversed(), relevance.reversed(), settings=settings)
    for name, array in one.get_weights().items():
        np.testing.assert_allclose(two.get_weights()[name], array, atol=1e-4)


def test_one_direction_alone(tmp_path):
    problem, relevance = paired()
    stage = rerankit.stage("pillar", direction="t2i", both=False, **SIZES)
    turned = problem.reversed(), relevance.reversed()
    stage.fit(*turned, validation=turned, settings=SETTINGS)
    assert stage.directions == ("t2i",)
    assert [name for name in stage.history.columns if name.startswith("validation/")] == [
        *("validation/rsum", "validation/t2i_r1", "validation/t2i_r5", "validation/t2i_r10")
    ]
    assert {name for name in stage.history.columns if "align" in name} == set()
    stage.save(tmp_path / "one")
    again = rerankit.load(tmp_path / "one")
    assert again == stage
    assert rerankit.rerank(turned[0], again) == rerankit.rerank(turned[0], stage)
    with pytest.raises(UnmetNeedError, match="was fitted for t2i alone, not for i2t"):
        rerankit.rerank(problem, stage.reversed())
    whole = rerankit.stage("pillar", **SIZES).fit(problem, relevance, settings=SETTINGS)
    assert whole.clone(both=False).directions == ("i2t",)
    expected = rerankit.rerank(problem, whole)
    assert rerankit.rerank(problem, whole.clone(both=False)) == expected


def test_items_left_out_of_a_query_take_no_part_in_training():
    problem, relevance = paired()
    first = problem.ranking(3).indices
    gone = [[item for item in row if item not in relevance.of(query).items] for query, row in enumerate(first)]
    with_gone = Relevance.from_lists([relevance.of(query).items for query in range(24)], problem.shape[1], exclude=gone)
    ranking = problem.excluding(with_gone.excluded).ranking(8)
    assert ranking.shape == (24, 8)
    assert not any(set(row) & set(out) for row, out in zip(ranking.indices, gone, strict=True))
    whole = problem.ranking().indices
    for query, row in enumerate(ranking.indices):
        assert row.tolist() == [item for item in whole[query] if item not in gone[query]][:8]
    task = task_of(rerankit.stage("pillar", **SIZES), problem, with_gone)
    assert all(bool(value.isfinite()) for value in task.loss(torch.arange(task.length), torch.Generator()).values())


def test_terms_are_means_over_each_direction():
    stage, (problem, relevance) = rerankit.stage("pillar", **SIZES), paired()
    task = task_of(stage, problem, relevance, reconstruction=0.5)
    with torch.no_grad():
        whole = task.loss(torch.arange(task.length), torch.Generator())
        halves = [task.loss(part, torch.Generator()) for part in torch.arange(task.length).split(task.length // 2)]
    assert list(whole) == [
        *("contrastive", "hinge", "triplet", "reconstruction"),
        *("alignment", "aligned_contrastive", "aligned_hinge"),
    ]
    for name in ("contrastive", "hinge", "triplet", "reconstruction"):
        assert float(sum(half[name] for half in halves) / 2) == pytest.approx(float(whole[name]), rel=1e-4)


def test_weights_of_zero_leave_terms_out():
    stage, (problem, relevance) = rerankit.stage("pillar", **SIZES), paired()
    task = task_of(stage, problem, relevance, contrastive=0, hinge=0, aligned=0)
    assert list(task.loss(torch.arange(9), torch.Generator())) == ["triplet", "alignment"]


def test_counterparts_are_relevant_and_drawn_from_all():
    problem, relevance = paired(texts=3)
    side, other = sides_of(rerankit.stage("pillar", **SIZES), problem, relevance).values()
    generator = torch.Generator().manual_seed(0)
    texts = side.counterparts(np.repeat(np.arange(24), 200).reshape(24, 200), generator)
    assert all(set(row) == set(relevance.of(image).items) for image, row in enumerate(texts))
    assert np.array_equal(other.counterparts(texts, generator), np.repeat(np.arange(24), 200).reshape(24, 200))
    assert other.counterparts(np.array([[-1, 0]]), generator)[0, 0] == -1


def test_grades_weigh_targets():
    relevance = Relevance.from_lists([[0, 2], [1]], 4, grades=[[4.0, 1.0], [2.0]])
    candidates = np.array([[2, 3, 0], [0, 1, -1]])
    assert targets_of(relevance, candidates).tolist() == [[1, 0.25, 0, 1], [1, 0, 1, 0]]


def test_queries_without_anything_relevant_are_left_out():
    problem, relevance = paired()
    keep = relevance.indices >= 6  # texts of images 0 and 1 are right for nobody
    partial = Relevance(relevance.rows[keep], relevance.indices[keep], relevance.shape)
    task = task_of(rerankit.stage("pillar", **SIZES), problem, partial)
    assert task.length == 22 + 66
    assert all(bool(value.isfinite()) for value in task.loss(torch.arange(task.length), torch.Generator()).values())


def test_one_text_for_an_image():
    problem, relevance = paired(texts=1)
    stage = rerankit.stage("pillar", **SIZES).fit(problem, relevance, settings=SETTINGS)
    assert stage.directions == ("i2t", "t2i")


def test_fitting_again_goes_on_from_the_weights():
    data = paired()
    stage = rerankit.stage("pillar", **SIZES).fit(*data, settings=SETTINGS)
    first = stage.get_weights()
    stage.fit(*data, settings=replace(SETTINGS, epochs=1, learning_rate=1e-9))
    for name, array in stage.get_weights().items():
        np.testing.assert_allclose(array, first[name], atol=1e-5)


def test_nan_stops_with_the_step_and_keeps_what_was_good(tmp_path):
    stage = rerankit.stage("pillar", **SIZES)
    with pytest.raises(TrainingError, match=r"training stopped at step \d+: .*not finite.*are kept"):
        stage.fit(*paired(), settings=replace(SETTINGS, epochs=50, learning_rate=1e30, optimizer="sgd"), out=tmp_path)
    assert stage.fitted
    assert all(np.isfinite(array).all() for array in stage.get_weights().values())
    assert (tmp_path / "checkpoint.pt").exists()


def test_a_fit_that_is_refused_leaves_the_stage_as_it_was(tmp_path):
    data = paired()
    rerankit.stage("pillar", **SIZES).fit(*data, settings=replace(SETTINGS, epochs=1), out=tmp_path)
    stage = rerankit.stage("pillar", **SIZES)
    with pytest.raises(InputError, match="belongs to another run"):
        stage.fit(*data, settings=replace(SETTINGS, epochs=1, seed=5), out=tmp_path)
    assert not stage.fitted


def test_a_run_goes_on_only_with_the_same_data_losses_and_parameters(tmp_path):
    (problem, relevance), once = paired(), replace(SETTINGS, epochs=1)

    def fit(given=(problem, relevance), out=tmp_path, validation=None, **changes):
        stage = rerankit.stage("pillar", **{**SIZES, **changes})
        return stage.fit(*given, settings=once, out=out, validation=validation)

    first = fit()
    assert fit() == first  # the finished run is read
    items = np.roll(relevance.indices, 1)
    other = rerankit.Relevance(relevance.rows, items, relevance.shape)
    vectors, bank = (np.random.default_rng(4).normal(size=(size, 8)) for size in (problem.shape[0], 5))
    apart = problem.with_similarities(
        problem.scores, query_scores=vectors @ vectors.T, gallery_scores=problem.gallery_scores
    )
    banked = problem.with_banks(query_bank=rerankit.Bank(to_gallery=bank @ np.ones((8, problem.shape[1]))))
    for message, changed in {
        "other training: relevance": {"given": (problem, other)},
        "other training: scores": {"given": (paired(seed=1)[0], relevance)},
        "other training: query_scores": {"given": (apart, relevance)},
        "other training: query_bank/to_gallery": {"given": (banked, relevance)},
        "other losses": {"losses": {"hinge": 0.5}},
        "other threshold": {"threshold": 0.5},
        "other validation: relevance": {"validation": (problem, relevance)},
    }.items():
        with pytest.raises(InputError, match=f"belongs to another run .*{message}"):
            fit(**changed)


def test_mixed_precision_rounds_neither_graphs_nor_scores():
    side = sides_of(rerankit.stage("pillar", **SIZES), *paired())["i2t"]
    nodes = torch.randn(4, 9, 16, generator=torch.Generator().manual_seed(0))

    def made():
        _, graph, _ = batch_of(side.space, side.rows, side.candidates, side.threshold, torch.device("cpu"))
        return graph, node_scores(nodes)

    expected = made()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = made()
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.equal(ours, theirs)
    stage = rerankit.stage("pillar", **SIZES).fit(*paired(), settings=replace(SETTINGS, precision="bf16"))
    full = rerankit.stage("pillar", **SIZES).fit(*paired(), settings=SETTINGS)
    for row, expected_row in zip(stage.history.rows, full.history.rows, strict=True):
        assert row["loss"] == pytest.approx(expected_row["loss"], rel=0.02)


def test_bad_input():
    problem, relevance = paired()
    stage = rerankit.stage("pillar", **SIZES)
    with pytest.raises(InputError, match=r"'relevance' must have the problem's shape \(24, 72\)"):
        stage.fit(problem, relevance.reversed(), settings=SETTINGS)
    with pytest.raises(InputError, match="'relevance' must name at least one relevant item"):
        stage.fit(problem, Relevance([], [], problem.shape), settings=SETTINGS)
    with pytest.raises(InputError, match=r"'validation\[1\]' must have the problem's shape"):
        stage.fit(problem, relevance, validation=(problem, relevance.reversed()), settings=SETTINGS)
    with pytest.raises(UnmetNeedError, match="pillars need gallery_scores"):
        stage.fit(Problem(problem.scores.rows()), relevance, settings=SETTINGS)


@pytest.mark.slow
def test_two_processes_train_what_one_does():
    problem, relevance = paired()
    losses = {"alignment": 0, "aligned": 0}
    one, two = (
        rerankit.stage("pillar", **SIZES, losses=losses).fit(
            problem, relevance, settings=replace(SETTINGS, devices=devices, epochs=1, optimizer="sgd")
        )
        for devices in (1, 2)
    )
    for name, array in one.get_weights().items():
        np.testing.assert_allclose(two.get_weights()[name], array, atol=1e-5)

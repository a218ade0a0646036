"""Training through the shared loop: what it needs, that it repeats, and that every level earns its place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rerankit import Problem, Relevance, load
from rerankit.errors import InputError, UnmetNeedError
from rerankit.features import Regions
from rerankit.stages.hmrn.config import PUBLISHED
from rerankit.stages.hmrn.fitting import HmrnTask, TrainingPairs, curve_of
from rerankit.stages.hmrn.network import Hmrn
from rerankit.stages.hmrn.representation import Descriptions
from rerankit.stages.hmrn.stage import HmrnStage
from rerankit.tasks.miniatures.drilldown import write_drilldown
from rerankit.tasks.visual_genome import VisualGenome
from rerankit.training import TrainingSettings

SIZES: dict[str, Any] = {"dim": 8, "reasoning_dim": 8, "word_dim": 6, "region_slots": 10, "dropout": 0.1}
QUICK = TrainingSettings(epochs=2, batch_size=8, learning_rate=3e-3, optimizer="adam", device="cpu")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drilldown")
    write_drilldown(folder, train=24, val=8, test=8)
    return folder


def split(data: Path, name: str) -> tuple[Problem, Relevance]:
    return VisualGenome(name, images=None).judged(data)


def small(variant: str = "I-T", **changes: Any) -> HmrnStage:
    return HmrnStage(variant, **{**SIZES, "cascade": None, "device": "cpu", **changes})


def test_the_published_training() -> None:
    assert (PUBLISHED.epochs, PUBLISHED.milestones, PUBLISHED.clip_norm) == (150, (75,), 2.0)
    assert (PUBLISHED.optimizer, PUBLISHED.learning_rate, PUBLISHED.batch_size) == ("adam", 4e-4, 128)


def test_fit_repeats_keeps_the_best_and_chooses_the_cascade(data: Path, tmp_path: Path) -> None:
    train, val = split(data, "train"), split(data, "val")
    one, other = (small(cascade="auto", loss_bound=0.1).fit(*train, validation=val, settings=QUICK) for _ in range(2))
    assert one == other
    assert one.history is not None
    assert "validation/R@1" in one.history.columns
    curve = curve_of(one.scorer, TrainingPairs(*one.read(val[0].query_features, val[0].gallery_features), val[1]))
    assert one.depth(8) == curve.smallest(0.1)
    assert curve.loss(one.depth(8)) <= 0.1
    one.save(tmp_path / "stage")
    again = load(tmp_path / "stage")
    assert again == one
    assert again.vocabulary == one.vocabulary  # type: ignore[attr-defined]
    assert again.depth(8) == one.depth(8)  # type: ignore[attr-defined]
    problem, _ = val
    assert again.rerank(problem, problem.ranking()).mask.sum() == 8


def test_the_ensemble_trains_one_network_of_each_variant(data: Path, tmp_path: Path) -> None:
    stage = small("ensemble").fit(*split(data, "train"), settings=replace(QUICK, epochs=1), out=tmp_path)
    assert [network.config.variant for network in stage.networks] == ["I-T", "T-I"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["I-T", "T-I"]


def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(data: Path, tmp_path: Path) -> None:
    train = split(data, "train")
    whole = small().fit(*train, settings=QUICK, out=tmp_path / "whole")

    steps = 0
    loss = HmrnTask.loss

    def stopping(self: HmrnTask, batch: Any, generator: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == 5:
            raise KeyboardInterrupt
        return loss(self, batch, generator)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HmrnTask, "loss", stopping)
        with pytest.raises(KeyboardInterrupt):
            small().fit(*train, settings=replace(QUICK, save_every=1), out=tmp_path / "cut")
    resumed = small().fit(*train, settings=replace(QUICK, save_every=1), out=tmp_path / "cut")
    for name, value in whole.get_weights().items():
        np.testing.assert_array_equal(resumed.get_weights()[name], value)


def test_a_run_goes_on_only_with_the_same_data_and_parameters(data: Path, tmp_path: Path) -> None:
    problem, relevance = split(data, "train")
    first = small().fit(problem, relevance, settings=QUICK, out=tmp_path)
    assert small().fit(problem, relevance, settings=QUICK, out=tmp_path) == first  # the finished run is read
    values, counts = problem.gallery_features["regions"].block(slice(None))
    values = values.copy()
    values[-1, 0, 0] += 1e-3
    near = problem.with_features(gallery_features={"regions": Regions(values, counts=counts)})
    texts = [list(each) for each in problem.query_features["text"]]
    texts[-1] = texts[-1][::-1]
    turned = problem.with_features(query_features={"text": texts})
    items = np.roll(relevance.indices, 1)
    other = Relevance(relevance.rows, items, relevance.shape)
    for message, changes, given in (
        ("other training: gallery/regions", {}, (near, relevance)),
        ("other training: query/text", {}, (turned, relevance)),
        ("other training: relevance", {}, (problem, other)),
        ("other region_temperature", {"region_temperature": 4.0}, (problem, relevance)),
    ):
        with pytest.raises(InputError, match=f"belongs to another run .*{message}"):
            small(**changes).fit(*given, settings=QUICK, out=tmp_path)


def test_fitting_again_goes_on_from_the_networks_and_their_words(data: Path) -> None:
    (problem, relevance), quick = split(data, "train"), replace(QUICK, epochs=1)
    first = small("ensemble").fit(problem, relevance, settings=quick)
    words, weights = first.vocabulary, first.get_weights()
    again = first.clone().fit(*split(data, "val"), settings=replace(quick, learning_rate=1e-9))
    assert again.vocabulary == words
    for name, value in again.get_weights().items():
        if value.dtype == np.float32 and "running" not in name:
            np.testing.assert_allclose(value, weights[name], atol=1e-6)
    unlike = problem.with_features(gallery_features={"regions": np.ones((24, 3, 5), np.float32)})
    with pytest.raises(InputError, match="must fit the weights to go on from, of region_dim"):
        first.fit(unlike, relevance, settings=quick)


def test_descriptions_are_shuffled_and_the_first_rounds_kept() -> None:
    stage = small(full_rounds=2)
    ids = np.arange(4, 16).reshape(2, 6, 1)
    searches = Descriptions(ids, lengths=[[1] * 6, [1, 1, 1, 0, 0, 0]])
    pairs = TrainingPairs(Regions(np.ones((2, 3, 4))), searches, Relevance.from_lists([[0], [1]], gallery_size=2))
    network = Hmrn(stage.config_for("I-T", region_dim=4, vocabulary_size=20)).eval()
    task = HmrnTask(network, pairs)
    every = task._queries(np.array([0, 1]), torch.Generator().manual_seed(0))[0]
    assert every.shape == (2, 2, 8)
    words = network.text(torch.arange(4, 16)[:, None], torch.ones(12, dtype=torch.int64))
    seen = {0: set(), 1: set()}  # type: ignore[var-annotated]
    for seed in range(20):
        vectors, counts = task._queries(np.array([0, 1]), torch.Generator().manual_seed(seed))
        assert counts.tolist() == [2, 2]
        for row in (0, 1):
            found = torch.cdist(vectors[row], words).argmin(dim=1).tolist()
            assert len(set(found)) == 2
            seen[row] |= set(found)
    assert seen == {0: set(range(6)), 1: {6, 7, 8}}


def test_padding_does_not_change_the_loss(data: Path) -> None:
    """The same pairs with more slots than regions, and with room for rounds nobody speaks."""
    problem, relevance = split(data, "train")
    stage = small()
    stage._vocabulary = _words(problem)
    regions, queries = stage.read(problem.query_features, problem.gallery_features)
    values, counts = regions.block(slice(0, 24))
    network = Hmrn(stage.config_for("T-I", region_dim=48, vocabulary_size=len(_words(problem)))).eval()
    wide = Descriptions(
        np.pad(queries.values, ((0, 0), (0, 3), (0, 0))), lengths=np.pad(queries.lengths, ((0, 0), (0, 3)))
    )
    plain = TrainingPairs(Regions(values[:, :10]), queries, relevance)
    padded = TrainingPairs(Regions(values, counts=counts), wide, relevance)
    batch = torch.arange(6)
    terms = [HmrnTask(network, pairs).loss(batch, torch.Generator().manual_seed(0)) for pairs in (plain, padded)]
    # Shuffling differs with the width, so compare what does not depend on the order: the global level.
    torch.testing.assert_close(terms[0]["global"], terms[1]["global"], atol=1e-5, rtol=0)


def _words(problem: Problem) -> Any:
    from rerankit.stages.hmrn.tokens import Vocabulary

    return Vocabulary.build(text for search in problem.query_features["text"] for text in search)


def test_batch_norm_over_fewer_regions_learns_from_those_it_has() -> None:
    from rerankit.stages.hmrn.network import SlotNorm

    norm, values = SlotNorm(3), torch.randn(5, 3, 4)
    counts = torch.tensor([3, 1, 2, 3, 2])
    out = norm(values, counts)
    third = values[[0, 3], 2]
    expected = (third - third.mean()) / (third.var(unbiased=False) + norm.eps).sqrt()
    torch.testing.assert_close(out[[0, 3], 2], expected)
    assert norm.running_mean is not None
    torch.testing.assert_close(norm.running_mean[2], 0.1 * third.mean())
    whole = SlotNorm(3)
    torch.testing.assert_close(whole(values, torch.full((5,), 3)), torch.nn.BatchNorm1d(3)(values))


def test_what_fit_refuses(data: Path) -> None:
    problem, relevance = split(data, "train")
    with pytest.raises(InputError, match="chosen on validation: give validation"):
        small(cascade="auto").fit(problem, relevance, settings=QUICK)
    with pytest.raises(UnmetNeedError, match="regions"):
        small().fit(Problem(np.ones((24, 24))), relevance, settings=QUICK)
    with pytest.raises(InputError, match="'relevance' must be of shape"):
        small().fit(problem, Relevance.from_lists([[0]], gallery_size=24), settings=QUICK)
    with pytest.raises(InputError, match="at least two images"):
        small().fit(problem, Relevance.from_lists([[0]] * 24, gallery_size=24), settings=QUICK)
    with pytest.raises(InputError, match="at most 4 regions an image"):
        small(region_slots=4).fit(problem, relevance, settings=QUICK)
    texts = [["", "a dog"], *problem.query_features["text"][1:]]
    broken = problem.with_features(query_features={"text": texts})
    with pytest.raises(InputError, match="description 0 of search 0 is empty"):
        small().fit(broken, relevance, settings=QUICK)
    small(on_error="skip").fit(broken, relevance, settings=replace(QUICK, epochs=1))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_training_reaches_its_figure_and_each_level_adds(tmp_path: Path) -> None:
    """R@1 after ten rounds on made-up scenes: above 70 %, and higher with each level; the cascade loses nothing."""
    from rerankit.stages.hmrn.cascade import cascade_curve

    write_drilldown(tmp_path, train=1200, val=100, test=500)
    stage = HmrnStage(
        "T-I", dim=32, reasoning_dim=32, word_dim=24, region_slots=10, dropout=0.1, cascade=None, device="cpu"
    )
    settings = TrainingSettings(
        epochs=10, batch_size=32, learning_rate=3e-3, optimizer="adam", schedule="step", milestones=(7,), clip_norm=2.0,
        device="cpu",
    )  # fmt: skip
    stage.fit(*split(tmp_path, "train"), validation=split(tmp_path, "val"), settings=settings)
    problem, relevance = split(tmp_path, "test")
    regions, queries = stage.read(problem.query_features, problem.gallery_features)
    scorer = stage.scorer
    blocks = list(scorer.score(scorer.images(regions), scorer.searches(queries), [10]))
    local, overall, joint = (np.concatenate([getattr(b, n)[0] for b in blocks]) for n in ("local", "overall", "joint"))
    cheap = 0.6 * local + 0.1 * overall
    figures = [float((table.argmax(axis=1) == np.arange(500)).mean()) for table in (local, cheap, joint)]
    assert figures[0] < figures[1] < figures[2], figures
    assert figures[2] > 0.7, figures
    curve = cascade_curve(cheap, joint, relevance)
    assert curve.loss(25) <= 0.002, curve.rows()

"""Training: losses by hand, what is frozen, what accumulates, and that a tiny network learns its examples."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

import rerankit
from rerankit import Problem, Relevance
from rerankit.errors import InputError
from rerankit.stages.triplet.checkpoint import dual_from_filter
from rerankit.stages.triplet.config import TripletConfig
from rerankit.stages.triplet.examples import Examples, TextBatches, recall_at_1
from rerankit.stages.triplet.fitting import new_bundle
from rerankit.stages.triplet.learning import DualTask, FilterTask
from rerankit.stages.triplet.loss import contrastive, in_batch
from rerankit.stages.triplet.plan import TripletPlan
from rerankit.stages.triplet.reading import Reading
from rerankit.stages.triplet.stage import Triplet
from rerankit.training import TrainingSettings, train

SIZES = TripletConfig(
    hidden=16,
    layers=2,
    heads=2,
    intermediate=32,
    positions=12,
    width=16,
    projection=8,
    merge_from=1,
    image_size=16,
    patch_size=8,
    vision_layers=1,
    vision_heads=2,
    vision_intermediate=32,
    dropout=0.0,
)
READING = Reading(image_pad="none")
COLOURS = ("red", "green", "blue")


def coloured(captions=False):
    """Pictures of three colours; texts name the one wanted; the reference says nothing."""
    pictures = [np.full((16, 16, 3), colour, np.uint8) for colour in 200 * np.eye(3, dtype=np.uint8)]
    texts = [[f"is {colour}", f"looks {colour}"] if captions else f"make it {colour}" for colour in COLOURS] * 4
    query_features = {"text": texts, "reference_images": [pictures[n % 3] for n in range(12)]}
    gallery_features = {"candidate_images": pictures}
    problem = Problem(np.zeros((12, 3), np.float32), query_features=query_features, gallery_features=gallery_features)
    return problem, Relevance.from_lists([[n % 3] for n in range(12)], 3)


def test_loss_by_hand():
    scores = torch.tensor([[1.0, 2.0, 0.5], [0.0, 3.0, 1.0]])
    everything = torch.ones(2, 3, dtype=torch.bool)
    rows = [np.log(np.exp([1, 2, 0.5]).sum()) - 1, np.log(np.exp([0, 3, 1]).sum()) - 3]
    assert in_batch(scores, everything).item() == pytest.approx(np.mean(rows), abs=1e-6)
    known = torch.tensor([[False, False, True], [True, False, True]])
    rows[0] = np.log(np.exp([1, 0.5]).sum()) - 1
    assert in_batch(scores, known).item() == pytest.approx(np.mean(rows), abs=1e-6)
    unit = torch.eye(2)
    hot = contrastive(unit, unit, torch.tensor(100.0), ~unit.bool())
    assert hot.item() == pytest.approx(np.log(1 + np.exp(-2)), abs=1e-5)


def test_examples_know_other_right_answers():
    problem, _ = coloured()
    relevance = Relevance.from_lists([[0, 1], *[[n % 3] for n in range(1, 12)]], 3)
    examples = Examples(problem, relevance)
    assert len(examples) == 13
    assert examples.wrong(np.array([0, 1]), np.array([0, 1, 2])).tolist() == [[False, False, True], [True, False, True]]
    with pytest.raises(InputError, match="must have the problem's shape"):
        Examples(problem, relevance.reversed())


def test_hard_negatives_come_from_the_candidates_and_are_wrong():
    problem, relevance = coloured()
    drawn = Examples(problem, relevance).hard(problem.ranking(3), np.arange(12), 5, torch.Generator().manual_seed(0))
    assert drawn.shape == (12, 5)
    assert all(item != row % 3 for row, items in enumerate(drawn) for item in items)
    with pytest.raises(InputError, match="query 0 has no wrong candidate"):
        Examples(problem, relevance).hard(problem.ranking(1), np.arange(12), 1, torch.Generator())


def test_two_captions_are_drawn_in_four_forms():
    problem, _ = coloured(captions=True)
    bundle = new_bundle(SIZES, [problem], 0)
    texts = TextBatches(problem, bundle, READING)
    assert [len(forms) for forms in texts.forms] == [4] * 12
    generator = torch.Generator().manual_seed(0)
    lengths = {int(texts.batch(np.array([0]), generator)[1].sum()) for _ in range(40)}
    assert lengths == {4, 7}


def test_stage_one_is_frozen_and_in_eval_mode_while_stage_two_learns():
    problem, relevance = coloured()
    bundle = new_bundle(SIZES, [problem], 0)
    bundle.filter.train()
    bundle.dual = dual_from_filter(bundle.filter)
    task = DualTask(bundle, problem, relevance, READING, hard_negatives=2, candidates=problem.ranking(3))
    task.loss(torch.arange(6), torch.Generator())["cross-entropy"].backward()
    assert not bundle.filter.training
    assert all(p.grad is None for p in bundle.filter.parameters())
    assert bundle.dual.cls_head[0].weight.grad.abs().sum() > 0
    assert bundle.dual.text_encoder.encoder.layer[1].crossattention.output.merge_layer.weight.grad.abs().sum() > 0


def test_hard_negatives_are_scored_as_in_the_grid():
    problem, _ = coloured()
    bundle = new_bundle(SIZES, [problem], 0)
    bundle.dual = dual_from_filter(bundle.filter).eval()
    states, ids, mask = torch.randn(3, 5, 16), torch.randint(1, 9, (3, 5)), torch.ones(3, 5)
    tokens = torch.randn(3, 5, 16)
    with torch.no_grad():
        grid = bundle.dual(states, ids, mask, tokens)
        torch.testing.assert_close(bundle.dual.pairs(states, ids, mask, tokens), grid.diag())


@pytest.mark.parametrize("checkpointing", [False, True])
def test_image_encoder_is_tuned_only_when_asked(checkpointing):
    problem, relevance = coloured()
    for tune in (False, True):
        bundle = new_bundle(SIZES, [problem], 0)
        task = FilterTask(bundle, problem, relevance, READING, tune_images=tune, checkpointing=checkpointing)
        task.model.train()
        task.loss(torch.arange(6), torch.Generator())["contrastive"].backward()
        grads = [p.grad for p in bundle.filter.visual_encoder.parameters()]
        assert any(g is not None and g.abs().sum() > 0 for g in grads) == tune


def test_tuning_needs_pictures():
    problem, relevance = coloured()
    bundle = new_bundle(SIZES, [problem], 0)
    query_features = {"text": problem.query_features["text"], "reference_tokens": np.zeros((12, 5, 16))}
    gallery_features = {"candidate_tokens": np.zeros((3, 5, 16))}
    tokens_only = Problem(np.zeros((12, 3)), query_features=query_features, gallery_features=gallery_features)
    with pytest.raises(InputError, match="tuning the image encoder needs 'reference_images'"):
        FilterTask(bundle, tokens_only, relevance, READING, tune_images=True)


def test_accumulated_batches_move_the_weights_by_their_mean_gradient():
    problem, relevance = coloured()
    bundle = new_bundle(SIZES, [problem], 0)
    gradients = []

    class Recording(FilterTask):
        def loss(self, batch, generator):
            terms = super().loss(batch, generator)
            weight = self.model.text_proj.weight
            gradients.append(torch.autograd.grad(terms["contrastive"], weight, retain_graph=True)[0])
            return terms

    before = bundle.filter.text_proj.weight.detach().clone()
    settings = TrainingSettings(
        epochs=1,
        batch_size=6,
        accumulate=2,
        learning_rate=0.1,
        optimizer="sgd",
        momentum=0.0,
        schedule="constant",
        device="cpu",
    )
    history = train(Recording(bundle, problem, relevance, READING), settings)
    assert len(gradients) == 2
    assert history.rows[-1]["step"] == 1
    moved = before - bundle.filter.text_proj.weight
    torch.testing.assert_close(moved, 0.1 * (gradients[0] + gradients[1]) / 2, rtol=1e-4, atol=1e-7)


def test_both_stages_learn_and_are_saved(tmp_path):
    problem, relevance = coloured()
    plan = TripletPlan(
        settings=TrainingSettings(epochs=60, batch_size=12, learning_rate=1e-2, device="cpu"),
        filter={"epochs": 40},
        sizes=SIZES.to_dict(),
        tune_images=("filter",),
        depth=3,
    )
    stage = Triplet(device="cpu", image_pad="none", training=plan)
    assert stage.fit(problem, relevance, validation=(problem, relevance)) is stage
    assert set(stage.histories) == {"filter", "dual"}
    first = stage.first_stage(problem.query_features, problem.gallery_features)
    assert recall_at_1(first.ranking(1), relevance) == 1
    after = stage.rerank(problem, problem.ranking())
    assert recall_at_1(after, relevance) == 1
    stage.save(tmp_path / "stage")
    again = rerankit.load(tmp_path / "stage")
    np.testing.assert_array_equal(again.rerank(problem, problem.ranking()).scores, after.scores)


def test_a_run_goes_on_only_with_what_it_was_begun_with(tmp_path):
    from PIL import Image

    problem, relevance = coloured()
    for row, picture in enumerate(problem.gallery_features["candidate_images"]):
        Image.fromarray(picture).save(tmp_path / f"{row}.png")
    files = [tmp_path / f"{row}.png" for row in range(3)]
    problem = problem.with_features(gallery_features={"candidate_images": files})
    settings = TrainingSettings(epochs=1, batch_size=6, learning_rate=1e-2, device="cpu")

    def fit(problem=problem, relevance=relevance, begin=None, **plan):
        plan = TripletPlan(**{"settings": settings, "sizes": SIZES.to_dict(), "depth": 3, **plan})
        stage = Triplet(device="cpu", image_pad="none") if begin is None else begin
        return stage.clone(training=plan).fit(problem, relevance, out=tmp_path / "run")

    first = fit()
    assert fit() == first
    tokens = {"reference_tokens": np.zeros((12, 5, 16))}
    texts = [*problem.query_features["text"][:-1], "make it green"]
    black = [np.zeros_like(picture) for picture in problem.query_features["reference_images"]]
    for named, changed in {
        "training: query/text": {"problem": problem.with_features(query_features={"text": texts})},
        "training: query/reference_images": {
            "problem": problem.with_features(query_features={"reference_images": black})
        },
        "training: query/reference_tokens": {"problem": problem.with_features(query_features=tokens)},
        "training: relevance": {"relevance": Relevance.from_lists([[0]] * 12, 3)},
        "tune_images": {"tune_images": ("filter",)},
        "weights to begin with": {"begin": first},
    }.items():
        with pytest.raises(InputError, match=f"belongs to another run .*other {named}"):
            fit(**changed)
    with pytest.raises(InputError, match=r"dual.*belongs to another run \(other depth\)"):
        fit(depth=2)
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(files[2])
    with pytest.raises(InputError, match=r"belongs to another run \(other training: gallery/candidate_images\)"):
        fit()


def test_recall_leaves_out_what_is_excluded():
    relevance = Relevance.from_lists([[1], [0]], 3, exclude=[[2], []])
    ranking = Problem([[0.1, 0.5, 0.9], [0.1, 0.5, 0.9]]).ranking()
    assert recall_at_1(ranking, relevance) == 0.5


def test_bad_plans():
    with pytest.raises(InputError, match="'stages' must be a tuple of 'filter' and 'dual'"):
        TripletPlan(stages=("first",))
    with pytest.raises(InputError, match="'hard_negatives' must not be negative"):
        TripletPlan(hard_negatives=-1)
    with pytest.raises(InputError, match="unknown entry of 'training' '"):
        Triplet(training={"epochs": 3})
    with pytest.raises(InputError, match="unknown training setting 'speed'; did you mean"):
        Triplet(training={"filter": {"speed": 3}})


def test_half_precision_trains_with_float32_weights():
    problem, relevance = coloured()
    settings = TrainingSettings(epochs=2, batch_size=6, learning_rate=1e-3, precision="bf16", device="cpu")
    plan = TripletPlan(settings=settings, hard_negatives=1, depth=3, sizes=SIZES.to_dict())
    stage = Triplet(device="cpu", image_pad="none", training=plan).fit(problem, relevance)
    assert stage.bundle.dual.cls_head[0].weight.dtype == torch.float32
    assert all(np.isfinite(row["loss"]) for row in stage.histories["dual"].rows)


def test_stage_two_may_have_an_image_encoder_of_its_own(tmp_path):
    problem, relevance = coloured()
    settings = TrainingSettings(epochs=1, batch_size=6, learning_rate=1e-2, device="cpu")
    plan = TripletPlan(settings=settings, tune_images=("dual",), checkpointing=True, depth=3, sizes=SIZES.to_dict())
    stage = Triplet(device="cpu", image_pad="none", training=plan).fit(problem, relevance)
    own, first = stage.bundle.candidate_encoder, stage.bundle.reference_encoder
    assert own is not first
    name = "encoder.layers.0.mlp.fc1.weight"
    assert not torch.equal(own.state_dict()[name], first.state_dict()[name])
    stage.save(tmp_path / "stage")
    again = rerankit.load(tmp_path / "stage")
    assert again.rerank(problem, problem.ranking()) == stage.rerank(problem, problem.ranking())


def test_tasks_reach_other_processes():
    problem, relevance = coloured()
    bundle = new_bundle(SIZES, [problem], 0)
    bundle.dual = dual_from_filter(bundle.filter)
    for task in (FilterTask(bundle, problem, relevance, READING), DualTask(bundle, problem, relevance, READING)):
        copy = pickle.loads(pickle.dumps(task))
        ours, theirs = (one.loss(torch.arange(4), torch.Generator().manual_seed(0)) for one in (task, copy))
        assert {name: term.item() for name, term in ours.items()} == {
            name: term.item() for name, term in theirs.items()
        }

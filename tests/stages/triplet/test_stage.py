"""The stage: the golden scores from reading to ranking, what it keeps, and what it refuses."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest
import torch

import rerankit
from rerankit import Problem, Ranking
from rerankit.errors import InputError, NotFittedError, UnmetNeedError
from rerankit.seams import promote
from rerankit.stages.triplet.bundle import Bundle
from rerankit.stages.triplet.config import TripletConfig
from rerankit.stages.triplet.filter import Filter
from rerankit.stages.triplet.network import DualEncoder
from rerankit.stages.triplet.stage import Triplet


@pytest.fixture
def stage(cir):
    return Triplet(device="cpu").with_bundle(Bundle(cir.filter, cir.dual, None))


@pytest.fixture
def problem(cir):
    """Four queries against their own six candidates each: a gallery of 24."""
    scores = np.linspace(1, 0, 24)[None].repeat(4, 0)
    return Problem(
        scores,
        query_features={"text_ids": cir.input_ids.numpy(), "reference_tokens": cir.reference_tokens},
        gallery_features={"candidate_tokens": cir.candidate_tokens.flatten(0, 1)},
    )


@pytest.fixture
def ranking(problem):
    indices = np.arange(24).reshape(4, 6)
    return Ranking(indices, np.take_along_axis(problem.scores.rows(), indices, 1), gallery_size=24)


def test_repr():
    assert repr(rerankit.stage("triplet", budget="500 pairs")) == "stage('triplet', budget='500 pairs')"


def test_golden_scores_through_the_stage(stage, problem, ranking, cir):
    out = stage.rerank(problem, ranking)
    expected = ranking.with_scores(cir.score.numpy())
    np.testing.assert_array_equal(out.indices, expected.indices)
    np.testing.assert_allclose(out.scores, expected.scores, rtol=0, atol=1e-5)
    notes = out.notes["triplet"]
    assert (notes["scored_pairs"], notes["candidate_pairs"], notes["complete"]) == (24, 24, True)


def test_save_and_load(stage, problem, ranking, tmp_path):
    stage.save(tmp_path / "stage")
    again = rerankit.load(tmp_path / "stage")
    assert again == stage
    np.testing.assert_array_equal(again.rerank(problem, ranking).scores, stage.rerank(problem, ranking).scores)


def test_first_stage_is_the_golden_filter(stage, problem, cir):
    first = stage.first_stage(problem.query_features, problem.gallery_features)
    expected = cir.query_feature @ cir.candidate_feature.flatten(0, 1).T
    np.testing.assert_allclose(first.scores.rows(), expected, rtol=0, atol=1e-5)
    assert first.query_features.keys() == problem.query_features.keys()


def test_a_budget_keeps_the_rest_behind(stage, problem, ranking):
    whole = stage.rerank(problem, ranking)
    some = stage.clone(budget="9 pairs").rerank(problem, ranking)
    assert some.notes["triplet"]["scored_pairs"] == 9
    for row, depth in enumerate([3, 2, 2, 2]):
        head = set(range(6 * row, 6 * row + depth))
        assert set(some.indices[row, :depth].tolist()) == head
        np.testing.assert_array_equal(
            some.indices[row, :depth], [item for item in whole.indices[row].tolist() if item in head]
        )
        np.testing.assert_array_equal(some.indices[row, depth:], ranking.indices[row, depth:])
    none = stage.clone(budget="0 s").rerank(problem, ranking)
    np.testing.assert_array_equal(none.indices, ranking.indices)


def test_missing_tokens_name_the_candidates_or_are_skipped(stage, problem, ranking, cir):
    tokens = cir.candidate_tokens.flatten(0, 1).clone()
    tokens[[1, 7]] = float("nan")
    broken = problem.with_features(gallery_features={"candidate_tokens": tokens.half().numpy()})
    with pytest.raises(InputError, match="'candidate_tokens' are missing for candidate 1, 7"):
        stage.rerank(broken, ranking)
    out = stage.clone(on_error="skip").rerank(broken, ranking)
    assert out.notes["triplet"]["skipped_candidates"] == [1, 7]
    assert out.indices[0, -1] == 1
    assert out.indices[1, -1] == 7
    listed = problem.with_features(
        gallery_features={"candidate_tokens": [None if r in (1, 7) else tokens[r] for r in range(24)]}
    )
    np.testing.assert_array_equal(
        stage.clone(on_error="skip").rerank(listed, ranking).indices[:, -1], out.indices[:, -1]
    )


def test_a_missing_reference_keeps_its_row(stage, problem, ranking, cir):
    tokens = cir.reference_tokens.clone()
    tokens[2] = float("nan")
    broken = problem.with_features(query_features={"reference_tokens": tokens})
    with pytest.raises(InputError, match="'reference_tokens' are missing for query 2"):
        stage.rerank(broken, ranking)
    out = stage.clone(on_error="skip").rerank(broken, ranking)
    np.testing.assert_array_equal(out.indices[2], ranking.indices[2])
    assert list(out.notes["triplet"]["skipped_queries"]) == [2]
    np.testing.assert_allclose(out.scores[3], stage.rerank(problem, ranking).scores[3], atol=1e-6)


def test_bad_features_are_refused(stage, problem, ranking, cir):
    narrow = problem.with_features(gallery_features={"candidate_tokens": np.zeros((24, 10, 23))})
    with pytest.raises(InputError, match=r"'candidate_tokens' must hold tokens \(P, 24\).*got \(10, 23\)"):
        stage.rerank(narrow, ranking)
    large = problem.with_features(query_features={"text_ids": cir.input_ids.numpy() + 1})
    with pytest.raises(InputError, match="'text_ids' must fit"):
        stage.rerank(large, ranking)
    pictures = Problem(
        np.ones((4, 24)),
        query_features={
            "text_ids": problem.query_features["text_ids"],
            "reference_tokens": problem.query_features["reference_tokens"],
        },
        gallery_features={"candidate_images": ["a.png"] * 24},
    )
    with pytest.raises(UnmetNeedError, match=r"no image encoder.*give 'candidate_tokens'"):
        stage.rerank(pictures, ranking)
    words = Problem(
        np.ones((4, 24)),
        query_features={
            "text": ["red"] * 4,
            "reference_tokens": problem.query_features["reference_tokens"],
        },
        gallery_features={"candidate_tokens": problem.gallery_features["candidate_tokens"]},
    )
    with pytest.raises(UnmetNeedError, match="without a vocabulary"):
        stage.rerank(words, ranking)


def test_needs_are_said_together():
    faults = rerankit.stage("triplet").unmet(Problem(np.ones((2, 3))))
    assert [str(fault.need) for fault in faults] == list(Triplet().needs)
    with pytest.raises(NotFittedError, match="has no weights"):
        Triplet().bundle  # noqa: B018 - the access is what is tested


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"budget": "soon"}, "'budget' must be such as"),
        ({"precision": "fp8"}, "unknown precision 'fp8'"),
        ({"on_error": "ignore"}, "unknown on_error 'ignore'"),
        ({"max_tokens": 2}, "'max_tokens' must be at least 3"),
        ({"cache_bytes": "many"}, "'cache_bytes' must be a number of bytes"),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises(InputError, match=message):
        Triplet(**params)


def test_promote_keeps_the_order_of_what_was_not_scored():
    ranking = Ranking(
        [[5, 3, 1, 0, -1], [0, 1, 2, -1, -1]],
        [[0.5, 0.5, 0.5, 0.4, -np.inf], [3, 2, 1, -np.inf, -np.inf]],
        gallery_size=6,
    )
    nan = np.nan
    out = promote(ranking, np.array([[nan, 2.0, nan, 2.0, nan], [nan, nan, nan, nan, nan]], np.float32))
    assert out.indices.tolist() == [[3, 0, 5, 1, -1], [0, 1, 2, -1, -1]]
    assert out.scores[1].tolist() == ranking.scores[1].tolist()


TINY = TripletConfig(
    vocabulary=11,
    hidden=16,
    layers=2,
    heads=2,
    intermediate=32,
    positions=8,
    width=16,
    projection=8,
    merge_from=1,
    image_size=16,
    patch_size=8,
    vision_layers=1,
    vision_heads=2,
    vision_intermediate=32,
)
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "it", "make", "move", "red", "[DEC]", "[ENC]")


@pytest.fixture
def pictured(tmp_path):
    """A stage with an image encoder, and a problem of 3 queries over 5 picture files."""
    torch.manual_seed(0)
    stage = Triplet(device="cpu").with_bundle(Bundle(Filter(TINY), DualEncoder(TINY), WORDS))
    rng = np.random.default_rng(0)
    paths = []
    for number in range(5):
        paths.append(tmp_path / f"{number}.png")
        PIL.Image.fromarray(rng.integers(0, 255, (20, 24, 3), np.uint8)).save(paths[-1])
    asked = {"text": ["make it red", "move it", "red"], "reference_images": paths[:3]}
    return stage, Problem(rng.random((3, 5)), query_features=asked, gallery_features={"candidate_images": paths}), paths


def test_pictures_with_and_without_a_cache(pictured, tmp_path):
    stage, problem, _ = pictured
    plain = stage.rerank(problem, problem.ranking())
    for _ in range(2):
        cached = stage.clone(cache=str(tmp_path / "cache")).rerank(problem, problem.ranking())
        np.testing.assert_allclose(cached.scores, plain.scores, rtol=0, atol=1e-5)
    assert len(list((tmp_path / "cache").glob("*/??/*.safetensors"))) == 5


def test_a_reference_of_several_queries_is_encoded_once(pictured):
    stage, _, paths = pictured
    asked = [paths[row] for row in (0, 3, 0, 3, 3, 0)]
    query_features = {"text": ["make it red", "move it", "red", "it", "red", "move"], "reference_images": asked}
    gallery_features = {"candidate_images": paths}
    shared = Problem(np.zeros((6, 5)), query_features=query_features, gallery_features=gallery_features)
    copies = [np.asarray(PIL.Image.open(path)) for path in asked]
    alone = shared.with_features(query_features={"reference_images": copies})
    encoded = []
    stage = stage.clone(image_batch_size=2)
    stage.bundle.reference_encoder.register_forward_pre_hook(
        lambda _, __, given: encoded.append(len(given["pixel_values"])), with_kwargs=True
    )
    out = stage.rerank(shared, shared.ranking())
    assert sum(encoded) == 2 + 5
    encoded.clear()
    apart = stage.rerank(alone, alone.ranking())
    assert sum(encoded) == 6 + 5
    np.testing.assert_array_equal(out.indices, apart.indices)
    np.testing.assert_allclose(out.scores, apart.scores, rtol=0, atol=1e-5)


def test_an_unreadable_picture_stops_before_scoring_or_is_skipped(pictured, monkeypatch):
    stage, problem, paths = pictured
    paths[4].write_bytes(paths[4].read_bytes()[:60])
    with pytest.raises(InputError, match=r"candidate image 4: image file '.*4\.png' cannot be read"):
        stage.rerank(problem, problem.ranking())
    out = stage.clone(on_error="skip").rerank(problem, problem.ranking())
    assert out.notes["triplet"]["skipped_candidates"] == [4]
    assert (out.indices[:, -1] == 4).all()
    paths[1].unlink()
    out = stage.clone(on_error="skip").rerank(problem, problem.ranking())
    assert list(out.notes["triplet"]["skipped_queries"]) == [1]
    with pytest.raises(InputError, match="does not exist"):
        stage.rerank(problem, problem.ranking())


def test_texts_too_long_are_counted_and_empty_ones_refused(pictured):
    stage, problem, _ = pictured
    long = problem.with_features(query_features={"text": ["make it red " * 5, "move", "red " * 20]})
    with pytest.warns(UserWarning, match="2 of 3 texts have more than 8 tokens"):
        stage.rerank(long, problem.ranking())
    empty = problem.with_features(query_features={"text": ["red", "  ", "red"]})
    with pytest.raises(InputError, match="'text' is empty in query 1"):
        stage.rerank(empty, problem.ranking())
    out = stage.clone(on_error="skip").rerank(empty, problem.ranking())
    assert out.notes["triplet"]["skipped_queries"] == {1: "the text of query 1 is empty"}
    np.testing.assert_array_equal(out.indices[1], problem.ranking().indices[1])


def test_problem_is_not_changed(stage, problem, ranking):
    features = [*problem.query_features.values(), *problem.gallery_features.values()]
    before = [b"".join(feature.pieces()) for feature in features]
    stage.rerank(problem, ranking)
    assert [b"".join(feature.pieces()) for feature in features] == before


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("precision", "tolerance"), [("float32", 1e-4), ("bf16", 2e-2), ("fp16", 4e-3), ("int8", 2e-2)]
)
def test_cuda_scores_are_the_cpus(stage, problem, ranking, precision, tolerance):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    on_cpu = stage.rerank(problem, ranking).to_dense()
    on_gpu = stage.clone(device="cuda", precision=precision).rerank(problem, ranking).to_dense()
    listed = np.isfinite(on_cpu)
    np.testing.assert_allclose(on_gpu[listed], on_cpu[listed], rtol=0, atol=tolerance)

"""The stage from published files and back, from Python and from the command line."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import rerankit
from rerankit.cli import build
from rerankit.errors import InputError, NotFittedError, RerankitWarning, StageError, UnmetNeedError
from rerankit.stages.triplet.published import export_published, import_published
from rerankit.stages.triplet.stage import Triplet
from rerankit.training import TrainingSettings


def words(count):
    return ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{n}" for n in range(count - 7)), "[DEC]", "[ENC]"]


def test_there_and_back(golden, tmp_path):
    stage = import_published(golden / "cir_stage1.pt", golden / "cir_stage2.pt", heads=4, budget="5 pairs")
    assert repr(stage) == "stage('triplet', budget='5 pairs')"
    files = [tmp_path / "one.pt", tmp_path / "two.pt"]
    export_published(stage, *files)
    for file, name, key in zip(files, ("cir_stage1.pt", "cir_stage2.pt"), ("BLIP_Retrieval", "BLIP_NLVR"), strict=True):
        ours, theirs = (torch.load(path, weights_only=True)[key] for path in (file, golden / name))
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[each], theirs[each]) for each in theirs)
    with pytest.raises(NotFittedError):
        export_published(Triplet(), *files)


def test_a_vocabulary_must_fit(golden, tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(words(70)), encoding="utf-8")
    stage = import_published(golden / "cir_stage1.pt", vocabulary=tmp_path, heads=4)
    assert stage.bundle.words[-1] == "[ENC]"
    assert stage.bundle.dual is None
    (tmp_path / "vocab.txt").write_text("\n".join(words(60)), encoding="utf-8")
    with pytest.raises(InputError, match=r"must have the 70 entries of the text encoder \(got 60\)"):
        import_published(golden / "cir_stage1.pt", vocabulary=tmp_path, heads=4)


def test_stages_of_different_sizes_do_not_go_together(golden, tmp_path):
    weights = torch.load(golden / "cir_stage2.pt", weights_only=True)
    table = "text_encoder.embeddings.word_embeddings.weight"
    weights["BLIP_NLVR"][table] = weights["BLIP_NLVR"][table][:60]
    torch.save(weights, tmp_path / "other.pt")
    with pytest.raises(InputError, match=r"must have the same 'vocabulary' \(got 70 and 60\)"):
        import_published(golden / "cir_stage1.pt", tmp_path / "other.pt", heads=4)


def token_problem(queries=6, items=4, width=24):
    rng = np.random.default_rng(0)
    query_features = {
        "text_ids": rng.integers(5, 60, size=(queries, 5)),
        "reference_tokens": rng.random((queries, 5, width)).astype(np.float32),
    }
    gallery_features = {"candidate_tokens": rng.random((items, 5, width)).astype(np.float32)}
    return rerankit.Problem(
        rng.random((queries, items)), query_features=query_features, gallery_features=gallery_features
    )


@pytest.mark.parametrize("saved", [False, True])
def test_a_stage_one_alone_does_not_rerank(golden, tmp_path, saved):
    stage = import_published(golden / "cir_stage1.pt", heads=4, device="cpu")
    if saved:
        stage.save(tmp_path / "stage")
        stage = rerankit.load(tmp_path / "stage")
    problem = token_problem()
    assert not stage.fitted
    message = r"stage 'triplet' has no trained stage II: fit it \(training={'stages': \['dual'\]}\), or import it, too"
    with pytest.raises(UnmetNeedError, match=message):
        rerankit.rerank(problem, stage)
    first = stage.first_stage(problem.query_features, problem.gallery_features)  # stage I is trained
    relevance = rerankit.Relevance.from_lists([[n % 4] for n in range(6)], 4)
    settings = TrainingSettings(epochs=1, batch_size=6, device="cpu")
    fitted = stage.clone(training={"stages": ["dual"]}).fit(first, relevance, settings=settings)
    assert fitted.rerank(first, first.ranking()).mask.all()


def test_plain_weights_do_not_rerank(golden, tmp_path):
    weights = torch.load(golden / "cir_stage1.pt", weights_only=True)["BLIP_Retrieval"]
    torch.save({"model": weights}, tmp_path / "blip.pt")
    stage = import_published(tmp_path / "blip.pt", heads=4, device="cpu")
    problem = token_problem()
    message = r"has no trained stage I and no trained stage II: fit it \(training={'stages': \['filter', 'dual'\]}\)"
    with pytest.raises(UnmetNeedError, match=message):
        rerankit.rerank(problem, stage)
    with pytest.raises(NotFittedError, match="has no trained stage I"):
        stage.first_stage(problem.query_features, problem.gallery_features)
    with pytest.raises(InputError, match="is not the stage I that"):
        import_published(tmp_path / "blip.pt", golden / "cir_stage2.pt", heads=4)
    relevance = rerankit.Relevance.from_lists([[n % 4] for n in range(6)], 4)
    stage.fit(problem, relevance, settings=TrainingSettings(epochs=1, batch_size=6, device="cpu"))
    first = stage.first_stage(problem.query_features, problem.gallery_features)
    assert rerankit.rerank(first, stage).mask.all()


def test_a_first_stage_is_made_of_features():
    problem = token_problem()
    stage = Triplet(device="cpu")
    named = r"'{}' must map names to values, such as problem.query_features and problem.gallery_features \(got {}\)"
    with pytest.raises(InputError, match=named.format("query_features", "Problem")):
        stage.first_stage(problem)
    with pytest.raises(InputError, match=named.format("gallery_features", "NoneType")):
        stage.first_stage(problem.query_features)


def test_random_pictures_at_the_published_size_are_told_before_training(monkeypatch):
    def stopped(*arguments):
        raise StageError("stopped")

    monkeypatch.setattr("rerankit.stages.triplet.fitting.new_bundle", stopped)
    pictures = [np.zeros((8, 8, 3), np.uint8)]
    problem = rerankit.Problem(
        np.zeros((1, 1)),
        query_features={"text": ["red"], "reference_images": pictures},
        gallery_features={"candidate_images": pictures},
    )
    relevance = rerankit.Relevance.from_lists([[0]], 1)
    with (
        pytest.warns(RerankitWarning, match="Import BLIP's retrieval weights first"),
        pytest.raises(StageError, match="stopped"),
    ):
        Triplet().fit(problem, relevance)
    for training in ({"tune_images": ["filter"]}, {"sizes": {"width": 64, "vision_heads": 4}}):
        with pytest.raises(StageError, match="stopped"):
            Triplet(training=training).fit(problem, relevance)


def test_command(golden, tmp_path):
    files = [str(golden / "cir_stage1.pt"), str(golden / "cir_stage2.pt")]
    done = CliRunner().invoke(
        build(), ["import", "triplet", *files, "--heads", "4", "-o", str(tmp_path / "s"), "--set", "budget=9 pairs"]
    )
    assert done.exit_code == 0, done.output
    assert rerankit.load(tmp_path / "s").budget == "9 pairs"


def test_fit_command(tmp_path):
    """A problem of tokens and texts with relevance beside it, trained for an epoch."""
    rng = np.random.default_rng(0)
    query_features = {
        "text": np.array(["make it red", "make it blue"] * 3),
        "reference_tokens": rng.random((6, 5, 8)).astype(np.float32),
    }
    gallery_features = {"candidate_tokens": rng.random((4, 5, 8)).astype(np.float32)}
    problem = rerankit.Problem(rng.random((6, 4)), query_features=query_features, gallery_features=gallery_features)
    relevance = rerankit.Relevance.from_lists([[n % 4] for n in range(6)], 4)
    rerankit.write(tmp_path / "train", problem, relevance=relevance)
    sizes = "{hidden: 8, layers: 2, heads: 2, intermediate: 8, positions: 8, width: 8, vision_heads: 2, projection: 4}"
    done = CliRunner().invoke(
        build(),
        [
            *["fit", "triplet", "--set", "device=cpu", "--training", "epochs=1"],
            "--train",
            str(tmp_path / "train"),
            "-o",
            str(tmp_path / "out"),
            "--set",
            f"training={{sizes: {sizes}}}",
        ],
    )
    assert done.exit_code == 0, done.output
    stage = rerankit.load(tmp_path / "out")
    assert stage.rerank(problem, problem.ranking()).notes["triplet"]["scored_pairs"] == 24
    assert (tmp_path / "out/training/dual/history.csv").is_file()

"""A text encoder from transformers in place of the GRU: a tiny one, made here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rerankit import Problem, load
from rerankit.errors import FormatError, InputError, MissingExtraError
from rerankit.stages.hmrn.stage import HmrnStage
from rerankit.training import TrainingSettings

transformers: Any = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "blue", "dog", "cat", "ball"]
    (folder / "vocab.txt").write_text("\n".join(words))
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    transformers.BertModel(config).save_pretrained(folder)
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


def problem() -> Problem:
    random = np.random.default_rng(0)
    texts = [["a red dog", "blue ball"], ["a cat"], ["blue cat", "a dog"], ["red ball"]]
    query_features = {"text": texts}
    gallery_features = {"regions": random.normal(size=(4, 3, 6))}
    return Problem(random.random((4, 4)), query_features=query_features, gallery_features=gallery_features)


def test_fit_score_save_and_load(model: Path, tmp_path: Path) -> None:
    from rerankit import Relevance

    given = problem()
    stage = HmrnStage(
        dim=8, reasoning_dim=8, region_slots=3, text_model=str(model), cascade=None, full_rounds=2, device="cpu"
    )
    settings = TrainingSettings(epochs=1, batch_size=4, device="cpu")
    stage.fit(given, Relevance.from_lists([[0], [1], [2], [3]], gallery_size=4), settings=settings)
    assert stage.vocabulary is None
    ranking = stage.rerank(given, given.ranking())
    stage.save(tmp_path / "stage")
    assert load(tmp_path / "stage").rerank(given, given.ranking()) == ranking


def test_what_is_refused(model: Path, tmp_path: Path) -> None:
    from rerankit.stages.hmrn.checkpoint import export_checkpoint
    from rerankit.stages.hmrn.network import Hmrn
    from rerankit.stages.hmrn.representation import Descriptions
    from rerankit.stages.hmrn.transformer import ModelTokens

    words = ModelTokens(str(model))
    assert words.encode("a dog") == [2, 5, 8, 3]
    with pytest.raises(InputError, match="unknown words only"):
        Descriptions.from_texts([["zebra"]], words)
    with pytest.raises(InputError, match="'text_model' must be a model transformers can load"):
        Hmrn(HmrnStage(text_model=str(tmp_path / "none")).config_for("I-T"))
    with pytest.raises(InputError, match="'text_model' must be a model transformers can load"):
        ModelTokens(str(tmp_path / "none"))
    network = Hmrn(HmrnStage(dim=8, text_model=str(model)).config_for("I-T", region_dim=4))
    with pytest.raises(FormatError, match="other than the GRU"):
        export_checkpoint(network, tmp_path / "x.pth.tar")


def test_transformers_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    from rerankit.stages.hmrn.transformer import ModelTokens

    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(MissingExtraError, match="transformers"):
        ModelTokens("any")

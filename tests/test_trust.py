"""Saved stages and models of strangers: nothing is loaded from outside, and nothing is run, unasked."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import rerankit
from rerankit import Pipeline
from rerankit.errors import FormatError, MissingExtraError


def saved(folder: Path, **params: Any) -> Path:
    """A saved cross-encoder whose config says anything."""
    rerankit.stage("cross-encoder", model="x").save(folder)
    config = json.loads((folder / "config.json").read_text())
    config["params"] |= params
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(
    "params",
    [
        {"model": "somebody/model"},
        {"model": "/elsewhere/model"},
        {"model": "../model"},
        {"model": ""},
        {"model": ".", "processor": "somebody/tokenizer"},
        {"model": ["somebody/model"]},
        {"model": {"name": "somebody/model"}},
    ],
)
def test_a_model_outside_of_the_folder_is_named_and_refused(tmp_path: Path, params: dict[str, Any]) -> None:
    (tmp_path / "model").mkdir()
    folder = saved(tmp_path / "stage", **params)
    name, value = list(params.items())[-1]
    with pytest.raises(
        FormatError,
        match=rf"names a model outside of its folder, {name}={re.escape(repr(value))}.* trust=True \(--trust\)",
    ):
        rerankit.load(folder)
    trusted = rerankit.load(folder, trust=True)
    assert getattr(trusted, name) == value
    assert type(trusted).load(folder, trust=True) == trusted


def test_a_place_that_is_written_to_is_named_and_refused(tmp_path: Path) -> None:
    rerankit.stage("triplet", cache=str(tmp_path / "cache")).save(tmp_path / "stage")
    with pytest.raises(FormatError, match=r"names a place outside of its folder, cache='.*written to.* trust=True"):
        rerankit.load(tmp_path / "stage")
    assert rerankit.load(tmp_path / "stage", trust=True).cache == str(tmp_path / "cache")


def test_a_model_in_the_folder_is_taken_as_a_path(tmp_path: Path) -> None:
    folder = saved(tmp_path / "stage", model="inner")
    (folder / "inner").mkdir()
    assert rerankit.load(folder).model == str(folder / "inner")  # type: ignore[attr-defined]
    shutil.rmtree(folder / "inner")
    (tmp_path / "outer").mkdir()
    (folder / "inner").symlink_to(tmp_path / "outer")
    with pytest.raises(FormatError, match="outside of its folder"):
        rerankit.load(folder)


def test_trust_goes_through_pipelines_stages_in_stages_and_yaml(tmp_path: Path) -> None:
    inner = rerankit.stage("cross-encoder", model="somebody/model")
    made = Pipeline([rerankit.stage("fuse", sources=["scores", inner]), inner.top(3)])
    made.save(tmp_path / "pipeline")
    (tmp_path / "p.yaml").write_text("stages: [{load: pipeline}]")
    for load in (rerankit.load, Pipeline.load):
        with pytest.raises(FormatError, match="outside of its folder"):
            load(tmp_path / "pipeline")
        assert load(tmp_path / "pipeline", trust=True) == made
    with pytest.raises(FormatError, match="outside of its folder"):
        Pipeline.from_yaml(tmp_path / "p.yaml")
    assert Pipeline.from_yaml(tmp_path / "p.yaml", trust=True) == made


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A tiny cross-encoder in a folder."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red"]))
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    config = transformers.BertConfig(vocab_size=7, num_labels=1, **sizes)
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def score(model: Path) -> Any:
    pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")
    from rerankit.stages.cross_encoder.pair_models import load_pair_model

    return load_pair_model(str(model), None, "float32", "cpu", None).score([("a red", "a")])


CODE = "open({!r}, 'w').close()\nclass Model: pass\nclass Config: pass\nclass Tokenizer: pass\n"


def test_code_in_a_models_folder_is_not_run(model: Path, tmp_path: Path) -> None:
    """In each of the places where the libraries look for a model's own code."""
    assert score(model).shape == (1,)
    ran = tmp_path / "ran"
    (model / "evil.py").write_text(CODE.format(str(ran)))
    maps = {"AutoConfig": "evil.Config", "AutoModelForSequenceClassification": "evil.Model"}
    maps["AutoTokenizer"] = ["evil.Tokenizer", None]
    for name in ("config.json", "tokenizer_config.json"):
        whole = json.loads((model / name).read_text())
        changed = {**whole, "auto_map": maps}
        (model / name).write_text(json.dumps(changed))
        _attempt(model)
        assert not ran.exists(), name
        (model / name).write_text(json.dumps({**changed, "model_type": "evil"}))
        _attempt(model)
        assert not ran.exists(), name
        (model / name).write_text(json.dumps(whole))
    for kind in ("evil.Model", "model.evil.Model", "os.system", "subprocess.Popen"):
        modules = [{"idx": 0, "name": "0", "path": "", "type": kind}]
        (model / "modules.json").write_text(json.dumps(modules))
        _attempt(model)
        assert not ran.exists(), kind
    (model / "modules.json").unlink()
    whole = json.loads((model / "config.json").read_text())
    settings = {"sentence_transformers": {"activation_fn": "evil.Model"}}
    (model / "config.json").write_text(json.dumps({**whole, **settings}))
    _attempt(model)
    assert not ran.exists()


def _attempt(model: Path) -> None:
    """Loading may go well or not; what counts is what it did."""
    with contextlib.suppress(Exception):
        score(model)


def test_weights_as_a_pickle_are_not_read(model: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    (model / "model.safetensors").unlink()
    torch.save({}, model / "pytorch_model.bin")
    with pytest.raises(Exception, match="safetensors"):
        score(model)


def test_libraries_that_run_such_code_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    from rerankit.stages.cross_encoder import pair_models

    monkeypatch.setitem(sys.modules, "sentence_transformers", SimpleNamespace(__version__="5.4.1"))
    with pytest.raises(MissingExtraError, match=r"needs sentence_transformers 6 or later \(got 5\.4\.1\)"):
        pair_models.load_pair_model("model", None, "float32", "cpu", None)

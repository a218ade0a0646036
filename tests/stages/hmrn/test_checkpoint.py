"""Published checkpoints in and out, and what is refused."""

from __future__ import annotations

import argparse
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from rerankit.errors import FormatError, InputError
from rerankit.stages.hmrn.checkpoint import export_checkpoint, import_checkpoint
from rerankit.stages.hmrn.published import export_published, import_published
from rerankit.stages.hmrn.tokens import SPECIAL, Vocabulary


class Harmful:
    """A pickle that would run a command when read carelessly."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("echo harm > harmed.txt",)


def test_export_writes_what_import_reads(golden_case: dict[str, Any], tmp_path: Path) -> None:
    network = golden_case["network"]
    export_checkpoint(network, tmp_path / "again.pth.tar", epoch=3, best=12.5)
    again = import_checkpoint(tmp_path / "again.pth.tar")
    assert again.config == network.config
    for name, value in network.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, atol=0, rtol=0)


def test_names_from_several_devices_are_taken(golden: Path, tmp_path: Path) -> None:
    with torch.serialization.safe_globals([argparse.Namespace]):
        content = torch.load(golden / "hmrn_it_checkpoint.pth.tar", weights_only=True)
    content["model"] = [{f"module.{k}": v for k, v in state.items()} for state in content["model"]]
    torch.save(content, tmp_path / "parallel.pth.tar")
    assert import_checkpoint(tmp_path / "parallel.pth.tar").config.variant == "I-T"


def test_code_in_a_pickle_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"model": [{}, {}, {}], "opt": argparse.Namespace(), "extra": Harmful()}, "bad.pth.tar")
    with pytest.raises(FormatError, match=r"names 'posix\.system', which is not data and never run"):
        import_checkpoint("bad.pth.tar")
    (tmp_path / "old.pth.tar").write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(FormatError, match=r"names 'posix\.system', which is not data and never run"):
        import_checkpoint("old.pth.tar")
    assert not (tmp_path / "harmed.txt").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"model": []}, "'model' and 'opt'"),
        ({"model": [], "opt": {}}, "argparse.Namespace"),
        ({"model": [{}], "opt": argparse.Namespace()}, "three state dicts"),
        ({"model": [{}, {}, {}], "opt": argparse.Namespace()}, "lacks the parameter 'fc.weight'"),
        ({"model": [{"a": 1}, {}, {}], "opt": argparse.Namespace()}, "must hold names and tensors"),
    ],
)
def test_other_contents_are_refused(tmp_path: Path, content: Any, message: str) -> None:
    torch.save(content, tmp_path / "x.pth.tar")
    with pytest.raises(FormatError, match=message):
        import_checkpoint(tmp_path / "x.pth.tar")


def test_missing_parameters_and_damaged_files_are_refused(golden: Path, tmp_path: Path) -> None:
    with torch.serialization.safe_globals([argparse.Namespace]):
        content = torch.load(golden / "hmrn_it_checkpoint.pth.tar", weights_only=True)
    del content["model"][2]["sim_w.bias"]
    torch.save(content, tmp_path / "short.pth.tar")
    with pytest.raises(FormatError, match=r"this scorer's similarity encoder: sim_w\.bias is missing"):
        import_checkpoint(tmp_path / "short.pth.tar")
    (tmp_path / "cut.pth.tar").write_bytes((golden / "hmrn_it_checkpoint.pth.tar").read_bytes()[:1000])
    with pytest.raises(FormatError, match="truncated or not a zip file"):
        import_checkpoint(tmp_path / "cut.pth.tar")
    with pytest.raises(FormatError, match="no such checkpoint"):
        import_checkpoint(tmp_path / "none.pth.tar")


def test_published_checkpoints_become_stages(golden: Path, tmp_path: Path) -> None:
    paths = [golden / f"hmrn_{name}_checkpoint.pth.tar" for name in ("ti", "it")]
    stage = import_published(*paths, cascade=50)
    assert repr(stage) == ("stage('hmrn', variant='ensemble', cascade=50, dim=32, reasoning_dim=24, word_dim=12)")
    export_published(stage, tmp_path / "it.pth.tar", tmp_path / "ti.pth.tar")
    assert import_published(tmp_path / "it.pth.tar", tmp_path / "ti.pth.tar", cascade=50) == stage
    words = Vocabulary([*SPECIAL, *(f"word{n}" for n in range(46))])
    words.save(tmp_path / "words.json")
    assert import_published(paths[0], vocabulary=tmp_path / "words.json").vocabulary == words


def test_checkpoints_that_do_not_fit_together_are_refused(golden: Path) -> None:
    path = golden / "hmrn_it_checkpoint.pth.tar"
    with pytest.raises(InputError, match="one checkpoint, or one of each variant"):
        import_published(path, path)
    with pytest.raises(InputError, match=r"must have the checkpoint's 50 words \(got 4\)"):
        import_published(path, vocabulary=Vocabulary(SPECIAL))
    with pytest.raises(InputError, match="'paths' must be 1, for I-T"):
        export_published(import_published(path), path, path)

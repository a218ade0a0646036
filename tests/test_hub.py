"""Stages on the Hugging Face Hub: pushed to and loaded from a stand-in of its client, with their card."""

from __future__ import annotations

import inspect
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

import rerankit
from interpreter import python
from rerankit import Gallery, Problem, Relevance, bench, stage
from rerankit.errors import FormatError, InputError
from rerankit.hub import card, push

huggingface_hub = pytest.importorskip("huggingface_hub")

CLIENT, DOWNLOAD = huggingface_hub.HfApi, huggingface_hub.snapshot_download


class Server:
    """Repositories as folders, one for each revision; calls are checked against the signatures of the real client."""

    def __init__(self, root: Path) -> None:
        self.root, self.seen = root, []

    def _checked(self, function, *given, **named):
        inspect.signature(function).bind(*given, **named)
        self.seen.append({"call": function.__name__, **named})

    def api(self, **named):
        self._checked(CLIENT.__init__, None, **named)
        return SimpleNamespace(create_repo=self.create_repo, upload_folder=self.upload_folder)

    def create_repo(self, repo_id, **named):
        self._checked(CLIENT.create_repo, None, repo_id, **named)
        (self.root / repo_id / "main").mkdir(parents=True, exist_ok=named["exist_ok"])

    def upload_folder(self, **named):
        self._checked(CLIENT.upload_folder, None, **named)
        target = self.root / named["repo_id"] / (named["revision"] or "main")
        shutil.copytree(named["folder_path"], target, dirs_exist_ok=True)
        return SimpleNamespace(commit_url=f"https://hub/{named['repo_id']}/commit/1")

    def snapshot_download(self, repo_id, **named):
        self._checked(DOWNLOAD, repo_id, **named)
        source = self.root / repo_id / (named["revision"] or "main")
        if not source.is_dir():
            raise huggingface_hub.errors.LocalEntryNotFoundError("no such repository\nand much more")
        (named["local_dir"] / ".cache" / "huggingface").mkdir(parents=True, exist_ok=True)
        return str(shutil.copytree(source, named["local_dir"], dirs_exist_ok=True))


@pytest.fixture
def server(tmp_path, monkeypatch):
    made = Server(tmp_path / "server")
    monkeypatch.setattr(huggingface_hub, "HfApi", made.api)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", made.snapshot_download)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return made


PROBLEM = Problem.from_embeddings(*(np.random.default_rng(0).normal(size=(2, 20, 8))))
RIGHT = Relevance.from_lists([[row] for row in range(20)], gallery_size=20)


def fitted():
    made = stage("learned-fusion", opinions=["score", "rank"])
    made.fit(PROBLEM, RIGHT)
    return made


@pytest.mark.parametrize("what", ["stage", "pipeline", "fitted"])
def test_what_is_pushed_is_what_is_loaded(server, what):
    made = {"stage": stage("csls", neighbours=3), "pipeline": stage("csls") >> stage("fuse").top(5)}
    one = fitted() if what == "fitted" else made[what]
    assert push(one, "me/mine", private=True, token="secret") == "https://hub/me/mine/commit/1"
    loaded = rerankit.load("hf:me/mine")
    assert loaded == one
    assert rerankit.rerank(PROBLEM, loaded) == rerankit.rerank(PROBLEM, one)
    calls = {call.pop("call"): call for call in server.seen}
    assert calls["__init__"] == {"token": "secret"}
    assert calls["create_repo"] == {"private": True, "exist_ok": True}


def test_an_address_stands_wherever_a_folder_does(server, tmp_path):
    from typer.testing import CliRunner

    from rerankit.bench import contender
    from rerankit.cli import build

    push(stage("nnn", alpha=0.5), "me/mine")
    assert contender("hf:me/mine").label == "mine"
    gallery = Gallery(np.eye(4), bank=np.eye(4)[:2])
    assert rerankit.prepare("hf:me/mine", gallery).pipeline.stages == (stage("nnn", alpha=0.5),)
    rerankit.write(tmp_path / "scores.npz", PROBLEM)
    given = ["rerank", str(tmp_path / "scores.npz"), "--pipeline", "hf:me/mine", "--out", str(tmp_path / "run.npz")]
    assert CliRunner().invoke(build(), given).exit_code == 0
    expected = rerankit.rerank(PROBLEM, "nnn", alpha=0.5)
    assert rerankit.read(tmp_path / "run.npz", "ranking").indices.tolist() == expected.indices.tolist()


def test_from_the_shell(server, tmp_path):
    from typer.testing import CliRunner

    from rerankit.cli import build

    stage("csls").save(tmp_path / "saved")
    task = rerankit.tasks.task("generic")
    bench.bench(
        task.write_miniature(tmp_path / "task"), np.eye(6, 9), "csls", data=tmp_path / "task", out=tmp_path / "r"
    )
    given = ["push", str(tmp_path / "saved"), "me/mine", "--results", str(tmp_path / "r"), "--trained-on", "nothing"]
    shown = CliRunner().invoke(build(), [*given, "--dry-run"])
    assert shown.exit_code == 0, shown.output
    assert server.seen == []
    sent = CliRunner().invoke(build(), [*given, "--private"])
    assert sent.exit_code == 0, sent.output
    assert "https://hub/me/mine/commit/1" in sent.stderr
    assert (server.root / "me/mine/main/README.md").read_text() == shown.stdout
    assert "| trained on | nothing |" in shown.stdout
    assert "## Figures" in shown.stdout
    assert rerankit.load("hf:me/mine") == stage("csls")
    assert server.seen[1]["private"] is True


def test_a_revision_of_its_own(server):
    push(stage("csls"), "me/mine")
    push(stage("nnn"), "me/mine", revision="second")
    assert rerankit.load("hf:me/mine").name == "csls"
    assert rerankit.load("hf:me/mine@second").name == "nnn"


def test_a_gallery_that_stands_ready(server):
    random = np.random.default_rng(0)
    ready = rerankit.prepare("nnn", Gallery(random.normal(size=(30, 8)), bank=random.normal(size=(9, 8))))
    push(ready, "me/ready")
    query = random.normal(size=8)
    assert rerankit.load("hf:me/ready").rerank(query, k=5) == ready.rerank(query, k=5)
    assert "ready.rerank(query)" in (server.root / "me/ready/main/README.md").read_text()


def test_the_card_says_what_is_known():
    one = fitted()
    text = card(one, "me/mine", trained_on="twenty pairs", license="apache-2.0")
    head = yaml.safe_load(text.split("---")[1])
    assert head["library_name"] == "rerankit"
    assert head["license"] == "apache-2.0"
    assert {"reranking", "learned-fusion"} <= set(head["tags"])
    assert "| an answer depends on | labels |" in text
    assert "| trained on | twenty pairs |" in text
    assert "| trained on | not stated |" in card(one, "me/mine")
    assert 'rerankit.load("hf:me/mine")' in text
    digests = [line for line in text.splitlines() if "sha256:" in line]
    assert digests != [line for line in card(stage("csls"), "me/mine").splitlines() if "sha256:" in line]
    assert "## Figures" not in text
    assert card(rerankit.Pipeline(["csls", "nnn"]), "me/two").partition("## Cite")[2].count("\n- ") == 2


def test_the_card_has_figures_with_intervals(tmp_path):
    task = rerankit.tasks.task("generic")
    small = task.write_miniature(tmp_path)
    scores = np.random.default_rng(0).normal(size=(6, 9))
    (result,) = bench.bench(small, scores, "mutual-rank", data=tmp_path, k=5)
    text = card(stage("mutual-rank"), "me/mine", results=[result])
    head = yaml.safe_load(text.split("---")[1])
    ((measured,),) = [one["results"] for one in head["model-index"]]
    main = result.summary["main"]
    assert measured["metrics"] == [{"name": main, "type": main, "value": result.summary["last"][main]}]
    lines = text.partition("## Figures")[2].splitlines()
    (row,) = [line.strip("| ").split(" | ") for line in lines if "| map |" in line]
    part = result.parts[0]
    low, high = rerankit.statistics.bootstrap(part.last.per_query["map"])
    assert row[3:5] == [f"{part.first['map']:.4f}", f"{part.last['map']:.4f}"]
    assert row[5] == f"{low:.4f} … {high:.4f}"


def test_addresses_and_what_is_not_there(server):
    for wrong in ("hf:mine", "hf:me/mine/../other", "hf:me/mine@", "hf:"):
        with pytest.raises(InputError, match=r"must be hf:owner/name, or hf:owner/name@revision"):
            rerankit.load(wrong)
    with pytest.raises(
        InputError, match=r"'hf:me/none' cannot be downloaded: LocalEntryNotFoundError: no such rep\w+$"
    ):
        rerankit.load("hf:me/none")
    with pytest.raises(InputError, match="'what' must be a stage, a pipeline"):
        push("csls", "me/mine")


def test_a_model_outside_of_the_folder_needs_trust(server):
    push(stage("cross-encoder", model="other/model"), "me/pairs")
    with pytest.raises(FormatError, match="trust=True"):
        rerankit.load("hf:me/pairs")
    assert rerankit.load("hf:me/pairs", trust=True).model == "other/model"


def test_the_hub_is_asked_by_a_program_that_has_imported_nothing_else(tmp_path: Path) -> None:
    code = """
import os
os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HOME": "hub"}
import rerankit
try:
    rerankit.load("hf:owner/name")
except rerankit.errors.InputError as error:
    print(error)
"""
    assert python(code, tmp_path).startswith("'hf:owner/name' cannot be downloaded: LocalEntryNotFoundError")

"""Whose code an answer is from: an edited plugin gives neither its old figures nor its old shards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rerankit
from rerankit import Problem, plugins
from rerankit.bench import bench
from rerankit.errors import FormatError, InputError, UnknownNameError
from rerankit.plugins import manager
from rerankit.plugins.code import code_of
from rerankit.tasks import task

SCORES = np.random.default_rng(0).normal(size=(6, 9))
STAGE = """
from rerankit import Stage, hookimpl

def turned(scores):
    return {sign}scores

class Upside(Stage):
    name = "upside"

    def rescore(self, problem, ranking):
        return turned(ranking.scores)

def ones(places):
    return places.totals * 0.0 + {value}

@hookimpl
def rerankit_register_stages(register):
    register("upside", Upside)

@hookimpl
def rerankit_register_metrics(register):
    register("ones", ones)
"""


class Plugin:
    """A file that is a plugin, loaded anew whenever it is edited."""

    def __init__(self, file: Path) -> None:
        self.file, self.name = file, ""

    def edit(self, sign: str = "-", value: float = 1.0) -> None:
        self.forget()
        self.file.write_text(STAGE.format(sign=sign, value=value))
        self.name = rerankit.load_plugin(self.file).name

    def forget(self) -> None:
        if self.name:
            manager().unregister(self.name)


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[Plugin]:
    made = Plugin(tmp_path / "upside.py")
    made.edit()
    yield made
    made.forget()


def figures(folder: Path, metrics: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    data = folder / "data"
    small = task("generic", metrics=metrics)
    if not data.exists():
        small.write_miniature(data)
    (result,) = bench(small, SCORES, "upside", data=data, k=5, out=folder / "results")
    return dict(result.summary["last"]), dict(result.environment)


def test_an_edited_stage_does_not_give_its_old_figures(plugin: Plugin, tmp_path: Path) -> None:
    turned, known = figures(tmp_path, ["mrr"])
    assert known["upside.py"].startswith("sources ")
    assert figures(tmp_path, ["mrr"]) == (turned, known)
    plugin.edit(sign="+")
    plain, other = figures(tmp_path, ["mrr"])
    assert plain != turned
    assert other["upside.py"] != known["upside.py"]


def test_an_edited_metric_does_not_give_its_old_figures(plugin: Plugin, tmp_path: Path) -> None:
    assert set(figures(tmp_path, ["ones"])[0].values()) == {1.0}
    plugin.edit(value=0.5)
    assert set(figures(tmp_path, ["ones"])[0].values()) == {0.5}


def test_an_edited_plugin_does_not_go_on_with_its_old_shards(plugin: Plugin, tmp_path: Path) -> None:
    how: dict[str, Any] = {"k": 5, "out": tmp_path / "run", "shard_size": 2}
    rerankit.rerank(Problem(SCORES), "upside", **how)
    rerankit.rerank(Problem(SCORES), "upside", resume=True, **how)
    plugin.edit(sign="+")
    with pytest.raises(InputError, match="pipeline"):
        rerankit.rerank(Problem(SCORES), "upside", resume=True, **how)


def test_a_saved_stage_says_whose_code_it_was_made_with(plugin: Plugin, tmp_path: Path) -> None:
    made = rerankit.stage("upside")
    made.save(tmp_path / "saved")
    code = json.loads((tmp_path / "saved" / "config.json").read_text())["code"]
    assert code == code_of([type(made)])
    assert set(code) == {"rerankit", "upside.py"}
    assert rerankit.load(tmp_path / "saved") == made


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (None, r"load it first \(--plugin upside.py\)"),
        (
            {"mine": "rerankit-mine 2.0, sources 09"},
            r"it was saved with rerankit-mine 2.0: pip install 'rerankit-mine==2.0'",
        ),
        ({"mine": "x; rm -rf / 2.0, sources 09"}, "^unknown stage 'upside'; .*Known"),
        ({"../evil.py": "sources"}, "^unknown stage 'upside'; .*Known"),
        ([3], "^unknown stage 'upside'; .*Known"),
    ],
)
def test_a_saved_stage_that_is_not_here_says_what_to_install(
    plugin: Plugin, tmp_path: Path, code: Any, told: str
) -> None:
    rerankit.stage("upside").save(tmp_path / "saved")
    plugins.reset()
    config = json.loads((tmp_path / "saved" / "config.json").read_text())
    if code is not None:
        (tmp_path / "saved" / "config.json").write_text(json.dumps({**config, "code": code}))
        (tmp_path / "saved" / "rerankit.json").unlink(missing_ok=True)
    with pytest.raises(UnknownNameError, match=told):
        rerankit.load(tmp_path / "saved")


def test_an_edited_plugin_does_not_answer_by_what_it_prepared_before(plugin: Plugin, tmp_path: Path) -> None:
    gallery = rerankit.Gallery(np.eye(3), bank=np.ones((2, 3)))
    joined = rerankit.stage("fuse", sources=["scores", rerankit.stage("upside")])
    rerankit.prepare(joined, gallery).save(tmp_path / "ready")
    rerankit.prepare("nnn", gallery).save(tmp_path / "other")
    assert rerankit.load(tmp_path / "ready").pipeline == rerankit.Pipeline([joined])
    plugin.edit(sign="+")
    with pytest.raises(FormatError, match=r"was prepared by other code of upside\.py than is here: prepare it again"):
        rerankit.load(tmp_path / "ready")
    rerankit.load(tmp_path / "other")


def test_a_saved_stage_that_takes_other_parameters_now_says_what_it_was_saved_with(
    plugin: Plugin, tmp_path: Path
) -> None:
    rerankit.stage("upside").save(tmp_path / "saved")
    config = json.loads((tmp_path / "saved" / "config.json").read_text())
    code = {"mine": "rerankit-mine 2.0, sources 09"}
    (tmp_path / "saved" / "config.json").write_text(json.dumps({**config, "params": {"depth": 3}, "code": code}))
    (tmp_path / "saved" / "rerankit.json").unlink(missing_ok=True)
    told = r"saved': stage 'upside': got an unexpected .*'depth'.*; it was saved with rerankit-mine 2.0: pip install"
    with pytest.raises(FormatError, match=told):
        rerankit.load(tmp_path / "saved")


def test_code_without_a_file_is_known_by_what_was_compiled() -> None:
    def made(text: str) -> type:
        space: dict[str, Any] = {"__name__": "typed_in"}
        exec(text, space)
        found: type = space["Typed"]
        return found

    texts = [f"class Typed:\n    def f(self, x):\n        return x in {{'a', 'b'}} or {value}" for value in (1, 1, 2)]
    one, same, other = (code_of([made(text)]) for text in texts)
    assert one == same != other
    assert list(one) == ["rerankit", "typed_in.Typed"]

"""Engines of plugins."""

from __future__ import annotations

import pytest

import rerankit
from rerankit import plugins
from rerankit.engines import Done, Engine, engine_of
from rerankit.errors import InputError, PluginError


class Backwards(Engine):
    """Does the last task first."""

    name = "backwards"

    def __init__(self, tag: str = "none") -> None:
        self.tag = tag

    def run(self, work, tasks, *, shared, retries):
        for task in reversed(tasks):
            work(task)
            yield Done(task)


class Plugin:
    @rerankit.hookimpl
    def rerankit_register_engines(self, register):
        register("backwards", Backwards)


@pytest.fixture
def plugin():
    plugins.reset()
    yield plugins.manager().register(Plugin(), "mine")
    plugins.reset()


def test_an_engine_of_a_plugin_is_made_by_name(plugin):
    assert plugin.faults == []
    assert engine_of("backwards", {"tag": "x"}).tag == "x"
    scores = [[0.9, 0.1], [0.2, 0.8], [0.4, 0.5]]
    found = rerankit.rerank(scores, rerankit.stage("fuse", sources=["scores"]), k=2, engine="backwards", shard_size=1)
    assert found == rerankit.rerank(scores, rerankit.stage("fuse", sources=["scores"]), k=2)


def test_settings_go_with_a_name_and_what_is_registered_is_an_engine(plugin):
    with pytest.raises(InputError, match="'engine' must be a name where settings are given"):
        engine_of(Backwards(), {"tag": "x"})
    with pytest.raises(PluginError, match=r"engine 'dict' must be a subclass of rerankit\.engines\.Engine"):
        plugins.manager().engines.add("dict", dict, "mine")

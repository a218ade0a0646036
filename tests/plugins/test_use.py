"""Names that are registered well and break when they are used: the plugin is named, and everything else works."""

from __future__ import annotations

import pytest

import rerankit
from rerankit import Stage
from rerankit.errors import InputError, MissingExtraError, PluginError
from rerankit.formats import Format
from rerankit.formats.registry import formats
from rerankit.plugins import manager
from rerankit.plugins.inspection import all_faults


class Good(Stage):
    name = "good"


class Raising(Stage):
    name = "raising"

    def __init__(self, weight: float = 1) -> None:
        raise RuntimeError(f"no luck with {weight}")


class Leaving(Stage):
    name = "leaving"

    def __init__(self) -> None:
        raise SystemExit(2)


class Strict(Stage):
    name = "strict"

    def __init__(self, weight: float = 0) -> None:
        raise InputError("'weight' must be at least 1 (got 0)")


class Renamed(Stage):
    name = "another-name"


class Abstract(Format):
    name = "abstract"


class Endless(Format):
    name = "endless"

    def read(self, path):
        return None

    def write(self, path, content):
        return None


def torchless():
    raise MissingExtraError("needs the package 'torch': pip install 'rerankit[torch]'")


BAD_STAGES = {
    "nowhere": ("no_such_module:Stage", "does not load: ModuleNotFoundError: No module named 'no_such_module'"),
    "absent": ("rerankit.errors:Nothing", "does not load: AttributeError: module 'rerankit.errors' has no"),
    "data": ("rerankit.builtins:STAGES", "does not load: PluginError: stage 'data' must be a callable or 'module"),
    "other": ("rerankit.errors:InputError", "does not load: PluginError: stage 'other' must be a subclass of rerankit"),
    "raising": (Raising, "cannot be made: RuntimeError: no luck with 1"),
    "leaving": (Leaving, "cannot be made: SystemExit: 2"),
    "number": (lambda: 3, r"is not a rerankit.Stage \(got <class 'int'>\)"),
}


@pytest.mark.parametrize("name", BAD_STAGES)
def test_a_stage_that_cannot_be_had_is_told_with_its_plugin(offer, name):
    factory, message = BAD_STAGES[name]
    assert not offer("stage", **{name: factory}).faults
    with pytest.raises(PluginError, match=rf"^plugin 'sample' \(dist-sample 1.0\): stage '{name}' {message}"):
        rerankit.stage(name)
    fault = all_faults(manager())[0]
    assert fault.plugin == "sample"
    assert fault.text.startswith(f"stage '{name}' ")
    assert rerankit.stage("fuse")


def test_errors_of_rerankit_stay_what_they_are(offer):
    offer("stage", strict=Strict, torchless=torchless, lazy="rerankit.no_such_module:X", good=Good)
    with pytest.raises(InputError, match=r"^'weight' must be at least 1"):
        rerankit.stage("strict")
    with pytest.raises(MissingExtraError):
        rerankit.stage("torchless")
    with pytest.raises(InputError, match="stage 'good': got an unexpected keyword argument 'k'"):
        rerankit.stage("good", k=3)
    with pytest.raises(InputError, match="'name' must be a text"):
        rerankit.stage(["good"])


def test_all_faults_tells_no_more_than_what_is_wrong(offer):
    assert not all_faults(manager())
    offer("stage", good=Good, strict=Strict, torchless=torchless, renamed=Renamed, made=lambda: Good())
    assert [fault.text for fault in all_faults(manager())] == [
        "stage 'renamed' names itself 'another-name', which is not registered: once saved it does not load",
        "stage 'strict' cannot be made: InputError: 'weight' must be at least 1 (got 0)",
    ]


def test_what_is_not_a_format_is_left_out_and_told(offer):
    info = offer("format", dict=dict, abstract=Abstract, endless=Endless, number=lambda: 3)
    assert [fault.text.partition(" (got")[0] for fault in info.faults] == [
        "format 'dict' must be a subclass of rerankit.formats.Format"
    ]
    with pytest.warns(
        UserWarning, match=r"format '(abstract|endless|number)' is left out: plugin 'sample' \(dist-sam"
    ) as told:
        found = formats()
    assert len(told) == 3
    assert "npz" in found
    assert not found.keys() & {"dict", "abstract", "endless", "number"}
    assert [fault.text.split(":")[0] for fault in all_faults(manager())[1:]] == [
        "format 'abstract' cannot be made",
        "format 'endless' must have 'suffixes', a tuple",
        "format 'number' is not a rerankit.formats.Format (got <class 'int'>)",
    ]


def test_formats_are_made_once_until_the_registry_changes(offer):
    found = formats()
    assert formats() is found

    class Mine(Endless):
        suffixes = (".mine",)
        holds = ()

    offer("format", mine=Mine)
    assert formats().keys() - found.keys() == {"mine"}
    manager().unregister("sample")
    assert formats().keys() == found.keys()


def test_tasks_and_metrics_are_looked_at_too(offer):
    assert "must be a subclass of rerankit.tasks.base.Task" in offer("task", mine=dict).faults[0].text
    manager().unregister("sample")
    offer("metric", mine="rerankit.builtins:STAGES")
    assert "metric 'mine' does not load" in all_faults(manager())[0].text

"""What a plugin does wrong, or does to others, is kept to itself and told with its name."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import rerankit
from rerankit import Problem, Relevance, Stage, Trainable, hookimpl, plugins
from rerankit.cli import build
from rerankit.errors import FormatError, InputError, PluginError, StageError
from rerankit.formats import Format
from rerankit.formats.registry import format_of
from rerankit.metrics import evaluate, metrics_available
from rerankit.plugins import manager
from rerankit.plugins.inspection import all_faults
from rerankit.plugins.loading import loading


def run(*words: str) -> Any:
    return CliRunner().invoke(build(), words)


SAMPLE = r"plugin 'sample' \(dist-sample 1.0\)"


class Mine(Format):
    """Reads and writes as it is told to."""

    name = "mine"
    suffixes = (".npz", ".mine")
    holds = (np.ndarray,)

    def read(self, path: Path) -> Any:
        text = path.read_text()
        if text == "leave":
            sys.exit(0)
        return np.zeros((2, 2)) if text == "good" else json.loads(text)

    def write(self, path: Path, content: Any) -> None:
        raise KeyError("no pen")


# -- formats and metrics -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["aaa", "zzz"])
def test_an_ending_belongs_to_its_first_owner(offer: Any, tmp_path: Path, name: str) -> None:
    offer("format", **{name: Mine})
    with pytest.warns(UserWarning, match=f"{SAMPLE}: format '{name}' claims the ending '.npz', which format 'npz' of"):
        assert format_of(tmp_path / "x.npz").name == "npz"
    assert format_of(tmp_path / "x.mine").name == "mine"  # its other endings are still good
    (fault,) = all_faults(manager())
    assert "claims the ending '.npz'" in str(fault)


@pytest.mark.filterwarnings("ignore:.*claims the ending")
def test_a_format_that_fails_names_its_plugin(offer: Any, tmp_path: Path) -> None:
    offer("format", mine=Mine)
    file = tmp_path / "x.mine"
    file.write_text("good")
    assert rerankit.read(file).shape == (2, 2)
    for text, told in {"{": "damaged or not a mine file as", "leave": "damaged or not a mine file as"}.items():
        file.write_text(text)
        with pytest.raises(FormatError, match=f"x.mine: {told} {SAMPLE} reads it"):
            rerankit.read(file)
    file.write_text("[1]")
    with pytest.raises(FormatError, match=f"x.mine: format 'mine' of {SAMPLE} read list"):
        rerankit.read(file)
    with pytest.raises(FormatError, match=f"y.mine: {SAMPLE} cannot write it: KeyError: 'no pen'"):
        rerankit.write(tmp_path / "y.mine", np.eye(2))
    assert not (tmp_path / "y.mine").exists()


def raising(places: Any) -> Any:
    raise ZeroDivisionError("by naught")


def leaving(places: Any) -> Any:
    sys.exit(0)


def short(places: Any) -> Any:
    return [1.0]


BAD_METRICS = {
    "raising": (raising, "failed: ZeroDivisionError: by naught"),
    "leaving": (leaving, "failed: SystemExit: 0"),
    "short": (short, r"must give a value for each of 2 queries \(got \(1,\)\)"),
}


@pytest.mark.parametrize("name", BAD_METRICS)
def test_a_metric_that_fails_names_its_plugin(offer: Any, name: str) -> None:
    function, told = BAD_METRICS[name]
    offer("metric", **{name: function})
    with pytest.raises(PluginError, match=f"^{SAMPLE}: metric '{name}' {told}"):
        evaluate(np.eye(2), [[0], [1]], [name])
    assert evaluate(np.eye(2), [[0], [1]], ["map"])["map"] == 1


def test_what_cannot_be_a_metric(offer: Any) -> None:
    info = offer("metric", two=lambda places, other: places, good=lambda places, k=3: places, plain=iter)
    assert [fault.text.partition(" (got")[0] for fault in info.faults] == [
        "metric 'two' must be a function of places, that may take k",
        "metric 'plain' must be a function of places, that may take k",
    ]
    manager().unregister("sample")
    offer("metric", lost="no_such_module:metric")
    with pytest.warns(RuntimeWarning, match=f"metric 'lost' is left out: {SAMPLE}: metric 'lost' does not load"):
        assert "map" in metrics_available()


# -- stages ------------------------------------------------------------------------------------------------


class Leaves(Stage):
    name = "leaves"

    def rescore(self, problem: Any, ranking: Any) -> Any:
        sys.exit(0)


class Impostor(Stage):
    name = "fuse"

    def rescore(self, problem: Any, ranking: Any) -> Any:
        return ranking.scores


class Forgetful(Stage):
    name = "forgetful"

    def __init__(self, weight: float = 1) -> None:
        self.kept = weight


def test_a_stage_that_leaves_the_program(offer: Any) -> None:
    offer("stage", leaves=Leaves)
    with pytest.raises(StageError, match=r"sample \(dist-sample 1.0\), .*failed: SystemExit: 0"):
        rerankit.rerank([[1, 2]], "leaves")


class Restless(Trainable):
    name = "restless"
    needs = ("weights",)

    def __init__(self, leaves: bool = False) -> None:
        self.leaves = leaves

    def learn(self, problem: Any, relevance: Any, how: Any) -> None:
        if self.leaves:
            sys.exit(0)
        raise ZeroDivisionError("by naught")


@pytest.mark.parametrize(("leaves", "told"), [(False, "ZeroDivisionError: by naught"), (True, "SystemExit: 0")])
def test_a_stage_that_fails_to_learn_names_its_plugin(offer: Any, leaves: bool, told: str) -> None:
    offer("stage", restless=Restless)
    relevance = Relevance.from_lists([[0], [1]], 3)
    with pytest.raises(StageError, match=rf"sample \(dist-sample 1.0\), learning from Problem.*failed: {told}"):
        rerankit.stage("restless", leaves=leaves).fit(Problem(np.eye(2, 3)), relevance)


def test_a_class_is_not_saved_under_the_name_of_another(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Impostor cannot be saved under its name 'fuse', which is that of Fuse of"):
        (rerankit.stage("nnn") >> Impostor()).save(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_a_stage_that_cannot_be_saved_is_found(offer: Any) -> None:
    offer("stage", forgetful=Forgetful)
    (fault,) = all_faults(manager())
    assert "stage 'forgetful' cannot be made: InputError: Forgetful.__init__ must store its parameters" in str(fault)


# -- observers ---------------------------------------------------------------------------------------------


def test_observers_are_called_in_the_order_of_pluggy(offer: Any) -> None:
    seen: list[str] = []

    def observer(name: str, **options: Any) -> Any:
        class Observer:
            @hookimpl(**options)
            def rerankit_run_started(self) -> None:
                seen.append(name)

        return Observer()

    offer("stage")
    options = {"first": "", "second": "", "last": "trylast", "front": "tryfirst"}
    for name, option in options.items():
        manager().register(observer(name, **({option: True} if option else {})), name)
    rerankit.rerank([[1, 2]], "fuse")
    ours = list(seen)
    seen.clear()
    manager()._pluggy.hook.rerankit_run_started(event=None)
    assert ours == seen == ["front", "second", "first", "last"]


@pytest.mark.parametrize("option", ["wrapper", "hookwrapper"])
def test_wrappers_are_refused(offer: Any, option: str) -> None:
    class Wrapper:
        @hookimpl(**{option: True})
        def rerankit_run_started(self, event: Any) -> Any:
            yield

    offer("stage")
    info = manager().register(Wrapper(), "wrapper")
    assert info.status == "failed"
    assert "'rerankit_run_started' is a wrapper, and there is nothing to wrap" in str(info.faults[0])
    rerankit.rerank([[1, 2]], "fuse")


def test_a_hook_under_another_name_is_found(offer: Any) -> None:
    seen = []

    class Observer:
        @hookimpl(specname="rerankit_run_started")
        def begins(self, event: Any) -> None:
            seen.append(event.kind)

    offer("stage")
    assert not manager().register(Observer(), "other").faults
    rerankit.rerank([[1, 2]], "fuse")
    assert seen == ["run_started"]


# -- while it is imported ----------------------------------------------------------------------------------


def test_threads_that_load_at_once_give_stdout_back() -> None:
    usual, together = sys.stdout, threading.Barrier(4)

    def load(at: int) -> None:
        with loading("a plugin"):
            together.wait()
            time.sleep(0.01 * at)

    threads = [threading.Thread(target=load, args=(at,)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sys.stdout is usual


LOUD = """
print("hello from a plugin")
from rerankit import Problem, Relevance, Stage, Trainable, hookimpl, plugins
from rerankit.cli import build

class Loud(Stage):
    name = "loud"

@hookimpl
def rerankit_register_stages(register):
    print("registering")
    register("loud", Loud)
"""


def test_what_is_printed_at_import_goes_to_stderr_and_is_told(program: Any) -> None:
    done = program(LOUD, "plugins", "--json")
    (row,) = [row for row in json.loads(done.stdout) if row["plugin"] == "sample"]
    assert row["status"] == "loaded"
    assert row["faults"] == ["it prints when it is imported ('hello from a plugin registering'): that went to stderr"]
    assert done.stderr.startswith("hello from a plugin\nregistering\n")


LAZY = """
from rerankit import hookimpl

@hookimpl
def rerankit_register_stages(register):
    register("lazy", "lazy_module:Lazy")
"""


def test_the_same_of_what_is_imported_when_it_is_used(program: Any, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "lazy_module.py").write_text(
        "print('late')\nfrom rerankit import Stage\nclass Lazy(Stage):\n    name = 'lazy'\n"
        "    def rescore(self, problem, ranking):\n        raise SystemExit(0)\n"
    )
    listed = program(LAZY, "stages", "--json")
    assert "lazy" in [row["stage"] for row in json.loads(listed.stdout)]
    told = program(LAZY, "doctor", "--json")
    assert told.returncode == 4
    assert "it prints when it is imported ('late')" in json.loads(told.stdout)["plugin_faults"][0]["fault"]
    np.save(tmp_path / "a.npy", np.eye(3))
    left = program(LAZY, "rerank", "a.npy", "--stage", "lazy", "--out", "b.npz")
    assert left.returncode == 1
    assert "failed: SystemExit: 0" in left.stderr
    assert not (tmp_path / "b.npz").exists()


def test_debug_shows_where_a_fault_happened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deep.py").write_text("def deep():\n    raise RuntimeError('too deep')\n\ndeep()\n")
    monkeypatch.setenv("RERANKIT_PLUGINS", str(tmp_path / "deep.py"))
    plugins.reset()
    for command in (["plugins"], ["doctor"], ["stages", "nobody"]):
        assert "too deep" in run(*command).stderr + run(*command).stdout
        assert "Traceback" not in run(*command).stderr
        assert 'deep.py", line 2, in deep' in run(*command, "--debug").stderr
    plugins.reset()


class LeavesWhenAsked(Stage):
    name = "leaves-when-asked"

    @property
    def needs(self) -> tuple[str, ...]:
        sys.exit(0)


def test_sys_exit_anywhere_does_not_end_well(offer: Any) -> None:
    offer("stage", **{"leaves-when-asked": LeavesWhenAsked})
    done = run("stages", "leaves-when-asked")
    assert done.exit_code == 1
    assert "unexpected SystemExit" in done.stderr


def test_an_import_that_hangs_is_named_when_it_is_interrupted(tmp_path: Path, program: Callable[..., Any]) -> None:
    program("import time\n", "--version")  # lays the plugin out
    (tmp_path / "site" / "sample_module.py").write_text(
        "import pathlib, time\npathlib.Path('begun').touch()\ntime.sleep(60)\n"
    )
    path = os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")])
    running = subprocess.Popen(
        [sys.executable, "-m", "rerankit", "plugins"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # a shell's job may ignore it
    )
    while not (tmp_path / "begun").exists() and running.poll() is None:
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "interrupted while plugin 'sample' (dist-sample 1.0) was loading" in told

"""Plugins that work, and every way in which one can be broken without taking the rest down."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import pluggy
import pytest

import rerankit
from rerankit import plugins
from rerankit.errors import PluginError, UnknownNameError
from rerankit.plugins import hookimpl, manager
from rerankit.plugins.manager import Manager

STAGE = """
import rerankit
from rerankit import Stage, hookimpl

class Backwards(Stage):
    name = "backwards"
    def rescore(self, problem, ranking):
        return -ranking.scores

@hookimpl
def rerankit_register_stages(register):
    register("backwards", Backwards)
"""


@pytest.fixture(autouse=True)
def fresh_manager():
    plugins.reset()
    yield
    plugins.reset()


def install(folder, monkeypatch, code: str, name: str = "sample", requires: str = "") -> None:
    """Lay out an installed distribution with an entry point, as pip leaves it."""
    (folder / f"{name}_module.py").write_text(code)
    info = folder / f"dist_{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: dist-{name}\nVersion: 1.0\n{requires}")
    (info / "entry_points.txt").write_text(f"[rerankit]\n{name} = {name}_module\n")
    monkeypatch.syspath_prepend(folder)
    sys.modules.pop(f"{name}_module", None)  # another test's module of the same name
    plugins.reset()


def fault_of(name: str) -> str:
    info = manager().plugins[name]
    assert rerankit.stage("mutual-rank")  # everything else still works
    return str(info.faults[0])


def test_builtins_come_through_the_same_door():
    assert manager().plugins["rerankit"].status == "loaded"
    assert manager().stages.entry("fuse").owner == "rerankit"
    assert manager().owner("fuse").startswith("rerankit (rerankit ")


def test_every_hook_is_documented_and_typed():
    from rerankit.plugins import spec

    hooks = [value for name, value in vars(spec).items() if name.startswith("rerankit_")]
    assert len(hooks) >= 9
    assert all(hook.__doc__ and "return" in hook.__annotations__ for hook in hooks)


def test_an_installed_plugin_is_found(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, STAGE)
    assert rerankit.rerank([[1, 2]], "backwards").indices.tolist() == [[0, 1]]
    assert manager().owner("backwards") == "sample (dist-sample 1.0)"


def test_an_import_that_fails(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, "import nothing_like_this")
    assert fault_of("sample") == (
        "plugin 'sample' (dist-sample 1.0): ModuleNotFoundError: No module named 'nothing_like_this'"
    )


def test_one_that_raises_while_registering_leaves_nothing_behind(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, STAGE + "    raise RuntimeError('half way')\n")
    assert fault_of("sample") == "plugin 'sample' (dist-sample 1.0): RuntimeError: half way"
    assert "backwards" not in manager().stages


def test_an_unknown_hook(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, STAGE.replace("rerankit_register_stages", "rerankit_register_stage"))
    assert "unknown hook 'rerankit_register_stage'; did you mean 'rerankit_register_stages'" in fault_of("sample")
    assert manager().plugins["sample"].status == "failed"


def test_a_name_that_is_taken(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, STAGE + "    register('fuse', Backwards)\n")
    assert (
        f"stage 'fuse' is already registered by 'rerankit' (rerankit {rerankit.__version__}), "
        "which keeps it ('sample' (dist-sample 1.0) registers it too)"
    ) in fault_of("sample")
    assert manager().stages.entry("fuse").owner == "rerankit"
    assert "backwards" in manager().stages  # its other names are still good


def test_one_built_for_another_version(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, STAGE, requires="Requires-Dist: rerankit (<0.0.5)\n")
    assert f"PluginError: built for rerankit <0.0.5, and this is rerankit {rerankit.__version__}" in fault_of("sample")
    assert "backwards" not in manager().stages


@pytest.mark.parametrize("requirement", ["rerankit>=99; extra == 'dev'", "other>=99", "not a requirement at all"])
def test_requirements_that_do_not_apply(tmp_path, monkeypatch, requirement):
    install(tmp_path, monkeypatch, STAGE, requires=f"Requires-Dist: {requirement}\n")
    assert not manager().faults


def test_the_name_in_a_requirement_is_normalised(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, STAGE, requires="Requires-Dist: Rerankit>=99; python_version > '3'\n")
    assert "built for rerankit >=99" in fault_of("sample")


def test_one_that_leaves_the_program_when_imported(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, "import sys\nsys.exit('goodbye')\n")
    assert fault_of("sample") == "plugin 'sample' (dist-sample 1.0): SystemExit: goodbye"


def test_a_fault_is_one_line(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, "raise ValueError('one\\n  two')\n")
    assert fault_of("sample").endswith("ValueError: one two")


def test_two_distributions_with_one_name(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, STAGE)
    other = tmp_path / "dist_zother-2.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: dist-zother\nVersion: 2.0\n")
    (other / "entry_points.txt").write_text("[rerankit]\nrerankit = sample_module\nsample = sample_module\n")
    plugins.reset()
    first, second = (info for info in manager().plugins.values() if info.name == "sample")
    if first.status == "failed":  # which one is met first is the system's choice
        first, second = second, first
    assert first.status == "loaded"
    assert f"its name is taken by the plugin of {first.distribution}, which keeps it" in str(second.faults[0])
    assert manager().stages.entry("backwards").distribution == first.distribution
    impostor = manager().plugins["rerankit (dist-zother 2.0)"]
    assert f"its name is taken by the plugin of rerankit {rerankit.__version__}" in str(impostor.faults[0])
    assert rerankit.stage("fuse")


def test_one_that_asks_for_a_stage_while_it_is_imported(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, "import rerankit\nmade = rerankit.stage('fuse')\n" + STAGE)
    assert not manager().faults
    assert "backwards" in manager().stages


def test_threads_that_ask_at_once_get_the_same_manager(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, "import time\ntime.sleep(0.2)\n" + STAGE)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: (manager(), "backwards" in manager().stages), range(4)))
    assert found == [(manager(), True)] * 4


def test_one_built_for_this_version(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, STAGE, requires=f"Requires-Dist: rerankit (>={rerankit.__version__})\n")
    assert not manager().faults


@pytest.mark.parametrize(
    "bad", ["register(3, Backwards)", "register('x', 3)", "register('x', 'no-colon')", "register('x', dict)"]
)
def test_registering_nonsense(tmp_path, monkeypatch, bad):
    install(tmp_path, monkeypatch, STAGE + f"    {bad}\n")
    assert "must be" in fault_of("sample")


def test_disabling_and_allowing(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, STAGE)
    monkeypatch.setenv("RERANKIT_DISABLE_PLUGINS", "other, sample")
    assert manager().plugins["sample"].status == "disabled"
    plugins.reset()
    monkeypatch.setenv("RERANKIT_DISABLE_PLUGINS", "")
    monkeypatch.setenv("RERANKIT_ALLOW_PLUGINS", "other")
    assert manager().plugins["sample"].status == "disabled"
    plugins.reset()
    monkeypatch.setenv("RERANKIT_ALLOW_PLUGINS", "sample")
    assert manager().plugins["sample"].status == "loaded"


def test_one_file_plugins(tmp_path, monkeypatch):
    path = tmp_path / "mine.py"
    path.write_text(STAGE)
    assert rerankit.load_plugin(path).status == "loaded"
    assert "backwards" in manager().stages
    monkeypatch.setenv("RERANKIT_PLUGINS", str(path))
    plugins.reset()
    assert "backwards" in manager().stages


def test_a_file_is_one_plugin_however_it_is_named(tmp_path, monkeypatch):
    path = tmp_path / "mine.py"
    path.write_text(STAGE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RERANKIT_PLUGINS", f"mine.py:{path}")
    plugins.reset()
    assert rerankit.load_plugin("mine.py") is rerankit.load_plugin(path)
    files = [name for name, info in manager().plugins.items() if info.distribution == "file"]
    assert files == [str(path)]
    assert not manager().faults


def test_a_file_that_was_mended_is_loaded(tmp_path):
    path = tmp_path / "mine.py"
    for broken in ("def broken(:", STAGE + "    raise RuntimeError('half way')\n", "import sys\nsys.exit(3)\n"):
        path.write_text(broken)
        with pytest.raises(PluginError, match=r"mine\.py"):
            rerankit.load_plugin(path)
    path.write_text(STAGE)
    assert rerankit.load_plugin(path).status == "loaded"
    assert rerankit.stage("backwards")
    assert not manager().faults


def test_a_taken_name_in_a_file_is_told(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(STAGE + "    register('fuse', Backwards)\n")
    with pytest.warns(RuntimeWarning, match=r"mine.py' \(file\): stage 'fuse' is already registered by 'rerankit'"):
        rerankit.load_plugin(path)


@pytest.mark.parametrize("name", ["mine.py", "{path}"])
def test_files_can_be_disabled(tmp_path, monkeypatch, name):
    path = tmp_path / "mine.py"
    path.write_text(STAGE)
    monkeypatch.setenv("RERANKIT_PLUGINS", str(path))
    monkeypatch.setenv("RERANKIT_DISABLE_PLUGINS", name.format(path=path))
    plugins.reset()
    assert manager().plugins[str(path)].status == "disabled"
    assert "backwards" not in manager().stages
    assert not manager().unknown_names
    with pytest.raises(PluginError, match="is disabled by RERANKIT_DISABLE_PLUGINS"):
        rerankit.load_plugin(path)


def test_names_in_the_lists_that_nobody_has(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, STAGE)
    monkeypatch.setenv("RERANKIT_DISABLE_PLUGINS", "smaple, rerankit")
    monkeypatch.setenv("RERANKIT_ALLOW_PLUGINS", "sample")
    assert manager().unknown_names == [
        "RERANKIT_DISABLE_PLUGINS names 'rerankit', and there is no such plugin that can be left out",
        "RERANKIT_DISABLE_PLUGINS names 'smaple', and there is no such plugin that can be left out",
    ]


def test_broken_files(tmp_path, monkeypatch):
    path = tmp_path / "broken.py"
    path.write_text("1 / 0")
    with pytest.raises(PluginError, match=r"broken.py' \(file\): ZeroDivisionError: division by zero") as error:
        rerankit.load_plugin(path)
    assert isinstance(error.value.__cause__, ZeroDivisionError)
    with pytest.raises(PluginError, match=r"absent.py. \(file\): PluginError: there is no such file"):
        rerankit.load_plugin(tmp_path / "absent.py")
    monkeypatch.setenv("RERANKIT_PLUGINS", f"{path}:{tmp_path / 'absent.py'}")
    plugins.reset()
    assert "ZeroDivisionError" in fault_of(str(path))
    assert "there is no such file" in fault_of(str(tmp_path / "absent.py"))


def test_a_stage_that_raises_is_named_with_its_plugin(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(STAGE.replace("return -ranking.scores", "return 1 / 0"))
    rerankit.load_plugin(path)
    with pytest.raises(rerankit.errors.StageError, match=r"of .*mine.py \(file\), given Problem\("):
        rerankit.rerank([[1, 2]], "backwards")


class Observer:
    def __init__(self):
        self.seen = []

    @hookimpl
    def rerankit_run_started(self, event):
        self.seen.append(event.kind)

    @hookimpl
    def rerankit_stage_started(self, event):
        self.seen.append((event.kind, event.description, event.position, event.total))

    @hookimpl
    def rerankit_stage_finished(self, event):
        self.seen.append((event.kind, event.ranking.shape))

    @hookimpl
    def rerankit_run_finished(self, event):
        self.seen.append(event.kind)

    @hookimpl
    def rerankit_run_failed(self, event):
        self.seen.append((event.kind, event.description.partition(":")[0]))


def test_observers_see_the_run():
    observer = Observer()
    manager().register(observer, "observer")
    rerankit.rerank([[1, 2]], "fuse")
    assert observer.seen == [
        "run_started",
        ("stage_started", "stage('fuse')", 0, 1),
        ("stage_finished", (1, 2)),
        "run_finished",
    ]
    observer.seen.clear()
    with pytest.raises(rerankit.errors.InputError):
        rerankit.rerank([[1, 2]], "mutual-rank", bank=[[1, 2, 3]])
    assert observer.seen[-1] == ("run_failed", "InputError")
    assert observer.seen[0] == "run_started"
    observer.seen[:] = range(4)
    manager().unregister("observer")
    rerankit.rerank([[1, 2]], "fuse")
    assert len(observer.seen) == 4


def test_progress_reaches_observers():
    seen = []

    class Listener:
        @hookimpl
        def rerankit_progress(self, event):
            seen.append((event.description, event.completed, event.total))

    manager().register(Listener(), "progress")
    assert list(rerankit.track([7, 8], "work")) == [7, 8]
    assert seen == [("work", 0, 2), ("work", 1, 2), ("work", 2, 2)]


def test_an_observer_that_raises_is_reported_once_and_the_run_goes_on():
    class Broken:
        @hookimpl
        def rerankit_run_started(self, event):
            raise RuntimeError("cannot look")

    manager().register(Broken(), "broken")
    with pytest.warns(RuntimeWarning, match="plugin 'broken' .* observing run_started: RuntimeError: cannot look"):
        rerankit.rerank([[1, 2]], "fuse")
    rerankit.rerank([[1, 2]], "fuse")  # warnings are errors here: it is not called again
    assert "cannot look" in fault_of("broken")


def test_registries_name_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown stage 'fusse'; did you mean 'fuse'"):
        manager().stages["fusse"]
    assert "fuse" in manager().stages
    assert len(manager().stages) == len(list(manager().stages))


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (
            STAGE.replace("@hookimpl\n", ""),
            "'rerankit_register_stages' is never called: put @rerankit.hookimpl above it",
        ),
        (STAGE.replace("(register):\n    register(", "():\n    ("), "must take an argument 'register'"),
        (STAGE.partition("@hookimpl")[0], "it has no hook, so it registers nothing"),
    ],
)
def test_a_plugin_that_nobody_hears_is_told(tmp_path, monkeypatch, code, text):
    (tmp_path / "mine.py").write_text(code)
    with pytest.warns(rerankit.errors.RerankitWarning, match=text):
        assert rerankit.load_plugin(tmp_path / "mine.py").status == "loaded"
    install(tmp_path, monkeypatch, code)
    assert text in fault_of("sample")


def test_a_plugin_may_register_without_a_hook(tmp_path):
    code = "from rerankit.metrics import register_metric\nregister_metric('mine', lambda places: places)\n"
    (tmp_path / "mine.py").write_text(code)
    assert not rerankit.load_plugin(tmp_path / "mine.py").faults


def test_pluggy_is_never_asked_about_names_that_a_plugin_lacks(monkeypatch):
    """Versions before 1.7 fail at those, with every plugin."""
    usual = pluggy.PluginManager.parse_hookimpl_opts

    def strict(self, plugin, name):
        getattr(plugin, name)
        return usual(self, plugin, name)

    monkeypatch.setattr(pluggy.PluginManager, "parse_hookimpl_opts", strict)
    assert Manager().stages.entry("csls").owner == "rerankit"

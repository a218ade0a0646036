"""What plugins register beside stages, metrics, tasks and formats: sources, rules of fusion, needs, commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import rerankit
from rerankit import Problem, Ranking, Relevance, Stage, plugins
from rerankit.cli import build
from rerankit.errors import InputError, PluginError, UnknownNameError, UnmetNeedError
from rerankit.formats import Source
from rerankit.formats.files import read_both
from rerankit.pipelines import NeedWord
from rerankit.plugins import manager
from rerankit.plugins.inspection import all_faults

SAMPLE = r"plugin 'sample' \(dist-sample 1.0\)"
SCORES = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)


def run(*words: Any) -> Any:
    return CliRunner().invoke(build(), [str(word) for word in words])


# -- sources -----------------------------------------------------------------------------------------------

WRITTEN: dict[str, Any] = {}


class Shelf(Source):
    """What was put there, and a few things that always are."""

    def read(self, address: str) -> Any:
        always: dict[str, Any] = {
            "matrix": SCORES,
            "labelled": (Problem(SCORES), Relevance.from_lists([[0], [1], [2], [3]], 6)),
            "text": "nothing useful",
            "lines": {"q": {"b": 0.2, "a": 0.9}},
            "distances": {"q": {"b": None}},
        }
        return {**always, **WRITTEN}[address]

    def write(self, address: str, value: Any, *, overwrite: bool) -> None:
        if address in WRITTEN and not overwrite:
            raise InputError(f"'{address}' is there already")
        WRITTEN[address] = value


class ReadOnly(Source):
    def read(self, address: str) -> Any:
        return SCORES


@pytest.fixture
def shelf(offer: Any) -> None:
    WRITTEN.clear()
    assert not offer("source", **{"shelf": Shelf, "read-only": ReadOnly}).faults


@pytest.mark.usefixtures("shelf")
def test_an_address_is_read_as_a_file_is() -> None:
    assert np.array_equal(rerankit.read("shelf:matrix"), SCORES)
    assert rerankit.read("shelf://matrix", "problem").shape == (4, 6)
    assert isinstance(rerankit.read("shelf:labelled"), Problem)
    problem, relevance = read_both("shelf:labelled", "problem")
    assert rerankit.read("shelf:labelled", "relevance") == relevance
    assert problem.shape == relevance.shape
    for kind in ("problem", "ranking"):
        found = rerankit.read("shelf:lines", kind)
        assert (found if kind == "ranking" else found.ranking()).to_dict() == {"q": {"a": 0.9, "b": 0.2}}
    ranking = rerankit.rerank(problem, "nnn", k=3)
    assert rerankit.write("shelf:run", ranking) == "shelf:run"
    assert rerankit.read("shelf:run", "ranking") is ranking
    with pytest.raises(InputError, match="'run' is there already"):
        rerankit.write("shelf:run", ranking)
    rerankit.write("shelf:run", problem, relevance=relevance, overwrite=True)
    assert WRITTEN["run"] == (problem, relevance)


@pytest.mark.usefixtures("shelf")
def test_what_is_wrong_with_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=rf"'shelf:text' holds no problem \({SAMPLE} gave str\)"):
        rerankit.read("shelf:text", "problem")
    with pytest.raises(PluginError, match=f"^{SAMPLE}: source 'shelf' cannot read 'nowhere': KeyError: 'nowhere'"):
        rerankit.read("shelf:nowhere")
    with pytest.raises(InputError, match="every score must be a number"):
        rerankit.read("shelf:distances", "problem")
    for address in ("shelv://matrix", "shelv:matrix"):
        with pytest.raises(UnknownNameError, match="unknown source 'shelv'; did you mean 'shelf'"):
            rerankit.read(address)
    with pytest.raises(InputError, match="nothing can be written to ReadOnly"):
        rerankit.write("read-only:x", SCORES)
    monkeypatch.chdir(tmp_path)
    np.save("odd:name.npy", SCORES)  # no source has this name, so it is a file
    assert np.array_equal(rerankit.read("odd:name.npy"), SCORES)


@pytest.mark.usefixtures("shelf")
def test_addresses_on_the_command_line(tmp_path: Path) -> None:
    done = run("rerank", "shelf:labelled", "--stage", "nnn", "--out", "shelf://run", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)[0]["out"] == "shelf://run"
    assert isinstance(WRITTEN["run"], Ranking)
    assert WRITTEN["run"] == rerankit.rerank(SCORES, "nnn")
    assert run("rerank", "shelf:labelled", "--stage", "nnn", "--out", "read-only:x").exit_code == 2
    assert run("convert", "shelf:labelled", tmp_path / "here.npz").exit_code == 0
    assert read_both(tmp_path / "here.npz", "problem")[1] == rerankit.read("shelf:labelled", "relevance")
    assert run("choose", "shelf:labelled", "--stage", "nnn").exit_code == 0
    assert run("prepare", "shelf:matrix", "--stage", "fuse", "--out", tmp_path / "ready").exit_code in (0, 2)
    assert run("rerank", "shelf:nowhere", "--stage", "nnn", "--out", tmp_path / "x.npz").exit_code == 4


@pytest.mark.parametrize("name", ["c", "Shelf", "two words"])
def test_names_that_no_address_can_have(offer: Any, name: str) -> None:
    (fault,) = offer("source", **{name: Shelf}).faults
    assert "must have a name of small letters and digits" in fault.text


# -- rules of fusion ---------------------------------------------------------------------------------------


def best_of(values: Any, weights: Any) -> Any:
    """The highest weighted score."""
    return np.nanmax(np.where(np.isnan(values), -np.inf, values * weights[:, None, None]), axis=0)


def scaled(values: Any, weights: Any, rrf_constant: float) -> Any:
    return np.nansum(values, axis=0) * rrf_constant


def lost(values: Any, weights: Any) -> Any:
    return values[0, 0]


def broken(values: Any, weights: Any) -> Any:
    raise ZeroDivisionError("by naught")


def masked(values: Any, weights: Any) -> Any:
    return np.ma.masked_greater(values[0], 0)


def mean_of_known(values: Any, weights: Any) -> Any:
    return np.ma.masked_invalid(values).mean(axis=0)


def test_a_rule_of_fusion(offer: Any) -> None:
    assert not offer(
        "fusion rule", best=best_of, scaled=scaled, lost=lost, broken=broken, masked=masked, known=mean_of_known
    ).faults
    other = SCORES[:, ::-1]
    problem = Problem(SCORES, extra_scores={"other": other})
    found = rerankit.rerank(problem, "fuse", sources=["scores", "other"], method="best", weights=[1, 2])
    expected = np.maximum(SCORES, 2 * other)
    assert np.array_equal(found.indices, np.argsort(-expected, axis=1, kind="stable"))
    assert rerankit.fuse([SCORES, other], method="best", k=None).shape == (4, 6)
    saved = rerankit.stage("fuse", method="scaled", rrf_constant=3)
    assert np.allclose(rerankit.rerank(SCORES, saved, k=2).scores, 6 * -np.sort(-SCORES, axis=1)[:, :2])
    for name, told in {
        "lost": r"must give numbers of shape \(4, 6\) \(got float32 of shape \(6,\)\)",
        "broken": "failed: ZeroDivisionError: by naught",
        "masked": r"must give finite numbers where a source has an opinion \(got nan\)",
    }.items():
        with pytest.raises(PluginError, match=f"^{SAMPLE}: fusion rule '{name}' {told}"):
            rerankit.fuse([SCORES, other], method=name)
    lists = [{"q": {"a": 3.0, "b": 1.0}, "r": {"a": 1.0}}, {"q": {"b": 9.0}, "r": {}}]
    assert rerankit.fuse(lists, method="known").to_dict() == {"q": {"b": 5.0, "a": 3.0}, "r": {"a": 1.0}}
    with pytest.raises(UnknownNameError, match="unknown method 'bets'; did you mean 'best'"):
        rerankit.stage("fuse", method="bets")


def test_what_cannot_be_a_rule(offer: Any) -> None:
    (fault,) = offer("fusion rule", odd=lambda values: values).faults
    assert "must be a function of values and weights, that may take normalise and rrf_constant" in fault.text


# -- needs -------------------------------------------------------------------------------------------------


class Daylight(NeedWord):
    """Pictures that were taken by day."""

    what = "light of day"
    how = "give Problem(…, query_features={'light': …})"
    of_queries = True

    def is_met(self, problem: Any, stage: Any) -> bool:
        return "light" in problem.query_features


class Sundial(Stage):
    name = "sundial"
    needs = ("daylight",)

    def rescore(self, problem: Any, ranking: Any) -> Any:
        return ranking.scores


class Night(NeedWord):
    what = how = "darkness"

    def is_met(self, problem: Any, stage: Any) -> bool:
        raise RuntimeError("too dark")


class Owl(Sundial):
    name = "owl"
    needs = ("night",)


def test_a_need_of_a_plugin(offer: Any) -> None:
    offer("need", daylight=Daylight, night=Night)
    with pytest.raises(UnmetNeedError, match="stage 'sundial' needs daylight: give Problem"):
        rerankit.rerank(SCORES, Sundial())
    problem = Problem(SCORES, query_features={"light": ["noon"] * 4})
    assert rerankit.rerank(problem, Sundial()) == problem.ranking()
    with pytest.raises(PluginError, match=f"^{SAMPLE}: need 'night' failed: RuntimeError: too dark"):
        rerankit.rerank(SCORES, Owl())
    assert not all_faults(manager())


# -- commands ----------------------------------------------------------------------------------------------


def count(
    things: Annotated[list[str], typer.Argument(help="What to count.")],
    limit: Annotated[int, typer.Option(help="The most there may be.")] = 3,
) -> None:
    """Count things."""
    if len(things) > limit:
        raise InputError(f"'things' must be at most {limit} (got {len(things)})")
    print(len(things))


def test_a_command_of_a_plugin(offer: Any) -> None:
    info = offer("command", count=count, broken=iter, absent="no_such_module:command", rerank=count)
    assert [fault.text.partition(" by")[0] for fault in info.faults] == ["command 'rerank' is already registered"]
    done = run("count", "a", "b")
    assert (done.exit_code, done.stdout) == (0, "2\n")
    refused = run("count", *"abcd")
    assert refused.exit_code == 2
    assert "'things' must be at most 3 (got 4)" in refused.stderr
    helped = run("count", "--help").stdout
    assert "Count things." in helped
    assert "--debug" in helped
    for name in ("broken", "absent"):
        told = run(name)
        assert told.exit_code == 4, told.output + repr(told.exception)
        assert f"command '{name}'" in told.stderr
    listed = run("--help")
    assert listed.exit_code == 0
    assert "count" in listed.stdout
    assert "Count things." in listed.stdout
    assert "warning: plugin 'sample' (dist-sample 1.0): command 'absent'" in listed.stderr
    assert run("no-such-command").exit_code == 2


def test_a_command_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "hello.py"
    file.write_text(
        "from rerankit import hookimpl\n\ndef hello(name: str) -> None:\n    print('hello', name)\n\n"
        "@hookimpl\ndef rerankit_register_commands(register):\n    register('hello', hello)\n"
    )
    for words in (["--plugin", str(file)], [f"--plugin={file}"]):
        plugins.reset()
        assert run("hello", "you").exit_code == 2
        done = run("hello", "you", *words)
        assert (done.exit_code, done.stdout) == (0, "hello you\n"), done.output
    assert run("hello", "you", "--plugin", str(tmp_path / "absent.py")).exit_code == 4
    plugins.reset()


def plain(file: Path, weight: float = 0.5) -> Stage:
    """Import a checkpoint that is one number."""
    return rerankit.stage("mutual-rank", weight=weight * float(file.read_text()))


def nothing() -> Any:
    """Import nothing."""


def test_an_importer_of_a_plugin(offer: Any, tmp_path: Path) -> None:
    info = offer("importer", plain=plain, nothing=nothing, hmrn=plain)
    assert [fault.text.partition(" by")[0] for fault in info.faults] == ["importer 'hmrn' is already registered"]
    (tmp_path / "weights").write_text("0.5")
    words = ["import", "plain", tmp_path / "weights", "--weight", "0.4", "--out", tmp_path / "made"]
    done = run(*words)
    assert done.exit_code == 0, done.output
    assert rerankit.load(tmp_path / "made") == rerankit.stage("mutual-rank", weight=0.2)
    assert run(*words).exit_code == 2  # it is there
    assert run(*words, "--force").exit_code == 0
    assert run("import", "plain", tmp_path / "weights").exit_code == 2  # no --out
    told = run("import", "nothing", "--out", tmp_path / "other")
    assert told.exit_code == 4
    assert "importer 'nothing' must return a stage (got None)" in told.stderr
    (tmp_path / "weights").write_text("much")
    failed = run(*words, "--force")
    assert failed.exit_code == 4
    assert "plugin 'sample' (dist-sample 1.0): importer 'plain' failed: ValueError" in failed.stderr
    listed = run("import", "--help").stdout
    assert "Import a checkpoint that is one number." in listed
    assert "pillar" in listed
    assert not [fault for fault in all_faults(manager()) if "already registered" not in str(fault)]


def lengths(matrices: Any, weight: float = 1.0) -> Any:
    """Score by how long texts are."""
    for name, each in matrices.items():
        queries, items = (np.array([len(text) for text in side["text"]]) for side in
                          (each.query_features, each.gallery_features))  # fmt: skip
        yield name, weight * np.outer(queries, items)


def none_at_all(matrices: Any) -> Any:
    return {}


def too_few(matrices: Any) -> Any:
    return {name: np.zeros((1, 1)) for name in matrices}


def no_names(matrices: Any) -> Any:
    return 3


def falling(matrices: Any) -> Any:
    yield "scores", SCORES[:3, :2]
    raise KeyError("late")


def test_a_scorer_of_a_plugin(offer: Any, tmp_path: Path) -> None:
    info = offer("scorer", lengths=lengths, none=none_at_all, few=too_few, bare=no_names, late=falling, hmrn=lengths)
    assert [fault.text.partition(" by")[0] for fault in info.faults] == ["scorer 'hmrn' is already registered"]
    texts = {"query_features": {"text": ["a", "bb", "ccc"]}, "gallery_features": {"text": ["x", "yyyy"]}}
    rerankit.write(tmp_path / "problem.npz", Problem(SCORES[:3, :2], **texts))
    given = ["--problem", tmp_path / "problem.npz", "--out", tmp_path / "scores"]
    done = run("score", "lengths", "--weight", "0.5", *given, "--json")
    assert done.exit_code == 0, done.output
    (row,) = json.loads(done.stdout)
    assert (row["file"], row["shape"]) == ("scores.npy", [3, 2])
    assert np.load(tmp_path / "scores/scores.npy").tolist() == [[0.5, 2], [1, 4], [1.5, 6]]
    assert run("score", "lengths", *given).exit_code == 2  # it is there
    assert run("score", "lengths", *given, "--force").exit_code == 0
    told = run("score", "lengths", "--data", tmp_path, "--out", tmp_path / "x")
    assert (told.exit_code, "--data must come with --task" in told.stderr) == (2, True)
    for name, text in {
        "none": r"scorer 'none_at_all' must give scores of every matrix (got none of scores)",
        "few": "scorer 'too_few' must give scores for 'scores' (3, 2), each once (got 'scores' (1, 1))",
        "bare": "scorer 'no_names' must give names with scores (got int)",
        "late": "plugin 'sample' (dist-sample 1.0): scorer 'late' failed: KeyError: 'late'",
    }.items():
        failed = run("score", name, *given, "--force")
        assert failed.exit_code == 4, failed.output
        assert text in failed.stderr
    assert np.load(tmp_path / "scores/scores.npy")[2, 1] == 12
    listed = run("score", "--help").stdout
    assert "Score by how long texts are." in listed
    assert "triplet" in listed


def leaving(code: int) -> None:
    """Leave with an exit code, or fail."""
    if code < 0:
        raise ZeroDivisionError("by naught")
    raise typer.Exit(code)


def test_a_command_says_its_exit_code_and_its_faults_name_the_plugin(offer: Any) -> None:
    offer("command", leaving=leaving)
    assert run("leaving", 7).exit_code == 7
    failed = run("leaving", "--", "-1")
    assert failed.exit_code == 4
    assert "plugin 'sample' (dist-sample 1.0): command 'leaving' failed: ZeroDivisionError: by naught" in failed.stderr


def test_every_command_is_registered_as_it_is_built() -> None:
    plugins.reset()
    app = build()
    names = {found.name for found in (*app.registered_commands, *app.registered_groups)}
    assert names == set(manager().commands)
    for group, registry in (("import", manager().importers), ("score", manager().scorers)):
        inside = next(found.typer_instance for found in app.registered_groups if found.name == group)
        assert {found.callback.__name__ for found in inside.registered_commands} == set(registry)
    for name in manager().commands:
        assert callable(manager().commands[name])

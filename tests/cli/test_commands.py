from __future__ import annotations

import inspect
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated, get_origin
from unittest.mock import patch

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

import rerankit
from rerankit import Problem, Ranking, Relevance, builtins, plugins
from rerankit.cli import build
from rerankit.cli._run import command
from rerankit.testing import STAGE_CHECKS, make_problem

PLUGIN = """
from rerankit import Stage, hookimpl

class Upside(Stage):
    "Turn every list round."
    name = "upside"
    def rescore(self, problem, ranking):
        return -ranking.scores

@hookimpl
def rerankit_register_stages(register):
    register("upside", Upside)
"""


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(build(), [str(argument) for argument in arguments])
    assert "Traceback" not in result.output
    return result


@pytest.fixture
def problem(tmp_path: Path) -> Path:
    truth = Relevance.from_lists([[row] for row in range(6)], 8)
    return rerankit.write(tmp_path / "problem.npz", make_problem(6, 8), relevance=truth)


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "upside.py"
    path.write_text(PLUGIN)
    plugins.reset()
    yield path
    plugins.reset()


def test_rerank_writes_what_the_library_gives(problem: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.npz"
    result = run("rerank", problem, "--stage", "mutual-rank", "--set", "weight=0.3", "-k", 5, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    expected = rerankit.rerank(rerankit.read(problem), "mutual-rank", k=5, weight=0.3)
    assert rerankit.read(out) == expected
    assert json.loads(result.stdout)[0]["stage"] == "stage('mutual-rank', weight=0.3)"
    assert "transductive" in result.stderr


def test_rerank_with_a_pipeline_file_and_reversed(problem: Path, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("stages: [{stage: mutual-rank, top: 3}]")
    result = run("rerank", problem, "-p", tmp_path / "p.yaml", "-k", 0, "--reverse", "-o", tmp_path / "run.run")
    assert result.exit_code == 0, result.output
    ranking = rerankit.read(tmp_path / "run.run")
    assert ranking.shape == (8, 6)


def test_rerank_with_a_saved_stage(problem: Path, tmp_path: Path) -> None:
    rerankit.stage("mutual-rank", weight=0.5).save(tmp_path / "saved")
    assert run("rerank", problem, "-p", tmp_path / "saved", "-o", tmp_path / "run.npz").exit_code == 0
    assert rerankit.read(tmp_path / "run.npz") == rerankit.rerank(rerankit.read(problem), "mutual-rank", weight=0.5)


def test_rerank_reads_a_run(tmp_path: Path) -> None:
    rerankit.write(tmp_path / "a.run", make_problem(4, 6).ranking(3))
    assert run("rerank", tmp_path / "a.run", "-s", "mutual-rank", "-o", tmp_path / "b.run").exit_code == 0
    assert rerankit.read(tmp_path / "b.run").shape == (4, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-s", "mutual-rnk"], "did you mean 'mutual-rank'"),
        (["-s", "mutual-rank", "--set", "wight=1"], "wight"),
        (["-s", "mutual-rank", "--set", "weight"], "'--set' must be NAME=VALUE"),
        (["-s", "mutual-rank", "--set", "weight=1", "--set", "weight=2"], "names parameter 'weight' twice"),
        (["-s", "mutual-rank", "-k", "-3"], "'k' must be at least 1"),
        ([], "give either --stage NAME or --pipeline FILE (got neither)"),
        (["-s", "mutual-rank", "-p", "x.yaml"], "give either --stage NAME or --pipeline FILE (got both)"),
        (["-p", "mutual-rank"], "a stage is named by --stage mutual-rank"),
        (["-p", "absent.yaml"], "no such pipeline file"),
        (["-s", "mutual-rank", "-o", "run.xyz"], "error: run.xyz: unknown ending '.xyz'"),
        (["-s", "mutual-rank", "-o", "run.npy"], "error: run.npy: npy holds one array, which this Ranking is not"),
        (["-s", "mutual-rank", "-o", "run.qrels"], "error: run.qrels: this format holds judgements"),
    ],
)
def test_bad_calls_are_explained_and_write_nothing(
    problem: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    result = run("rerank", problem, "-o", "run.npz", *arguments)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_an_unmet_need_is_explained(tmp_path: Path) -> None:
    (tmp_path / "needy.py").write_text(PLUGIN.replace('name = "upside"', 'name = "upside"; needs = ("query_scores",)'))
    rerankit.write(tmp_path / "a.npy", np.eye(3))
    result = run(
        "rerank", tmp_path / "a.npy", "-s", "upside", "-o", tmp_path / "b.npz", "--plugin", tmp_path / "needy.py"
    )
    plugins.reset()
    assert result.exit_code == 2
    assert "stage 'upside' needs query_scores: give Problem(" in result.stderr
    result = run("rerank", tmp_path / "a.npy", "-s", "gnn", "-o", tmp_path / "b.npz")
    assert "from_embeddings; stage 'gnn' needs gallery_scores" in result.stderr


def test_a_one_file_plugin_is_everywhere(problem: Path, plugin: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.npz"
    assert run("rerank", problem, "-s", "upside", "-o", out, "--plugin", plugin).exit_code == 0
    flipped = rerankit.read(out)
    np.testing.assert_array_equal(flipped.scores, -rerankit.read(problem).ranking().scores[:, ::-1])
    plugins.reset()
    assert any(row["stage"] == "upside" for row in json.loads(run("stages", "--json", "--plugin", plugin).stdout))
    plugins.reset()
    rows = json.loads(run("plugins", "--json", "--plugin", plugin).stdout)
    assert next(row for row in rows if row["plugin"] == str(plugin))["stages"] == ["upside"]


def test_a_name_that_is_taken_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "taken.py").write_text(PLUGIN.replace('register("upside"', 'register("csls"'))
    command = [sys.executable, "-m", "rerankit", "tasks", "cirr", "--plugin", "taken.py"]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert told.stderr.startswith(
        f"warning: plugin '{tmp_path / 'taken.py'}' (file): stage 'csls' is already registered"
    )
    assert len(told.stderr.splitlines()) == 1


def test_a_broken_one_file_plugin_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("import nonsense_that_is_absent\n")
    result = run("stages", "--plugin", tmp_path / "bad.py")
    assert result.exit_code == 4
    assert "nonsense_that_is_absent" in result.stderr
    (tmp_path / "syntax.py").write_text("def broken(:\n")
    result = run("stages", "--plugin", tmp_path / "syntax.py")
    assert result.exit_code == 4
    assert "syntax.py' (file): SyntaxError" in result.stderr
    assert run("stages", "--plugin", tmp_path / "absent.py").exit_code == 4


def test_plugins_and_doctor_show_the_faults_of_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("raise RuntimeError('broken on purpose')\n")
    monkeypatch.setenv("RERANKIT_PLUGINS", str(tmp_path / "bad.py"))
    plugins.reset()
    try:
        listed, told = run("plugins"), run("doctor", "--json")
    finally:
        plugins.reset()
    assert listed.exit_code == 0
    assert "broken on purpose" in listed.stderr
    assert told.exit_code == 4
    assert "broken on purpose" in json.loads(told.stdout)["plugin_faults"][0]["fault"]


def test_an_unknown_name_comes_with_the_plugins_that_failed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "upside.py").write_text("import nonsense_that_is_absent\n")
    monkeypatch.setenv("RERANKIT_PLUGINS", str(tmp_path / "upside.py"))
    plugins.reset()
    told = run("stages", "upside")
    plugins.reset()
    assert told.exit_code == 2
    error, note = told.stderr.splitlines()
    assert error.startswith("error: unknown stage 'upside'")
    assert note.startswith(f"note: not loaded: plugin '{tmp_path / 'upside.py'}' (file): ModuleNotFoundError")


def test_types_are_shown_as_they_are_written(tmp_path: Path) -> None:
    made = '\n    def __init__(self, weight: float = 0.5, how: "str" = "x", other=1):\n        pass\n'
    (tmp_path / "typed.py").write_text(PLUGIN.replace('name = "upside"\n', 'name = "upside"\n' + made))
    plugins.reset()
    told = run("stages", "upside", "--json", "--plugin", tmp_path / "typed.py")
    plugins.reset()
    assert [row["type"] for row in json.loads(told.stdout)["parameters"]] == ["float", "str", ""]


def test_doctor_finds_names_that_do_not_load(tmp_path: Path) -> None:
    (tmp_path / "late.py").write_text(PLUGIN.replace('"upside", Upside', '"upside", "no_such_module:Upside"'))
    plugins.reset()
    told = run("doctor", "--json", "--plugin", tmp_path / "late.py")
    plugins.reset()
    assert told.exit_code == 4
    assert "stage 'upside' does not load" in json.loads(told.stdout)["plugin_faults"][0]["fault"]


def test_a_stage_that_cannot_be_made_is_named_with_its_plugin(tmp_path: Path) -> None:
    made = '\n    def __init__(self):\n        raise RuntimeError("no luck")\n'
    (tmp_path / "bad.py").write_text(PLUGIN.replace('name = "upside"\n', 'name = "upside"\n' + made))
    plugins.reset()
    told = run("stages", "upside", "--plugin", tmp_path / "bad.py")
    plugins.reset()
    assert told.exit_code == 4
    assert "stage 'upside' cannot be made: RuntimeError: no luck" in told.stderr


@pytest.mark.parametrize("words", [["plugins"], ["doctor"], ["tasks"]])
def test_tables_cut_no_word_on_a_terminal_of_80_columns(words: list[str]) -> None:
    shown = _on_a_terminal([sys.executable, "-m", "rerankit", *words], columns=80)
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= 80
    if words == ["plugins"]:
        assert "progress bars" not in shown
    if words == ["doctor"]:
        assert "cross-encoder" in shown


@pytest.mark.parametrize("columns", [80, 120])
def test_stages_are_lines_below_their_families(columns: int) -> None:
    lines = _on_a_terminal([sys.executable, "-m", "rerankit", "stages"], columns=columns).splitlines()
    assert max(map(len, lines)) <= columns
    assert lines[0] == "hubness: items that come up for everybody fall back"
    assert lines[1].split()[:2] == ["sinkhorn", "TBP"]
    listed = [line.split()[0] for line in lines if line.startswith("  ")]
    assert sorted(listed) == rerankit.stages_available()
    assert "T looks at the other test queries; B" in " ".join(lines)


def test_every_stage_that_ships_has_one_family() -> None:
    named = [name for _, names in builtins.FAMILIES.values() for name in names]
    assert sorted(named) == sorted(builtins.STAGES)


@pytest.mark.parametrize("columns", [60, 120])
def test_docstrings_are_wrapped(columns: int) -> None:
    shown = _on_a_terminal([sys.executable, "-m", "rerankit", "stages", "sinkhorn"], columns=columns)
    assert max(map(len, shown.splitlines())) <= max(columns, 73)  # examples stay as they are
    words = (inspect.getdoc(type(rerankit.stage("sinkhorn"))) or "").split()
    assert " ".join(words[:40]) in " ".join(shown.split())
    filled = [line for line in shown.splitlines() if line and not line.startswith((">>>", "array", " "))]
    assert max(map(len, filled)) > min(columns, 100) - 15


def test_help_fills_its_lines() -> None:
    shown = _on_a_terminal([sys.executable, "-m", "rerankit", "fit", "--help"], columns=80)
    assert "Of a stage that\n trains in epochs, OUT/training gets checkpoints, history.csv and curves.png." in re.sub(
        " +\n", "\n", shown
    )


def test_stages_lists_and_describes() -> None:
    rows = {row["stage"]: row for row in json.loads(run("stages", "--json").stdout)}
    assert rows["mutual-rank"]["looks at"] == "test queries"
    assert rows["mutual-rank"]["family"] == "both directions"
    assert rows["pillar"]["marks"] == "TBPW"
    assert "needs: depends on its parameters" in run("stages", "cross-encoder").stdout
    one = json.loads(run("stages", "fuse", "--json").stdout)
    assert {row["parameter"] for row in one["parameters"]} >= {"method", "normalise"}
    shown = run("stages", "mutual-rank").stdout
    assert "weight" in shown
    assert "citation:" in shown
    assert run("stages", "fuze").exit_code == 2


def test_convert_keeps_everything(problem: Path, tmp_path: Path) -> None:
    assert run("convert", problem, tmp_path / "folder").exit_code == 0
    assert run("convert", tmp_path / "folder", tmp_path / "b.safetensors").exit_code == 0
    one, other = rerankit.read(problem), rerankit.read(tmp_path / "b.safetensors")
    assert isinstance(other, Problem)
    assert repr(one) == repr(other)
    np.testing.assert_array_equal(one.scores.rows(), other.scores.rows())
    assert rerankit.read(problem, "relevance") == rerankit.read(tmp_path / "b.safetensors", "relevance")
    assert run("convert", problem, tmp_path / "a.run", "-k", 2).exit_code == 0
    run_of_two = rerankit.read(tmp_path / "a.run")
    assert isinstance(run_of_two, Ranking)
    assert run_of_two.shape == (6, 2)
    assert run("convert", problem, tmp_path / "a.qrels", "--as", "relevance").exit_code == 0
    assert rerankit.read(tmp_path / "a.qrels")["3"] == {"3": 1.0}


def test_convert_replaces_nothing_unasked(problem: Path, tmp_path: Path) -> None:
    (tmp_path / "a.run").write_text("mine")
    refused = run("convert", problem, tmp_path / "a.run", "-k", 2)
    assert (refused.exit_code, (tmp_path / "a.run").read_text()) == (2, "mine")
    assert run("convert", problem, tmp_path / "a.run", "-k", 2, "--force").exit_code == 0


def test_rerank_replaces_nothing_unasked(problem: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "run.npz"
    out.write_text("mine")
    words = ["rerank", problem, "-s", "mutual-rank", "-o", out]
    with monkeypatch.context() as patch:
        patch.setattr("rerankit.read", lambda *_: pytest.fail("the work has begun"))
        refused = run(*words)
    assert (refused.exit_code, out.read_text()) == (2, "mine")
    assert f"'out' must not exist, unless --force is given to replace it (got {out})" in refused.stderr
    assert run(*words, "--force").exit_code == 0
    assert rerankit.read(out).shape == (6, 8)
    assert "must not be the problem" in run("rerank", problem, "-s", "mutual-rank", "-o", problem, "--force").stderr


@pytest.mark.parametrize(
    ("change", "out", "rule"),
    [
        ({"gallery_ids": [f"item {i}" for i in range(8)]}, "run.run", "single words without blanks (got 'item 0')"),
        ({"gallery_ids": [f"item {i}" for i in range(8)]}, "run.npz", ""),
        ({}, "absent/run.npz", ""),
        ({}, "file/run.npz", "is not a folder"),
    ],
)
def test_rerank_knows_before_the_work_what_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, list[str]], out: str, rule: str
) -> None:
    (tmp_path / "file").touch()
    rerankit.write(tmp_path / "problem.npz", make_problem(6, 8).with_ids(**change))
    if rule:
        monkeypatch.setattr("rerankit.Pipeline.rerank", lambda *_: pytest.fail("the work has begun"))
    result = run("rerank", tmp_path / "problem.npz", "-s", "mutual-rank", "-o", tmp_path / out)
    assert (result.exit_code, rule in result.stderr) == (2 if rule else 0, True), result.output


def test_a_query_without_items_needs_a_format_that_can_say_so(tmp_path: Path) -> None:
    lists = Problem.from_rankings([[2, 0], [-1, -1]], [[0.9, 0.5], [-np.inf] * 2], 3, query_ids=["a", "b"])
    rerankit.write(tmp_path / "problem.npz", lists)
    refused = run("rerank", tmp_path / "problem.npz", "-s", "mutual-rank", "-o", tmp_path / "run.run")
    assert refused.exit_code == 2
    assert "cannot hold queries without items (got 1 without, such as ['b']): write .json" in refused.stderr
    assert run("rerank", tmp_path / "problem.npz", "-s", "mutual-rank", "-o", tmp_path / "run.json").exit_code == 0
    assert rerankit.read(tmp_path / "run.json").to_dict()["b"] == {}


def test_convert_to_one_matrix_says_what_stays_behind(problem: Path, tmp_path: Path) -> None:
    done = run("convert", problem, tmp_path / "a.npy")
    assert done.exit_code == 0, done.output
    assert "left behind: query_scores, gallery_scores, relevance\n" in done.stderr
    assert f"rerankit convert {problem} FILE.qrels --as relevance writes the relevance" in done.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), rerankit.read(problem).scores.rows())
    rerankit.write(tmp_path / "vectors.npz", Problem.from_embeddings(np.eye(3), np.eye(3)))
    refused = run("convert", tmp_path / "vectors.npz", tmp_path / "b.npy")
    assert refused.exit_code == 2
    assert "npy holds one matrix, and this problem has embeddings in place of a matrix: write a" in refused.stderr
    refused = run("convert", problem, tmp_path / "b.run")
    assert "give -k K to write the first K of each query" in refused.stderr
    assert not (tmp_path / "b.npy").exists()


def test_a_matrix_of_distances_becomes_a_problem(tmp_path: Path) -> None:
    np.save(tmp_path / "distances.npy", [[0.2, 0.7], [0.9, 0.4]])
    done = run("convert", tmp_path / "distances.npy", tmp_path / "p.npz", "--as", "distances")
    assert done.exit_code == 0, done.output
    assert rerankit.read(tmp_path / "p.npz").ranking(1).indices.tolist() == [[0], [1]]


def test_convert_asks_what_a_matrix_is(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", np.eye(3))
    refused = run("convert", tmp_path / "m.npy", tmp_path / "problem.npz")
    assert refused.exit_code == 2
    assert "say what the matrix is, --as problem or --as relevance" in refused.stderr
    assert run("convert", tmp_path / "m.npy", tmp_path / "problem.npz", "--as", "problem").exit_code == 0
    assert rerankit.read(tmp_path / "problem.npz").shape == (3, 3)
    assert run("convert", tmp_path / "m.npy", tmp_path / "first.run", "-k", 2).exit_code == 0
    assert "did you mean 'problem'?" in run("convert", tmp_path / "m.npy", tmp_path / "x", "--as", "problm").stderr


def test_convert_reads_its_source_once(problem: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rerankit.formats.npz import NpzFormat

    read, times = NpzFormat.read, []
    monkeypatch.setattr(NpzFormat, "read", lambda self, path: times.append(path) or read(self, path))
    assert run("convert", problem, tmp_path / "folder").exit_code == 0
    assert times == [problem]
    assert rerankit.read(tmp_path / "folder", "relevance").shape == (6, 8)


def test_a_fault_of_several_lines_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bad.py").write_text("raise RuntimeError('first\\n  second\\nthird')\n")
    monkeypatch.setenv("RERANKIT_PLUGINS", str(tmp_path / "bad.py"))
    plugins.reset()
    try:
        listed, told = run("plugins"), run("doctor")
    finally:
        plugins.reset()
    assert [line.rpartition(": ")[2] for line in listed.stderr.splitlines()] == ["first second third"]
    assert "RuntimeError: first second third\n" in told.stdout


def test_a_new_plugin_passes_its_tests_at_once(tmp_path: Path) -> None:
    made = run("plugin", "new", "my-idea", "--into", tmp_path)
    assert made.exit_code == 0, made.output
    folder = Path(made.stdout.strip())
    assert folder == tmp_path / "rerankit-my-idea"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert f"{len(STAGE_CHECKS) + 4} passed" in done.stdout  # every check of the kit, and the plugin's own tests


@pytest.mark.parametrize("name", ["My-Idea", "1st", "a b", "a--b", "../up", ""])
def test_names_that_make_no_package_are_refused(tmp_path: Path, name: str) -> None:
    result = run("plugin", "new", name, "--into", tmp_path)
    assert result.exit_code == 2
    assert "'name' must be lower-case words" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_new_plugin_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "rerankit-my-idea").mkdir()
    assert run("plugin", "new", "my-idea", "--into", tmp_path).exit_code == 2
    assert list((tmp_path / "rerankit-my-idea").iterdir()) == []


def test_a_plugin_gets_no_name_that_is_taken(tmp_path: Path) -> None:
    result = run("plugin", "new", "fuse", "--into", tmp_path)
    assert result.exit_code == 2
    assert "'name' must not be that of a stage, which rerankit (rerankit " in result.stderr
    assert not list(tmp_path.iterdir())


def test_bars_appear_on_a_terminal_only(tmp_path: Path) -> None:
    loop = "[sleep(0.02) for _ in track(range(50), 'counting sheep')]"
    made = 'name = "upside"\n    def __init__(self, words=()):\n        self.words = words\n'
    (tmp_path / "slow.py").write_text(
        PLUGIN.replace("return -ranking.scores", f"{loop}; return -ranking.scores")
        .replace("from rerankit import Stage", "from time import sleep\nfrom rerankit import track, Stage")
        .replace('name = "upside"\n', made)
    )
    rerankit.write(tmp_path / "a.npy", np.eye(3))
    command = [
        sys.executable,
        "-m",
        "rerankit",
        "rerank",
        "a.npy",
        "-s",
        "upside",
        "-o",
        "b.npz",
        "--plugin",
        "slow.py",
        "--force",
        "--set",
        "words=[a, b]",
    ]
    quiet = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert quiet.stderr == "wrote b.npz\n", quiet.stderr
    shown = _on_a_terminal(command, columns=120, cwd=tmp_path)
    assert "counting sheep" in shown
    assert "stage('upside', words=['a', 'b'])" in shown


def test_an_error_breaks_between_words_on_a_terminal_and_is_one_line_elsewhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rerankit", "rerank", "a.npy", "-s", "mutual-ranks", "-o", "b.npz"]
    rerankit.write(tmp_path / "a.npy", np.eye(3))
    line = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stderr
    assert line.startswith("error: unknown stage 'mutual-ranks'"), line
    shown = _on_a_terminal(command, columns=40, cwd=tmp_path, code=2)
    assert max(map(len, shown.splitlines())) <= 40
    assert shown.split() == line.split()


def _on_a_terminal(command: list[str], *, columns: int, cwd: Path | None = None, code: int = 0) -> str:
    """What a program shows on a terminal, without colours."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": str(columns)}
    process = subprocess.Popen(command, cwd=cwd, stderr=theirs, stdout=theirs, env=environment)
    os.close(theirs)
    shown = _everything(ours)
    assert process.wait() == code
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).replace("\r", "")


def _everything(terminal: int) -> str:
    pieces = []
    while True:
        try:
            piece = os.read(terminal, 1 << 16)
        except OSError:  # how Linux says that the other side is closed
            break
        if not piece:
            break
        pieces.append(piece)
    os.close(terminal)
    return b"".join(pieces).decode()


def test_options_of_commands_are_never_hidden_in_another_type() -> None:
    """Python 3.10 makes `Optional[Annotated[…]]` of what has the default None, and typer then knows no option."""

    def compare(metrics: Annotated[list[str] | None, typer.Option("--metric", "-m")] = None) -> None:
        pass

    for parameter in inspect.signature(command(compare)).parameters.values():
        assert get_origin(parameter.annotation) is Annotated, parameter
    with patch("typing.get_type_hints", side_effect=AssertionError("it makes types of its own on Python 3.10")):
        command(compare)

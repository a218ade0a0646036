"""Work on an engine that knows all queries together: benchmarks, searches for parameters, and fits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import rerankit
from rerankit import Pipeline, Problem, Relevance, bench, stage
from rerankit.bench import tune as tune_on
from rerankit.cli import build
from rerankit.errors import InputError
from rerankit.runs import on_engine, working
from rerankit.tasks import task
from runs.shards_here import Here, with_small_pieces

RANDOM = np.random.default_rng(0)
QUERIES, ITEMS = (RANDOM.normal(size=(count, 8)).astype(np.float32) for count in (60, 90))
STAGES = [
    *(stage(name) for name in ("alpha-qe", "consensus", "csls", "dba", "diffusion", "dual-is", "dual-softmax", "gnn")),
    *(stage(name) for name in ("inverted-softmax", "k-reciprocal", "mutual-neighbours", "mutual-rank", "nnn", "plan")),
    *(stage(name) for name in ("qb-norm", "sinkhorn")),
    stage("nnn") >> stage("fuse", sources=["scores", stage("mutual-rank"), stage("dba").top(5)]),
]


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    with_small_pieces(monkeypatch)


@pytest.mark.parametrize("form", ["embeddings", "matrix"])
@pytest.mark.parametrize("one", STAGES, ids=repr)
def test_every_stage_gives_its_answer_in_any_number_of_shards(one, form):
    problem = Problem.from_embeddings(QUERIES, ITEMS)
    if form == "matrix":
        problem = Problem(QUERIES @ ITEMS.T, query_scores=QUERIES @ QUERIES.T, gallery_scores=ITEMS @ ITEMS.T)
    expected = one.rerank(problem, problem.ranking(10))
    for size in (90, 45, 30, 13):
        engine = Here()
        with on_engine(engine, problem, size):
            first = problem.ranking(10)
            assert one.rerank(problem, first) == expected, size
        assert (engine.done > 0) == (size < 90)


def test_in_processes_and_no_file_is_left(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    problem = Problem.from_embeddings(QUERIES, ITEMS)
    with on_engine("local", problem, 50):
        found = problem.ranking(10)
    with on_engine(rerankit.engines.Local(workers=2), problem, 50):
        assert problem.ranking(10) == found == problem.ranking(10)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    task("flickr30k").write_miniature(tmp_path)
    task("flickr30k", split="val").write_miniature(tmp_path / "val", seed=1)
    np.save(tmp_path / "scores.npy", np.random.default_rng(0).random((7, 21), dtype=np.float32))
    np.save(tmp_path / "val.npy", np.random.default_rng(1).random((7, 21), dtype=np.float32))
    (tmp_path / "space.yaml").write_text("csls.neighbours: [1, 2, 3]\n")
    return tmp_path


def figures(results: list[bench.Result]) -> list[object]:
    return [(result.summary, [[row.evaluation for row in part.stages] for part in result.parts]) for result in results]


def test_a_benchmark_and_a_search_have_the_figures_of_one_go(folder: Path):
    data = task("flickr30k", images=7).load(folder)
    vectors = np.random.default_rng(2).normal(size=(28, 6))
    problem, engine = Problem.from_embeddings(vectors[:7], vectors[7:]), Here()
    given = (data, problem, {"a": Pipeline([stage("csls"), stage("sinkhorn")]), "b": "k-reciprocal"})
    plain, cut = bench.bench(*given, k=5), bench.bench(*given, k=5, engine=engine, shard_size=5)
    for one, other in zip(plain, cut, strict=True):
        assert one.summary == other.summary
        assert [part.candidates for part in one.parts] == [part.candidates for part in other.parts]
    assert engine.done > 0
    assert cut[0].environment["engine"] == repr(engine)
    assert "engine" not in plain[0].environment
    searched = {}
    for name, how in {"plain": {}, "cut": {"engine": engine, "shard_size": 5}}.items():
        before = engine.done
        searched[name] = tune_on("csls", {"neighbours": [1, 3]}, data, problem, k=5, **how).record
        assert (engine.done > before) == (name == "cut")
    assert searched["plain"] == searched["cut"]
    with pytest.raises(InputError, match="'shard_size' belongs to work in shards: give 'engine'"):
        bench.bench(*given, k=5, shard_size=5)


def test_a_search_in_memory_has_the_figures_of_one_go():
    problem, right = Problem.from_embeddings(QUERIES, ITEMS), Relevance.from_lists([[row] for row in range(60)], 90)
    engine = Here()
    plain = rerankit.tune("nnn", {"neighbours": [1, 9]}, problem, right)
    cut = rerankit.tune("nnn", {"neighbours": [1, 9]}, problem, right, engine=engine, shard_size=20)
    assert plain == cut
    assert plain.table() == cut.table()
    assert engine.done == 2 * 2 * 5  # two settings, each with its candidates and its columns in five shards


def test_a_fit_learns_the_same(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(working, "SHARD_SIZE", 20)
    problem, right = Problem.from_embeddings(QUERIES, ITEMS), Relevance.from_lists([[row] for row in range(60)], 90)
    opinions = ["score", "hubness", "level", "gallery-opinion", "gallery-votes"]
    plain = stage("learned-fusion", opinions=opinions).fit(problem, right)
    engine = Here()
    cut = stage("learned-fusion", opinions=opinions).fit(problem, right, engine=engine)
    assert plain == cut
    assert engine.done > 5
    both = Pipeline([stage("nnn"), stage("learned-fusion")]).fit(problem, right, engine=Here())
    assert both.stages[1] == Pipeline([stage("nnn"), stage("learned-fusion")]).fit(problem, right).stages[1]
    with pytest.raises(InputError, match="'engine' is not used by fit of stage 'calibrate'"):
        stage("calibrate").fit(problem, right, engine="local")


def command(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(build(), [str(word) for word in words])
    return done.exit_code, done.output


def test_commands_take_an_engine(folder: Path):
    words = ["bench", "flickr30k", "--data", folder, "--task-set", "images=7", "--scores", folder / "scores.npy"]
    words += ["-k", 5, "-p", "csls", "--tune", folder / "space.yaml", "--validation-scores", folder / "val.npy"]
    words += ["--validation-data", folder / "val"]
    words += ["--validation-task-set", "images=7", "--validation-task-set", "split=val"]
    how = ["--engine", "local", "--engine-set", "workers=1", "--shard-size", 4]
    assert command(*words, "--out", folder / "plain")[0] == 0
    assert command(*words, *how, "--out", folder / "cut")[0] == 0
    plain, cut = (bench.Result.read(next((folder / name).glob("*.json"))) for name in ("plain", "cut"))
    assert plain.summary == cut.summary
    assert cut.environment["engine"] == "Local(workers=1)"
    code, output = command(*words, "--shard-size", 4)
    assert code == 2
    assert "--shard-size goes with --engine NAME" in output


def test_the_command_that_fits_takes_an_engine(tmp_path: Path):
    right = Relevance.from_lists([[row] for row in range(60)], 90)
    rerankit.write(tmp_path / "train.npz", Problem.from_embeddings(QUERIES, ITEMS), relevance=right)
    words = ["fit", "learned-fusion", "--train", tmp_path / "train.npz"]
    assert command(*words, "--out", tmp_path / "plain")[0] == 0
    assert command(*words, "--engine", "local", "--out", tmp_path / "cut")[0] == 0
    assert rerankit.load(tmp_path / "plain") == rerankit.load(tmp_path / "cut")
    code, output = command("fit", "calibrate", "--train", tmp_path / "train.npz", "--engine", "local", "--out", "x")
    assert code == 2
    assert "'engine' is not used by fit" in output

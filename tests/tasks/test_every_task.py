"""One test walks all tasks, on the miniature each makes of itself."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from rerankit import Problem
from rerankit.bench.rows import figure_names
from rerankit.errors import FormatError, InputError
from rerankit.tasks import Benchmark, task, tasks_available
from rerankit.testing import check_task

NEEDS = {"eccv-caption": "eccv_caption", "pinpoint": "pyarrow"}


@pytest.fixture(params=tasks_available())
def name(request: pytest.FixtureRequest) -> str:
    if request.param in NEEDS:
        pytest.importorskip(NEEDS[request.param])
    return str(request.param)


def scored(benchmark: Benchmark, seed: int = 0) -> dict[str, Problem]:
    rng = np.random.default_rng(seed)
    return {name: Problem(rng.random(matrix.shape, dtype=np.float32)) for name, matrix in benchmark.matrices.items()}


def test_the_kit_passes(name: str) -> None:
    check_task(partial(task, name))
    assert task(name).card.name == name
    assert repr(task(name)).startswith(type(task(name)).__name__)


def test_its_figures_are_known_before_anything_is_evaluated(name: str, tmp_path: Path) -> None:
    benchmark = task(name).write_miniature(tmp_path).load(tmp_path)
    problems = scored(benchmark)
    parts = {part.name: (part, benchmark.problem(part, problems[part.matrix])) for part in benchmark.parts}
    results = {each: benchmark.evaluate(*pair) for each, pair in parts.items()}
    assert figure_names(benchmark) == list(benchmark.task.summary(results, benchmark.parts))


def test_own_data_in_both_directions_has_rsum(tmp_path: Path) -> None:
    both = task("generic", both=True, metrics=["success@1", "rsum"], empty="skip")
    task("generic").write_miniature(tmp_path)
    benchmark = both.load(tmp_path)
    results = {part.name: benchmark.evaluate(part, part.relevance.to_dense()) for part in benchmark.parts}
    figures = both.summary(results, benchmark.parts)
    assert figures["rsum"] == figures["forward/rsum"] + figures["reverse/rsum"] == pytest.approx(600.0)


def test_absent_files_are_listed(name: str, tmp_path: Path) -> None:
    one = task(name, source="files") if name == "eccv-caption" else task(name)
    files = one.files
    with pytest.raises(InputError) as error:
        one.load(tmp_path)
    for each in files:
        assert each.path in str(error.value)


def test_a_miniature_is_read_and_evaluated(name: str, tmp_path: Path) -> None:
    small = task(name).write_miniature(tmp_path)
    benchmark = small.load(tmp_path)
    assert len(benchmark.checksum) == 64
    assert len({part.name for part in benchmark.parts}) == len(benchmark.parts)
    assert repr(benchmark).startswith(f"Benchmark({name}")
    problems = scored(benchmark)
    results = {}
    for part in benchmark.parts:
        problem = benchmark.problem(part, problems[part.matrix])
        assert problem.shape == part.relevance.shape
        results[part.name] = benchmark.evaluate(part, problem)
        again = benchmark.evaluate(part, problem.ranking(2), tail=problem)
        for metric, value in results[part.name].items():
            assert again[metric] == pytest.approx(value)
    summary = small.summary(results, benchmark.parts)
    assert small.card.main in summary
    assert all(math.isfinite(value) for value in summary.values())


def test_perfect_scores_reach_the_best_figures(name: str, tmp_path: Path) -> None:
    benchmark = task(name).write_miniature(tmp_path).load(tmp_path)
    for part in benchmark.parts:
        result = benchmark.evaluate(part, part.relevance.to_dense())
        for metric, value in result.items():
            if metric.startswith(("success", "map", "subset")):
                assert value == pytest.approx(1.0), (part.name, metric)


def test_a_miniature_where_nothing_can_be_written_is_one_error(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=r"cannot be written: '.*file' is not a folder"):
        task(name).write_miniature(tmp_path / "file" / "deep" / "data")


def test_data_that_may_not_be_read_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = task("market1501").write_miniature(tmp_path)

    def closed(*_: object) -> Benchmark:
        raise PermissionError(13, "Permission denied", str(tmp_path / "query"))

    monkeypatch.setattr(type(small), "read", closed)  # an administrator, who may run this, may read all
    with pytest.raises(FormatError, match=r"query: cannot be read: Permission denied$"):
        small.load(tmp_path)

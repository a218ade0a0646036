"""One test walks all tasks, on the miniature each makes of itself."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from rerankit import Problem
from rerankit.errors import InputError
from rerankit.metrics import measure
from rerankit.tasks import Benchmark, task, tasks_available

NEEDS = {"eccv-caption": "eccv_caption", "pinpoint": "pyarrow"}


@pytest.fixture(params=tasks_available())
def name(request: pytest.FixtureRequest) -> str:
    if request.param in NEEDS:
        pytest.importorskip(NEEDS[request.param])
    return str(request.param)


def scored(benchmark: Benchmark, seed: int = 0) -> dict[str, Problem]:
    rng = np.random.default_rng(seed)
    return {name: Problem(rng.random(matrix.shape, dtype=np.float32)) for name, matrix in benchmark.matrices.items()}


def test_a_task_says_where_it_comes_from(name: str) -> None:
    card = task(name).card
    assert card.name == name
    for field in ("title", "citation", "licence", "revision", "split", "direction", "main"):
        assert getattr(card, field), field
    for metric in card.metrics:
        assert measure(metric).name == metric
    assert repr(task(name)).startswith(type(task(name)).__name__)


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


def test_a_miniature_is_the_same_again(name: str, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        task(name).write_miniature(tmp_path / folder, seed=3)
    sums = {task(name).checksum(tmp_path / folder) for folder in ("one", "two")}
    assert len(sums) == 1


def test_perfect_scores_reach_the_best_figures(name: str, tmp_path: Path) -> None:
    benchmark = task(name).write_miniature(tmp_path).load(tmp_path)
    for part in benchmark.parts:
        result = benchmark.evaluate(part, part.relevance.to_dense())
        for metric, value in result.items():
            if metric.startswith(("success", "map", "subset")):
                assert value == pytest.approx(1.0), (part.name, metric)


def test_what_is_made_up_takes_the_place_of_no_data(name: str, tmp_path: Path) -> None:
    small = task(name).write_miniature(tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size]
    for file in files:
        file.write_bytes(b"mine")
    if files:
        with pytest.raises(InputError, match=f"'data' must not hold files of task '{name}' yet"):
            small.write_miniature(tmp_path)
    assert {file.read_bytes() for file in files} <= {b"mine"}

"""The kit for benchmark tasks, on the miniature that a task makes of itself."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from rerankit.errors import InputError
from rerankit.metrics.registry import measure
from rerankit.problem import Problem
from rerankit.tasks import Benchmark, Task
from rerankit.testing.process import leaving_alone
from rerankit.testing.run import expect, failing

_CARD = ("name", "title", "citation", "licence", "revision", "split", "direction", "metrics", "main")


def check_task(factory: Callable[[], Task]) -> None:
    """A task says where it comes from and which files are absent; its miniature is the same for a seed, replaces no
    data, and is read and evaluated: perfect scores reach the best figures.

    >>> from functools import partial
    >>> from rerankit.tasks import task
    >>> check_task(partial(task, "generic"))
    """
    one = factory()
    lacking = [name for name in _CARD if not getattr(one.card, name)]
    expect(not lacking, f"the card of task '{one.card.name}' must say {', '.join(lacking)}")
    with failing(f"the card of task '{one.card.name}'"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # another name is a failure below
        called = {metric: measure(metric).name for metric in one.card.metrics}
    for metric, name in called.items():
        expect(name == metric, f"metric '{metric}' of the card is called '{name}'")
    with tempfile.TemporaryDirectory() as folder, leaving_alone(f"task '{one.card.name}'"):
        _check_absent(one, Path(folder) / "nothing")
        sums = set()
        with failing(f"the miniature of task '{one.card.name}'"):
            for name in ("first", "second"):
                small = factory().write_miniature(Path(folder) / name, seed=3)
                sums.add(small.checksum(Path(folder) / name))
            benchmark = small.load(Path(folder) / "second")
        expect(len(sums) == 1, "a miniature must be the same for the same seed")
        _check_benchmark(benchmark)
        _check_kept(factory(), Path(folder) / "first")


def _check_absent(task: Task, folder: Path) -> None:
    folder.mkdir()
    try:
        task.load(folder)
    except InputError as error:
        unnamed = [each.path for each in task.files if each.path not in str(error)]
        expect(not unnamed, f"the error for absent files must name {', '.join(unnamed)} (got {error})")
    else:
        expect(all(each.optional for each in task.files), "a task must not load from an empty folder")


def _check_kept(task: Task, folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size]
    for file in files:
        file.write_bytes(b"mine")
    with suppress(InputError):
        task.write_miniature(folder)
    kept = all(file.read_bytes() == b"mine" for file in files)
    expect(kept, "write_miniature must not replace files that are there: call check_new first")


def _check_benchmark(benchmark: Benchmark) -> None:
    names = [part.name for part in benchmark.parts]
    expect(len(set(names)) == len(names), f"parts must have names of their own (got {', '.join(names)})")
    random, results = np.random.default_rng(0), {}
    for part in benchmark.parts:
        given = Problem(random.random(benchmark.matrices[part.matrix].shape, dtype=np.float32))
        with failing(f"part '{part.name}'"):
            problem = benchmark.problem(part, given)
        agrees = problem.shape == part.relevance.shape
        expect(agrees, f"part '{part.name}' has relevance of shape {part.relevance.shape} for scores {problem.shape}")
        results[part.name] = benchmark.evaluate(part, problem)
        best = benchmark.evaluate(part, (-1 if part.wrong else 1) * part.relevance.to_dense())
        for metric, value in results[part.name].items():
            sign = measure(metric).metric.traits.sign
            shown = f"perfect scores have {metric} {best[metric]}, and random ones {value}"
            expect(sign * best[metric] >= sign * value - 1e-9, f"part '{part.name}': {shown}")
    summary = benchmark.task.summary(results, benchmark.parts)
    finite = bool(np.isfinite(list(summary.values())).all())
    main = benchmark.task.card.main
    expect(finite and main in summary, f"the summary must have finite figures, '{main}' among them (got {summary})")

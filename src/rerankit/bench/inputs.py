"""What goes into a run: scores brought to the order of the task's rows and columns, and pipelines by name."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rerankit.checksums import checksum_of
from rerankit.errors import InputError, several
from rerankit.pipelines.pipeline import Pipeline
from rerankit.pipelines.stage import Stage
from rerankit.problem import Problem, as_problem
from rerankit.scores import ListScores
from rerankit.tasks import Benchmark, Matrix


@dataclass(frozen=True, eq=False)
class ScoreSet:
    """The scores of one backbone for every matrix of a task."""

    label: str
    problems: Mapping[str, Problem]
    checksums: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Contender:
    """A pipeline under a name."""

    label: str
    pipeline: Pipeline

    @property
    def checksum(self) -> str:
        """SHA-256 over the stages, their parameters, weights and code."""
        return checksum_of(self.pipeline)


def contender(given: Any, label: str | None = None, *, trust: bool = False) -> Contender:
    """A pipeline from a pipeline, a stage, a stage's name, a YAML file or the folder of a saved one.

    `trust` goes to `rerankit.load`, for a saved stage that names a model outside of its folder.
    """
    if isinstance(given, Contender):
        return given
    if isinstance(given, Pipeline):
        return Contender(label or " >> ".join(one.name for one in given) or "nothing", given)
    if isinstance(given, Stage):
        return Contender(label or given.name, Pipeline([given]))
    from rerankit.pipelines.storage import is_saved, load

    path = Path(given)
    if is_saved(path):
        return Contender(label or path.name, Pipeline([load(path, trust=trust)]))
    if path.suffix in (".yaml", ".yml"):
        return Contender(label or path.stem, Pipeline.from_yaml(path, trust=trust))
    return Contender(label or str(given), Pipeline([str(given)]))


def contenders(given: Any) -> list[Contender]:
    """Pipelines from one, a list, or a mapping of labels; labels must differ."""
    if isinstance(given, Mapping):
        found = [contender(each, str(label)) for label, each in given.items()]
    else:
        single = isinstance(given, (Pipeline, Stage, Contender, str, os.PathLike))
        found = [contender(each) for each in ([given] if single else given)]
    labels = [each.label for each in found]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        message = several("repeated", twice)
        raise InputError(f"'pipelines' must have different names (got {message}); give a mapping of names")
    return found


def score_set(benchmark: Benchmark, given: Any, label: str | None = None) -> ScoreSet:
    """Scores for every matrix: one file, array or problem, or a mapping with one for each matrix.

    For a task with several matrices a folder will do that has a file named after each.
    """
    by_name = dict(given) if isinstance(given, Mapping) else None
    if by_name is None and len(benchmark.matrices) > 1 and isinstance(given, (str, os.PathLike)):
        by_name = _in_folder(Path(given), benchmark)
        label = label or Path(given).name
    if by_name is None:
        if len(benchmark.matrices) > 1:
            raise InputError(
                f"task '{benchmark.task.card.name}' needs scores for {', '.join(benchmark.matrices)} (got one)"
            )
        by_name = {next(iter(benchmark.matrices)): given}
    lost, extra = set(benchmark.matrices) - set(by_name), set(by_name) - set(benchmark.matrices)
    if lost or extra:
        raise InputError(
            f"task '{benchmark.task.card.name}' needs scores for {', '.join(benchmark.matrices)} "
            f"(got {', '.join(map(str, by_name)) or 'none'})"
        )
    problems = {name: fitted(by_name[name], matrix, name) for name, matrix in benchmark.matrices.items()}
    sums = {name: checksum_of(problem) for name, problem in problems.items()}
    return ScoreSet(label or _label(by_name), problems, sums)


def _in_folder(folder: Path, benchmark: Benchmark) -> dict[str, Any] | None:
    """Files named after the task's matrices; None when `folder` is none."""
    if not folder.is_dir():
        return None
    found = {path.stem: path for path in sorted(folder.iterdir()) if not path.name.startswith(".")}
    return {name: found[name] for name in benchmark.matrices if name in found}


def _label(by_name: Mapping[str, Any]) -> str:
    paths = [Path(value) for value in by_name.values() if isinstance(value, (str, os.PathLike))]
    return "+".join(dict.fromkeys(path.stem for path in paths)) or "scores"


def fitted(given: Any, matrix: Matrix, name: str) -> Problem:
    """A problem with the matrix's rows and columns in its order, and its features."""
    problem = _opened(given, matrix) if isinstance(given, (str, os.PathLike)) else as_problem(given)
    _check_lists(problem, matrix, name)
    queries = _order(problem.query_ids, matrix.query_ids, f"{name}: query ids")
    gallery = _order(problem.gallery_ids, matrix.gallery_ids, f"{name}: gallery ids")
    if queries is not None or gallery is not None:
        problem = problem.subset(queries, gallery)
    if problem.shape != matrix.shape:
        raise InputError(f"scores '{name}' must have shape {matrix.shape}, as the task's data (got {problem.shape})")
    # Scores without ids are in the data's order: stages that look items up by id find them too.
    problem = problem.with_ids(
        list(matrix.query_ids) if problem.query_ids is None else None,
        list(matrix.gallery_ids) if problem.gallery_ids is None else None,
    )
    own = problem.query_features, problem.gallery_features
    of_queries, offered = (
        {key: value for key, value in given.items() if key not in known}
        for given, known in zip((matrix.query_features, matrix.gallery_features), own, strict=True)
    )
    return problem.with_features(query_features=of_queries, gallery_features=offered)


def _opened(given: str | os.PathLike[str], matrix: Matrix) -> Problem:
    from rerankit.formats import Triples, read
    from rerankit.formats.registry import format_of
    from rerankit.formats.sources import address_of

    if address_of(given) is not None:
        return read(given, "problem")
    path = Path(given)
    if path.exists() and Triples in format_of(path).holds:  # a run by names: the task knows their order
        return read(path, "problem", query_ids=list(matrix.query_ids), gallery_ids=list(matrix.gallery_ids))
    return read(path, "problem")


def _check_lists(problem: Problem, matrix: Matrix, name: str) -> None:
    """Lists must have something for every query: an empty one is more often a fault of the file than an answer."""
    if not isinstance(problem.scores, ListScores):
        return
    ids = matrix.query_ids if problem.query_ids is None else problem.query_ids.tolist()
    bare = [ids[row] for row in np.flatnonzero(np.diff(problem.scores.starts) == 0).tolist()]
    if bare:
        raise InputError(
            f"scores '{name}' must list something for every query "
            f"(got {several('queries without', bare, problem.shape[0])})"
        )


def _order(given: Any, wanted: Sequence[Any], what: str) -> Any:
    """Where each wanted id stands among the given ones; None when nothing has to move."""
    if given is None:
        return None
    own = [str(each) for each in np.asarray(given).tolist()]
    names = [str(each) for each in wanted]
    if own == names:
        return None
    place = {each: row for row, each in enumerate(own)}
    lost = [each for each in names if each not in place]
    if lost:
        raise InputError(
            f"scores '{what}' must hold every id of the task's data (got {several('missing', lost, len(names))})"
        )
    return np.array([place[each] for each in names], np.int64)

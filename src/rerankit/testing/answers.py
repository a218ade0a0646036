"""Checks of a stage's answers: they are valid, and depend on nothing they must not depend on."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rerankit import settings
from rerankit.arrays import IntArray, to_numpy
from rerankit.features import Feature
from rerankit.pipelines.needs import BANKS, WEIGHTS
from rerankit.pipelines.running import refuses_alone
from rerankit.pipelines.stage import Stage
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.testing.problems import ProblemMaker, as_lists, bare, forms, make_problem, rebuilt, with_banks
from rerankit.testing.run import CheckFailed, StageFactory, expect, expect_close, expect_equal, run, run_on

SHAPES = {
    "a tiny problem": (2, 3, 2),
    "a wide problem": (3, 40, 10),
    "a tall problem": (40, 4, 4),
    "one query and one item": (1, 1, 1),
    "one candidate": (5, 8, 1),
    "k larger than the gallery": (4, 6, 100),
}
_QUERIES, _GALLERY, _K = 9, 14, 6
_SIZES = ("batch_size", "block_size", "chunk_size")  # endings of names of parameters that must change no answer
_HIDDEN = tuple(
    f"{side}{name}"
    for side in ("", "query_", "gallery_")
    for name in (
        *("relevance", "relevant", "qrels", "judgements", "grades", "ground_truth", "positives"),
        *("label", "labels", "target", "targets", "class", "classes"),
    )
)


def check_shapes(factory: StageFactory, problem: ProblemMaker = make_problem) -> None:
    """A valid answer for problems of every shape, and for lists that are padded."""
    for name, (queries, gallery, k) in SHAPES.items():
        made = problem(queries, gallery, 0)
        if queries > 1 or not refuses_alone(factory(), made):
            run(factory(), made, k, name)
    made = problem(_QUERIES, _GALLERY, 0)
    first = made.ranking(_K)
    indices, scores = first.indices.copy(), first.scores.copy()
    indices[::2, 3:], scores[::2, 3:] = -1, -np.inf
    run_on(factory(), made, Ranking(indices, scores, gallery_size=_GALLERY), "a ranking with padding")


def check_ties(factory: StageFactory, problem: ProblemMaker = make_problem) -> None:
    """A valid answer, the same each time, when scores tie and when all are equal; ties keep the order they came in."""
    made = problem(_QUERIES, _GALLERY, 1)
    for name, change in (("tied scores", np.round), ("constant scores", np.zeros_like)):
        parts = {part: getattr(made, part) for part in ("scores", "query_scores", "gallery_scores")}
        flat: dict[str, Any] = {n: None if given is None else change(given.rows() * 2) for n, given in parts.items()}
        tied = rebuilt(made, **flat)
        for where, first in ((name, tied.ranking(_K)), (f"{name}, no ties before", _untied(tied.ranking(_K)))):
            answer = run_on(factory(), tied, first, where)
            expect_equal(run_on(factory(), tied, first, where), answer, f"{where} give two answers")
            _expect_tie_rule(answer, first, where)


def check_forms(factory: StageFactory, problem: ProblemMaker = make_problem) -> None:
    """The same answer from float16 and float64, memory maps, tensors and embeddings as from the same matrix."""
    made = problem(_QUERIES, _GALLERY, 2)
    with tempfile.TemporaryDirectory() as folder:
        for name, form, plain in forms(made, Path(folder)):
            stage = factory()
            if stage.unmet(form):
                continue
            answer = run(stage, form, _K, name)
            expect_close(answer, run(factory(), plain, _K, name), f"{name} give another answer than float32 matrices")
        del form  # a memory map must be closed before its folder goes


def check_lists(factory: StageFactory, problem: ProblemMaker = make_problem) -> None:
    """A valid answer from top-k lists, unless the stage says that it needs complete scores."""
    made = problem(_QUERIES, _GALLERY, 3)
    listed = rebuilt(made, scores=as_lists(made.scores.rows()))
    stage = factory()
    if not stage.unmet(listed):
        run(stage, listed, _K, "top-k lists")


def check_permutations(factory: StageFactory, problem: ProblemMaker = make_problem) -> None:
    """Another order of queries or gallery gives the same scores to the same pairs."""
    made = problem(_QUERIES, _GALLERY, 4)
    random = np.random.default_rng(0)
    whole = run(factory(), made, _K)
    answer = whole.to_dense()
    for side, count in (("queries", _QUERIES), ("gallery", _GALLERY)):
        places = random.permutation(count)
        permuted = made.subset(**{side: places})
        expected = answer[places] if side == "queries" else answer[:, places]
        found = run(factory(), permuted, _K, f"permuted {side}")
        expect_close(found, _ranking_of(expected, _K), f"permuting the {side} changes the answer")
        if side == "gallery":
            _expect_same_order(found, whole, places, made.ranking(_K))


def check_blocks(factory: StageFactory, problem: ProblemMaker = make_problem) -> None:
    """The same answer under a small memory budget and for any `batch_size` the stage may have."""
    made = problem(_QUERIES, _GALLERY, 5)
    answer = run(factory(), made, _K)
    for budget in (1, 500, 5_000):
        with settings.using(memory_budget=budget):
            expect_close(run(factory(), made, _K), answer, f"a memory budget of {budget} bytes changes the answer")
    sizes = [name for name, value in factory().get_params().items() if name.endswith(_SIZES) and type(value) is int]
    for name, size in itertools.product(sizes, (1, 4)):
        found = run(factory().clone(**{name: size}), made, _K)
        expect_close(found, answer, f"{name}={size} changes the answer")


def check_deterministic(factory: StageFactory, problem: ProblemMaker = make_problem) -> None:
    """The same answer each time, from the same stage and from a new one."""
    made = problem(_QUERIES, _GALLERY, 6)
    stage = factory()
    answer = run(stage, made, _K)
    # What a stage keeps from one problem must not reach the next, of another shape or of the same, or with other banks.
    between = {"another shape": problem(4, 5, 60), "the same shape": problem(_QUERIES, _GALLERY, 61)}
    between |= {f"the same shape and bank {seed}": with_banks(made, seed) for seed in (0, 1)}
    banks = {side: getattr(between["the same shape"], side) for side in BANKS}
    between["the same scores and other banks"] = made.with_banks(**banks)
    for name, other in between.items():
        expect_equal(
            run(stage, other, _K, name),
            run(factory(), other, _K),
            f"after another problem, one of {name} gives another answer",
        )
    expect_equal(run(stage, made, _K), answer, "the second run of one stage gives another answer")
    expect_equal(run(factory(), made, _K), answer, "a second stage with the same parameters gives another answer")


def check_inputs(factory: StageFactory, problem: ProblemMaker = make_problem) -> None:
    """Nothing that is handed to the stage is changed."""
    made = problem(_QUERIES, _GALLERY, 7)
    for given in (made, with_banks(made)):
        _expect_unchanged(factory(), given)


def _expect_unchanged(stage: Stage, made: Problem) -> None:
    given = {name: getattr(made, name) for name in ("scores", "query_scores", "gallery_scores")}
    arrays = {name: np.array(scores.rows()) for name, scores in given.items() if scores is not None}
    open_to_writing = rebuilt(made, **arrays)
    first = open_to_writing.ranking(_K)
    arrays |= {"ranking.indices": first.indices, "ranking.scores": first.scores}
    named = {"query_features": made.query_features, "gallery_features": made.gallery_features}
    seen: dict[str, Any] = arrays | {
        f"{side}[{name!r}]": value for side, features in named.items() for name, value in features.items()
    }
    for side, part in itertools.product(("query_bank", "gallery_bank"), ("to_gallery", "to_queries", "to_bank")):
        scores = getattr(getattr(made, side), part, None)
        seen |= {} if scores is None else {f"{side}.{part}": scores.rows()}
    before = {name: _bytes(value) for name, value in seen.items()}
    run_on(stage, open_to_writing, first)
    changed = sorted(name for name, value in seen.items() if _bytes(value) != before[name])
    expect(not changed, f"the stage changed its input: {', '.join(changed)}")


def check_relevance(factory: StageFactory, problem: ProblemMaker = make_problem) -> None:
    """Answers do not depend on ids or on anything that tells what is right."""
    made = problem(_QUERIES, _GALLERY, 8)
    answer = run(factory(), made, _K)
    same = np.arange(max(made.shape))[::-1]
    plain = Ranking(answer.indices, answer.scores, gallery_size=_GALLERY)
    pictures, texts = ([f"img{item}{end}" for item in range(_GALLERY)] for end in ("", "#2"))
    for queries, items in ((same, same[:_GALLERY]), (texts, pictures), (pictures, texts)):
        found = run(
            factory(), rebuilt(made, query_ids=queries[-_QUERIES:], gallery_ids=items), _K, "a problem with ids"
        )
        without = Ranking(found.indices, found.scores, gallery_size=_GALLERY)
        expect_close(without, plain, "ids, which may tell what is right, change the answer")
    for side, known, count in (("query", made.query_features, _QUERIES), ("gallery", made.gallery_features, _GALLERY)):
        secret = {f"{side}_features": {name: _Secret(count) for name in _HIDDEN if name not in known}}
        run(factory(), made.with_features(**secret), _K, f"a problem with hidden labels of its {side} side")


def check_needs(factory: StageFactory, problem: ProblemMaker = make_problem) -> None:
    """What is declared is enough, and each need that is not met gives an error that names it."""
    stage = factory()
    made = with_banks(problem(_QUERIES, _GALLERY, 9))
    run(stage, bare(made, stage), _K, f"a problem with only what it needs ({', '.join(stage.needs) or 'scores'})")
    for need in stage.needs:
        if need == WEIGHTS and stage.children:  # it has none of its own
            continue
        lacking = type(stage)(**stage.get_params()) if need == WEIGHTS else stage
        _expect_refusal(lacking, bare(made, stage, without=need), need)


def _expect_refusal(stage: Stage, problem: Problem, need: str) -> None:
    from rerankit.errors import UnmetNeedError
    from rerankit.reranking import rerank

    try:
        rerank(problem, stage, k=_K)
    except UnmetNeedError as error:
        expect(need in str(error), f"the error for the missing need '{need}' does not name it: {error}")
    except Exception as error:
        raise CheckFailed(f"the missing need '{need}' raises {type(error).__name__}: {error}") from error
    else:
        raise CheckFailed(f"it declares the need '{need}' but runs without it")


def _untied(ranking: Ranking) -> Ranking:
    """The same candidates with falling scores, in an order that has nothing to do with their numbers."""
    random = np.random.default_rng(1)
    return ranking.with_scores(random.permuted(np.broadcast_to(np.arange(ranking.shape[1]), ranking.shape), axis=1))


def _expect_tie_rule(answer: Ranking, first: Ranking, where: str) -> None:
    """Neighbours leave with equal scores only where they came with equal ones, and then in the order they came in."""
    here, there = answer.indices[:, :-1], answer.indices[:, 1:]
    tied = (answer.scores[:, :-1] == answer.scores[:, 1:]) & (there >= 0)
    came, place = first.to_dense(), np.full((len(first), first.gallery_size), -1)
    rows, columns = np.nonzero(first.mask)
    place[rows, first.indices[rows, columns]] = columns
    for table, rule in (
        (came, "candidates that came with different scores must not leave with equal ones: use ranking.with_scores"),
        (place, "candidates with equal scores must keep the order in which they came"),
    ):
        before, after = (np.take_along_axis(table, side, axis=1) for side in (here, there))
        wrong = np.argwhere(tied & (before != after if table is came else before > after))
        if len(wrong):
            row, at = wrong[0]
            found = f"query {row} has item {here[row, at]} before {there[row, at]}"
            raise CheckFailed(f"on {where}: {rule} ({found})")


def _expect_same_order(permuted: Ranking, whole: Ranking, places: IntArray, first: Ranking) -> None:
    """Where a query's scores are the same to the bit, its candidates come in the same order, whatever their numbers."""
    same = (permuted.scores == whole.scores).all(axis=1) & (first.scores[:, 1:] < first.scores[:, :-1]).all(axis=1)
    named = np.where(permuted.mask, places[permuted.indices], -1)
    wrong = np.flatnonzero(same & (named != whole.indices).any(axis=1))
    if len(wrong):
        row = int(wrong[0])
        found = f"query {row}: {named[row].tolist()}, not {whole.indices[row].tolist()}"
        raise CheckFailed(f"permuting the gallery changes the order of candidates with equal scores ({found})")


def _bytes(value: Any) -> bytes:
    """What must stay as it is; a list or another object by what it shows."""
    if isinstance(value, Feature):
        return b"".join(value.pieces())
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value.tobytes()
    if hasattr(value, "detach"):
        return to_numpy(value, "feature").tobytes()
    return repr(value).encode()


class _Secret(Feature):
    """Labels that must not be read."""

    kind = "secret"

    def __init__(self, count: int) -> None:
        self._keep(count=count)

    def __len__(self) -> int:
        return int(self.__dict__["count"])

    def take(self, rows: IntArray) -> _Secret:
        return _Secret(len(rows))

    def __getitem__(self, row: Any) -> Any:
        raise CheckFailed("the stage reads labels, which no stage may see")

    def __iter__(self) -> Iterator[Any]:
        return iter(self[0])

    def __array__(self, *_: Any, **__: Any) -> Any:
        return self[0]


def _ranking_of(dense: Any, k: int) -> Ranking:
    """The ranking of a matrix in which −inf stands for what is not ranked."""
    indices = np.argsort(-dense, axis=1, kind="stable")[:, :k]
    scores = np.take_along_axis(dense, indices, axis=1)
    indices[np.isneginf(scores)] = -1
    return Ranking(indices, scores, gallery_size=dense.shape[1])

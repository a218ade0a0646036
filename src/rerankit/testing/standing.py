"""Checks of a stage that is prepared for a gallery: queries answered by themselves get the answer of the batch."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from rerankit.errors import UnmetNeedError
from rerankit.gallery import Gallery
from rerankit.pipelines.needs import OTHER_QUERIES
from rerankit.pipelines.pipeline import Pipeline
from rerankit.pipelines.ready import Ready
from rerankit.pipelines.running import refuses_alone
from rerankit.pipelines.stage import Stage
from rerankit.preparing import prepare
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.runs import rerank_in_shards
from rerankit.testing.problems import ProblemMaker, make_problem, with_banks
from rerankit.testing.process import leaving_alone
from rerankit.testing.run import CheckFailed, StageFactory, expect, expect_close, expect_equal, failing, run
from rerankit.testing.sharing import often_switched

_QUERIES, _GALLERY, _K = 4, 14, 6
_WIDTH, _OLD = 8, 20  # of vectors, and how many there are of old queries
_THREADS = 4
_SHARDED = 7  # queries: shards of 7, 4, 3 and 1 of them are 1, 2, 3 and 7 shards
_BATCHES = [[3, 0], [2, 1]]


def check_ready(factory: StageFactory, problem: ProblemMaker = make_problem) -> None:
    """Answers from a prepared gallery, one at a time and in other batches, are those of the batch: to the
    bit, unless the stage says that its answers round with the batch. A stage that looks at other queries even where
    there are banks is refused by name.
    """
    made, stage = with_banks(problem(_QUERIES, _GALLERY, 11)), factory()
    if stage.unmet(made):
        return
    if stage.looks_at(made).queries:
        _expect_refused(stage, made)
        return
    answer, first = run(factory(), made, _K), made.ranking(_K)
    with leaving_alone("preparing it for a gallery"), failing("preparing it for a gallery"):
        ready = prepare(stage, Gallery.of(made))
    expect_same = expect_equal if stage.bitwise else expect_close
    alone = [_answer(ready, made, first, [row]) for row in range(_QUERIES)]
    expect_same(Ranking.concat(alone), answer, "queries answered one at a time get another answer than in a batch")
    batches = [_answer(ready, made, first, batch) for batch in _BATCHES]
    order = [row for batch in _BATCHES for row in batch]
    expect_same(Ranking.concat(batches), answer.take(order), "other batches of queries get another answer")
    _check_uneven_lists(ready, made)
    rows = [*range(_QUERIES), *range(_QUERIES)]
    with often_switched(), ThreadPoolExecutor(_THREADS) as pool:
        together = list(pool.map(lambda row: _answer(ready, made, first, [row]), rows))
    for row, found in zip(rows, together, strict=True):
        expect_same(found, alone[row], "threads that share a prepared gallery get other answers than one")


def _check_uneven_lists(ready: Ready, made: Problem) -> None:
    """Lists of candidates that are shorter than others of their batch get the answer that each gets alone, but for
    what products of other widths round.
    """
    counts = [1, 2, _K, _GALLERY]
    lists = made.ranking(_GALLERY).keep(np.arange(_GALLERY) < np.array(counts)[:, None])
    alone = [_answer(ready, made, lists.top(count), [row]) for row, count in enumerate(counts)]
    message = "a list shorter than others of its batch gets another answer than alone"
    expect_close(Ranking.concat(alone), ready.answer(made, lists), message)


def check_updates(factory: StageFactory, problem: ProblemMaker = make_problem) -> None:
    """A prepared gallery of vectors, of which items went and to which others came, answers as one that is prepared
    again, to the bit where what is prepared says that it is exact.
    """
    made, stage = problem(_QUERIES, _GALLERY, 14), factory()
    random = np.random.default_rng(14)
    items, old, asked = (random.normal(size=(count, _WIDTH)) for count in (_GALLERY, _OLD, _QUERIES))

    def some(rows: list[int], **more: Any) -> Gallery:
        features = {name: one.take(np.array(rows)) for name, one in made.gallery.features.items()}
        return Gallery(items[rows], features=features, **more)

    first, then = list(range(_GALLERY - 3)), list(range(_GALLERY - 3, _GALLERY))
    try:
        ready = prepare(stage, some(first, bank=old))
    except UnmetNeedError:  # such as a bank of items, or all test queries
        return
    with failing("adding and removing items"):
        updated = ready.updated(add=some(then), remove=[0, 4])
    queries = updated.gallery.problem(asked, features=made.query_features)
    if stage.unmet(queries):
        return
    ranking = queries.ranking(_K)
    found, fresh = updated.answer(queries, ranking), prepare(factory(), updated.gallery).answer(queries, ranking)
    if stage.bitwise and all(row["exact"] for row in updated.info()):
        expect_equal(found, fresh, "after a change it says that it is exact, and answers otherwise than prepared again")


def check_lone(factory: StageFactory, problem: ProblemMaker = make_problem) -> None:
    """One query without banks gets an answer, or is refused, and keeps its order with `lone` "pass", from a prepared
    gallery too.
    """
    made, stage = problem(1, _GALLERY, 12), factory()
    first = made.ranking(_K)
    if not refuses_alone(stage, made):
        if not stage.unmet(made):
            run(stage, made, _K, "one query alone")
        return
    try:
        stage.rerank(made, first)
    except UnmetNeedError as error:
        expect(OTHER_QUERIES in str(error), f"one query alone is refused, but the error does not say why: {error}")
    if stage.children:  # those inside have their own `lone`
        return
    expect("lone" in stage.parameters(), "it refuses one query alone, and has no parameter 'lone'")
    passing = factory().clone(lone="pass")
    _expect_kept(run(passing, made, _K, "one query, lone='pass'"), first)
    several = problem(_QUERIES, _GALLERY, 13)
    gallery = Gallery.of(several)
    if passing.looks_at(made).queries or gallery.bank is not None:
        return
    ready = prepare(passing, gallery)
    for rows in ([0], list(range(_QUERIES))):
        _expect_kept(_answer(ready, several, several.ranking(_K), rows), several.ranking(_K).take(rows))


def _expect_kept(answer: Ranking, first: Ranking) -> None:
    expect_equal(answer, first, "with lone='pass' one query alone does not keep its order and scores")


def check_shards(factory: StageFactory, problem: ProblemMaker = make_problem) -> None:
    """Queries re-ranked in 1, 2, 3 and 7 shards, each a file that is read again, get the answer of the batch. A stage
    that looks at other queries even where there are banks cannot be cut.
    """
    made, stage = with_banks(problem(_SHARDED, _GALLERY, 12)), factory()
    if stage.unmet(made) or stage.looks_at(made).queries:
        return
    answer = run(factory(), made, _K)
    expect_same = expect_equal if stage.bitwise else expect_close
    for size in (7, 4, 3, 1):
        with failing(f"in shards of {size} queries"):
            found = rerank_in_shards(made, Pipeline([stage]), _K, shard_size=size)
        expect_same(found, answer, f"shards of {size} queries get another answer than the batch")


def _answer(ready: Ready, made: Problem, first: Ranking, rows: list[int]) -> Ranking:
    with failing(f"queries {rows} of a prepared gallery"):
        return ready.answer(made.subset(queries=rows), first.take(rows))


def _expect_refused(stage: Stage, made: Problem) -> None:
    try:
        prepare(stage, Gallery.of(made))
    except UnmetNeedError as error:
        named = "looks at the other test queries" in str(error)
        expect(named, f"the error of preparing it does not say that it looks at queries: {error}")
    else:
        raise CheckFailed("it looks at test queries on problems with banks, but was prepared for a gallery")

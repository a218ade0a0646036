"""The digits: a real problem, stages over the same candidates, and a gallery asked one query at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rerankit.demo import DigitHalves, contest, halves
from rerankit.demo.contest import BASE, BEST, PREPARED, SHIPPED, Outcome, one_at_a_time, pictured, table

pytest.importorskip("sklearn", reason="scikit-learn is not installed")


@pytest.fixture(scope="module")
def digits() -> DigitHalves:
    return halves()


@pytest.fixture(scope="module")
def outcomes(digits: DigitHalves) -> list[Outcome]:
    return list(contest.contest(digits))


def test_the_problem_is_real_and_its_relevance_is_right(digits: DigitHalves) -> None:
    assert repr(digits.problem).startswith("Problem(900 queries × 900 items, with query_scores, gallery_scores")
    assert digits.own.of(5).items.tolist() == [5]
    graded = digits.graded.of(5)
    assert (digits.digits[graded.items] == digits.digits[5]).all()
    assert len(graded.items) == int((digits.digits == digits.digits[5]).sum())
    assert graded.grades[graded.items == 5].tolist() == [2]
    assert digits.uppers.shape == digits.lowers.shape == (900, 4, 8)


def test_the_vectors_are_those_of_the_scores(digits: DigitHalves) -> None:
    sides = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in (digits.queries, digits.items)]
    np.testing.assert_allclose(sides[0] @ sides[1].T, digits.problem.scores.rows(), atol=1e-5)
    assert digits.known.shape == (897, digits.queries.shape[1])


def test_every_contender_re_ranks_the_same_candidates(digits: DigitHalves, outcomes: list[Outcome]) -> None:
    first = np.sort(outcomes[0].ranking.indices, axis=1)
    for outcome in outcomes:
        np.testing.assert_array_equal(np.sort(outcome.ranking.indices, axis=1), first)
    rows = {row["stage"]: row for row in table(digits, outcomes)}
    assert len({row["ceiling"] for row in rows.values()}) == 1
    for figure in ("R@1", "R@5", "R@10"):
        assert rows[BASE][figure] < min(rows[name][figure] for name in ("mutual-rank", "sinkhorn", BEST))
    for figure in ("R@5", "R@10"):
        assert rows["mutual-rank"][figure] < rows[BEST][figure] < rows[BASE]["ceiling"]


@pytest.mark.skipif(not contest.can_reason(), reason="torch is not installed")
def test_weights_learned_on_captions_gain_on_digits(digits: DigitHalves, outcomes: list[Outcome]) -> None:
    rows = {row["stage"]: row for row in table(digits, outcomes)}
    assert rows[SHIPPED]["R@5"] > rows[BASE]["R@5"] + 1.5


def test_without_torch_the_reasoner_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rerankit.demo.contest.find_spec", lambda name: None)
    assert list(contest.contenders()) == [BASE, "mutual-rank", "sinkhorn", BEST]


def test_the_table_of_the_readme_is_the_demos(digits: DigitHalves, outcomes: list[Outcome]) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    for row in table(digits, outcomes):
        line = next(line for line in readme.splitlines() if line.startswith(f"| {row['stage']} |"))
        shown = [float(cell) for cell in line.split("|")[2:-1]]
        assert shown == pytest.approx(list(row.values())[1:-1], abs=0.5), row["stage"]


def test_one_query_at_a_time_finds_what_a_batch_with_the_bank_finds(digits: DigitHalves) -> None:
    few = DigitHalves(
        **{**vars(digits), "queries": digits.queries[:30], "own": digits.own.subset(range(30), range(900))}
    )
    rows = {row["stage"]: row for row in one_at_a_time(few)}
    assert list(rows) == ["search alone", *PREPARED]
    import rerankit
    from rerankit.demo.figures import recalls

    with_bank = rerankit.Problem.from_embeddings(few.queries, few.items, query_bank=few.known)
    for name in PREPARED:
        batch = recalls(rerankit.rerank(with_bank, name, k=100), few.own, (1, 5, 10))
        assert {key: rows[name][key] for key in batch} == batch
        assert rows[name]["ms a query"] > 0


def test_the_queries_that_are_shown_gained_and_lost(digits: DigitHalves, outcomes: list[Outcome]) -> None:
    by_name = {outcome.name: outcome.ranking for outcome in outcomes}
    shown = pictured(digits, by_name[BASE], by_name[BEST])
    moves = [each.ranks for each in shown]
    assert all(old > new == 1 for old, new in moves[:-1])
    assert moves[-1][0] == 1 < moves[-1][1]
    for each in shown:
        assert [candidate.row for candidate in each.after] == by_name[BEST].indices[each.row, :8].tolist()
        assert sum(candidate.right for candidate in each.before) == (each.ranks[0] <= 8)


def test_a_tile_is_the_asking_half_over_the_candidate(digits: DigitHalves, outcomes: list[Outcome]) -> None:
    example = pictured(digits, outcomes[0].ranking, outcomes[-1].ranking)[0]
    candidate = example.after[0]
    tile = candidate.face.picture
    strength = np.concatenate([digits.uppers[example.row], digits.lowers[candidate.row]])
    np.testing.assert_array_equal(tile[strength == 0], 255)
    assert (tile[strength == 1][:, 0] < 40).all()

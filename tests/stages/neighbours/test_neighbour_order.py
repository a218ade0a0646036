"""How much neighbours count against the order that comes in."""

from __future__ import annotations

import numpy as np
import pytest

import rerankit
from rerankit import DenseScores, Problem, stage
from rerankit.errors import InputError
from rerankit.stages.neighbours.stage import mixed, say_of
from strategies import people

NAMES = ["alpha-qe", "dba", "diffusion"]


def views(count: int, things: int = 30, noise: float = 0.1) -> np.ndarray:
    """Things shown `count` times."""
    random = np.random.default_rng(0)
    found = np.repeat(random.normal(size=(things, 12)), count, axis=0)
    return np.float32(found + noise * random.normal(size=found.shape))


@pytest.mark.parametrize("name", NAMES)
def test_no_strength_keeps_the_order_and_notes_say_how_much_there_is(name):
    problem = Problem.from_embeddings(*people())
    came = problem.ranking(20)
    kept = rerankit.rerank(problem, name, k=20, strength=0)
    np.testing.assert_array_equal(kept.indices, came.indices)
    assert kept.notes[name] == {"strength": 0.0}
    notes = rerankit.rerank(problem, name, k=20).notes[name]
    assert 0.1 <= notes["strength"] <= 0.45
    assert np.isfinite(notes["standing_out"])
    with pytest.raises(InputError, match="'strength' must be"):
        stage(name, strength=2)


def test_a_clear_lead_is_kept_and_a_near_tie_is_decided_by_neighbours():
    own = np.float32([[9, 2, 1.9, 1.7, 1.6, 1.4, 1.2, 1.0]])
    opinion = np.float32([[0, 1, 3, 0, 0, 0, 0, 0]])
    found = mixed(own, opinion, np.ones(own.shape, bool), 0.4, 100)[0]
    assert found.argmax() == 0
    assert found[2] > found[1]


@pytest.mark.parametrize("count", [1, 2, 4, 8, 11, 30])
def test_what_pads_a_short_list_says_nothing_of_its_shape(count):
    random = np.random.default_rng(1)
    own = -np.sort(-random.normal(size=(6, 40)).astype(np.float32), axis=1)
    opinion, mask = random.normal(size=(6, 40)).astype(np.float32), np.ones((6, 40), bool)
    mask[::2, count:] = False
    together = mixed(own, opinion, mask, 0.3, 200)
    alone = mixed(own[::2, :count], opinion[::2, :count], mask[::2, :count], 0.3, 200)
    np.testing.assert_array_equal(together[::2, :count], alone)


def test_what_an_opinion_measures_does_not_matter():
    random = np.random.default_rng(0)
    own = -np.sort(-random.normal(size=(5, 20)).astype(np.float32), axis=1)
    opinion, mask = random.normal(size=(5, 20)).astype(np.float32), np.ones((5, 20), bool)
    expected = mixed(own, opinion, mask, 0.3, 100)
    np.testing.assert_allclose(mixed(own, np.exp(3 * opinion), mask, 0.3, 100), expected, atol=1e-5)
    np.testing.assert_allclose(mixed(8 * own + 5, opinion, mask, 0.3, 100), expected, atol=1e-3)


def test_where_the_first_candidates_crowd_their_places_count():
    random = np.random.default_rng(0)
    logits = -np.sort(-random.normal(size=(6, 40)), axis=1) * 2
    logits += 1 - logits.min(axis=1, keepdims=True)  # most candidates are near to 1, and none is above
    crowded = [1 / (1 + np.exp(-logits)), 1 - np.exp(-logits)]
    opinion, mask = random.normal(size=(6, 40)).astype(np.float32), np.ones((6, 40), bool)
    one, other = (mixed(each.astype(np.float32), opinion, mask, 0.3, 400) for each in crowded)
    np.testing.assert_array_equal(one, other)
    best = np.eye(40, dtype=np.float32)[[1] * 6]  # the second place is their first
    assert (mixed(crowded[0].astype(np.float32), best, mask, 0.1, 400).argmax(axis=1) == 0).all()
    tied = np.float32(np.where(crowded[0] > np.median(crowded[0], axis=1, keepdims=True), 1, crowded[0]))
    assert (np.ptp(mixed(tied, np.zeros((6, 40), np.float32), mask, 0.3, 400)[:, :20], axis=1) < 0.01).all()


def test_items_with_few_partners_get_the_least_strength_and_crowds_the_most():
    few = views(6, things=60)
    crowd = np.random.default_rng(0).uniform(size=(400, 1))
    least = say_of(DenseScores(few @ few.T))
    most = say_of(DenseScores(-np.abs(crowd - crowd.T)))
    assert least.strength == pytest.approx(0.1)
    assert most.strength > 0.3
    assert least.standing_out > 0.4 > 0 > most.standing_out


def test_too_few_items_to_tell_get_the_least_strength():
    say = say_of(DenseScores(np.eye(3, dtype=np.float32)))
    assert (say.strength, say.standing_out) == (0.1, None)

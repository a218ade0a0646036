"""How much neighbours count against the order that comes in: what stages that smooth over neighbours share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from rerankit import checks
from rerankit.arrays import AnyArray, BoolArray, FloatArray
from rerankit.gallery import Gallery
from rerankit.pipelines.prepared import Prepared, State
from rerankit.pipelines.stage import Stage
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.scores import Scores
from rerankit.sides import Side
from rerankit.stages.candidates import own_scores
from rerankit.stages.hubness.spread import normal_quantiles
from rerankit.stages.neighbours.known import Known, known_of, state_of
from rerankit.stages.neighbours.unrelated import standing_out

_LEAST, _MOST = 0.1, 0.45  # below a half, a clear lead of the order that comes in is never overturned
_FEW_PARTNERS = 0.4  # neighbours that stand out so far are partners of their own: the least strength
_SHARPNESS = 3.5  # how many times the likelihood falls, as a logarithm, over one spacing of the scores
_PLACES = 50  # first candidates that tell the spacing
_FEW = 8  # candidates: fewer show no shape
_FLAT = 0.4  # times as steep as farther down: less is crowded
_STEP = 1e-4  # what a place in the neighbours' order is worth where scores tie
_ROUNDING = 1e-5  # relative difference up to which two opinions are one


class Say(NamedTuple):
    """How much neighbours count, and why."""

    strength: float
    standing_out: float | None = None

    def notes(self) -> dict[str, Any]:
        """What the ranking's notes say."""
        found: dict[str, Any] = {"strength": round(self.strength, 3)}
        if self.standing_out is not None:
            found["standing_out"] = round(self.standing_out, 3)
        return found


class NeighbourStage(Stage):
    """A stage whose `opinion` comes from neighbours; it is mixed with the order that comes in by `strength`.

    1 is the opinion alone, as published; 0 leaves the order as it came; ``"auto"`` goes by what the gallery shows.
    """

    strength: float | str

    def known(self, gallery: Gallery) -> Known:
        """What an opinion needs of the gallery and its bank, found once."""
        return {}

    def known_standing(self, gallery: Gallery) -> Known:
        """The same of a gallery that stands ready, where queries to come are worth more work."""
        return self.known(gallery)

    def opinion(self, problem: Problem, ranking: Ranking, known: Known) -> FloatArray:
        """Scores (queries, K) by neighbours alone."""
        raise NotImplementedError

    def prepare(self, gallery: Gallery) -> Prepared:
        say = self.say(gallery.side)
        return ByNeighbours(self, gallery, say, self.known_standing(gallery) if say.strength > 0 else {})

    def restored(self, gallery: Gallery, state: State) -> Prepared:
        known = known_of(state)
        return ByNeighbours(self, gallery, Say(known.pop("strength"), known.pop("standing_out")), known)

    def rescore(self, problem: Problem, ranking: Ranking) -> FloatArray:
        return self._scored(problem, ranking, self.say(problem.gallery), self.known(Gallery.of(problem)))

    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        gallery, say = Gallery.of(problem), self.say(problem.gallery)
        return ByNeighbours(self, gallery, say, self.known(gallery) if say.strength > 0 else {}).reorder(
            problem, ranking
        )

    def say(self, gallery: Side) -> Say:
        """How much neighbours count in this gallery."""
        if not isinstance(self.strength, str):
            return Say(self.strength)
        assert gallery.scores is not None, "checked by the stage's needs"
        return say_of(gallery.scores)

    def _scored(self, problem: Problem, ranking: Ranking, say: Say, known: Known) -> FloatArray:
        opinion = self.opinion(problem, ranking, known)
        if say.strength == 1:
            return opinion
        own = own_scores(problem.scores, ranking)
        return mixed(own, opinion, ranking.mask, say.strength, ranking.gallery_size)


@dataclass(eq=False, repr=False)
class ByNeighbours(Prepared):
    """A stage with how much neighbours count in a gallery, and what their opinions need of it."""

    stage: NeighbourStage
    say: Say
    known: Known

    keeps = "how much neighbours count, and their graph"
    by_item = False

    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        if self.say.strength > 0:
            scores = self.stage._scored(problem, ranking, self.say, self.known)
            ranking = self.stage.scored(ranking, scores)
        return ranking.with_notes(**{self.stage.name: self.say.notes()})

    def state(self) -> State:
        return state_of({**self.known, **self.say._asdict()})


def check_strength(strength: float | str) -> float | str:
    """The `strength` parameter: "auto" or a number from 0 to 1."""
    if isinstance(strength, str):
        return checks.choice("strength", strength, ("auto",))
    return checks.number("strength", strength, least=0, most=1)


def say_of(gallery: Scores) -> Say:
    """The strength that a gallery's similarities to itself speak for.

    It falls from 0.45, where no item's neighbours stand out from the crowd, to 0.1, where an item has few partners of
    its own. Few items tell little: their reading counts as higher by one over the root of their number.
    """
    found = standing_out(gallery)
    if found is None:
        return Say(_LEAST)
    cautious = found + 1 / np.sqrt(gallery.shape[0])
    share = float(np.clip((_FEW_PARTNERS - cautious) / _FEW_PARTNERS, 0, 1))
    return Say(_LEAST + (_MOST - _LEAST) * share, found)


def mixed(own: FloatArray, opinion: FloatArray, mask: BoolArray, strength: float, gallery_size: int) -> FloatArray:
    """log((1 − strength) p + strength q) for candidates (queries, K) in the order that comes in.

    p is the likelihood by that order, q by the opinion's. Both take their values from the query's own scores: the
    highest goes to the first of an order, the next to the second, and so on, so that what an opinion's scores measure
    does not matter. Likelihoods fall with the scores in units of the spacing of the query's first candidates.
    """
    values = -np.sort(-np.where(mask, own, -np.inf).astype(np.float64), axis=1)
    values = -_SHARPNESS * _apart(values[:, :1] - values, gallery_size)
    places = np.arange(values.shape[1])
    theirs = _by_opinion(values - _STEP * places, np.where(mask, opinion, -np.inf).astype(np.float64))
    with np.errstate(divide="ignore"):
        found = np.logaddexp(np.log1p(-strength) + values, np.log(strength) + theirs)
    result: FloatArray = found.astype(np.float32)
    return result


def _by_opinion(values: AnyArray, opinion: AnyArray) -> AnyArray:
    """Values (queries, K), best first, handed out in the order of an opinion; those who tie share theirs."""
    order = np.argsort(-opinion, axis=1, kind="stable")
    ordered = np.take_along_axis(opinion, order, axis=1)
    with np.errstate(invalid="ignore"):
        apart = ordered[:, :-1] - ordered[:, 1:] > _ROUNDING * np.abs(ordered[:, 1:])
    apart |= np.isfinite(ordered[:, :-1]) & np.isinf(ordered[:, 1:])  # padding ties with nothing
    first = np.concatenate([np.ones((len(values), 1), bool), apart], axis=1)
    group = np.cumsum(first.reshape(-1)) - 1
    means = np.bincount(group, values.reshape(-1)) / np.bincount(group)
    found = np.empty(values.shape)
    np.put_along_axis(found, order, means[group].reshape(values.shape), axis=1)
    return found


def _apart(behind: AnyArray, gallery_size: int) -> AnyArray:
    """How far candidates are behind the first (queries, K), best first, in spacings of the query's first candidates;
    0 where there is none.

    Where the first ones crowd, as probabilities do below 1, a step means more there than farther down, and no spacing
    is right: their places alone then say how far they are apart.
    """
    known = np.isfinite(behind)
    found = np.where(known, behind, 0) / _spacing(behind, gallery_size)[:, None]
    bent = _crowded(behind, gallery_size)
    if bent.any():
        normal = normal_quantiles(np.arange(behind.shape[1]), gallery_size)
        by_place = _by_opinion(np.broadcast_to(normal[0] - normal, (int(bent.sum()), len(normal))), -behind[bent])
        found[bent] = np.where(known[bent], by_place - by_place[:, :1], 0)
    return found


def _crowded(behind: AnyArray, gallery_size: int) -> BoolArray:
    """The rows that fall much less from the first place than farther down, as values that have a highest one do."""
    depth = np.minimum(np.isfinite(behind).sum(axis=1), _depth(behind, gallery_size))  # a short list is padded
    places = np.stack([0 * depth, depth // 4, np.maximum(depth - 1, 0)], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        falls = np.diff(np.take_along_axis(behind, places, axis=1)) / -np.diff(normal_quantiles(places, gallery_size))
        found: BoolArray = (falls[:, 0] < _FLAT * falls[:, 1]) & (depth >= _FEW)
    return found


def _depth(behind: AnyArray, gallery_size: int) -> int:
    """The first candidates that tell the spacing."""
    return max(2, min(_PLACES, int(np.ceil(gallery_size / 4)), int(behind.shape[1])))


def _spacing(behind: AnyArray, gallery_size: int) -> AnyArray:
    """The spread (queries,) of scores that lie so far behind the first (queries, K), were they the highest of many.

    It is the median over pairs of places, one twice as far down as the other, of how far they are apart compared with
    the same places of so many normal values: a few outliers, however low, do not move it.
    """
    depth = _depth(behind, gallery_size)
    if behind.shape[1] < 2:
        return np.ones(len(behind))
    expected = normal_quantiles(np.arange(depth), gallery_size)
    near = np.arange(depth // 2)
    far = 2 * near + 1
    with np.errstate(invalid="ignore"):
        apart = (behind[:, far] - behind[:, near]) / (expected[near] - expected[far])
    apart = np.where(np.isfinite(apart) & (apart > 0), apart, np.nan)
    some = np.isfinite(apart).any(axis=1)
    found = np.ones(len(behind))
    found[some] = _median_of_known(apart[some])
    return found


def _median_of_known(values: AnyArray) -> AnyArray:
    """The median of each row's numbers that are not NaN (rows,): NumPy's own takes half a millisecond for one row.

    >>> _median_of_known(np.array([[3, np.nan, 1, 2], [np.nan, 4, 1, np.nan]]))
    array([2. , 2.5])
    """
    ordered, counts, rows = np.sort(values, axis=1), (~np.isnan(values)).sum(axis=1), np.arange(len(values))
    found: AnyArray = (ordered[rows, (counts - 1) // 2] + ordered[rows, counts // 2]) / 2
    return found

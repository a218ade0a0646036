"""Every check passes a good stage and fails one that is broken in exactly the way it looks for."""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np
import pytest

from rerankit import Bank, Gallery, Looks, Problem, Ranking, Stage, Trainable, stage
from rerankit.errors import InputError, UnknownNameError
from rerankit.pipelines.needs import Unmet
from rerankit.pipelines.prepared import Change, Prepared, State
from rerankit.scores import EmbeddingScores
from rerankit.testing import STAGE_CHECKS, CheckFailed, check_stage, make_problem


class Good(Stage):
    """Looks at the other test queries: a score counts less where the item is liked by all."""

    name = "good"

    def __init__(self, weight: float = 0.5, batch_size: int = 8) -> None:
        self.weight = weight
        self.batch_size = batch_size

    def looks_at(self, problem: Problem | None = None) -> Looks:
        return Looks(queries=True)

    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        liked = problem.scores.rows()
        mean = np.where(np.isfinite(liked), liked, 0).mean(axis=0)
        return ranking.scores - self.weight * mean[ranking.indices]


class Plain(Stage):
    """The base of the broken ones: the scores as they are."""

    name = "plain"

    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        return ranking.scores.copy()


class FailsOnOneCandidate(Plain):
    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        spread = ranking.scores[:, 0] - ranking.scores[:, 1]
        return ranking.scores + spread[:, None]


class FailsWhere(Plain):
    """Fails on rankings of one kind; the test of its size is given (queries, gallery, K)."""

    def __init__(self, when: Any = None) -> None:
        self.when = when

    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        if self.when(*problem.shape, ranking.shape[1]):
            raise ValueError("not made for this size")
        return ranking.scores.copy()


class DiffersWhere(Plain):
    """Gives other scores where the scores have one form; the test of that form is given."""

    def __init__(self, when: Any = None) -> None:
        self.when = when

    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        return ranking.scores * (2 if self.when(problem.scores) else 1)


def owner(scores: Any) -> str:
    """The type that holds the memory behind a matrix."""
    array = scores.rows()
    while getattr(array, "base", None) is not None and type(array).__module__.startswith("numpy"):
        array = array.base
    return f"{type(array).__module__}.{type(array).__name__}"


def has_fractions(scores: Any) -> bool:
    return isinstance(scores, EmbeddingScores) and bool((scores.queries % 1).any())


class BreaksTiesBackwards(Plain):
    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        turned = np.lexsort((-ranking.indices, -ranking.scores))
        indices, scores = (np.take_along_axis(a, turned, 1) for a in (ranking.indices, ranking.scores))
        return Ranking(indices, scores, gallery_size=ranking.gallery_size)


class TiesWhatCameApart(Plain):
    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        return Ranking(ranking.indices, np.zeros(ranking.shape), gallery_size=ranking.gallery_size)


class OrdersTiesByNumber(Plain):
    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        return Ranking(np.sort(ranking.indices), np.zeros(ranking.shape), gallery_size=ranking.gallery_size)


class AllAlike(Plain):
    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        return np.ones(ranking.shape)


class ByRank(Plain):
    """The place of the query among the item's own scores, which many candidates share."""

    def looks_at(self, problem: Problem | None = None) -> Looks:
        return Looks(queries=True)

    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        scores = problem.scores.rows()
        places = (scores > scores[:, None]).sum(axis=1)
        return -np.take_along_axis(places, np.where(ranking.mask, ranking.indices, 0), axis=1) // 2


class DiffersForTensors(Plain):
    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        return ranking.scores * (2 if owner(problem.scores).startswith("torch") else 1)


class LosesACandidate(Plain):
    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        return ranking.top(max(1, ranking.shape[1] - 1))


class NanOnConstantScores(Plain):
    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        real = np.where(ranking.mask, ranking.scores, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            return (real - real.min()) / (real.max() - real.min()) * (1 if real.size > 1 and np.ptp(real) else np.nan)


class DiffersForHalfPrecision(Plain):
    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        return ranking.scores * (2 if "float16" in repr(problem.scores) else 1)


class FailsOnLists(Plain):
    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        if not problem.scores.complete:
            raise TypeError("needs a matrix, and does not say so")
        return ranking.scores.copy()


class PrefersLowNumbers(Plain):
    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        return ranking.scores - 0.1 * ranking.indices


class PrefersTheFirstQueries(Plain):
    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        return ranking.scores / (1 + np.arange(len(ranking))[:, None])


class DependsOnTheBudget(Plain):
    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        from rerankit import settings

        return ranking.scores + (np.arange(ranking.shape[1]) if settings.memory_budget() < 1000 else 0)


class DependsOnTheBatchSize(Plain):
    def __init__(self, batch_size: int = 64) -> None:
        self.batch_size = batch_size

    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        at = range(0, len(ranking), self.batch_size)
        return np.concatenate([-ranking.scores[i : i + self.batch_size] * (i + 1) for i in at])


class DependsOnTheSizeOfChunks(Plain):
    def __init__(self, query_chunk_size: int = 64) -> None:
        self.query_chunk_size = query_chunk_size

    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        return ranking.scores * self.query_chunk_size


class MixesScales(Plain):
    """Adds a number that knows nothing of the scores' scale."""

    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        return ranking.scores + 0.1 * np.sin(7.0 * ranking.indices)


class IsRandom(Plain):
    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        return np.random.default_rng().normal(size=ranking.shape)


class RefusesAlone(Plain):
    def needs_on(self, problem: Problem) -> tuple[str, ...]:
        return ("other_queries",)


class TurnsOneAlone(Plain):
    def __init__(self, lone: str = "raise") -> None:
        self.lone = lone

    def needs_on(self, problem: Problem) -> tuple[str, ...]:
        return ("other_queries",) if self.lone == "raise" else ()

    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        return ranking.scores if len(ranking) > 1 else -ranking.scores


class RemembersTheLastProblem(Plain):
    calls = itertools.count()

    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        return ranking.scores * (next(self.calls) + 1)


class WritesIntoItsInput(Plain):
    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        array = problem.scores.rows().base
        while isinstance(array, np.ndarray) and not array.flags.writeable:
            array = array.base
        if array is not None:
            array[0, 0] += 1
        return ranking.scores.copy()


class WritesIntoABank(Plain):
    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        array: Any = None if problem.query_bank is None else problem.query_bank.to_gallery.rows()  # type: ignore[union-attr]
        while array is not None and not array.flags.writeable:
            array = array.base
        if array is not None:
            array[0, 0] += 1
        return ranking.scores.copy()


class WritesIntoAFeature(Plain):
    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        if "vectors" in problem.query_features:
            np.asarray(problem.query_features["vectors"])[0] += 1
        return ranking.scores.copy()


def with_tensors(queries: int, gallery: int, seed: int) -> Problem:
    torch = pytest.importorskip("torch")
    made = make_problem(queries, gallery, seed)
    return made.with_features(query_features={"vectors": torch.ones(queries, 2)})


class ReadsIds(Plain):
    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        if problem.query_ids is None or problem.gallery_ids is None:
            return ranking.scores.copy()
        right = problem.query_ids[:, None] == problem.gallery_ids[ranking.indices]
        return ranking.scores + right


class ReadsLabels(Plain):
    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        labels = problem.query_features.get("labels")
        return ranking.scores + (0 if labels is None else np.array([labels[row] for row in range(len(ranking))]))


class ReadsClassesOfTheGallery(Plain):
    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        if "gallery_labels" in problem.gallery_features:
            list(problem.gallery_features["gallery_labels"])
        return ranking.scores.copy()


class ContradictsItself(Plain):
    def looks_at(self, problem: Problem | None = None) -> Looks:
        return Looks(queries=problem is None)


class AnswersWithAFlag(Plain):
    def looks_at(self, problem: Problem | None = None) -> Any:
        return True


class KeepsABuffer(Plain):
    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        self.buffer = ranking.scores * 2
        time.sleep(0.001)  # as long as work takes
        return self.buffer


class HidesThatItLooksAtQueries(Good):
    def looks_at(self, problem: Problem | None = None) -> Looks:
        return Looks()


class SaysQueriesForNothing(Plain):
    def looks_at(self, problem: Problem | None = None) -> Looks:
        return Looks(queries=True)


class HidesThatItLooksAtABank(Plain):
    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        if problem.query_bank is None or problem.query_bank.to_gallery is None:
            return ranking.scores.copy()
        liked = problem.query_bank.to_gallery.rows().mean(axis=0)
        return ranking.scores - liked[ranking.indices]


class SaysABankForNothing(Plain):
    def looks_at(self, problem: Problem | None = None) -> Looks:
        return Looks(bank=problem is not None and problem.query_bank is not None)


class SaysLabelsForNothing(Plain):
    def looks_at(self, problem: Problem | None = None) -> Looks:
        return Looks(labels=True)


class PreparesSomethingElse(Plain):
    """Answers from a gallery that is prepared in another way than in a batch."""

    def prepare(self, gallery: Gallery) -> Prepared:
        return ReversedWhenPrepared(self, gallery)


class ReversedWhenPrepared(Prepared):
    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        return self.stage.scored(ranking, -ranking.scores)


class LosesWhatIsPrepared(Plain):
    def restored(self, gallery: Gallery, state: State) -> Prepared:
        return ReversedWhenPrepared(self, gallery)


class BufferedWhenPrepared(Prepared):
    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        self.buffer = self.stage.rescore(problem, ranking)
        time.sleep(0.001)  # as long as work takes
        return self.stage.scored(ranking, self.buffer)


class KeepsABufferWhenPrepared(Plain):
    def prepare(self, gallery: Gallery) -> Prepared:
        return BufferedWhenPrepared(self, gallery)


class StaysAsItWas(Prepared):
    """Adds a number of each item's, which stays at its place when items go."""

    def __init__(self, stage: Stage, gallery: Gallery, numbers: Any) -> None:
        super().__init__(stage, gallery)
        self.numbers = numbers

    def updated(self, change: Change) -> Prepared:
        return StaysAsItWas(self.stage, change.gallery, np.resize(self.numbers, change.gallery.size))

    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        return self.stage.scored(ranking, ranking.scores + self.numbers[ranking.indices])


class ForgetsWhichItemsWent(Plain):
    def prepare(self, gallery: Gallery) -> Prepared:
        assert gallery.embeddings is not None, "prepared for vectors alone"
        return StaysAsItWas(self, gallery, gallery.embeddings.gallery[:, 0])


class CannotBeUpdated(Plain):
    def prepare(self, gallery: Gallery) -> Prepared:
        return NeverUpdated(self, gallery)


class NeverUpdated(Prepared):
    def updated(self, change: Change) -> Prepared:
        raise ValueError("made once")


class CannotBePrepared(Plain):
    def prepare(self, gallery: Gallery) -> Prepared:
        raise ValueError("not for a gallery that stands")


class HidesANeed(Plain):
    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        assert problem.gallery_scores is not None, "no gallery_scores"
        return problem.gallery_scores.pairs(ranking.indices, ranking.indices)


class SaysANeedForNothing(Plain):
    needs = ("query_scores",)  # type: ignore[assignment]

    def unmet(self, problem: Problem) -> list[Unmet]:
        return []


class ChangesItsParameters(Plain):
    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale * 2


class TakesK(Plain):
    def __init__(self, k: int = 10) -> None:
        self.k = k


class ForgetsAParameter(Plain):
    def __init__(self, scale: float = 1.0) -> None:
        self._scale = scale


class LosesItsWeights(Plain):
    def __init__(self) -> None:
        self.shift: Any = None

    def get_weights(self) -> Any:
        return {} if self.shift is None else {"shift": self.shift}

    def set_weights(self, weights: Any) -> None:
        self.shift = np.zeros_like(weights["shift"])


class HidesItsLabels(Plain, Trainable):
    """Weights that `fit` learns from labels, without a word about them."""

    def get_weights(self) -> Any:
        return {"shift": np.zeros(1)}

    def set_weights(self, weights: Any) -> None:
        pass

    def looks_at(self, problem: Problem | None = None) -> Looks:
        return Looks()


class CannotBeSaved(Plain):
    def __init__(self, how: Any = np.negative) -> None:
        self.how = how


class DoesNotPickle(Plain):
    def __init__(self) -> None:
        self._how = lambda scores: scores


def weighted() -> Stage:
    stage = LosesItsWeights()
    stage.shift = np.ones(3, np.float32)
    return stage


class RemembersTheShape(Plain):
    """Keeps what it made for a problem, and takes it for every other one of that shape."""

    def __init__(self) -> None:
        self._kept: dict[Any, Any] = {}

    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        return self._kept.setdefault(ranking.shape, ranking.scores + problem.scores.rows().max())


class RemembersTheBank(Plain):
    def looks_at(self, problem: Problem | None = None) -> Looks:
        return Looks(bank=problem is not None and problem.query_bank is not None)

    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        bank = problem.query_bank
        if bank is None:
            return ranking.scores
        self._mean = getattr(self, "_mean", bank.to_gallery.rows().mean(axis=0))
        return ranking.scores - self._mean[ranking.indices]


class KeepsABankForItsScores(Plain):
    """Finds what it made of a bank again by the scores alone."""

    needs = ("query_bank:to_gallery",)  # type: ignore[assignment]

    def __init__(self) -> None:
        self._kept: dict[bytes, Any] = {}

    def looks_at(self, problem: Problem | None = None) -> Looks:
        return Looks(bank=True)

    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        liked = problem.query_bank.to_gallery.rows().mean(axis=0)  # type: ignore[union-attr]
        return ranking.scores - self._kept.setdefault(problem.scores.rows().tobytes(), liked)[ranking.indices]


class CountsPairs(Plain):
    """Two queries at once get other scores than one, or many."""

    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        return ranking.scores * (2 if len(ranking) == 2 else 1)


class CountsPlaces(Plain):
    """Padding of a list counts as candidates."""

    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        return ranking.scores * ranking.shape[1]


class ClonesOthers(Plain):
    def __init__(self, weight: float = 1.0) -> None:
        self.weight = weight

    def clone(self, **changes: Any) -> Any:
        return type(self)(self.weight + 1)


class ForgetsWhenPickled(ClonesOthers):
    def __setstate__(self, state: dict[str, Any]) -> None:
        self.weight = 0.0


class TakesBatches(Plain):
    """Looks at others in its batches of 128, which the small problems never fill."""

    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        scores = ranking.scores.copy()
        for at in range(128, len(scores), 128):
            scores[at : at + 128] *= 1 + scores[at, 0]
        return scores


class FailsFromTheHundredth(Plain):
    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        return np.where(np.arange(len(ranking))[:, None] < 100, ranking.scores, -ranking.scores)


class LooksAtTheLast(Plain):
    """Takes from the last query what belongs to the item, but of many queries only."""

    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        many = len(ranking) > 200
        return ranking.scores - many * problem.scores.rows().mean(axis=0)[ranking.indices]


class LooksAtTheLastBesideABank(Plain):
    """The same, where there is a bank."""

    def looks_at(self, problem: Problem | None = None) -> Looks:
        return Looks(bank=problem is not None and problem.query_bank is not None)

    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        if problem.query_bank is None:
            return ranking.scores
        many, liked = len(ranking) > 200, problem.query_bank.to_gallery.rows().mean(axis=0)  # type: ignore[union-attr]
        return ranking.scores - (liked + many * problem.scores.rows().mean(axis=0))[ranking.indices]


class PrintsOfMany(Plain):
    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        if len(ranking) > 200:
            print("a block of 200")
        return ranking.scores


class SeedsWhenPrepared(Plain):
    def prepare(self, gallery: Gallery) -> Prepared:
        np.random.seed(0)  # noqa: NPY002 - which is the fault
        return super().prepare(gallery)


class Prints(Plain):
    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        print("re-ranking")
        return ranking.scores


class Seeds(Plain):
    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        np.random.seed(0)  # noqa: NPY002 - which is the fault
        return ranking.scores


class ReadsNames(Plain):
    """Knows that a text's name begins with that of its picture."""

    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        if problem.query_ids is None or not isinstance(problem.query_ids.tolist()[0], str):
            return ranking.scores
        own = [name.partition("#")[0] for name in problem.query_ids.tolist()]
        items = np.array(problem.gallery_ids.tolist())
        return ranking.scores + (items[ranking.indices] == np.array(own)[:, None])


class ReadsNamesOfTheGallery(Plain):
    """The other direction: the items are texts."""

    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        if problem.query_ids is None or not isinstance(problem.query_ids.tolist()[0], str):
            return ranking.scores
        items = np.array([name.partition("#")[0] for name in problem.gallery_ids.tolist()])
        return ranking.scores + (items[ranking.indices] == np.array(problem.query_ids.tolist())[:, None])


def with_bank(queries: int, gallery: int, seed: int) -> Problem:
    random = np.random.default_rng(seed + 100)
    bank = Bank(to_gallery=random.normal(size=(20, gallery)))
    return make_problem(queries, gallery, seed).with_banks(query_bank=bank)


BROKEN: list[tuple[str, Any, str]] = [
    ("check_shapes", lambda: FailsWhere(lambda q, g, k: (q, g) == (2, 3)), "on a tiny problem: .*not made"),
    ("check_shapes", lambda: FailsWhere(lambda q, g, k: g > 10 * q), "on a wide problem: .*not made"),
    ("check_shapes", lambda: FailsWhere(lambda q, g, k: q > 9 * g), "on a tall problem: .*not made"),
    ("check_shapes", lambda: FailsWhere(lambda q, g, k: q * g == 1), "on one query and one item: .*not made"),
    ("check_shapes", lambda: FailsWhere(lambda q, g, k: k == 1 < g), "on one candidate: .*not made"),
    ("check_shapes", lambda: FailsWhere(lambda q, g, k: q < k == g), "on k larger than the gallery: .*not made"),
    ("check_shapes", FailsOnOneCandidate, "one query and one item: StageError.*IndexError"),
    ("check_shapes", LosesACandidate, "must return every candidate"),
    ("check_lone", RefusesAlone, "it refuses one query alone, and has no parameter 'lone'"),
    ("check_lone", TurnsOneAlone, "with lone='pass' one query alone does not keep its order"),
    (
        "check_ties",
        BreaksTiesBackwards,
        "tied scores: candidates with equal scores must keep the order",
    ),
    (
        "check_ties",
        TiesWhatCameApart,
        "candidates that came with different scores must not leave with equal",
    ),
    (
        "check_permutations",
        OrdersTiesByNumber,
        "permuting the gallery changes the order of candidates",
    ),
    ("check_ties", NanOnConstantScores, "constant scores: .*finite"),
    ("check_forms", DiffersForHalfPrecision, "float16 matrices give another answer"),
    ("check_forms", lambda: DiffersWhere(lambda s: "float64" in repr(s)), "float64 matrices give another answer"),
    ("check_forms", lambda: DiffersWhere(lambda s: "memory map" in repr(s)), "memory maps give another answer"),
    ("check_forms", lambda: DiffersWhere(lambda s: isinstance(s, EmbeddingScores)), "^embeddings give another answer"),
    ("check_forms", lambda: DiffersWhere(has_fractions), "^float embeddings give another answer"),
    ("check_lists", FailsOnLists, "top-k lists: StageError.*needs a matrix"),
    ("check_permutations", PrefersLowNumbers, "permuting the gallery changes the answer"),
    ("check_permutations", PrefersTheFirstQueries, "permuting the queries changes the answer"),
    ("check_blocks", DependsOnTheSizeOfChunks, "query_chunk_size=1 changes the answer"),
    ("check_blocks", DependsOnTheBudget, "a memory budget of 1 bytes changes the answer"),
    ("check_blocks", DependsOnTheBatchSize, "batch_size=1 changes the answer"),
    ("check_scale", MixesScales, "give another order: query"),
    ("check_deterministic", IsRandom, "gives another answer"),
    ("check_deterministic", RemembersTheLastProblem, "one of another shape gives another answer"),
    ("check_deterministic", RemembersTheShape, "after another problem, one of the same shape gives another answer"),
    ("check_deterministic", RemembersTheBank, "one of the same shape and bank 1 gives another answer"),
    ("check_ready", CountsPairs, "other batches of queries get another answer"),
    ("check_ready", CountsPlaces, "a list shorter than others of its batch gets another answer than alone"),
    ("check_params", ClonesOthers, r"clone\(\) is not equal to the stage"),
    ("check_pickle", ForgetsWhenPickled, "the unpickled stage is not equal"),
    ("check_many_queries", TakesBatches, "210 queries in another order get other answers: query"),
    ("check_many_queries", FailsFromTheHundredth, "210 queries in another order get other answers"),
    ("check_many_queries", LooksAtTheLast, "does not say queries, but some of 210 get other answers"),
    ("check_many_queries", LooksAtTheLastBesideABank, "does not say queries, but some of 210 get other answers"),
    ("check_many_queries", PrintsOfMany, "the stage, given 210 queries, prints: 'a block"),
    ("check_ready", SeedsWhenPrepared, "preparing it for a gallery seeds or uses what everybody draws from"),
    ("check_relevance", ReadsNamesOfTheGallery, "ids, which may tell what is right, change the answer"),
    ("check_process", Prints, "the stage prints: 're-ranking"),
    ("check_process", Seeds, r"seeds or uses what everybody draws from \(numpy.random\)"),
    ("check_relevance", ReadsNames, "ids, which may tell what is right, change the answer"),
    ("check_inputs", WritesIntoItsInput, "changed its input: scores"),
    ("check_inputs", WritesIntoABank, "changed its input: query_bank.to_gallery"),
    ("check_relevance", ReadsClassesOfTheGallery, "reads labels, which no stage may see"),
    ("check_relevance", ReadsIds, "ids, which may tell what is right, change the answer"),
    ("check_relevance", ReadsLabels, "reads labels, which no stage may see"),
    ("check_looks", ContradictsItself, r"looks_at\(\) is Looks\(queries=True\), but .* without banks it is Looks\(\)"),
    ("check_looks", AnswersWithAFlag, r"looks_at must return a rerankit.Looks \(got True\)"),
    ("check_looks", HidesThatItLooksAtQueries, "does not say queries, but other queries change the answer"),
    ("check_looks", SaysQueriesForNothing, "says queries, but other queries never changed an answer"),
    ("check_looks", HidesThatItLooksAtABank, "does not say bank, but another bank changes the answer"),
    ("check_looks", SaysABankForNothing, "says bank, but another bank never changed an answer"),
    ("check_looks", SaysLabelsForNothing, "says labels, but it has neither weights nor a 'fit'"),
    ("check_looks", HidesItsLabels, "it has weights, and its 'fit' takes labels: looks_at must say labels"),
    ("check_needs", HidesANeed, "a problem with only what it needs .*no gallery_scores"),
    ("check_needs", SaysANeedForNothing, "declares the need 'query_scores' but runs without it"),
    ("check_ready", PrefersTheFirstQueries, "queries answered one at a time get another answer than in a batch"),
    ("check_ready", PreparesSomethingElse, "queries answered one at a time get another answer than in a batch"),
    ("check_ready", CannotBePrepared, "preparing it for a gallery: ValueError: not for a gallery that stands"),
    ("check_ready", KeepsABufferWhenPrepared, "threads that share a prepared gallery get other answers than one"),
    ("check_updates", ForgetsWhichItemsWent, "it says that it is exact, and answers otherwise than prepared again"),
    ("check_updates", CannotBeUpdated, "adding and removing items: ValueError: made once"),
    ("check_shards", PrefersTheFirstQueries, "queries get another answer than the batch"),
    ("check_params", TakesK, "a parameter 'k' cannot be given by name: k says how many candidates there are"),
    ("check_params", ChangesItsParameters, "parameter 'scale' came back as 4.0 .given 2.0."),
    ("check_params", ForgetsAParameter, r"its own parameters do not make it again: .* \(got no self.scale\)"),
    ("check_save", weighted, "the loaded stage is not equal"),
    ("check_save", LosesWhatIsPrepared, "a prepared gallery that was loaded gives another answer"),
    ("check_save", CannotBeSaved, "saving and loading: InputError: parameter 'how' cannot be saved"),
    ("check_pickle", DoesNotPickle, "pickling: "),
    ("check_threads", KeepsABuffer, "on a problem that 8 threads ask for: .*of shape|8 threads that share plain get"),
    ("check_threads", IsRandom, "8 threads that share plain get other answers on Problem"),
]


def check_named(name: str) -> Any:
    return next(check for check in STAGE_CHECKS if check.__name__ == name)


@pytest.mark.parametrize("stage", [Good, Plain, AllAlike, ByRank])
@pytest.mark.parametrize("check", STAGE_CHECKS, ids=lambda check: check.__name__)
def test_good_stages_pass(check: Any, stage: type[Stage]) -> None:
    check(stage)


@pytest.mark.parametrize(("name", "factory", "message"), BROKEN)
def test_each_check_can_fail(name: str, factory: Any, message: str) -> None:
    with pytest.raises(CheckFailed, match=message):
        check_named(name)(factory)


def test_a_bank_that_comes_with_the_problem_is_another_one_for_the_same_scores() -> None:
    check = check_named("check_deterministic")
    check(lambda: stage("csls"), with_bank)
    with pytest.raises(CheckFailed, match="one of the same scores and other banks gives another answer"):
        check(KeepsABankForItsScores, with_bank)


def test_the_same_seed_twice_is_seen_and_generators_stay_as_they_were() -> None:
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    with pytest.raises(CheckFailed, match="seeds or uses"):
        check_named("check_process")(Seeds)
    check_named("check_many_queries")(Plain)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # type: ignore[index]  # noqa: NPY002


def test_tensors_are_a_form_of_their_own() -> None:
    pytest.importorskip("torch")
    with pytest.raises(CheckFailed, match=r"^tensors give another answer"):
        check_named("check_forms")(DiffersForTensors)


def test_a_feature_that_is_a_tensor_must_not_be_changed() -> None:
    check_named("check_inputs")(Plain, with_tensors)
    with pytest.raises(CheckFailed, match="read-only"):
        check_named("check_inputs")(WritesIntoAFeature, with_tensors)


@pytest.mark.parametrize("factory", [int, Plain(), "mutual-rank", lambda: None])
def test_what_makes_no_stages_is_refused_by_name(factory: Any) -> None:
    with pytest.raises(InputError, match="'factory' must be a stage's class, or a function without arguments"):
        check_stage(factory)


def test_a_factory_that_fails_is_told_as_one_failure() -> None:
    with pytest.raises(CheckFailed, match=r"^'factory' makes no stage: ZeroDivisionError"):
        check_stage(lambda: 1 / 0)  # type: ignore[arg-type,return-value]


def test_every_check_has_a_broken_stage() -> None:
    assert {name for name, _, _ in BROKEN} == {check.__name__ for check in STAGE_CHECKS}


def test_check_stage_tells_all_failures_at_once() -> None:
    with pytest.raises(CheckFailed) as caught:
        check_stage(IsRandom)
    message = str(caught.value)
    assert f"of {len(STAGE_CHECKS)} checks failed\n" in message
    assert "check_deterministic: " in message
    assert "check_params: " in message
    with pytest.raises(CheckFailed) as fewer:
        check_stage(IsRandom, skip={"check_deterministic": "it is random on purpose"})
    assert "check_deterministic" not in str(fewer.value)
    check_stage(Good)


def test_skipping_an_unknown_check_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'check_shapes'"):
        check_stage(Good, skip={"check_shape": "why"})


def test_made_problems_repeat_and_fit() -> None:
    one, other = make_problem(3, 5, 1), make_problem(3, 5, 1)
    assert repr(one) == "Problem(3 queries × 5 items, with query_scores, gallery_scores)"
    np.testing.assert_array_equal(one.scores.rows(), other.scores.rows())
    assert not np.array_equal(one.scores.rows(), make_problem(3, 5, 2).scores.rows())

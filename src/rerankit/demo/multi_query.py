"""Search with several descriptions on drawn canvases: what each further sentence does, before and after `hmrn`.

The first stage is the simplest that works: the words said so far, counted, give by one matrix the mean region that a
picture should have. `train` makes that matrix and the network that ship, from nothing; `fitted` reads them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rerankit.arrays import AnyArray, FloatArray
from rerankit.bench.examples import moved
from rerankit.demo import shipped
from rerankit.demo.charts import by_round, curves
from rerankit.demo.figures import first_ranks, recalls
from rerankit.demo.section import FigureTable, Section, Story
from rerankit.display import Faces
from rerankit.features import Regions
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance
from rerankit.reports import show
from rerankit.stages.hmrn.stage import HmrnStage
from rerankit.stages.hmrn.tokens import UNKNOWN_ID, Vocabulary
from rerankit.tasks.miniatures import canvases
from rerankit.training import TrainingSettings

if TYPE_CHECKING:
    from rerankit.training import History

NAME = "multi-query"
MINUTES = "about a minute"
"""What `train` takes."""
ROUNDS = 6
CANDIDATES = 100
"""How many pictures `hmrn` re-ranks after every sentence."""
PLACES = 8
"""So many of them are shown."""
PICTURES = {"train": 3000, "validation": 300, "test": 400}
SEEDS = {"train": 0, "validation": 1, "test": 2}
SETTINGS = TrainingSettings(
    epochs=8, batch_size=64, learning_rate=3e-3, optimizer="adam", schedule="cosine", clip_norm=2.0, device="cpu"
)
_RIDGE = 10.0
_MATRIX, _CENTRE, _USUAL = "words/matrix", "words/centre", "words/usual"


@dataclass(frozen=True)
class CanvasSearches:
    """Pictures of canvases, and for each one the sentences of somebody who looks for it."""

    pictures: list[Any]
    regions: list[FloatArray]
    texts: list[list[str]]

    @classmethod
    def drawn(cls, split: str, count: int | None = None) -> CanvasSearches:
        """Canvases of a split, drawn for it: no picture of one is in another."""
        rng = np.random.default_rng([SEEDS[split], 11])
        made = [canvases.things(rng) for _ in range(count or PICTURES[split])]
        pictures = [canvases.draw(each, rng) for each in made]
        texts = [canvases.describe(each, ROUNDS, rng) for each in made]
        return cls(pictures, [canvases.regions(each) for each in pictures], texts)

    @property
    def relevance(self) -> Relevance:
        """Every search is for one picture."""
        return Relevance.from_lists([[row] for row in range(len(self.texts))], len(self.texts))

    def problem(self, scores: FloatArray, rounds: int = ROUNDS) -> Problem:
        """The searches after some rounds, with the first stage's scores."""
        texts = {"text": [texts[:rounds] for texts in self.texts]}
        return Problem(
            scores, query_features=texts, gallery_features={"regions": Regions(self.regions), "images": self.pictures}
        )


@dataclass(frozen=True)
class CountedWords:
    """The first stage: counted words (words,) to the mean region (numbers,) that a picture should have."""

    vocabulary: Vocabulary
    matrix: FloatArray
    centre: FloatArray
    usual: FloatArray

    @classmethod
    def fitted(cls, searches: CanvasSearches, vocabulary: Vocabulary) -> CountedWords:
        """By ridge regression over the searches after every round, in closed form."""
        means = _means(searches.regions)
        counts = [_counts(searches.texts, rounds, vocabulary) for rounds in range(1, ROUNDS + 1)]
        stacked = np.concatenate(counts)
        usual, centre = stacked.mean(axis=0), means.mean(axis=0)
        centred = stacked - usual
        wanted = np.tile(means - centre, (ROUNDS, 1))
        matrix = np.linalg.solve(centred.T @ centred + _RIDGE * np.eye(len(usual)), centred.T @ wanted)
        return cls(vocabulary, *(each.astype(np.float32) for each in (matrix, centre, usual)))

    def scores(self, searches: CanvasSearches, rounds: int) -> FloatArray:
        """Cosines (searches, pictures) after some rounds."""
        wanted = (_counts(searches.texts, rounds, self.vocabulary) - self.usual) @ self.matrix
        scores: FloatArray = _unit(wanted) @ _unit(_means(searches.regions) - self.centre).T
        return scores

    def to_arrays(self) -> dict[str, AnyArray]:
        """The matrix and both means; the words are the network's own."""
        return {_MATRIX: self.matrix, _CENTRE: self.centre, _USUAL: self.usual}


def stage() -> HmrnStage:
    """The stage without weights."""
    sizes: dict[str, Any] = {"dim": 32, "reasoning_dim": 32, "word_dim": 24, "region_slots": 9, "dropout": 0.1}
    return HmrnStage("T-I", **sizes, full_rounds=ROUNDS, cascade=None, device="cpu")


def fitted(arrays: dict[str, AnyArray] | None = None) -> tuple[HmrnStage, CountedWords]:
    """The stage and the first stage with the weights that ship, or others."""
    found = shipped.weights(NAME) if arrays is None else dict(arrays)
    own = [found.pop(name) for name in (_MATRIX, _CENTRE, _USUAL)]
    made = stage()
    made.set_weights(found)
    assert made.vocabulary is not None
    return made, CountedWords(made.vocabulary, *own)


def train(out: Path | None = None) -> tuple[dict[str, AnyArray], dict[str, History]]:
    """Weights from nothing, and how the training went; `out` is for checkpoints and curves."""
    drawn, held = CanvasSearches.drawn("train"), CanvasSearches.drawn("validation")
    sides = [(each.problem(_blank(each)), each.relevance) for each in (drawn, held)]
    made = stage()
    made.fit(*sides[0], validation=sides[1], settings=SETTINGS, out=out, resume=False)
    assert made.vocabulary is not None
    assert made.history is not None
    words = CountedWords.fitted(drawn, made.vocabulary)
    return {**made.get_weights(), **words.to_arrays()}, {"hmrn": made.history}


def answers(made: HmrnStage, words: CountedWords, test: CanvasSearches) -> list[tuple[Problem, Ranking, Ranking]]:
    """After every round: the problem, the first stage's candidates, and the same after `hmrn`."""
    found = []
    for rounds in range(1, ROUNDS + 1):
        problem = test.problem(words.scores(test, rounds), rounds)
        before = problem.ranking(CANDIDATES)
        found.append((problem, before, made.rerank(problem, before)))
    return found


def section(
    arrays: dict[str, AnyArray] | None = None,
    *,
    histories: Mapping[str, History] | None = None,
    count: int | None = None,
) -> Section:
    """Everything of it that is shown, with the weights that ship or others, on the test canvases or fewer of them."""
    test = CanvasSearches.drawn("test", count)
    found = answers(*fitted(arrays), test)
    rows = [_row(rounds, test.relevance, *lists) for rounds, (_, *lists) in enumerate(found, 1)]
    lines = {"first stage": [row["before R@1"] for row in rows], "hmrn": [row["after R@1"] for row in rows]}
    return Section(
        NAME,
        "One picture, sentence by sentence",
        f"Somebody looks for one of {len(test.texts)} drawn pictures and says one sentence after the other. Each "
        f"fits many "
        f"pictures; together they fit one. The first stage counts words; 'hmrn' re-ranks its first {CANDIDATES} "
        f"pictures, "
        "region by region.",
        (FigureTable(rows, _NOTE),),
        charts=(
            by_round(NAME, "With every sentence", "R@1 in percent, before and after re-ranking.", lines),
            *(curves(f"{NAME}-{name}", f"'{name}'", each) for name, each in (histories or {}).items()),
        ),
        stories=stories(test, found),
        caption="After every sentence: the rank of the picture that is looked for, before and after, and the first "
        "pictures "
        "after. One search that gained most, one in the middle, and the one that fell furthest in the end.",
        card=shipped.card(NAME) if arrays is None else "",
    )


_NOTE = "In percent. R@k: the picture is among the first k. Ceiling: it is among the candidates that are re-ranked."


def _row(rounds: int, relevance: Relevance, before: Ranking, after: Ranking) -> dict[str, Any]:
    old, new = (recalls(ranking, relevance, (1, 5, CANDIDATES)) for ranking in (before, after))
    sides = {
        f"{side} {name}": each[name] for name in ("R@1", "R@5") for side, each in (("before", old), ("after", new))
    }
    return {"sentences": rounds, **sides, "ceiling": old[f"R@{CANDIDATES}"]}


def stories(test: CanvasSearches, found: Sequence[tuple[Problem, Ranking, Ranking]]) -> tuple[Story, ...]:
    """Searches round by round: the one that gained most, one that gained as most did, one that lost."""
    last, before, after = found[-1]
    relevance = test.relevance
    old, new = (first_ranks(ranking, relevance) for ranking in (before, after))
    order = moved(old, new, gained=len(old), lost=1).tolist()
    chosen = list(dict.fromkeys((order[0], order[(len(order) - 1) // 2], order[-1])))
    sheets = [
        show(problem, second, chosen, before=first, relevance=relevance, k=PLACES).examples
        for problem, first, second in found
    ]
    faces = Faces(last, "gallery")
    return tuple(
        Story(faces[row], tuple(test.texts[row]), tuple(each[number] for each in sheets))
        for number, row in enumerate(chosen)
    )


def _blank(searches: CanvasSearches) -> FloatArray:
    count = len(searches.texts)
    return np.zeros((count, count), np.float32)


def _counts(texts: Sequence[Sequence[str]], rounds: int, vocabulary: Vocabulary) -> FloatArray:
    """How often each word was said in the first rounds, a round counted once."""
    counts: FloatArray = np.zeros((len(texts), len(vocabulary)), np.float32)
    for row, search in enumerate(texts):
        for text in search[:rounds]:
            np.add.at(counts[row], vocabulary.encode(text), 1 / rounds)
    counts[:, : UNKNOWN_ID + 1] = 0.0
    return counts


def _means(regions: Sequence[FloatArray]) -> FloatArray:
    means: FloatArray = np.stack([each.mean(axis=0) for each in regions])
    return means


def _unit(vectors: Any) -> FloatArray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: FloatArray = (vectors / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)
    return unit

"""Composed retrieval on drawn scenes: a picture, a text that changes one thing about it, and what it asks for.

`Composition` is data; `train` makes the weights that ship from nothing, and `fitted` reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rerankit.arrays import AnyArray
from rerankit.bench.examples import moved
from rerankit.demo import shipped
from rerankit.demo.charts import curves
from rerankit.demo.figures import first_ranks, recalls
from rerankit.demo.section import FigureTable, Section
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance
from rerankit.reports import show
from rerankit.stages.triplet.plan import TripletPlan
from rerankit.stages.triplet.stage import Triplet
from rerankit.tasks.miniatures.composed import edits
from rerankit.tasks.miniatures.scenes import all_scenes, draw
from rerankit.training import TrainingSettings

if TYPE_CHECKING:
    from rerankit.training import History

NAME = "composed"
MINUTES = "about four minutes"
"""What `train` takes."""
CANDIDATES = 20
"""How many pictures of each query stage II re-ranks, the reference not counted."""
PLACES = 8
"""So many of them are shown."""
QUERIES, RENDERINGS, ASKED = 3072, 8, 300
"""Training queries, how often each scene is drawn for training, and queries of the other splits."""
SEEDS = {"train": 0, "validation": 1, "test": 2}
SIZES = {
    "hidden": 64, "layers": 3, "heads": 4, "intermediate": 128, "positions": 16, "width": 64, "projection": 8,
    "merge_from": 2, "dropout": 0.0, "image_size": 48, "patch_size": 12, "vision_layers": 2, "vision_heads": 4,
    "vision_intermediate": 128,
}  # fmt: skip
PLAN = TripletPlan(
    settings=TrainingSettings(learning_rate=1e-3, warmup=50, clip_norm=1.0, device="cpu"),
    filter={"epochs": 2, "batch_size": 64, "validate_every": 64},
    dual={"epochs": 1, "batch_size": 8, "validate_every": 256},
    tune_images=("filter",),
    hard_negatives=8,
    depth=48,
    sizes=SIZES,
)


@dataclass(frozen=True)
class Composition:
    """Queries of a reference picture and a text, the gallery of all scenes, and what is right.

    Every rendering of the scene that the text leads to is right; the reference itself is left out.
    """

    query_features: Mapping[str, Any]
    gallery_features: Mapping[str, Any]
    relevance: Relevance

    @classmethod
    def drawn(cls, split: str, queries: int = ASKED, renderings: int = 1) -> Composition:
        """Scenes and queries of a split, drawn for it: no picture of one is in another."""
        rng = np.random.default_rng([SEEDS[split], 16])
        scenes = all_scenes() * renderings
        pictures = [draw(scene, rng) for scene in scenes]
        wanted = list(edits(scenes, queries, 1, rng))
        references = [pictures[edit.reference] for edit in wanted]
        right = [[place for place, scene in enumerate(scenes) if scene == edit.target] for edit in wanted]
        relevance = Relevance.from_lists(right, len(scenes), exclude=[[edit.reference] for edit in wanted])
        texts = [edit.texts[0] for edit in wanted]
        return cls({"text": texts, "reference_images": references}, {"candidate_images": pictures}, relevance)

    def problem(self) -> Problem:
        """The same before anything has scored it."""
        queries, gallery = (np.zeros((count, 1), np.float32) for count in self.relevance.shape)
        return Problem.from_embeddings(
            queries, gallery, metric="dot", query_features=self.query_features, gallery_features=self.gallery_features
        )


def stage() -> Triplet:
    """The stage without weights."""
    return Triplet(device="cpu", image_pad="none", image_batch_size=64, max_tokens=16)


def fitted(arrays: dict[str, AnyArray] | None = None) -> Triplet:
    """The stage with the weights that ship, or others."""
    found = stage()
    found.set_weights(shipped.weights(NAME) if arrays is None else arrays)
    return found


def train(out: Path | None = None) -> tuple[dict[str, AnyArray], dict[str, History]]:
    """Weights of both stages from nothing, and how the training went; `out` is for checkpoints and curves."""
    drawn = Composition.drawn("train", QUERIES, RENDERINGS)
    held = Composition.drawn("validation")
    made = stage().clone(training=PLAN)
    made.fit(drawn.problem(), drawn.relevance, validation=(held.problem(), held.relevance), out=out, resume=False)
    return made.get_weights(), dict(made.histories)


def answers(made: Triplet, composition: Composition) -> tuple[Problem, Ranking, Ranking]:
    """The problem with stage I's scores, its first candidates, and the same after stage II."""
    problem = made.first_stage(composition.query_features, composition.gallery_features)
    before = problem.ranking(CANDIDATES + 1)
    return problem, before, made.rerank(problem, before)


def section(
    arrays: dict[str, AnyArray] | None = None, *, histories: Mapping[str, History] | None = None, queries: int = ASKED
) -> Section:
    """Everything of it that is shown, with the weights that ship or others, for all test queries or fewer."""
    composition = Composition.drawn("test", queries)
    problem, before, after = answers(fitted(arrays), composition)
    lists = {"stage I": before, "stage II": after}
    rows = [{"ranked by": name, **recalls(each, composition.relevance, (1, 5, 10))} for name, each in lists.items()]
    old, new = (first_ranks(each, composition.relevance) for each in lists.values())
    chosen = moved(old, new, gained=3, lost=1)
    return Section(
        NAME,
        "A picture, and what should be different",
        f"{queries} queries, each a drawn picture and a text that changes one thing about it, over a gallery of "
        f"{composition.relevance.shape[1]} pictures. Stage I of 'triplet' compares vectors; stage II reads reference, "
        f"text and candidate together, for the first {CANDIDATES}.",
        (FigureTable(rows, _NOTE, better=("R@1", "R@5", "R@10")),),
        charts=tuple(curves(f"{NAME}-{name}", _TRAINED[name], each) for name, each in (histories or {}).items()),
        examples=show(
            problem, after, chosen.tolist(), before=before, relevance=composition.relevance, k=PLACES
        ).examples,
        caption="The reference with its text, and the first candidates before and after stage II: three that gained "
        "most, and "
        "the one that lost most. A frame marks what the text asks for.",
        card=shipped.card(NAME) if arrays is None else "",
    )


_TRAINED = {"filter": "stage I", "dual": "stage II"}
_NOTE = (
    "In percent. R@k: the picture that the text asks for is among the first k. Nothing of a query but its reference "
    "and its "
    "text is looked at."
)

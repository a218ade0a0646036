"""camera-aware: what two cameras have in common is no reason to find somebody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rerankit import Gallery, Problem, Ranking, Stage, checks
from rerankit.pipelines import Prepared, State
from rerankit.scores import blocks


class Cameras(NamedTuple):
    """What is usual between the cameras of a gallery."""

    names: tuple[str, ...]
    usual: NDArray[np.float32]
    """(cameras, cameras): how much more alike than others the pictures of two cameras are, other things equal."""
    of_items: NDArray[np.int64]
    """(gallery,): the camera of each item."""


class CameraAware(Stage):
    """Subtract from a score what is usual between the query's camera and the item's.

    Pictures of one camera share light and background, and so do those of cameras that look at the same place: their
    scores are higher whoever is on them. How much is read off the gallery's similarities to itself, so it looks at no
    other query. A mean over few pairs says little: it counts by pairs / (pairs + `prior`). A query whose camera the
    gallery does not have keeps its order. It corrects the scores of the backbone, so it comes first in a pipeline.

    >>> from rerankit import Problem, rerank
    >>> among = [[1, 0.8, 0.3, 0.3], [0.8, 1, 0.3, 0.3], [0.3, 0.3, 1, 0.8], [0.3, 0.3, 0.8, 1]]
    >>> cameras = {"camera": ["a", "a", "b", "b"]}
    >>> problem = Problem([[0.7, 0.2, 0.4, 0.3]], gallery_scores=among, query_features={"camera": ["a"]},
    ...                   gallery_features=cameras)
    >>> rerank(problem, CameraAware(prior=0), k=2).indices
    array([[2, 0]])
    """

    name = "camera-aware"
    citation = ""
    needs = ("query_features:camera", "gallery_features:camera", "gallery_scores")

    def __init__(self, weight: float = 1.0, prior: int = 100) -> None:
        self.weight = checks.number("weight", weight, least=0)
        self.prior = checks.integer("prior", prior, least=0)

    def rescore(self, problem: Problem, ranking: Ranking) -> NDArray[np.float32]:
        return self.corrected(problem, ranking, self.cameras(Gallery.of(problem)))

    def prepare(self, gallery: Gallery) -> Prepared:
        return ByCameras(self, gallery, self.cameras(gallery))

    def restored(self, gallery: Gallery, state: State) -> Prepared:
        return ByCameras(
            self,
            gallery,
            Cameras(tuple(state.values["names"]), state.arrays["usual"], state.arrays["of_items"]),
        )

    def cameras(self, gallery: Gallery) -> Cameras:
        """What is usual between the cameras of a gallery, from each item's mean scores by camera."""
        side = gallery.side
        names, of_items = np.unique(labels(side.features["camera"]), return_inverse=True)
        sums, counts = _sums_by_camera(side.scores, of_items, len(names))
        own = of_items[:, None] == np.arange(len(names))
        pairs = np.stack([counts[own[:, at]].sum(axis=0) for at in range(len(names))])
        totals = np.stack([sums[own[:, at]].sum(axis=0) for at in range(len(names))])
        overall = totals.sum(axis=1, keepdims=True) / np.maximum(pairs.sum(axis=1, keepdims=True), 1)
        above = totals / np.maximum(pairs, 1) - overall
        usual = above * pairs / np.maximum(pairs + self.prior, 1)
        return Cameras(tuple(names.tolist()), usual.astype(np.float32), of_items)

    def corrected(self, problem: Problem, ranking: Ranking, cameras: Cameras) -> NDArray[np.float32]:
        """The scores that come in (queries, K), without what is usual."""
        place = {name: at for at, name in enumerate(cameras.names)}
        of_queries = np.array([place.get(name, -1) for name in labels(problem.query_features["camera"]).tolist()])
        of_candidates = cameras.of_items[np.where(ranking.mask, ranking.indices, 0)]
        usual = np.where(of_queries[:, None] >= 0, cameras.usual[of_queries[:, None], of_candidates], 0)
        corrected: NDArray[np.float32] = ranking.scores - np.float32(self.weight) * usual
        return corrected


@dataclass(eq=False, repr=False)
class ByCameras(Prepared):
    """The stage with what is usual between the cameras of a gallery."""

    stage: CameraAware
    cameras: Cameras

    keeps = "what is usual between cameras"
    by_item = False

    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        return self.stage.scored(ranking, self.stage.corrected(problem, ranking, self.cameras))

    def state(self) -> State:
        _, usual, of_items = self.cameras
        return State({"usual": usual, "of_items": of_items}, {"names": list(self.cameras.names)})


def labels(feature: Any) -> NDArray[np.str_]:
    """The cameras of a feature, numbers or texts, as texts (items,)."""
    return np.array([str(feature[row]) for row in range(len(feature))], np.str_)


def _sums_by_camera(
    scores: Any, of_items: NDArray[np.int64], cameras: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Of each item, the sum of its scores with the items of each camera, and how many (items, cameras); not itself.

    Pairs that lists do not have are not counted.
    """
    order = np.argsort(of_items, kind="stable")
    starts = np.searchsorted(of_items[order], np.arange(cameras))
    size = len(of_items)
    sums, counts = np.zeros((size, cameras)), np.zeros((size, cameras), np.int64)
    for rows in blocks(size, row_bytes=24 * size):
        block = scores.rows(rows).astype(np.float64)
        here = np.arange(rows.start, rows.stop)
        block[here - rows.start, here] = -np.inf  # an item is no pair
        there = np.isfinite(block)
        sums[rows] = np.add.reduceat(np.where(there, block, 0)[:, order], starts, axis=1)
        counts[rows] = np.add.reduceat(there[:, order].astype(np.int64), starts, axis=1)
    return sums, counts

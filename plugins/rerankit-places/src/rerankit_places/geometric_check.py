"""geometric-check: whose local features lie as those of the query do comes first."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rerankit import Problem, Ranking, Stage, checks, track
from rerankit.errors import rule
from rerankit_places.opencv import library

MODELS = ("fundamental", "homography")


class GeometricCheck(Stage):
    """Order candidates by how many of their local features fit those of the query under one model of two views.

    The feature `local` of both sides has rows x, y, descriptor for each picture (`rerankit_places.local_features` makes
    them). Descriptors are matched where each is the other's nearest; what fits is found by RANSAC, within `threshold`
    pixels of a `model`: "fundamental" for scenes with depth, "homography" for fronts of houses. Fewer than `at_least`
    count as none: by chance a few always fit, and where nothing fits, the order stays as it came. It costs milliseconds
    for each candidate: use `.top(k)`.
    """

    name = "geometric-check"
    citation = "Philbin et al., Object retrieval with large vocabularies and fast spatial matching (CVPR 2007)"
    needs = ("query_features:local", "gallery_features:local")

    def __init__(self, model: str = "fundamental", threshold: float = 3.0, at_least: int = 12) -> None:
        self.model = checks.choice("model", model, MODELS)
        self.threshold = checks.number("threshold", threshold, above=0)
        self.at_least = checks.integer("at_least", at_least, least=8)

    def rescore(self, problem: Problem, ranking: Ranking) -> NDArray[np.float32]:
        queries, items = problem.query_features["local"], problem.gallery_features["local"]
        found = np.zeros(ranking.shape, np.float32)
        for row in track(range(len(ranking)), self.name):
            query = _checked(queries[row], "query")
            for place in np.flatnonzero(ranking.mask[row]):
                fitting = self.fitting(query, _checked(items[int(ranking.indices[row, place])], "gallery"))
                found[row, place] = fitting if fitting >= self.at_least else 0
        return found

    def fitting(self, one: NDArray[np.float32], other: NDArray[np.float32]) -> int:
        """How many local features (n, 2 + d) of two pictures match and fit the model."""
        cv2 = library()
        if min(len(one), len(other)) < self.at_least:
            return 0
        matches = cv2.BFMatcher(cv2.NORM_L2, crossCheck=True).match(
            np.ascontiguousarray(one[:, 2:]), np.ascontiguousarray(other[:, 2:])
        )
        if len(matches) < self.at_least:
            return 0
        here = one[[match.queryIdx for match in matches], :2]
        there = other[[match.trainIdx for match in matches], :2]
        if self.model == "homography":
            _, fits = cv2.findHomography(here, there, cv2.RANSAC, self.threshold)
        else:
            _, fits = cv2.findFundamentalMat(here, there, cv2.FM_RANSAC, self.threshold, 0.999)
        return 0 if fits is None else int(fits.sum())


def _checked(rows: Any, side: str) -> NDArray[np.float32]:
    array = np.asarray(rows, np.float32)
    if array.ndim != 2 or array.shape[1] < 3:
        raise rule(f"{side}_features['local']", "must have rows x, y, descriptor", f"shape {array.shape}")
    return array

"""`cross-encoder` under the conformance kit: a stand-in model over texts."""

from __future__ import annotations

import numpy as np

from rerankit import Problem, Stage
from rerankit.testing import StageCase


class Letters:
    """Scores a pair of texts by the letters they share; has the interface of a CrossEncoder."""

    def predict(self, pairs: list[tuple[str, str]], **options: object) -> object:
        import torch

        return torch.tensor([len(set(one) & set(other)) + len(other) / 100 for one, other in pairs])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Letters)

    def __hash__(self) -> int:
        return 0


def letters() -> Stage:
    """A cross-encoder with the stand-in."""
    from rerankit.stages.cross_encoder.stage import CrossEncoder

    return CrossEncoder(Letters(), batch_size=5, device="cpu")


def problem(queries: int, gallery: int, seed: int = 0) -> Problem:
    """Random words."""
    random = np.random.default_rng(seed)

    def words(count: int) -> list[str]:
        return ["".join(random.choice([*"abcdefgh"], size=random.integers(1, 9))) for _ in range(count)]

    query_features = {"text": words(queries)}
    gallery_features = {"text": words(gallery)}
    return Problem(
        random.normal(size=(queries, gallery)), query_features=query_features, gallery_features=gallery_features
    )


NO_FILE = "a model given as an object has no file; a folder or a hub name is saved"
NO_HOME = "the stand-in of this file cannot be imported by name"
CASES = {"cross-encoder": StageCase(letters, problem, skip={"check_save": NO_FILE, "check_pickle": NO_HOME})}

"""Laws of the hierarchical scorer: padding, order and company never change a pair's score."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")


@cache
def scorer(variant: str) -> Any:
    import torch

    from rerankit.stages.hmrn.config import HmrnConfig
    from rerankit.stages.hmrn.network import Hmrn
    from rerankit.stages.hmrn.scoring import Scorer

    sizes = {"dim": 6, "reasoning_dim": 5, "region_dim": 4, "region_slots": 5, "steps": 2, "word_dim": 3}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return Scorer([Hmrn(HmrnConfig(variant=variant, vocabulary_size=9, **sizes))], "cpu")


def joint(variant: str, regions: Any, queries: Any) -> Any:
    """(rounds, searches, images)."""
    scores = scorer(variant)
    images, searches = scores.images(regions), scores.searches(queries)
    rounds = scores.rounds("all", queries.shape[1])
    return np.concatenate([block.joint for block in scores.score(images, searches, rounds)], axis=1)


@given(st.sampled_from(["I-T", "T-I"]), st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))
def test_company_and_padding_change_nothing(variant: str, seed: int, images: int, searches: int, rounds: int) -> None:
    from rerankit.features import Regions
    from rerankit.stages.hmrn.representation import Descriptions

    random = np.random.default_rng(seed)
    counts, spoken = random.integers(1, 6, images), random.integers(1, rounds + 1, searches)
    regions = random.normal(size=(images, 5, 4)).astype(np.float32)
    queries = random.normal(size=(searches, rounds, 6)).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=2, keepdims=True)
    together = joint(variant, Regions(regions, counts=counts), Descriptions(queries, counts=spoken))
    row, column = int(random.integers(searches)), int(random.integers(images))
    own_regions = Regions(regions[column : column + 1, : counts[column]])
    own_queries = Descriptions(queries[row : row + 1, : spoken[row]])
    alone = joint(variant, own_regions, own_queries)[:, 0, 0]
    held = [alone[min(t, spoken[row]) - 1] for t in range(1, rounds + 1)]
    np.testing.assert_allclose(together[:, row, column], held, atol=2e-6)


@given(st.sampled_from(["I-T", "T-I"]), st.integers(0, 10**6))
def test_what_was_said_first_does_not_matter_in_the_end(variant: str, seed: int) -> None:
    from rerankit.features import Regions
    from rerankit.stages.hmrn.representation import Descriptions

    random = np.random.default_rng(seed)
    regions = Regions(random.normal(size=(3, 5, 4)).astype(np.float32))
    queries = random.normal(size=(2, 4, 6)).astype(np.float32)
    one = joint(variant, regions, Descriptions(queries))[-1]
    other = joint(variant, regions, Descriptions(queries[:, random.permutation(4)]))[-1]
    np.testing.assert_allclose(one, other, atol=2e-6)

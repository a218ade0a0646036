"""Both forms in float32 against the definition in float64, for all temperatures and for weights of any size."""

from __future__ import annotations

import copy
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from rerankit.errors import InputError
from rerankit.features import Regions
from rerankit.stages.hmrn.config import HOTTEST, HmrnConfig
from rerankit.stages.hmrn.network import Hmrn
from rerankit.stages.hmrn.representation import Descriptions
from rerankit.stages.hmrn.scoring import Scorer

TEMPERATURES = [0.5, 5.0, 15.0, 30.0, 43.0, 44.0, 52.0, HOTTEST]
SIZES = {"dim": 8, "reasoning_dim": 6, "region_dim": 7, "region_slots": 36, "steps": 2, "word_dim": 4}


def network(variant: str, temperature: float, factor: float) -> Hmrn:
    """A random network with all weights times `factor`."""
    config = HmrnConfig(
        variant=variant,
        vocabulary_size=9,
        region_temperature=temperature,
        query_temperature=temperature,
        full_rounds=1,
        **SIZES,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        made = Hmrn(config).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(factor)
    return made


def sides() -> tuple[Regions, Descriptions]:
    """Regions and descriptions at random; those of the first search are as short as what keeps lengths above 0."""
    random = np.random.default_rng(0)
    regions = Regions(random.normal(size=(6, 36, 7)).astype(np.float32), counts=np.array([36, 1, 3, 20, 2, 4]))
    queries = random.normal(size=(3, 3, 8)).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=2, keepdims=True)
    queries[0] *= np.float32(1e-8)
    return regions, Descriptions(queries)


@torch.no_grad()
@pytest.mark.parametrize("variant", ["I-T", "T-I"])
@pytest.mark.parametrize("factor", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_equals_float64(naive: ModuleType, variant: str, factor: float, temperature: float) -> None:
    made, (regions, queries) = network(variant, temperature, factor), sides()
    scorer = Scorer([made], "cpu")
    images, searches = scorer.images(regions)[0], scorer.searches(queries)[0]
    fast = next(iter(scorer.score([images], [searches], [1, 2, 3]))).joint
    exact = copy.deepcopy(made.similarity).double()
    for item, count in enumerate(images.counts.tolist()):
        own = images.regions[item : item + 1, :count].double()
        expected = naive.joint_all_rounds(exact, own, searches.queries.double())[:, :, 0].numpy()
        np.testing.assert_allclose(fast[:, :, item], expected, atol=2e-5)
    trained = levels(made, images, searches)
    np.testing.assert_allclose(trained, fast[2], atol=2e-5)


def levels(made: Hmrn, images: Any, searches: Any) -> np.ndarray:
    """The joint score (searches, images) after the last round, by the form that is trained."""
    found, config = made.similarity(images.regions, searches.queries, images.counts, searches.counts), made.config
    weight = config.reasoning_weight * config.round_weight(searches.queries.shape[1])
    cheap = config.local_weight * found.local[-1] + config.global_weight * found.overall
    return (cheap + weight * found.reasoning).numpy()


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_gradients_are_finite(temperature: float) -> None:
    made, (regions, queries) = network("T-I", temperature, 2.0), sides()
    scorer = Scorer([made], "cpu")
    images, searches = scorer.images(regions)[0], scorer.searches(queries)[0]
    sum(level.sum() for level in made.similarity(images.regions, searches.queries, images.counts)).backward()
    found = [one.grad for one in made.similarity.parameters() if one.grad is not None]
    assert found
    assert all(torch.isfinite(one).all() for one in found)


def test_descriptions_that_are_too_long_are_refused() -> None:
    made, (regions, queries) = network("I-T", HOTTEST, 1.0), sides()
    scorer = Scorer([made], "cpu")
    images, searches = scorer.images(regions), scorer.searches(Descriptions(queries.values * 100))
    with pytest.raises(InputError, match=r"'queries' must have vectors so short that exp\(60 · similarity"):
        scorer.cheap(images, searches, [3])

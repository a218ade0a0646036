"""The arithmetic the benchmark prints is the arithmetic that is done, at the published size."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from rerankit.stages.triplet.config import TripletConfig
from rerankit.stages.triplet.network import DualEncoder
from rerankit.stages.triplet.packed import Pack, PackedScorer

SIZES = TripletConfig(vocabulary=100)
WORDS, SHARING = 20, 64


@pytest.fixture(scope="module")
def benchmark():
    path = Path(__file__).parents[3] / "benchmarks" / "triplet.py"
    spec = importlib.util.spec_from_file_location("triplet_benchmark", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def predicted(benchmark):
    return benchmark.flops_per_pair(SIZES, WORDS, SHARING)


@pytest.fixture(scope="module")
def network():
    """Nothing is computed on the meta device: shapes alone are followed."""
    with torch.device("meta"):
        return DualEncoder(SIZES).eval()


def counted(run):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        run()
    return counter.get_total_flops()


def test_query_major(network, predicted):
    ids, states = torch.ones(1, WORDS, dtype=torch.long, device="meta"), torch.zeros(1, WORDS, 768, device="meta")
    tokens = torch.zeros(1, SIZES.image_tokens, 768, device="meta")
    found = counted(lambda: network(states, ids, torch.ones_like(ids), tokens))
    assert found == pytest.approx(predicted["query-major"], rel=0.01)
    assert found == pytest.approx(41.1e9, rel=0.01)


def test_naive(network, predicted, benchmark):
    case = benchmark.Case.__new__(benchmark.Case)
    case.network = network
    case.ids = torch.ones(1, WORDS, dtype=torch.long, device="meta")
    case.mask, case.states = torch.ones_like(case.ids), torch.zeros(1, WORDS, 768, device="meta")
    case.tokens = torch.zeros(1, SIZES.image_tokens, 768, device="meta")
    found = counted(lambda: case.naive(range(1)))
    assert found == pytest.approx(predicted["naive"], rel=0.01)
    assert found > predicted["query-major"]


def test_candidate_major(network, predicted):
    scorer = PackedScorer(network)
    lengths = torch.full((SHARING,), WORDS)
    pack = Pack(torch.zeros(2, SHARING * WORDS, 768, device="meta"), lengths, torch.tensor([SHARING]))
    tokens = torch.zeros(1, SIZES.image_tokens, 768, device="meta")
    found = counted(lambda: scorer.score(pack, tokens)) / SHARING
    assert found == pytest.approx(predicted["candidate-major"], rel=0.01)
    assert found < predicted["query-major"] / 4

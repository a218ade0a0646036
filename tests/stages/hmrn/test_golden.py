"""Agreement with the published implementation: encoders, every level, every round, loss and gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from rerankit.stages.hmrn import fast
from rerankit.stages.hmrn.loss import level_losses
from rerankit.stages.hmrn.reasoning import Reasoning

CLOSE: dict[str, Any] = {"atol": 1e-5, "rtol": 0.0}


def test_encoders(golden_case: dict[str, Any]) -> None:
    numbers, network = golden_case["numbers"], golden_case["network"]
    tokens, mask = numbers["captions"], numbers["caption_mask"]
    torch.testing.assert_close(network.image(numbers["images"]), numbers["image_emb"], **CLOSE)
    queries = network.text(tokens.flatten(0, 1), mask.sum(-1).flatten())
    torch.testing.assert_close(queries.view(*tokens.shape[:2], -1), numbers["query_emb"], **CLOSE)


def test_levels_loss_and_gradients(golden_case: dict[str, Any]) -> None:
    numbers, network = golden_case["numbers"], golden_case["network"]
    assert network.config.variant == golden_case["variant"]
    levels = network.similarity(numbers["image_emb"], numbers["query_emb"])
    torch.testing.assert_close(levels.local.permute(2, 1, 0), numbers["lm"], **CLOSE)
    torch.testing.assert_close(levels.overall.T, numbers["gm"], **CLOSE)
    torch.testing.assert_close(levels.reasoning.T, numbers["vr"], **CLOSE)
    terms = level_losses(levels, network.config)
    assert list(terms) == ["local", "global", "reasoning"]
    loss = torch.stack(list(terms.values())).sum()
    torch.testing.assert_close(loss, numbers["loss"][0], **CLOSE)
    loss.backward()
    for name, parameter in network.similarity.named_parameters():
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(gradient, numbers[f"grad.{name}"], **CLOSE, msg=name)


@torch.no_grad()
def test_every_round_in_one_pass(golden_case: dict[str, Any]) -> None:
    numbers, network = golden_case["numbers"], golden_case["network"]
    encoder, config = network.similarity, network.config
    regions, queries = numbers["image_emb"], numbers["query_emb"]
    rounds = range(1, queries.shape[1] + 1)
    images = fast.Images(regions, torch.full((len(regions),), 36), encoder.v_global_w(regions))
    searches = fast.Searches(queries, torch.full((len(queries),), len(rounds)), encoder.t_global_w.rounds(queries))
    level = fast.LocalLevel(encoder)
    table = level.table(images, searches)
    reasoner = Reasoning(encoder)
    local, overall = level(images, searches), fast.overall(images, searches)
    parts = [reasoner(table[:, c], images, queries[c], searches.pooled[c], list(rounds)) for c in range(len(queries))]
    reasoning = torch.stack(parts, dim=1)
    torch.testing.assert_close(local.permute(2, 1, 0), numbers["lm"], **CLOSE)
    for t in rounds:
        weights = config.local_weight, config.global_weight, config.reasoning_weight * config.round_weight(t)
        joint = sum(w * x[t - 1] for w, x in zip(weights, (local, overall, reasoning), strict=True))
        torch.testing.assert_close(overall[t - 1].T, numbers[f"gm_round_{t}"], **CLOSE)
        torch.testing.assert_close(reasoning[t - 1].T, numbers[f"vr_round_{t}"], **CLOSE)
        torch.testing.assert_close(joint.T, numbers[f"final_round_{t}"], **CLOSE)


@torch.no_grad()
def test_the_plain_form_agrees_as_well(golden_case: dict[str, Any], naive: Any) -> None:
    """The oracle of the other tests is itself held to the published numbers."""
    numbers, network = golden_case["numbers"], golden_case["network"]
    joint = naive.joint_all_rounds(network.similarity, numbers["image_emb"], numbers["query_emb"])
    for t, table in enumerate(joint, start=1):
        torch.testing.assert_close(table.T, numbers[f"final_round_{t}"], **CLOSE)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_levels_on_a_gpu(golden_case: dict[str, Any]) -> None:
    numbers, network = golden_case["numbers"], golden_case["network"].cuda()
    levels = network.similarity(numbers["image_emb"].cuda(), numbers["query_emb"].cuda())
    torch.testing.assert_close(levels.local.permute(2, 1, 0).cpu(), numbers["lm"], **CLOSE)
    torch.testing.assert_close(levels.reasoning.T.cpu(), numbers["vr"], **CLOSE)

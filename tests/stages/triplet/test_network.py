"""Agreement of both networks with the published implementation's numbers."""

from __future__ import annotations

import torch

from rerankit.stages.triplet.config import TripletConfig
from rerankit.stages.triplet.network import DualEncoder

CLOSE = {"rtol": 0, "atol": 1e-5}


def test_filter_agrees_with_the_golden_numbers(cir):
    with torch.no_grad():
        states = cir.filter.encode_queries(cir.input_ids, cir.attention_mask, cir.reference_tokens)
        torch.testing.assert_close(states, cir.z_t, **CLOSE)
        torch.testing.assert_close(cir.filter.query_vectors(states), cir.query_feature, **CLOSE)
        vectors = cir.filter.gallery_vectors(cir.candidate_tokens.flatten(0, 1)).view(4, 6, -1)
        torch.testing.assert_close(vectors, cir.candidate_feature, **CLOSE)


def test_dual_encoder_agrees_with_the_golden_numbers(cir):
    with torch.no_grad():
        for row in range(4):
            query = [given[row : row + 1] for given in (cir.z_t, cir.input_ids, cir.attention_mask)]
            tokens = cir.candidate_tokens[row]
            torch.testing.assert_close(cir.dual.fuse(*query, tokens)[:, 0], cir.fused[row], **CLOSE)
            torch.testing.assert_close(cir.dual(*query, tokens)[0], cir.score[row], **CLOSE)


def test_a_grid_of_queries_and_candidates_scores_every_pair_alone(cir):
    tokens = cir.candidate_tokens[0]
    with torch.no_grad():
        grid = cir.dual(cir.z_t, cir.input_ids, cir.attention_mask, tokens)
        for row in range(4):
            length = int(cir.attention_mask[row].sum())
            query = [given[row : row + 1, :length] for given in (cir.z_t, cir.input_ids, cir.attention_mask)]
            for column in range(6):
                alone = cir.dual(*query, tokens[column : column + 1])
                torch.testing.assert_close(grid[row, column], alone[0, 0], **CLOSE)


def test_merge_layers_are_where_the_sizes_say(sizes):
    layers = DualEncoder(sizes).text_encoder.encoder.layer
    merged = [layer.crossattention.output.merge_layer is not None for layer in layers]
    assert merged == [False] * 6 + [True] * 2


def test_published_sizes():
    assert TripletConfig().image_tokens == 577
    assert TripletConfig.from_dict(TripletConfig().to_dict()) == TripletConfig()

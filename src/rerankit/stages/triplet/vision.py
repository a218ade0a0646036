"""The image encoder both stages read pictures with: transformers' BLIP vision model."""

from __future__ import annotations

from typing import cast

from torch import nn

from rerankit.extras import require
from rerankit.stages.triplet.config import TripletConfig


def vision_model(config: TripletConfig) -> nn.Module:
    """A randomly initialised `BlipVisionModel` of these sizes."""
    blip = require("transformers", extra="triplet", purpose="stage 'triplet'")
    sizes = blip.BlipVisionConfig(
        hidden_size=config.width,
        intermediate_size=config.vision_intermediate,
        num_hidden_layers=config.vision_layers,
        num_attention_heads=config.vision_heads,
        image_size=config.image_size,
        patch_size=config.patch_size,
        layer_norm_eps=config.vision_norm_eps,
        initializer_range=config.spread(config.width),
    )
    model = blip.BlipVisionModel(sizes)
    # At 0.02 beside patches twenty times larger, a network trained from nothing does not find places.
    nn.init.normal_(model.embeddings.position_embedding, std=0.3)
    return cast(nn.Module, model)

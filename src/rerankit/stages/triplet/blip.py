"""The BLIP networks of transformers that both stages are built on, in sizes of our own."""

from __future__ import annotations

from typing import Any, cast

from torch import nn

from rerankit.extras import require
from rerankit.stages.triplet.config import TripletConfig


def _blip() -> Any:
    return require("transformers", extra="triplet", purpose="stage 'triplet'")


def _shared(config: TripletConfig, side: str, width: int) -> dict[str, Any]:
    """What a BLIP configuration calls the sizes that both encoders have; `side` is "" or "vision_"."""
    return {
        "hidden_size": width,
        "intermediate_size": getattr(config, f"{side}intermediate"),
        "num_hidden_layers": getattr(config, f"{side}layers"),
        "num_attention_heads": getattr(config, f"{side}heads"),
        "layer_norm_eps": getattr(config, f"{side}norm_eps"),
        "initializer_range": config.spread(width),
    }


def text_model(config: TripletConfig) -> nn.Module:
    """A randomly initialised `BlipTextModel` of these sizes, without pooling."""
    blip = _blip()
    sizes = blip.BlipTextConfig(
        **_shared(config, "", config.hidden),
        vocab_size=config.vocabulary,
        encoder_hidden_size=config.width,
        max_position_embeddings=config.positions,
        hidden_dropout_prob=config.dropout,
        attention_probs_dropout_prob=config.dropout,
        # Only generation reads these; out of range they would be warned about for a small vocabulary.
        bos_token_id=config.vocabulary - 2,
        sep_token_id=min(102, config.vocabulary - 1),
    )
    return cast(nn.Module, blip.BlipTextModel(sizes, add_pooling_layer=False))


def vision_model(config: TripletConfig) -> nn.Module:
    """A randomly initialised `BlipVisionModel` of these sizes, the image encoder both stages read with."""
    blip = _blip()
    sizes = blip.BlipVisionConfig(
        **_shared(config, "vision_", config.width), image_size=config.image_size, patch_size=config.patch_size
    )
    model = blip.BlipVisionModel(sizes)
    # As large as what the patches bring: far below that, a network trained from nothing does not find places.
    nn.init.normal_(model.embeddings.position_embedding, std=config.spread(config.width) * config.patch_norm)
    return cast(nn.Module, model)

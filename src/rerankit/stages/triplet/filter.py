"""Stage I, the filter: BLIP's image-grounded text encoder reading the text with the reference image.

Built on transformers' BLIP. Its hidden states z_t are what stage II starts from; its first token, projected
and normalised, is compared with the projected class token of every gallery image.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rerankit.stages.triplet.blip import text_model, vision_model
from rerankit.stages.triplet.config import TripletConfig


class Filter(nn.Module):
    """Stage I of the triplet system; `images=False` leaves the image encoder out (tokens are then given)."""

    def __init__(self, config: TripletConfig, *, images: bool = True) -> None:
        super().__init__()
        self.config = config
        self.visual_encoder = vision_model(config) if images else None
        self.text_encoder = text_model(config)
        self.text_proj = nn.Linear(config.hidden, config.projection)
        self.vision_proj = nn.Linear(config.width, config.projection)
        self.temp = nn.Parameter(torch.tensor(0.07))

    def encode_queries(self, ids: Tensor, mask: Tensor, reference: Tensor) -> Tensor:
        """z_t (B, T, hidden) of token `ids` and `mask` (B, T) with `reference` tokens (B, P, width)."""
        out: Any = self.text_encoder(
            input_ids=ids, attention_mask=mask, encoder_hidden_states=reference, is_decoder=False
        )
        return cast(Tensor, out.last_hidden_state)

    def query_vectors(self, states: Tensor) -> Tensor:
        """Unit vectors (B, projection) of z_t."""
        return F.normalize(self.text_proj(states[:, 0]), dim=-1)

    def gallery_vectors(self, tokens: Tensor) -> Tensor:
        """Unit vectors (B, projection) of image tokens (B, P, width)."""
        return F.normalize(self.vision_proj(tokens[:, 0]), dim=-1)

"""Any text encoder from transformers in place of the GRU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rerankit import extras
from rerankit.errors import rule
from rerankit.stages.hmrn.config import HmrnConfig
from rerankit.stages.hmrn.encoders import unit


class TransformerEncoder(nn.Module):
    """Token ids (m, L) and lengths (m,) to the joint space (m, D): mean of the last layer's states, one linear.

    `config.text_model` is a name or a folder that `transformers.AutoModel` knows. Its own tokenizer belongs
    to it (`representation.Tokens`), and it is trained along unless its parameters are frozen.
    """

    def __init__(self, config: HmrnConfig) -> None:
        super().__init__()
        assert config.text_model is not None
        self.model: nn.Module = _pretrained("AutoModel", config.text_model)
        if hasattr(self.model, "text_model"):  # CLIP and its kin bring an image tower as well
            self.model = self.model.text_model
        width = int(self.model.config.hidden_size)  # type: ignore[union-attr, arg-type]
        self.normalise = config.normalise_queries
        self.projection = nn.Linear(width, config.dim)
        nn.init.xavier_uniform_(self.projection.weight)
        nn.init.zeros_(self.projection.bias)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        mask = torch.arange(tokens.shape[1], device=tokens.device) < lengths.to(tokens.device)[:, None]
        states = self.model(input_ids=tokens, attention_mask=mask.long()).last_hidden_state
        weight = mask[..., None].to(states.dtype)
        encoded: Tensor = self.projection((states * weight).sum(dim=1) / weight.sum(dim=1))
        return unit(encoded) if self.normalise else encoded


class ModelTokens:
    """The tokenizer of a transformers model, in the place of a vocabulary."""

    def __init__(self, name: str) -> None:
        self.tokenizer: Any = _pretrained("AutoTokenizer", name)

    def encode(self, text: str) -> list[int]:
        """Token ids of a text with the model's own marks at its ends."""
        return [int(number) for number in self.tokenizer(text, truncation=True)["input_ids"]]

    def says_nothing(self, text: str) -> bool:
        """Whether a text has no token besides those marks, or unknown ones only."""
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return all(number == self.tokenizer.unk_token_id for number in ids)


def _pretrained(kind: str, name: str) -> Any:
    """What transformers' class `kind` loads under a name or from a folder."""
    transformers: Any = extras.require("transformers", extra="triplet", purpose="a transformers text encoder")
    try:
        return getattr(transformers, kind).from_pretrained(name)
    except (OSError, ValueError) as cause:
        raise rule("text_model", "must be a model transformers can load", name) from cause

"""The two encoders, regions and descriptions to the joint space, under the names of published checkpoints.

Shapes use n images, c searches, R regions, T rounds, D the joint width. Padded regions and descriptions are
zero vectors, and zero vectors drop out of every sum by themselves; only counts and means need the lengths.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rerankit.arrays import AnyArray
from rerankit.stages.hmrn.config import HmrnConfig


def unit(vectors: Tensor, dim: int = -1) -> Tensor:
    """Vectors of length 1 along `dim`; a zero vector stays zero."""
    # A clamped square keeps the gradient of a zero vector finite, which sqrt alone does not.
    norm = vectors.square().sum(dim=dim, keepdim=True).clamp_min(1e-24).sqrt()
    return vectors / (norm + 1e-8)


def tensor(array: AnyArray) -> Tensor:
    """An array as a tensor that shares its memory; a read-only one (of a memory map) is copied."""
    whole = np.ascontiguousarray(array)
    return torch.from_numpy(whole if whole.flags.writeable else whole.copy())


def mask_of(counts: Tensor, size: int) -> Tensor:
    """True where a position is inside its row's count: (rows,) -> (rows, size)."""
    return torch.arange(size, device=counts.device) < counts[:, None]


class RegionEncoder(nn.Module):
    """Region vectors to the joint space: (n, R, D_in) -> (n, R, D), padded regions zero."""

    def __init__(self, config: HmrnConfig) -> None:
        super().__init__()
        self.normalise = config.normalise_regions
        self.fc = nn.Linear(config.region_dim, config.dim)
        nn.init.xavier_uniform_(self.fc.weight)
        nn.init.zeros_(self.fc.bias)

    def forward(self, regions: Tensor, counts: Tensor | None = None) -> Tensor:
        encoded: Tensor = self.fc(regions)
        encoded = unit(encoded) if self.normalise else encoded
        return encoded if counts is None else encoded * mask_of(counts, encoded.shape[1])[..., None]


class GruEncoder(nn.Module):
    """Token ids to the joint space: (m, L) ids and (m,) lengths -> (m, D), the state at the last word."""

    def __init__(self, config: HmrnConfig) -> None:
        super().__init__()
        self.normalise = config.normalise_queries
        self.embed = nn.Embedding(config.vocabulary_size, config.word_dim)
        self.dropout = nn.Dropout(config.dropout)
        self.cap_rnn = nn.GRU(
            config.word_dim, config.dim, config.text_layers, batch_first=True, bidirectional=config.bidirectional
        )
        nn.init.uniform_(self.embed.weight, -0.1, 0.1)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        words = self.dropout(self.embed(tokens))
        packed = pack_padded_sequence(words, lengths.cpu(), batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.cap_rnn(packed)[0], batch_first=True)
        last = states[torch.arange(len(states), device=states.device), lengths.to(states.device) - 1]
        if self.cap_rnn.bidirectional:
            last = torch.stack(last.chunk(2, dim=-1)).mean(dim=0)
        return unit(last) if self.normalise else last


def text_encoder(config: HmrnConfig) -> nn.Module:
    """The GRU over word embeddings, or a transformers model when the config names one."""
    if config.text_model is None:
        return GruEncoder(config)
    from rerankit.stages.hmrn.transformer import TransformerEncoder

    return TransformerEncoder(config)


def encode_rounds(text: nn.Module, ids: Tensor, lengths: Tensor, dim: int, words: int = 1 << 62) -> Tensor:
    """Vectors of token ids (c, T, L) with lengths (c, T): (c, T, D), zero where there is no description.

    Descriptions are encoded in order of length, at most `words` padded words at a time, so that little is
    padded; ids and lengths are on the CPU, the result is where the encoder is.
    """
    searches, rounds, size = ids.shape
    device = next(text.parameters()).device
    flat, long = ids.reshape(-1, size), lengths.reshape(-1)
    given = torch.argsort(long, stable=True)
    given = given[long[given] > 0]
    parts, start = [], 0
    while start < len(given):
        longest = int(long[given[min(start + max(1, words // size), len(given)) - 1]])
        rows = given[start : start + max(1, words // longest)]
        longest = int(long[rows].max())
        parts.append(text(flat[rows, :longest].to(device), long[rows]))
        start += len(rows)
    out = torch.zeros(searches * rounds, dim, device=device)
    return out.index_put((given.to(device),), torch.cat(parts).to(out.dtype)).view(searches, rounds, dim)

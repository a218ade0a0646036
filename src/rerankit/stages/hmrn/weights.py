"""The weights of a stage as named arrays: those of each network, its configuration, the words, the cascade's depth."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from rerankit.arrays import AnyArray
from rerankit.errors import InputError
from rerankit.stages.hmrn.config import HmrnConfig
from rerankit.stages.hmrn.tokens import Vocabulary

if TYPE_CHECKING:
    from rerankit.stages.hmrn.network import Hmrn

CONFIG, VOCABULARY, CASCADE = "config", "vocabulary", "cascade"


def arrays_of(networks: Mapping[str, Hmrn], vocabulary: Vocabulary | None, chosen: int | None) -> dict[str, AnyArray]:
    """Everything, by name; a network's names begin with its variant."""
    weights: dict[str, AnyArray] = {}
    for variant, network in networks.items():
        weights[f"{variant}/{CONFIG}"] = _to_bytes(json.dumps(network.config.to_dict()))
        for name, value in network.state_dict().items():
            weights[f"{variant}/{name}"] = value.detach().cpu().numpy()
    if vocabulary is not None:
        weights[VOCABULARY] = _to_bytes("\n".join(vocabulary.words))
    if chosen is not None:
        weights[CASCADE] = np.array([chosen], np.int64)
    return weights


def network_in(weights: Mapping[str, AnyArray], variant: str) -> tuple[HmrnConfig, dict[str, AnyArray]]:
    """The configuration and the weights of a variant's network."""
    own = {name.partition("/")[2]: array for name, array in weights.items() if name.startswith(f"{variant}/")}
    if CONFIG not in own:
        raise InputError(f"these weights have no network of variant {variant}")
    return HmrnConfig.from_dict(json.loads(_to_text(own.pop(CONFIG)))), own


def vocabulary_in(weights: Mapping[str, AnyArray]) -> Vocabulary | None:
    """The words of the text encoder, if they are known."""
    return Vocabulary(_to_text(weights[VOCABULARY]).split("\n")) if VOCABULARY in weights else None


def chosen_in(weights: Mapping[str, AnyArray]) -> int | None:
    """The depth of the cascade that `fit` chose, if it did."""
    return int(weights[CASCADE][0]) if CASCADE in weights else None


def _to_bytes(text: str) -> AnyArray:
    data: AnyArray = np.frombuffer(text.encode(), np.uint8).copy()
    return data


def _to_text(data: AnyArray) -> str:
    return bytes(np.asarray(data, np.uint8)).decode()

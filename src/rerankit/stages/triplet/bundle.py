"""Both networks with their vocabulary: what a fitted triplet stage holds, and how it becomes arrays."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rerankit.errors import FormatError, InputError
from rerankit.stages.triplet.config import TripletConfig
from rerankit.stages.triplet.filter import Filter
from rerankit.stages.triplet.network import DualEncoder
from rerankit.threads import first_use

Arrays = dict[str, NDArray[Any]]
_STAGES = ("filter", "dual")


@dataclass
class Bundle:
    """Stage I, stage II (None before it is trained) and the words of the vocabulary (None: ids are given).

    `filter_trained` is False while stage I is what composed retrieval begins with: BLIP's weights, or random ones.
    """

    filter: Filter
    dual: DualEncoder | None
    words: tuple[str, ...] | None
    filter_trained: bool = True

    def __post_init__(self) -> None:
        sizes = self.filter.config
        if self.words is not None and len(self.words) != sizes.vocabulary:
            raise InputError(
                f"'vocabulary' must have the {sizes.vocabulary} entries of the text encoder (got {len(self.words)})"
            )
        if self.dual is None:
            return
        for name in ("hidden", "vocabulary", "width"):
            ours, theirs = getattr(sizes, name), getattr(self.dual.config, name)
            if ours != theirs:
                raise InputError(f"the two stages must have the same '{name}' (got {ours} and {theirs})")

    @property
    def lacks(self) -> str:
        """Which part is not trained yet, and what trains it; nothing when all are."""
        parts = {"filter": ("stage I", self.filter_trained), "dual": ("stage II", self.dual is not None)}
        absent = [part for part, (_, trained) in parts.items() if not trained]
        names = " and no trained ".join(parts[part][0] for part in absent)
        return f"has no trained {names}: fit it (training={{'stages': {absent}}}), or import it, too" if absent else ""

    @property
    def reference_encoder(self) -> nn.Module | None:
        """What encodes reference images."""
        return self.filter.visual_encoder

    @property
    def candidate_encoder(self) -> nn.Module | None:
        """What encodes candidate images: stage II's own encoder where it has one."""
        own = None if self.dual is None else self.dual.visual_encoder
        return own if own is not None else self.filter.visual_encoder

    def to(self, device: torch.device) -> Bundle:
        """Both networks on a device, in eval mode and without gradients."""
        with first_use:
            for network in (self.filter, self.dual):
                if network is not None:
                    network.to(device).eval()
        return self

    def to_arrays(self) -> Arrays:
        """Weights, sizes and vocabulary as named arrays."""
        about: dict[str, Any] = {"filter": self.filter.config.to_dict(), "words": self.words, "images": self._images()}
        about["filter_trained"] = self.filter_trained
        if self.dual is not None:
            about["dual"] = self.dual.config.to_dict()
        out: Arrays = {"about": np.frombuffer(json.dumps(about).encode(), np.uint8)}
        for stage in _STAGES:
            network = getattr(self, stage)
            if network is not None:
                out |= {f"{stage}.{k}": v.detach().cpu().numpy() for k, v in network.state_dict().items()}
        return out

    def _images(self) -> list[str]:
        return [s for s in _STAGES if getattr(getattr(self, s), "visual_encoder", None) is not None]

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Bundle:
        """The inverse of `to_arrays`."""
        if "about" not in arrays:
            raise FormatError("these are not the weights of a triplet stage: they have no 'about'")
        about = json.loads(bytes(arrays["about"]).decode())
        first = Filter(TripletConfig.from_dict(about["filter"]), images="filter" in about["images"])
        second = None
        if "dual" in about:
            second = DualEncoder(TripletConfig.from_dict(about["dual"]), images="dual" in about["images"])
        for stage, network in zip(_STAGES, (first, second), strict=True):
            if network is not None:
                network.load_state_dict(_tensors(arrays, f"{stage}."))
        words = None if about["words"] is None else tuple(about["words"])
        return cls(first, second, words, about.get("filter_trained", True))


def _tensors(arrays: Arrays, prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): torch.from_numpy(np.array(value))
        for name, value in arrays.items()
        if name.startswith(prefix)
    }

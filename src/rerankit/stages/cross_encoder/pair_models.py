"""Models that score pairs, behind one method: sentence-transformers cross-encoders and BLIP matching."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from rerankit.arrays import FloatArray
from rerankit.errors import rule
from rerankit.extras import require
from rerankit.pictures import open_image
from rerankit.reading import read_json
from rerankit.stages.triplet.images import ImageTransform
from rerankit.training.devices import autocast, pick

SAFE = {"trust_remote_code": False}
"""Said to every loader: unasked, some would ask on the terminal whether to run a model's own code."""


class PairModel(Protocol):
    """Scores pairs of a query and a candidate."""

    def score(self, pairs: list[tuple[Any, Any]]) -> FloatArray:
        """(len(pairs),), higher is better."""


def load_pair_model(model: Any, processor: Any, precision: str, device: str, max_tokens: int | None) -> PairModel:
    """The model behind a folder, a hub name or an object."""
    where = pick(device)
    if isinstance(model, (str, os.PathLike)) and _is_blip(model):
        transformers = require("transformers", extra="triplet", purpose="stage 'cross-encoder'")
        processor = model if processor is None else processor
        model = transformers.BlipForImageTextRetrieval.from_pretrained(model, **SAFE, use_safetensors=True)
    if type(model).__name__ == "BlipForImageTextRetrieval":
        return BlipMatching(model, _tokenizer(processor), precision, where, max_tokens)
    if isinstance(model, (str, os.PathLike)):
        library = _sentence_transformers()
        # Not `activation_fn`: the order of the pairs needs none, and a saturated sigmoid would lose it.
        weights = {"use_safetensors": True}  # never a pickle
        model = library.CrossEncoder(
            os.fspath(model), device=str(where), max_length=max_tokens, model_kwargs=weights, **SAFE
        )
    if not hasattr(model, "predict"):
        raise rule("model", "must be a CrossEncoder or a BlipForImageTextRetrieval", type(model).__name__)
    return SentencePairs(model, precision, where)


def _sentence_transformers() -> Any:
    # Earlier ones run code that lies in a model's folder.
    return require("sentence_transformers", extra="cross-encoder", purpose="stage 'cross-encoder'", least="6")


def _is_blip(model: str | os.PathLike[str]) -> bool:
    config = Path(model) / "config.json"
    if config.is_file():
        return bool(read_json(config, dict, "text").get("model_type") == "blip")
    return "blip-itm" in str(model)


def _tokenizer(processor: Any) -> Any:
    if processor is None:
        raise rule("processor", "must be the model's tokenizer, or the folder or hub name of one", processor)
    if isinstance(processor, (str, os.PathLike)):
        transformers = require("transformers", extra="triplet", purpose="stage 'cross-encoder'")
        return transformers.AutoTokenizer.from_pretrained(processor, **SAFE)
    return getattr(processor, "tokenizer", processor)


class SentencePairs:
    """A sentence-transformers cross-encoder; of several outputs the last is taken as "relevant"."""

    def __init__(self, model: Any, precision: str, device: torch.device) -> None:
        self.model, self.precision, self.device = model, precision, device

    def score(self, pairs: list[tuple[Any, Any]]) -> FloatArray:
        """Raw outputs, before any sigmoid."""
        if not all(isinstance(one, str) for pair in pairs for one in pair):
            opened = {id(one): _said(one) for pair in pairs for one in pair}
            pairs = [(opened[id(one)], opened[id(other)]) for one, other in pairs]
        with autocast(self.device, self.precision):
            out = self.model.predict(
                pairs,
                batch_size=len(pairs),
                show_progress_bar=False,
                activation_fn=torch.nn.Identity(),
                convert_to_tensor=True,
                device=str(self.device),
            )
        scores = cast(Tensor, out).float().cpu().numpy()
        return scores if scores.ndim == 1 else scores[:, -1]


def _said(one: Any) -> dict[str, Any]:
    """A text or a picture as what it is: a bare text that looks like a path would be opened as a picture."""
    return {"text": one} if isinstance(one, str) else {"image": open_image(one, "picture")}


class BlipMatching:
    """BLIP's image-text matching head: the logit of "match" less that of "no match".

    Either side may be the picture. Image tokens of the pictures of the latest batches are kept.
    """

    KEPT = 32

    def __init__(
        self, model: Any, tokenizer: Any, precision: str, device: torch.device, max_tokens: int | None
    ) -> None:
        self.model, self.tokenizer = model.to(device).eval(), tokenizer
        self.precision, self.device, self.max_tokens = precision, device, max_tokens
        self.transform = ImageTransform(model.config.vision_config.image_size, "none")
        self._tokens: dict[int, tuple[Any, Tensor]] = {}

    @torch.inference_mode()
    def score(self, pairs: list[tuple[Any, Any]]) -> FloatArray:
        """(len(pairs),)."""
        swapped = not isinstance(pairs[0][0], str)
        texts = [pair[1] if swapped else pair[0] for pair in pairs]
        pictures = [pair[0] if swapped else pair[1] for pair in pairs]
        words = self.tokenizer(
            texts, padding=True, truncation=True, max_length=self.max_tokens or 512, return_tensors="pt"
        ).to(self.device)
        with autocast(self.device, self.precision):
            states = self.model.text_encoder(
                input_ids=words["input_ids"],
                attention_mask=words["attention_mask"],
                encoder_hidden_states=self._encoded(pictures),
                is_decoder=False,
            ).last_hidden_state
            logits = self.model.itm_head(states[:, 0]).float()
        return np.asarray((logits[:, 1] - logits[:, 0]).cpu().numpy())

    def _encoded(self, pictures: list[Any]) -> Tensor:
        """Image tokens (len(pictures), P, width); a picture that comes again is not encoded again."""
        # Threads may share the model: what is there is taken now, since another may forget it.
        known = {id(one): kept for one in pictures if (kept := self._tokens.get(id(one))) is not None}
        new = {id(one): one for one in pictures if id(one) not in known}
        if new:
            pixels = [self.transform(open_image(one, "picture")) for one in new.values()]
            encoded = self.model.vision_model(pixel_values=torch.stack(pixels).to(self.device))
            # The picture is kept beside its tokens: an id is only good while its object lives.
            pairs = zip(new.items(), encoded.last_hidden_state, strict=True)
            known |= {key: (one, tokens) for (key, one), tokens in pairs}
        self._tokens |= known
        for key in list(self._tokens)[: -self.KEPT]:
            self._tokens.pop(key, None)
        return torch.stack([known[id(one)][1] for one in pictures])

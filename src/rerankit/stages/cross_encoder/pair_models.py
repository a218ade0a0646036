"""Models that score pairs, behind one method: cross-encoders, image-text matching, chat models."""

from __future__ import annotations

import os
from collections.abc import Collection
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from rerankit.arrays import FloatArray
from rerankit.errors import MissingExtraError, rule
from rerankit.extras import require
from rerankit.pictures import open_image
from rerankit.reading import read_json
from rerankit.stages.cross_encoder.chat import ChatMatching, Question
from rerankit.stages.triplet.images import ImageTransform
from rerankit.training.devices import HALF, autocast, pick

SAFE = {"trust_remote_code": False}
"""Said to every loader: unasked, some would ask on the terminal whether to run a model's own code."""


class PairModel(Protocol):
    """Scores pairs of a query and a candidate."""

    def score(self, pairs: list[tuple[Any, Any]]) -> FloatArray:
        """(len(pairs),), higher is better."""


def load_pair_model(
    model: Any, processor: Any, precision: str, device: str, max_tokens: int | None, question: Question | None = None
) -> PairModel:
    """The model behind a folder, a hub name or an object; a `question` is for a chat model alone."""
    where = pick(device)
    if isinstance(model, (str, os.PathLike)):
        name = CHAT if question is not None else _matching_name(model)
        if name is None:
            return SentencePairs(_sentence_pairs(model, where, max_tokens), precision, where)
        processor = model if processor is None else processor
        model = _matching_model(name, model, HALF.get(precision) if name == CHAT else None)
    name = type(model).__name__
    if name not in MATCHING and hasattr(model, "generate"):
        # A model that is spread over devices, or quantised, stays where it is.
        settled = model if hasattr(model, "hf_device_map") else model.to(where)
        return ChatMatching(settled.eval(), _processor(processor), question or Question(), precision, max_tokens)
    if question is not None:
        raise rule("model", "must be a chat model where 'prompt' or 'answers' are given", name)
    if name in MATCHING:
        reader = _tokenizer(processor) if name == BLIP else _processor(processor)
        return MATCHING[name](model.to(where).eval(), reader, precision, where, max_tokens)
    if not hasattr(model, "predict"):
        raise rule("model", f"must be a CrossEncoder, {', '.join(MATCHING)} or a chat model of transformers", name)
    return SentencePairs(model, precision, where)


def _sentence_pairs(place: str | os.PathLike[str], device: torch.device, max_tokens: int | None) -> Any:
    # Earlier ones run code that lies in a model's folder.
    library = require("sentence_transformers", extra="cross-encoder", purpose="stage 'cross-encoder'", least="6")
    # Not `activation_fn`: the order of the pairs needs none, and a saturated sigmoid would lose it.
    weights = {"use_safetensors": True}  # never a pickle
    return library.CrossEncoder(
        os.fspath(place), device=str(device), max_length=max_tokens, model_kwargs=weights, **SAFE
    )


def _matching_name(place: str | os.PathLike[str]) -> str | None:
    """The class of a model that reads pictures by its config, or by its name on the hub; None for others."""
    config = Path(place) / "config.json"
    if config.is_file():
        kind = read_json(config, dict, "text").get("model_type")
        chat = CHAT if kind in _chat_kinds() and not (Path(place) / "modules.json").exists() else None
        return {"blip": BLIP, "blip-2": BLIP2, "vilt": VILT}.get(kind, chat)
    known = {"blip-itm": BLIP, "blip2-itm": BLIP2, "vilt-": VILT}
    return next((name for part, name in known.items() if part in str(place)), None)


def _chat_kinds() -> Collection[str]:
    """The kinds of models that read texts and pictures and write text."""
    if find_spec("transformers") is None:
        return ()
    named = import_module("transformers.models.auto.modeling_auto")
    return getattr(named, "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES", ())


def _matching_model(name: str, place: str | os.PathLike[str], dtype: torch.dtype | None) -> Any:
    """In float32 by default, whatever the file has: `precision` says what is rounded."""
    kind = getattr(_transformers("4.49" if name == CHAT else None), name)
    model, report = kind.from_pretrained(place, use_safetensors=True, output_loading_info=True, **SAFE)
    if report["missing_keys"]:
        raise rule("model", f"must have all weights of a {name}", f"{place} without {min(report['missing_keys'])}")
    return model.to(dtype or torch.float32)


def _transformers(least: str | None = None) -> Any:
    return require("transformers", extra="transformers", purpose="stage 'cross-encoder'", least=least)


def _tokenizer(processor: Any) -> Any:
    if processor is None:
        raise rule("processor", "must be the model's tokenizer, or the folder or hub name of one", processor)
    if isinstance(processor, (str, os.PathLike)):
        return _transformers().AutoTokenizer.from_pretrained(processor, **SAFE)
    return getattr(processor, "tokenizer", processor)


def _processor(processor: Any) -> Any:
    if isinstance(processor, (str, os.PathLike)):
        try:
            processor = _transformers().AutoProcessor.from_pretrained(processor, **SAFE)
        except ImportError as cause:  # such as torchvision, which the processors of some models need
            report = " ".join(str(cause).split())
            raise MissingExtraError(f"stage 'cross-encoder' needs pip install 'rerankit[vlm]': {report}") from cause
    if not all(hasattr(processor, part) for part in ("image_processor", "tokenizer")):
        raise rule("processor", "must be the model's processor, or the folder or hub name of one", processor)
    return processor


class SentencePairs:
    """A sentence-transformers cross-encoder; of several outputs the last is taken as "relevant"."""

    def __init__(self, model: Any, precision: str, device: torch.device) -> None:
        self.model, self.precision, self.device = model, precision, device

    def score(self, pairs: list[tuple[Any, Any]]) -> FloatArray:
        """Raw outputs, before any sigmoid."""
        if not all(isinstance(one, str) for pair in pairs for one in pair):
            opened = {id(one): _opened(one) for pair in pairs for one in pair}
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
        scores = torch.as_tensor(out).float().cpu().numpy()  # a model of one's own may give a list or an array
        return scores if scores.ndim == 1 else scores[:, -1]


def _opened(one: Any) -> dict[str, Any]:
    """A text or a picture as what it is: a bare text that looks like a path would be opened as a picture."""
    return {"text": one} if isinstance(one, str) else {"image": open_image(one, "picture")}


class Matching:
    """A matching head over a picture and a text: its one logit, or that of "match" less that of "no match".

    Either side may be the picture.
    """

    KEPT = 32
    """Pictures of the latest batches whose tokens are kept."""

    def __init__(self, model: Any, reader: Any, precision: str, device: torch.device, max_tokens: int | None) -> None:
        self.model, self.reader, self.precision, self.device = model, reader, precision, device
        positions = getattr(model.config, "max_position_embeddings", 512)
        self.longest = min(max_tokens or positions, positions)
        self._tokens: dict[int, tuple[Any, Tensor]] = {}

    @torch.inference_mode()
    def score(self, pairs: list[tuple[Any, Any]]) -> FloatArray:
        """(len(pairs),)."""
        swapped = not isinstance(pairs[0][0], str)
        texts = [pair[1] if swapped else pair[0] for pair in pairs]
        pictures = [pair[0] if swapped else pair[1] for pair in pairs]
        tokenizer = getattr(self.reader, "tokenizer", self.reader)
        words = tokenizer(texts, padding=True, truncation=True, max_length=self.longest, return_tensors="pt")
        read = {name: words[name].to(self.device) for name in ("input_ids", "attention_mask")}
        with autocast(self.device, self.precision):
            logits = self._logits(read, pictures).float()
        scores = logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits[:, 0]
        return np.asarray(scores.cpu().numpy())

    def _logits(self, words: dict[str, Tensor], pictures: list[Any]) -> Tensor:
        """(len(pictures), 1 or 2) of ids and masks (len(pictures), T), and of pictures."""
        raise NotImplementedError(f"{type(self).__name__} must implement '_logits'")

    def _pixels(self, pictures: list[Any]) -> dict[str, Tensor]:
        """What the processor makes of pictures."""
        read = self.reader.image_processor([open_image(one, "picture") for one in pictures], return_tensors="pt")
        return {name: value.to(self.device) for name, value in read.items()}

    def _encoded(self, pictures: list[Any]) -> Tensor:
        """Image tokens (len(pictures), P, width); a picture that comes again is not encoded again."""
        # Threads may share the model: what is there is taken now, since another may forget it.
        known = {id(one): kept for one in pictures if (kept := self._tokens.get(id(one))) is not None}
        new = {id(one): one for one in pictures if id(one) not in known}
        if new:
            encoded = self.model.vision_model(**self._pixels(list(new.values()))).last_hidden_state
            # The picture is kept beside its tokens: an id is only good while its object lives.
            known |= {key: (one, tokens) for (key, one), tokens in zip(new.items(), encoded, strict=True)}
        self._tokens |= known
        for key in list(self._tokens)[: -self.KEPT]:
            self._tokens.pop(key, None)
        return torch.stack([known[id(one)][1] for one in pictures])


class BlipMatching(Matching):
    """BLIP."""

    def _logits(self, words: dict[str, Tensor], pictures: list[Any]) -> Tensor:
        read = self.model.text_encoder(**words, encoder_hidden_states=self._encoded(pictures), is_decoder=False)
        return cast(Tensor, self.model.itm_head(read.last_hidden_state[:, 0]))

    def _pixels(self, pictures: list[Any]) -> dict[str, Tensor]:
        """A tokenizer is all that BLIP needs: its pictures are squeezed into a square."""
        transform = ImageTransform(self.model.config.vision_config.image_size, "none")
        return {"pixel_values": torch.stack([transform(one) for one in pictures]).to(self.device)}


class Blip2Matching(Matching):
    """BLIP-2: the mean over its query tokens, which read the text and the picture."""

    def _logits(self, words: dict[str, Tensor], pictures: list[Any]) -> Tensor:
        model, mask = self.model, words["attention_mask"]
        tokens = model.query_tokens.expand(len(pictures), -1, -1)
        count = tokens.shape[1]
        states = model.qformer(
            query_embeds=model.embeddings(input_ids=words["input_ids"], query_embeds=tokens),
            query_length=count,
            attention_mask=torch.cat([mask.new_ones(len(mask), count), mask], dim=1),
            encoder_hidden_states=self._encoded(pictures),
        ).last_hidden_state
        return cast(Tensor, model.itm_head(states[:, :count]).mean(dim=1))


class ViltMatching(Matching):
    """ViLT, one network over the words and the patches of a picture: nothing of a picture can be kept."""

    _drawing = Lock()
    """Held while torch's generator is set, which all threads share."""

    def _logits(self, words: dict[str, Tensor], pictures: list[Any]) -> Tensor:
        # It draws the order of its patches, which moves the last bits.
        with self._drawing, torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            return cast(Tensor, self.model(**words, **self._pixels(pictures)).logits)


BLIP, BLIP2, VILT = "BlipForImageTextRetrieval", "Blip2ForImageTextRetrieval", "ViltForImageAndTextRetrieval"
CHAT = "AutoModelForImageTextToText"
MATCHING: dict[str, type[Matching]] = {BLIP: BlipMatching, BLIP2: Blip2Matching, VILT: ViltMatching}
"""Classes of transformers for image-text matching, and who scores pairs by them."""

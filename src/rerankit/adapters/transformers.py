"""transformers: pictures and their captions as a problem, by a model that has vectors for both."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rerankit import checks
from rerankit.adapters.items import named
from rerankit.arrays import FloatArray
from rerankit.checksums import checksum_of
from rerankit.errors import InputError, rule
from rerankit.events import track
from rerankit.extras import require
from rerankit.feature_cache import FeatureCache, fingerprint
from rerankit.features import Pictures
from rerankit.pictures import ENDINGS, open_image
from rerankit.problem import Problem

_TORCH, _LIBRARY = (
    require(module, extra="transformers", purpose="the bridge to transformers") for module in ("torch", "transformers")
)
_SAFE = {"trust_remote_code": False}
_FULL_LENGTH = ("siglip", "siglip2")
"""Models that were trained with texts padded to their full length, and see no mask."""


def problem_of(
    model: Any,
    pictures: Any,
    texts: Any,
    *,
    processor: Any = None,
    picture_bank: Any = None,
    text_bank: Any = None,
    batch_size: int = 32,
    device: str = "auto",
    cache: str | os.PathLike[str] | None = None,
    cache_bytes: int | str = "20GB",
    **rest: Any,
) -> Problem:
    """Pictures (the queries) and texts (the gallery) encoded by one model, as a problem over their embeddings.

    model: a folder or a name on the hub, or a loaded model with its `processor`: CLIP, SigLIP, and whatever has
    `get_image_features` and `get_text_features`, or BLIP for image-text retrieval. pictures: a folder, read with those
    inside it; a list of paths; or ``{id: path}``. Ids are the names of files; pictures in memory have none. texts: a
    list, or ``{id: text}``. What is longer than the model reads is cut, as the processor does it. Both stay with the
    problem, as the features `images` and `text`, and ``problem.reversed()`` searches pictures by texts.

    `picture_bank` and `text_bank` are other queries, of the same forms. `cache` is a folder for vectors of pictures, of
    at most `cache_bytes`: a picture is encoded once by each model, until its file changes. `rest` goes to
    `Problem.from_embeddings`.
    """
    size = checks.integer("batch_size", batch_size, least=1)
    (ids, shown), (names, words) = _pictures(pictures, "pictures"), _texts(texts, "texts")
    more_shown = None if picture_bank is None else _pictures(picture_bank, "picture_bank")[1]
    more_words = None if text_bank is None else _texts(text_bank, "text_bank")[1]
    encoder = _Encoder(model, processor, device, size)
    kept = None if cache is None else FeatureCache(cache, encoder.fingerprint(), max_bytes=cache_bytes)
    options: dict[str, Any] = {"query_ids": ids, "gallery_ids": names, **rest}
    options["query_features"] = {"images": shown, **(rest.get("query_features") or {})}
    options["gallery_features"] = {"text": words, **(rest.get("gallery_features") or {})}
    return Problem.from_embeddings(
        encoder.pictures(shown, kept, "picture"),
        encoder.texts(words),
        query_bank=None if more_shown is None else encoder.pictures(more_shown, kept, "picture_bank"),
        gallery_bank=None if more_words is None else encoder.texts(more_words),
        **options,
    )


class _Encoder:
    """A model on its device, with the processor that reads for it."""

    def __init__(self, model: Any, processor: Any, device: str, batch_size: int) -> None:
        from rerankit.training.devices import pick

        if isinstance(model, str | os.PathLike):
            processor = model if processor is None else processor
            model = _read(_model, model, "model")
        if isinstance(processor, str | os.PathLike):
            processor = _read(_LIBRARY.AutoProcessor.from_pretrained, processor, "processor")
        if not all(hasattr(processor, part) for part in ("image_processor", "tokenizer")):
            raise rule("processor", "must be the model's processor, or its folder", type(processor).__name__)
        self.blip = type(model).__name__ == "BlipForImageTextRetrieval"
        if not self.blip and not all(hasattr(model, f"get_{kind}_features") for kind in ("image", "text")):
            raise rule(
                "model", "must have vectors for pictures and texts, as CLIP, SigLIP and BLIP", type(model).__name__
            )
        self.device, self.batch_size = pick(device), batch_size
        self.model, self.processor = model.to(self.device).eval(), processor

    def fingerprint(self) -> str:
        """What decides a picture's vector."""
        return fingerprint(self.model, repr(self.model), repr(self.processor.image_processor))

    def pictures(self, shown: Pictures, cache: FeatureCache | None, kind: str) -> FloatArray:
        """Vectors (pictures, d), out of the cache where it has them."""
        keys = [] if cache is None else [_key(one) for one in shown]
        found: dict[int, FloatArray] = {}
        if cache is not None:
            found = {row: vector for row, key in enumerate(keys) if (vector := cache.get(key)) is not None}
        new = [row for row in range(len(shown)) if row not in found]
        for rows in self._batches(new, "encoding pictures"):
            opened = [open_image(shown[row], f"{kind} {row}") for row in rows]
            vectors = self._vectors("image", self.processor(images=opened, return_tensors="pt"))
            found |= zip(rows, vectors, strict=True)
            if cache is not None:
                for row in rows:
                    cache.put(keys[row], found[row])
        return np.stack([found[row] for row in range(len(shown))])

    def texts(self, words: list[str]) -> FloatArray:
        """Vectors (texts, d)."""
        longest = min(self.processor.tokenizer.model_max_length, self.model.config.text_config.max_position_embeddings)
        padding = "max_length" if self.model.config.model_type in _FULL_LENGTH else True
        options = {"padding": padding, "truncation": True, "max_length": longest, "return_tensors": "pt"}
        return np.concatenate(
            [
                self._vectors("text", self.processor(text=batch, **options))
                for batch in self._batches(words, "encoding texts")
            ]
        )

    def _batches(self, items: list[Any], description: str) -> Iterator[list[Any]]:
        for at in track(range(0, len(items), self.batch_size), description):
            yield items[at : at + self.batch_size]

    def _vectors(self, kind: str, inputs: Any) -> FloatArray:
        """(items, d) float32 of what the processor has read."""
        ready = {
            name: value.to(self.device, self.model.dtype if value.is_floating_point() else value.dtype)
            for name, value in inputs.items()
        }
        with _TORCH.inference_mode():
            found = self._blip(kind, ready) if self.blip else getattr(self.model, f"get_{kind}_features")(**ready)
        found = getattr(found, "pooler_output", found)  # a tensor before transformers 5
        if not _TORCH.is_tensor(found) or found.ndim != 2:
            raise rule("model", f"must have one vector for each {kind}", type(self.model).__name__)
        vectors: FloatArray = found.float().cpu().numpy()
        return vectors

    def _blip(self, kind: str, inputs: dict[str, Any]) -> Any:
        """BLIP's vectors for retrieval, which its `get_image_features` are not."""
        parts = {"image": ("vision_model", "vision_proj"), "text": ("text_encoder", "text_proj")}
        network, projection = (getattr(self.model, part) for part in parts[kind])
        return projection(network(**inputs).last_hidden_state[:, 0])


def _model(place: str | os.PathLike[str], **safe: Any) -> Any:
    """The model of a folder; one whose weights are not all there would give vectors out of random numbers."""
    config = _LIBRARY.AutoConfig.from_pretrained(place, **safe)
    kind = _LIBRARY.BlipForImageTextRetrieval if config.model_type == "blip" else _LIBRARY.AutoModel
    model, report = kind.from_pretrained(place, use_safetensors=True, output_loading_info=True, **safe)
    if report["missing_keys"]:
        raise rule("model", f"must have all weights of a {type(model).__name__}", f"no {min(report['missing_keys'])}")
    return model


def _read(reader: Callable[..., Any], place: str | os.PathLike[str], argument: str) -> Any:
    try:
        return reader(place, **_SAFE)
    except InputError:
        raise
    except (OSError, ValueError, RuntimeError) as cause:
        raise rule(argument, "must be a folder or a name on the hub that transformers reads", f"{place}") from cause


def _key(picture: Any) -> str:
    """What a picture is: its file's path, size, time and first block, or its pixels."""
    return checksum_of(Pictures([picture.absolute() if isinstance(picture, Path) else picture]))


def _texts(given: Any, argument: str) -> tuple[list[Any] | None, list[str]]:
    ids, texts = named(given, argument)
    wrong = next((text for text in texts if not isinstance(text, str)), None)
    if wrong is not None:
        raise rule(argument, "must hold texts", wrong)
    return ids, texts


def _pictures(given: Any, argument: str) -> tuple[list[Any] | None, Pictures]:
    """Ids and pictures; files that are not there are an error before anything is encoded."""
    if isinstance(given, str | os.PathLike):
        given = _inside(Path(given), argument)
    ids, items = named(given, argument)
    pictures = Pictures(items, argument)
    if pictures.paths:
        gone = next((path for path in pictures if not path.is_file()), None)
        if gone is not None:
            raise rule(argument, "must be files that exist", f"{gone}")
        ids = [path.name for path in pictures] if ids is None else ids
        if len(set(ids)) < len(ids):
            raise rule(argument, "with equal names of files must be {id: path}", max(ids, key=ids.count))
    return ids, pictures


def _inside(folder: Path, argument: str) -> dict[str, Path]:
    """The pictures of a folder and of those inside it, by their names in it."""
    if not folder.is_dir():
        raise rule(argument, "must be a folder, a list of pictures, or {id: picture}", f"{folder}")
    inside = {path.relative_to(folder): path for path in sorted(folder.rglob("*")) if path.suffix.lower() in ENDINGS}
    found = {name.as_posix(): path for name, path in inside.items() if not name.name.startswith(".")}
    if not found:
        raise rule(argument, f"must have pictures in it ({', '.join(ENDINGS)})", f"none in {folder}")
    return found

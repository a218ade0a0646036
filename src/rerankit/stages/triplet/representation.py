"""A problem's features to what the networks read: reference tokens, token ids, candidate tokens.

=====================  ========  =================================================================
feature                side      what
=====================  ========  =================================================================
``text``               query     the modifying text; a list of two captions is joined
``text_ids``           query     token ids (queries, T) padded with 0, instead of ``text``
``reference_images``   query     paths, PIL pictures or arrays
``reference_tokens``   query     image tokens (queries, P, width), instead of pictures
``candidate_images``   gallery   paths, PIL pictures or arrays
``candidate_tokens``   gallery   image tokens (gallery, P, width), instead of pictures
=====================  ========  =================================================================

Where both tokens and pictures are given, tokens are used. With a path pattern for pictures ("data/{id}.png"), the
``reference`` (ids) that tasks for composed retrieval bring stands for ``reference_images``, and the problem's gallery
ids for ``candidate_images``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rerankit.errors import InputError, UnmetNeedError, rule
from rerankit.events import track
from rerankit.feature_cache import FeatureCache, fingerprint
from rerankit.features import Feature, Pictures
from rerankit.problem import Problem
from rerankit.stages.triplet.bundle import Bundle
from rerankit.stages.triplet.features import ArrayTokens, ImageTokens
from rerankit.stages.triplet.filter import Filter
from rerankit.stages.triplet.images import ImageTransform
from rerankit.stages.triplet.reading import Reading
from rerankit.stages.triplet.scoring import QueryStates, TokenSource
from rerankit.stages.triplet.text import TextTokenizer, join_captions

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def image_source(problem: Problem, side: str, bundle: Bundle, reading: Reading) -> ArrayTokens | ImageTokens:
    """Tokens of "reference" or "candidate" pictures."""
    features = problem.query_features if side == "reference" else problem.gallery_features
    encoder = bundle.reference_encoder if side == "reference" else bundle.candidate_encoder
    width = bundle.filter.config.width
    if f"{side}_tokens" in features:
        return ArrayTokens(features[f"{side}_tokens"], width, f"{side}_tokens")
    if f"{side}_images" not in features:
        raise UnmetNeedError(f"stage 'triplet' needs the feature '{side}_images' or '{side}_tokens'")
    if encoder is None:
        raise UnmetNeedError(
            f"these weights have no image encoder, so '{side}_images' cannot be read: give '{side}_tokens'"
        )
    transform = ImageTransform(bundle.filter.config.image_size, reading.image_pad)
    cache = None
    if reading.cache is not None:
        cache = FeatureCache(reading.cache, fingerprint(encoder, transform), max_bytes=reading.cache_bytes)
    return ImageTokens(
        as_pictures(features[f"{side}_images"], f"{side}_images"),
        partial(encode_frozen, encoder),
        transform,
        kind=f"{side} image",
        cache=cache,
        batch=reading.image_batch_size,
        on_error=reading.on_error,
    )


def encode_frozen(encoder: nn.Module, pixels: Tensor) -> Tensor:
    """Pixels (B, 3, size, size) to tokens (B, P, width), without gradients."""
    device = next(encoder.parameters()).device
    # In float32 in training too, so that training sees what ranking will.
    with torch.inference_mode(), torch.autocast(device.type, enabled=False):
        return cast(Tensor, encoder(pixel_values=pixels.to(device)).last_hidden_state)


def texts_of(features: Mapping[str, Any]) -> list[str]:
    """The modifying texts, with two captions of a query joined into one."""
    return [text if isinstance(text, str) else join_captions(text) for text in features["text"]]


def as_pictures(feature: Feature, name: str) -> Pictures:
    """The feature itself, refused when it holds no pictures."""
    if not isinstance(feature, Pictures):
        raise rule(name, "must hold pictures: paths, PIL pictures or arrays (height, width, 3)", feature)
    return feature


def token_ids(problem: Problem, bundle: Bundle, reading: Reading, rows: IntArray) -> tuple[Tensor, Tensor]:
    """Ids and mask (len(rows), T) of some queries' texts."""
    sizes = bundle.filter.config
    if "text_ids" in problem.query_features:
        ids = torch.as_tensor(np.asarray(problem.query_features["text_ids"], np.int64)[rows])
        if ids.numel() and (int(ids.max()) >= sizes.vocabulary or ids.shape[1] > sizes.positions):
            bounds = f"{sizes.vocabulary} entries and {sizes.positions} places"
            raise rule("text_ids", f"must fit the text encoder's {bounds}", f"{int(ids.max())}, {ids.shape[1]}")
        return ids, (ids != 0).long()
    if bundle.words is None:
        raise UnmetNeedError("these weights came without a vocabulary: give one, or the feature 'text_ids'")
    tokenizer = TextTokenizer(bundle.words, max_tokens=min(reading.max_tokens, sizes.positions))
    texts = texts_of(problem.query_features)
    return cast(
        "tuple[Tensor, Tensor]", tuple(torch.from_numpy(part) for part in tokenizer([texts[row] for row in rows]))
    )


@dataclass
class Queries:
    """What is known of the queries: `rows` (n,) that can be read, their states, and why others cannot."""

    rows: IntArray
    states: QueryStates
    skipped: dict[int, str] = field(default_factory=dict)


def read_queries(problem: Problem, bundle: Bundle, reading: Reading) -> Queries:
    """Every query's z_t, computed once."""
    source = image_source(problem, "reference", bundle, reading)
    everyone = np.arange(problem.shape[0])
    skipped = _skipped_references(source, everyone, reading)
    if reading.on_error == "skip" and "text" in problem.query_features:
        empty = [row for row, text in enumerate(texts_of(problem.query_features)) if not text.strip()]
        skipped |= {row: f"the text of query {row} is empty" for row in empty}
    rows = np.array([row for row in everyone.tolist() if row not in skipped], np.int64)
    if not len(rows):
        nothing = torch.zeros(0, bundle.filter.config.hidden), torch.zeros(0, dtype=torch.long)
        return Queries(rows, QueryStates(*nothing, rows), skipped)
    ids, mask = token_ids(problem, bundle, reading, rows)
    exists = mask.bool()
    lengths = exists.sum(1)
    states = torch.empty(int(lengths.sum()), bundle.filter.config.hidden)
    places = torch.split(states, lengths.tolist())
    # Queries of one reference come together, so that it is encoded once for all of them.
    order = torch.from_numpy(source.together(rows))
    for at in track(_batches(len(rows), reading.image_batch_size), "reading queries with their references"):
        some = order[at]
        read = query_states(bundle.filter, ids[some], mask[some], source.tokens(rows[some.numpy()])).cpu()
        for place, state in zip(some.tolist(), torch.split(read, lengths[some].tolist()), strict=True):
            places[place].copy_(state)
    return Queries(rows, QueryStates(states, ids[exists], lengths.numpy()), skipped)


def query_states(network: Filter, ids: Tensor, mask: Tensor, reference: Tensor) -> Tensor:
    """z_t of every word that exists, (words, hidden)."""
    device = network.text_proj.weight.device
    length = int(mask.sum(1).max())
    ids, mask = ids[:, :length].to(device), mask[:, :length].to(device)
    with torch.inference_mode():
        states = network.encode_queries(ids, mask, reference.to(device).float())
    return states[mask.bool()]


def _batches(count: int, size: int) -> list[slice]:
    return [slice(at, min(at + size, count)) for at in range(0, count, size)]


def _skipped_references(source: TokenSource, rows: IntArray, reading: Reading) -> dict[int, str]:
    gone = rows[source.missing(rows)]
    if len(gone) and reading.on_error != "skip":
        raise InputError(f"'reference_tokens' are missing for {_listed('query', gone)}")
    return {row: f"the reference of query {row} cannot be read" for row in gone.tolist()}


def check_candidates(source: TokenSource, columns: IntArray, reading: Reading) -> IntArray:
    """Which of these candidates cannot be read; an error unless the stage skips them."""
    columns = np.unique(columns)
    gone = columns[source.missing(columns)]
    if len(gone) and reading.on_error != "skip":
        raise InputError(f"'candidate_tokens' are missing for {_listed('candidate', gone)}")
    return gone


def _listed(kind: str, rows: IntArray) -> str:
    more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
    return f"{kind} {', '.join(map(str, rows[:5].tolist()))}{more}"


def vectors(problem: Problem, bundle: Bundle, reading: Reading) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Stage I's unit vectors of the queries (queries, d) and of the gallery (gallery, d)."""
    queries = read_queries(problem, bundle, reading)
    if queries.skipped:
        raise InputError(f"stage I needs every query ({next(iter(queries.skipped.values()))})")
    network = bundle.filter
    device = network.text_proj.weight.device
    # Stage I compares with its own view of the gallery, whatever encoder stage II has.
    source = image_source(problem, "candidate", Bundle(network, None, bundle.words), reading)
    items = np.arange(problem.shape[1])
    check_candidates(source, items, reading)
    with torch.inference_mode():
        first = queries.states.states[torch.from_numpy(queries.states.starts)].to(device)
        vectors = network.query_vectors(first[:, None])
        batches = track(_batches(len(items), max(8, reading.image_batch_size)), "encoding the gallery")
        offered = [network.gallery_vectors(source.tokens(items[at]).to(device)).cpu() for at in batches]
    return vectors.cpu().numpy(), torch.cat(offered).numpy()

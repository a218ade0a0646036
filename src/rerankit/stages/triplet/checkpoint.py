"""Reading and writing checkpoints in the published files' own format, and starting from plain BLIP.

Files are read by `rerankit.reading`, which runs nothing. Sizes are read off the weights; only the number of
attention heads leaves no trace in them and has to be given where it is not one per 64 channels.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from rerankit.arrays import AnyArray
from rerankit.errors import FormatError, rule
from rerankit.formats.pt import write_checkpoint
from rerankit.reading import check_state, read_checkpoint
from rerankit.reading.states import as_tensors
from rerankit.stages.triplet.config import TripletConfig
from rerankit.stages.triplet.filter import Filter
from rerankit.stages.triplet.network import DualEncoder

Weights = dict[str, Tensor]
Network = TypeVar("Network", bound=nn.Module)
FILTER_KEY, DUAL_KEY = "BLIP_Retrieval", "BLIP_NLVR"
_IGNORED = re.compile(r"(.*\.)?position_ids$|text_decoder\..*|.*_(m|queue)(\.|$).*|.*queue.*|itm_head\..*")

# The beginnings of names in the published image encoder, and in transformers; N is a layer's number.
_VISION_NAMES = (
    ("cls_token", "embeddings.class_embedding"),
    ("pos_embed", "embeddings.position_embedding"),
    ("patch_embed.proj.", "embeddings.patch_embedding."),
    ("blocks.N.norm1.", "encoder.layers.N.layer_norm1."),
    ("blocks.N.norm2.", "encoder.layers.N.layer_norm2."),
    ("blocks.N.attn.qkv.", "encoder.layers.N.self_attn.qkv."),
    ("blocks.N.attn.proj.", "encoder.layers.N.self_attn.projection."),
    ("blocks.N.mlp.", "encoder.layers.N.mlp."),
    ("norm.", "post_layernorm."),
)


def _renaming(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Patterns for names that begin as the first of a pair, with what they then begin with."""
    return tuple(("^" + re.escape(old).replace("N", r"(\d+)"), new.replace("N", r"\1")) for old, new in pairs)


_VISION_IN = _renaming(_VISION_NAMES)
_VISION_OUT = _renaming((new, old) for old, new in _VISION_NAMES)


def read_weights(path: str | os.PathLike[str], key: str | None = None) -> Weights:
    """The tensors of a checkpoint file: under `key`, under 'model' or 'state_dict', or at its top."""
    content = read_checkpoint(path)
    if isinstance(content, dict) and key is not None and not _arrays(content):
        inside = next((content[k] for k in (key, "model", "state_dict") if k in content), None)
        if inside is None:
            raise FormatError(f"'{path}' has no '{key}'; it holds {', '.join(map(str, content))[:200]}")
        content = inside
    if not isinstance(content, dict) or not _arrays(content):
        raise FormatError(f"'{path}' holds no state dict, names and tensors (got {type(content).__name__})")
    return as_tensors(_arrays(content))


def _arrays(content: Mapping[Any, Any]) -> dict[str, AnyArray]:
    return {str(name): value for name, value in content.items() if isinstance(value, np.ndarray)}


def is_stage_one(path: str | os.PathLike[str]) -> bool:
    """Whether a file says that its weights are stage I's, trained for composed queries; plain BLIP weights do not."""
    content = read_checkpoint(path)
    return isinstance(content, dict) and FILTER_KEY in content


def load_filter(path: str | os.PathLike[str], *, heads: int | None = None) -> Filter:
    """Stage I from a published file {'BLIP_Retrieval': weights}, or from plain BLIP retrieval weights."""
    return filter_from_weights(read_weights(path, FILTER_KEY), heads=heads)


def load_dual(path: str | os.PathLike[str], *, heads: int | None = None) -> DualEncoder:
    """Stage II from a published file {'BLIP_NLVR': weights}, with its own image encoder where it has one."""
    weights = _plain_names(read_weights(path, DUAL_KEY))
    network = DualEncoder(dual_config(weights, heads), images=_has_images(weights))
    return _fill(network, weights)


def filter_from_weights(weights: Mapping[str, Tensor], *, heads: int | None = None) -> Filter:
    """Stage I from a state dict in the published or in transformers' names."""
    weights = _plain_names(weights)
    config = filter_config(weights, heads)
    network = Filter(config, images=_has_images(weights))
    if "temp" not in weights:
        weights["temp"] = network.temp.detach()
    return _fill(network, weights)


def dual_from_filter(network: Filter, *, images: bool = False, seed: int = 0) -> DualEncoder:
    """Stage II started from stage I's (or plain BLIP's) text weights, copied into both streams.

    A merge layer starts as the mean, which is what the layers before it do. With `images` it gets a copy of
    the image encoder, to be trained with it. What stage I has nothing for, the last layer, is drawn by `seed`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        dual = DualEncoder(network.config, images=images)
    source = network.text_encoder.state_dict()
    target = dual.state_dict()
    for name in target:
        if ".merge_layer." in name:
            target[name] = _mean_layer(target[name])
        elif name.startswith("text_encoder."):
            target[name] = source[_single_stream(name.removeprefix("text_encoder."))]
    if images and network.visual_encoder is not None:
        vision = network.visual_encoder.state_dict()
        target.update({f"visual_encoder.{name}": value for name, value in vision.items()})
    dual.load_state_dict(target)
    return dual


def _single_stream(name: str) -> str:
    """The BLIP name of one of the two streams' weights.

    >>> _single_stream("encoder.layer.0.attention.output.LayerNormB.bias")
    'encoder.layer.0.attention.output.LayerNorm.bias'
    """
    return re.sub(r"\.(self|dense|LayerNorm)[01AB]\.", r".\1.", name)


def _mean_layer(like: Tensor) -> Tensor:
    if like.ndim == 1:
        return torch.zeros_like(like)
    half = torch.eye(like.shape[0]) / 2
    return torch.cat([half, half], dim=1).to(like)


def _fill(network: Network, weights: Mapping[str, Tensor]) -> Network:
    given = {name: value.float() for name, value in weights.items() if not _IGNORED.fullmatch(name)}
    check_state(given, network.state_dict(), "the checkpoint", "one of this stage")
    network.load_state_dict(given)
    return network


def _plain_names(weights: Mapping[str, Tensor]) -> Weights:
    """Names as `Filter` has them, from the published or transformers' checkpoints."""
    out = {}
    for name, value in weights.items():
        new = re.sub(r"^vision_model\.", "visual_encoder.", name)
        if new.startswith("visual_encoder."):
            new = "visual_encoder." + _rename(new.removeprefix("visual_encoder."), _VISION_IN)
        if not _IGNORED.fullmatch(new):
            out[new] = value
    return out


def _rename(name: str, rules: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in rules:
        name, changed = re.subn(pattern, replacement, name)
        if changed:
            break
    return name


def _text_sizes(weights: Mapping[str, Tensor], heads: int | None, key: str) -> dict[str, Any]:
    try:
        words = weights["text_encoder.embeddings.word_embeddings.weight"]
        positions = weights["text_encoder.embeddings.position_embeddings.weight"]
        up = weights["text_encoder.encoder.layer.0.intermediate.dense.weight"]
        source = weights[f"text_encoder.encoder.layer.0.crossattention.{key}.key.weight"]
    except KeyError as absent:
        raise FormatError(f"the weights have no {absent}; is this the right stage's checkpoint?") from None
    hidden = words.shape[1]
    count = heads or hidden // 64
    if count < 1 or hidden % count:
        raise rule("heads", f"must divide {hidden}, and must be given for such a width", heads)
    width = source.shape[1]
    return {
        "vocabulary": words.shape[0],
        "hidden": hidden,
        "layers": _count(weights, r"text_encoder\.encoder\.layer\.(\d+)\."),
        "heads": count,
        "intermediate": up.shape[0],
        "positions": positions.shape[0],
        "width": width,
        "vision_heads": count if width % count == 0 and width != 768 else max(1, width // 64),
    }


def _count(weights: Mapping[str, Tensor], pattern: str) -> int:
    found = {int(m[1]) for name in weights if (m := re.match(pattern, name))}
    return len(found)


def filter_config(weights: Mapping[str, Tensor], heads: int | None = None) -> TripletConfig:
    """Sizes of stage I, read off its weights (in `Filter`'s names)."""
    sizes = _text_sizes(weights, heads, "self")
    if "text_proj.weight" not in weights:
        raise FormatError("the weights have no 'text_proj.weight'; is this the right stage's checkpoint?")
    sizes["projection"] = weights["text_proj.weight"].shape[0]
    return TripletConfig(**sizes, **_vision_sizes(weights))


def _has_images(weights: Mapping[str, Tensor]) -> bool:
    return any(name.startswith("visual_encoder.") for name in weights)


def _vision_sizes(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    sizes: dict[str, Any] = {}
    patch = weights.get("visual_encoder.embeddings.patch_embedding.weight")
    if patch is not None:
        places = weights["visual_encoder.embeddings.position_embedding"].shape[1] - 1
        sizes["patch_size"] = patch.shape[-1]
        sizes["image_size"] = round(places**0.5) * patch.shape[-1]
        sizes["vision_layers"] = _count(weights, r"visual_encoder\.encoder\.layers\.(\d+)\.")
        up = weights["visual_encoder.encoder.layers.0.mlp.fc1.weight"]
        sizes["vision_intermediate"] = up.shape[0]
    return sizes


def dual_config(weights: Mapping[str, Tensor], heads: int | None = None) -> TripletConfig:
    """Sizes of stage II, read off its weights."""
    sizes = _text_sizes(weights, heads, "self0")
    merging = [int(m[1]) for name in weights if (m := re.search(r"layer\.(\d+)\..*merge_layer\.weight", name))]
    sizes["merge_from"] = min(merging, default=sizes["layers"])
    return TripletConfig(**sizes, **_vision_sizes(weights))


def published_weights(network: Filter | DualEncoder) -> Weights:
    """A stage's weights in the published names."""
    out: Weights = {}
    for name, value in network.state_dict().items():
        inner = name.removeprefix("visual_encoder.")
        out["visual_encoder." + _rename(inner, _VISION_OUT) if inner != name else name] = value.detach().cpu()
    # The published loaders expect this buffer among the weights.
    out["text_encoder.embeddings.position_ids"] = torch.arange(network.config.positions)[None]
    return out


def export(network: Filter | DualEncoder, path: str | os.PathLike[str], key: str) -> None:
    """Write a stage as a published file, under `key`."""
    write_checkpoint(path, {"epoch": 0, key: published_weights(network), "optimizer_state_dict": {}})

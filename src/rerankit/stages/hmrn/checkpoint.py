"""Checkpoints of the published implementation: reading them safely, and writing them.

A published checkpoint is ``{'epoch', 'model': [image, text, similarity state dicts], 'best_rsum',
'opt': argparse.Namespace, 'Eiters'}``, read by `rerankit.reading`, which runs nothing.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rerankit.errors import FormatError
from rerankit.formats.pt import write_checkpoint
from rerankit.reading import Record, check_state, read_checkpoint
from rerankit.reading.states import as_tensors, plain_names
from rerankit.stages.hmrn.config import VARIANTS, HmrnConfig
from rerankit.stages.hmrn.encoders import GruEncoder
from rerankit.stages.hmrn.network import Hmrn
from rerankit.training.trained import seeded

PARTS = ("image", "text", "similarity")
_SETTINGS = {
    "temperature_lambda_i2t": "region_temperature",
    "temperature_lambda_t2i": "query_temperature",
    "tau": "scale",
    "max_turns": "full_rounds",
}


def import_checkpoint(path: str | os.PathLike[str], *, full_rounds: int = 10) -> Hmrn:
    """The network of a published checkpoint, in evaluation mode.

    `full_rounds` is the number of rounds at which the reasoning level counts fully; the published joint score
    has 10 whatever the checkpoint's own number of rounds.
    """
    content = read_checkpoint(path, records=("argparse.Namespace",))
    states, options = _content(content, path)
    config = _config(states, options, path, full_rounds)
    network = Hmrn(config)
    for name, state in zip(PARTS, states, strict=True):
        module = getattr(network, name)
        check_state(state, module.state_dict(), f"'{path}'", f"a checkpoint of this scorer's {name} encoder")
        module.load_state_dict(state)
    return network.eval()


def export_checkpoint(network: Hmrn, path: str | os.PathLike[str], *, epoch: int = 0, best: float = 0.0) -> None:
    """Write `network` as the published implementation reads it; only its own text encoder can be written."""
    if not isinstance(network.text, GruEncoder):
        raise FormatError("a published checkpoint has no place for a text encoder other than the GRU")
    states = [{k: v.detach().cpu() for k, v in getattr(network, part).state_dict().items()} for part in PARTS]
    content = {
        "epoch": epoch,
        "model": states,
        "best_rsum": best,
        "opt": argparse.Namespace(**_options(network.config)),
        "Eiters": 0,
    }
    write_checkpoint(path, content)


def _content(content: Any, path: Any) -> tuple[list[dict[str, Tensor]], dict[str, Any]]:
    if not isinstance(content, dict) or not {"model", "opt"} <= set(content):
        got = sorted(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise FormatError(f"'{path}' must be a dict with 'model' and 'opt' (got {got})")
    states, options = content["model"], content["opt"]
    if not isinstance(options, Record):
        raise FormatError(f"'{path}': 'opt' must be an argparse.Namespace (got {type(options).__name__})")
    if not isinstance(states, list | tuple) or len(states) != len(PARTS):
        raise FormatError(f"'{path}': 'model' must list three state dicts, image, text and similarity encoder")
    return [as_tensors(plain_names(state, path)) for state in states], options.attributes


def _config(states: list[dict[str, Tensor]], options: dict[str, Any], path: Any, full_rounds: int) -> HmrnConfig:
    image, text, similarity = states
    variant = str(options.get("cross_attention_direction", VARIANTS[0]))
    try:
        dim, region_dim = image["fc.weight"].shape
        vocabulary, word_dim = text["embed.weight"].shape
        values: dict[str, Any] = {
            "variant": variant,
            "dim": dim,
            "region_dim": region_dim,
            "vocabulary_size": vocabulary,
            "word_dim": word_dim,
            "reasoning_dim": similarity["sim_tranloc_w.weight"].shape[0],
            "region_slots": len(similarity["v_global_w.embedding_local.1.weight"]),
        }
    except (KeyError, ValueError) as cause:
        raise FormatError(f"'{path}' lacks the parameter {cause} of a hierarchical scorer") from cause
    values["steps"] = _steps(similarity, path)
    values["bidirectional"] = "cap_rnn.weight_ih_l0_reverse" in text
    values["text_layers"] = sum(name.startswith("cap_rnn.weight_ih") and "reverse" not in name for name in text)
    alpha, beta = _number(options, "alpha", 0.6, path), _number(options, "beta", 0.3, path)
    values |= {"local_weight": alpha, "reasoning_weight": beta, "global_weight": round(1 - alpha - beta, 12)}
    values |= {ours: _number(options, theirs, 0.0, path) for theirs, ours in _SETTINGS.items() if theirs in options}
    values |= {
        "full_rounds": full_rounds,
        "normalise_regions": not options.get("no_imgnorm", False),
        "normalise_queries": not options.get("no_txtnorm", False),
    }
    return HmrnConfig.from_dict(values)


def _steps(similarity: Mapping[str, Tensor], path: Any) -> int:
    """How many reasoning steps there are weights for: the number is read off names, which may say anything."""
    numbers = {name.split(".")[1] for name in similarity if name.startswith("ICR_module.")}
    if numbers != set(map(str, range(len(numbers)))):
        raise FormatError(f"'{path}' must have reasoning steps 0 to {len(numbers) - 1} (got {sorted(numbers)[:5]})")
    return len(numbers)


def _number(options: Mapping[str, Any], name: str, usual: float, path: Any) -> float:
    value = options.get(name, usual)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FormatError(f"'{path}': option '{name}' must be a number (got {value!r:.80})")
    return float(value)


def _options(config: HmrnConfig) -> dict[str, Any]:
    return {
        "cross_attention_direction": config.variant,
        "temperature_lambda_i2t": config.region_temperature,
        "temperature_lambda_t2i": config.query_temperature,
        "alpha": config.local_weight,
        "beta": config.reasoning_weight,
        "tau": config.scale,
        "img_dim": config.region_dim,
        "embed_size": config.dim,
        "sim_dim": config.reasoning_dim,
        "icr_step": config.steps,
        "vocab_size": config.vocabulary_size,
        "word_dim": config.word_dim,
        "num_layers": config.text_layers,
        "bi_gru": config.bidirectional,
        "no_imgnorm": not config.normalise_regions,
        "no_txtnorm": not config.normalise_queries,
        "max_turns": config.full_rounds,
        "EOS_idx": 2,
    }


def network_from_arrays(config: HmrnConfig, arrays: Mapping[str, Any]) -> Hmrn:
    """A network of these sizes with these parameters, by the names of `Hmrn.state_dict`."""
    network = seeded(0, partial(Hmrn, config))
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    state = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    for name, value in state.items():  # a file may have made a list of one number out of a number
        if shapes.get(name) == () and value.numel() == 1:
            state[name] = value.reshape(())
    check_state(state, network.state_dict(), "the saved network", "one of these sizes")
    network.load_state_dict(state)
    return network.eval()

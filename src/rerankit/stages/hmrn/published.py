"""Published checkpoints as stages, and stages as published checkpoints."""

from __future__ import annotations

import os
from typing import Any

from rerankit.errors import rule
from rerankit.stages.hmrn.config import VARIANTS, HmrnConfig
from rerankit.stages.hmrn.stage import SHARED, HmrnStage
from rerankit.stages.hmrn.tokens import Vocabulary

Path = str | os.PathLike[str]


def import_published(*paths: Path, vocabulary: Vocabulary | Path | None = None, **params: Any) -> HmrnStage:
    """A stage from one published checkpoint, or the ensemble from one of each variant.

    `vocabulary` is the word list the checkpoint was trained with (``vg_vocab_14284.pkl`` as published, or a
    JSON list); without it the stage takes token ids and no texts. `params` are the stage's own parameters,
    such as `cascade`; those that the checkpoint decides are read off it.
    """
    from rerankit.stages.hmrn.checkpoint import import_checkpoint

    full_rounds = int(params.pop("full_rounds", 10))
    networks = [import_checkpoint(file, full_rounds=full_rounds) for file in paths]
    networks.sort(key=lambda network: VARIANTS.index(network.config.variant))
    found = [network.config.variant for network in networks]
    if found not in ([VARIANTS[0]], [VARIANTS[1]], list(VARIANTS)):
        raise rule("paths", "must be one checkpoint, or one of each variant", f"variants {', '.join(found) or 'none'}")
    first = networks[0].config
    for other in networks[1:]:
        _check_same(first, other.config)
    words = vocabulary if vocabulary is None or isinstance(vocabulary, Vocabulary) else Vocabulary.load(vocabulary)
    if words is not None and len(words) != first.vocabulary_size:
        raise rule("vocabulary", f"must have the checkpoint's {first.vocabulary_size} words", len(words))
    own = {name: getattr(first, name) for name in SHARED}
    stage = HmrnStage(found[0] if len(found) == 1 else "ensemble", **{**own, **params})
    return stage.with_networks(networks, words)


def export_published(stage: HmrnStage, *paths: Path) -> None:
    """Write a fitted stage's networks as published checkpoints: one path, or for the ensemble two (I-T, T-I)."""
    from rerankit.stages.hmrn.checkpoint import export_checkpoint

    if len(paths) != len(stage.networks):
        raise rule("paths", f"must be {len(stage.networks)}, for {', '.join(stage.variants)}", f"{len(paths)} paths")
    for network, file in zip(stage.networks, paths, strict=True):
        export_checkpoint(network, file)


def _check_same(one: HmrnConfig, other: HmrnConfig) -> None:
    """The members of an ensemble may differ in their variant only."""
    mine, theirs = one.to_dict(), other.to_dict()
    differing = sorted(name for name in mine if mine[name] != theirs[name] and name != "variant")
    if differing:
        raise rule("paths", "must agree in everything but the variant", f"other {', '.join(differing)}")

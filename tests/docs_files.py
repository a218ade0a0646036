"""Files that commands of the documentation name and readers bring themselves, made small where a page's commands run.

`NOT_RUN` has the commands that do not run as they stand, each with its reason.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import rerankit

_FOREVER = "serves until it is stopped: tests/serving starts it"
_SENDS = "sends to a hub: tests/test_hub.py has one that stands in for it, docs/cli.md runs --dry-run"
_TRAINS = "takes minutes: tests/demo has it with small networks"
NOT_RUN = {
    "rerankit demo": "takes half a minute: .ci/package runs it as it stands",
    "rerankit demo multi-query composed": "the same",
    "rerankit demo composed --train": _TRAINS,
    "rerankit fit triplet --task cirr --train CIRR --validation CIRR --set images='CIRR/img_raw/{path}' -o csr": (
        "trains networks of the published size: docs/tutorials/cirr.md has it with small ones"
    ),
    "rerankit serve ready --port 8000": _FOREVER,
    "RERANKIT_TOKEN=secret rerankit serve ready --port 8000": _FOREVER,
    "rerankit rerank clip --pipeline by-index --out lists.npz": (
        "needs FAISS: plugins/rerankit-faiss/tests has such a stage"
    ),
    "rerankit report results --out report.html --samples 1000 --force": (
        "draws the page of the lines above it again: docs/cli.md runs it"
    ),
    'rerankit push my-stage me/my-stage --results results/ --trained-on "our captions of 2025"': _SENDS,
}
"""Commands with their reason, on one line and without comments."""
_SMALL = {"CIRR": ["--task-set", "gallery=null"], "drilldown": ["--task-set", "images=null"]}
"""What commands with `--data` of a miniature need beside what the page says: they count what is published otherwise."""


def ready(arguments: Sequence[str]) -> list[str]:
    """The arguments of a command, once all files that they name and that are not there are made."""
    pairs = list(pairwise(arguments))
    written = {value for option, value in pairs if option in ("-o", "--out")}
    for word in arguments:
        name = word.rstrip("/")
        if name in _MAKERS and word not in written and not Path(name).exists():
            _MAKERS[name](Path(name))
    counted = {value.partition("=")[0] for option, value in pairs if option == "--task-set"} & {"gallery", "images"}
    more = [] if counted else [word for option, value in pairs if option == "--data" for word in _SMALL.get(value, ())]
    return [*arguments, *more]


def _cirr(folder: Path) -> None:
    from rerankit.tasks.miniatures.composed import write_cirr

    for split in ("train", "val", "test1"):
        write_cirr(folder, split=split, queries=4)


def _drilldown(folder: Path) -> None:
    from rerankit.tasks.miniatures.drilldown import write_drilldown

    write_drilldown(folder, train=16, val=4, test=12)


def _searches(folder: Path) -> None:
    from rerankit.tasks.visual_genome import VisualGenome

    _drilldown(Path("of-searches"))
    problem, _ = VisualGenome("test", images=None).judged("of-searches")
    rerankit.write(folder, problem)


def _hmrn(_: Path) -> None:
    """Checkpoints of both variants, and the vocabulary as DrillDown publishes it: a pickled object of its own class."""
    from rerankit.stages.hmrn.published import export_published
    from rerankit.stages.hmrn.stage import HmrnStage
    from rerankit.tasks.visual_genome import VisualGenome
    from rerankit.training import TrainingSettings

    data = Path("of-checkpoints")
    _drilldown(data)
    stage = HmrnStage("ensemble", dim=8, reasoning_dim=8, word_dim=6, region_slots=10, device="cpu")
    settings = TrainingSettings(epochs=1, batch_size=8, device="cpu")
    stage.fit(*VisualGenome("train", images=None).judged(data), settings=settings)
    export_published(stage, "it_best.pth.tar", "ti_best.pth.tar")
    made = type("Vocabulary", (), {"__module__": "vocab"})
    module: Any = ModuleType("vocab")
    module.Vocabulary, sys.modules["vocab"] = made, module
    words: Any = made()
    words.word2idx = {word: number for number, word in enumerate(stage.vocabulary.words)}  # type: ignore[union-attr]
    Path("vg_vocab_14284.pkl").write_bytes(pickle.dumps(words))
    del sys.modules["vocab"]


def _pillar(path: Path) -> None:
    """A checkpoint of the published width, which tells the number of heads, and otherwise small."""
    import torch

    from rerankit.stages.pillar.published import export_published
    from rerankit.stages.pillar.stage import Pillar

    stage = Pillar(pillars=4, layers=1, expansion=1, device="cpu")
    torch.manual_seed(0)
    weights = stage.build(["i2t", "t2i"]).state_dict()
    stage.set_weights({name: tensor.numpy() for name, tensor in weights.items()})
    export_published(stage, path)


def _tiny_triplet() -> Any:
    import torch

    from rerankit.stages.triplet.bundle import Bundle
    from rerankit.stages.triplet.config import TripletConfig
    from rerankit.stages.triplet.filter import Filter
    from rerankit.stages.triplet.network import DualEncoder
    from rerankit.stages.triplet.text import TextTokenizer

    words = tuple(TextTokenizer.from_texts(["make it red", "show two of them"]).words)
    sizes = {"hidden": 64, "layers": 2, "heads": 1, "intermediate": 16, "positions": 16, "width": 64, "projection": 8}
    sizes |= {"vision_heads": 1, "image_size": 32, "patch_size": 16, "vision_layers": 1, "vision_intermediate": 16}
    torch.manual_seed(0)
    config = TripletConfig(vocabulary=len(words), merge_from=1, **sizes)
    stage = rerankit.stage("triplet", device="cpu", images="CIRR/img_raw/{path}")
    return stage.with_bundle(Bundle(Filter(config), DualEncoder(config), words))  # type: ignore[attr-defined]


def _triplet(_: Path) -> None:
    """Both files of candidate set re-ranking, and BERT's vocabulary where the pages look for it."""
    from rerankit.stages.triplet.published import export_published

    stage = _tiny_triplet()
    export_published(stage, "stage1.pt", "stage2.pt")
    for path in (Path("vocab.txt"), Path("bert-base-uncased/vocab.txt")):
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(stage.bundle.words), encoding="utf-8")


def _vectors(path: Path) -> None:
    np.save(path, np.random.default_rng(0).normal(size=(120, 3)).astype(np.float32))


def _ids(path: Path) -> None:
    path.write_text("".join(f"item-{row}\n" for row in range(120)), encoding="utf-8")


def _pipeline(path: Path) -> None:
    path.write_text((rerankit.stage("nnn") >> rerankit.stage("fuse").top(50)).to_yaml(), encoding="utf-8")


_MAKERS: dict[str, Callable[[Path], None]] = {
    "CIRR": _cirr,
    "csr": lambda path: _tiny_triplet().save(path),
    "drilldown": _drilldown,
    "searches": _searches,
    **dict.fromkeys(("it_best.pth.tar", "ti_best.pth.tar", "vg_vocab_14284.pkl"), _hmrn),
    "checkpoint.pth": _pillar,
    **dict.fromkeys(("stage1.pt", "stage2.pt", "vocab.txt", "bert-base-uncased/vocab.txt"), _triplet),
    **dict.fromkeys(("items.npy", "old-queries.npy", "queries.npy"), _vectors),
    "ids.txt": _ids,
    "best.yaml": _pipeline,
    "my-stage": lambda path: rerankit.stage("nnn").save(path),
}
"""What makes each file or folder, by its path in commands."""

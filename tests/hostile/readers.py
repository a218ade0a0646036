"""Every reader of the library, with a small whole file or folder for it."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import io as scipy_io

import rerankit
from rerankit import Gallery, Pipeline, Problem, Relevance, tasks
from rerankit.bench import Result
from rerankit.reading import read_checkpoint, read_pickle
from rerankit.shards import open_shards

RANKINGS = ("json", "jsonl", "run", "csv", "tsv", "txt", "run.gz", "csv.gz", "parquet")
BUNDLES = ("folder", "npz", "pt", "safetensors")


@dataclass(frozen=True)
class Reader:
    """`write` makes what `read` reads, below a folder; `checked`: changed content is noticed, wherever it changes."""

    write: Callable[[Path], object]
    read: Callable[[Path], Any]
    checked: bool = False


def problem() -> Problem:
    random = np.random.default_rng(0)
    return Problem(
        random.normal(size=(4, 6)),
        query_scores=random.normal(size=(4, 4)),
        query_ids=list("abcd"),
        gallery_ids=[f"g{number}" for number in range(6)],
        query_features={"text": ["red", "blue", "", "é"], "vectors": random.normal(size=(4, 3))},
    )


def relevance() -> Relevance:
    return Relevance.from_dense(np.eye(4, 6))


def target(folder: Path, ending: str) -> Path:
    return folder / ("bundle" if ending == "folder" else f"file.{ending}")


def stage_folder(folder: Path) -> None:
    bank = rerankit.stage("learned-fusion", opinions=["score", "margin", "rank"])
    bank.fit(problem(), relevance()).save(folder / "stage")


def read_stage(folder: Path) -> dict[str, Any]:
    found = rerankit.load(folder / "stage")
    return {"params": repr(found.get_params()), **found.get_weights()}


def ready_folder(folder: Path) -> None:
    random = np.random.default_rng(0)
    gallery = Gallery(random.normal(size=(9, 4)), ids=list("abcdefghi"), bank=random.normal(size=(7, 4)))
    rerankit.prepare("csls", gallery, neighbours=3).save(folder / "ready")


def read_ready(folder: Path) -> dict[str, Any]:
    found = rerankit.load(folder / "ready").rerank(np.eye(2, 4, dtype=np.float32), k=4)
    return {"items": found.indices, "scores": found.scores, "ids": found.gallery_ids}


def shards(folder: Path, ending: str) -> None:
    """Vectors in files of Parquet or Arrow, of one length by their kind and by chance."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    for name, kind in (("fixed", arrow.list_(arrow.float32(), 4)), ("free", arrow.list_(arrow.float32()))):
        table = arrow.table({"v": arrow.array(np.arange(36.0).reshape(9, 4).tolist(), kind)})
        (folder / name).mkdir()
        file = folder / name / f"v0.{ending}"
        if ending == "parquet":
            parquet.write_table(table, file)
            continue
        with arrow.ipc.new_file(str(file), table.schema) as made:
            made.write_table(table)


def hdf5(folder: Path) -> None:
    """Vectors in datasets of HDF5, plain, packed and with checksums."""
    h5py = pytest.importorskip("h5py")
    ways: dict[str, dict[str, Any]] = {"plain": {}, "packed": {"compression": "gzip"}, "summed": {"fletcher32": True}}
    for number, (name, way) in enumerate(ways.items()):
        (folder / name).mkdir()
        with h5py.File(folder / name / "v0.h5", "w", libver="latest" if number else None) as file:
            file.create_dataset("in/v", data=np.arange(36.0).reshape(9, 4), chunks=(3, 4) if way else None, **way)


def read_shards(folder: Path) -> dict[str, Any]:
    return {each.name: np.array(open_shards(each)[:]) for each in sorted(folder.iterdir())}


def matlab(folder: Path) -> None:
    scipy_io.savemat(folder / "a.mat", {"scores": np.arange(24.0).reshape(4, 6)})


def pipeline(folder: Path) -> None:
    (folder / "p.yaml").write_text(
        "stages:\n- stage: mutual-rank\n  top: 5\n- stage: csls\n  params: {neighbours: 3, bank: null}\n"
    )


def result(folder: Path) -> None:
    known = Path(__file__).parent.parent / "bench" / "result_v1.json"
    (folder / "result.json").write_bytes(known.read_bytes())


def pickled(folder: Path) -> None:
    value = {"names": ["a", "b"], "grades": np.arange(6.0).reshape(2, 3), "deep": [(1, {"x": 2.5}), {3, 4}]}
    (folder / "truth.pkl").write_bytes(pickle.dumps(value, protocol=2))


def checkpoint(folder: Path, name: str) -> None:
    torch = pytest.importorskip("torch")
    torch.save({"model": {"weight": torch.arange(6.0).view(2, 3)}, "epoch": 3}, folder / name)


def _array(folder: Path) -> None:
    rerankit.write(folder / "a.npy", np.arange(24.0).reshape(4, 6))


def _judgements(folder: Path) -> None:
    rerankit.write(folder / "a.qrels", relevance(), query_ids=list("abcd"), gallery_ids=list("uvwxyz"))


def _readers() -> dict[str, Reader]:
    found = {
        "npy": Reader(_array, lambda folder: rerankit.read(folder / "a.npy")),
        "qrels": Reader(_judgements, lambda folder: rerankit.read(folder / "a.qrels")),
        "stage folder": Reader(stage_folder, read_stage, checked=True),
        "prepared gallery": Reader(ready_folder, read_ready, checked=True),
        "mat": Reader(matlab, lambda folder: rerankit.read(folder / "a.mat")),
        "pipeline": Reader(pipeline, lambda folder: Pipeline.from_yaml(folder / "p.yaml")),
        "result": Reader(result, lambda folder: Result.read(folder / "result.json")),
        "pickle": Reader(pickled, lambda folder: read_pickle(folder / "truth.pkl")),
        "checkpoint": Reader(partial(checkpoint, name="c.pt"), lambda folder: read_checkpoint(folder / "c.pt")),
    }
    found["shards h5"] = Reader(hdf5, read_shards)
    for ending in ("parquet", "arrow"):
        found[f"shards {ending}"] = Reader(partial(shards, ending=ending), read_shards)
    for ending in RANKINGS:
        found[f"ranking.{ending}"] = Reader(partial(_ranking, ending=ending), partial(_read, ending=ending))
    for ending in BUNDLES:
        found[f"problem {ending}"] = Reader(partial(_bundle, ending=ending), partial(_tables, ending=ending), True)
    for name in tasks.tasks_available():
        found[f"task {name}"] = Reader(partial(_miniature, name=name), _task)
    return found


def _ranking(folder: Path, ending: str) -> None:
    rerankit.write(target(folder, ending), problem().ranking(3))


def _bundle(folder: Path, ending: str) -> None:
    rerankit.write(target(folder, ending), problem(), relevance=relevance())


def _read(folder: Path, ending: str) -> Any:
    return rerankit.read(target(folder, ending))


def _tables(folder: Path, ending: str) -> dict[str, Any]:
    rerankit.read(target(folder, ending), "problem")
    return {name: np.array(array) for name, array in rerankit.read(target(folder, ending), "tables").items()}


def _miniature(folder: Path, name: str) -> None:
    small = tasks.task(name).write_miniature(folder)
    READS[folder] = small


def _task(folder: Path) -> Any:
    benchmark = READS[folder].load(folder)
    for matrix in benchmark.matrices.values():
        for feature in (*matrix.query_features.values(), *matrix.gallery_features.values()):
            len(feature)
    return benchmark


READS: dict[Path, Any] = {}
READERS = _readers()

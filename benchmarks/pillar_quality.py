"""Quality of the pillar reasoners on real captions: the final figures, transfer, and what each ingredient gives.

    OMP_NUM_THREADS=2 python benchmarks/pillar_quality.py final --data FOLDER      # fit on train, choose on val, test
    OMP_NUM_THREADS=2 python benchmarks/pillar_quality.py ablation --data FOLDER   # test is not looked at
    OMP_NUM_THREADS=2 python benchmarks/pillar_quality.py published --data FOLDER  # `pillar` as published, D = 256

FOLDER holds coco_captions/{train,val,test}.npz and coco_clip500/ (image, text, image_of_text; control_* from an
untrained network). Texts are put into a random order, so that no tie is broken by the order of the files. Every
figure is percent of queries with a relevant item among the first 1, 5, 10; three seeds. The ablation fits on one half
of the training items and measures on the other. Intervals: paired bootstrap over queries of the seeds' mean, texts of
one image together.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import rerankit
from rerankit import Problem, Relevance
from rerankit.statistics import paired_bootstrap

SEEDS = (0, 1, 2)
CUTS = (1, 5, 10)
ABLATION: dict[str, dict[str, Any]] = {
    "pillar-plus": {},
    "one round": {"rounds": 1},
    "without votes of near columns": {"off": ["vote"]},
    "without likeness to likely items": {"off": ["likely"]},
    "without any pillars' word": {"off": ["vote", "claims", "rivals", "likely"]},
    "without hubness, gaps and ranks": {"off": ["hub", "gap", "rank"]},
    "no dropout": {"dropout": 0.0},
    "four times the width": {"hidden": 128},
    "parts with all columns only": {"thinned": [0]},
    "no diversity": {"diversity": [0, 0]},
}
ABLATION_STEPS = 48

Judged = tuple[Problem, Relevance]


def captions(folder: Path, split: str, items: np.ndarray | None = None) -> Judged:
    """A split, or some of its items with their texts; texts in random order."""
    stored = np.load(folder / "coco_captions" / f"{split}.npz")
    return judged(stored["image"], stored["text"], stored["image_of_text"], items)


def clip(folder: Path, prefix: str = "") -> Judged:
    """Real pictures and captions under another backbone."""
    return judged(*(np.load(folder / "coco_clip500" / f"{prefix}{n}.npy") for n in ("image", "text", "image_of_text")))


def judged(images: np.ndarray, texts: np.ndarray, owner: np.ndarray, items: np.ndarray | None = None) -> Judged:
    items = np.arange(len(images)) if items is None else items
    order = np.random.default_rng(7).permutation(np.flatnonzero(np.isin(owner, items)))
    given = Problem.from_embeddings(images[items].astype(np.float32), texts[order].astype(np.float32))
    matrices = {name: getattr(given, name).rows() for name in ("scores", "query_scores", "gallery_scores")}
    return Problem(matrices.pop("scores"), **matrices), Relevance.from_labels(items, owner[order])


def hits(rankings: tuple[Any, Any], relevance: Relevance) -> dict[str, np.ndarray]:
    """Per query 100 or 0 for every direction and cut-off."""
    names = [f"success@{k}" for k in CUTS]
    found = {}
    for direction, ranking, right in (("i2t", rankings[0], relevance), ("t2i", rankings[1], relevance.reversed())):
        result = rerankit.evaluate(ranking, right, names)
        found |= {f"{direction} R@{k}": 100 * result.per_query[f"success@{k}"] for k in CUTS}
    return found


def base(judged: Judged) -> dict[str, np.ndarray]:
    return hits((judged[0].ranking(100), judged[0].reversed().ranking(100)), judged[1])


def over_seeds(runs: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.mean([run[name] for run in runs], axis=0) for name in runs[0]}


def means(found: dict[str, np.ndarray]) -> dict[str, float]:
    return {name: round(float(values.mean()), 2) for name, values in found.items()}


def show(title: str, rows: dict[str, dict[str, Any]]) -> None:
    names = list(next(iter(rows.values())))
    table = Table("", *names, title=title, title_justify="left")
    for row, figures in rows.items():
        table.add_row(
            row, *(f"{figures[name]:.2f}" if isinstance(figures[name], float) else figures[name] for name in names)
        )
    Console(width=160).print(table)


def final(
    folder: Path, name: str, params: dict[str, Any], training: dict[str, Any], save: Path | None = None
) -> dict[str, Any]:
    """Fit with every seed on train, choose on val, and measure everywhere, once; fitted stages go to `save`/SEED."""
    train, validation = captions(folder, "train"), captions(folder, "val")
    places = {"test": captions(folder, "test"), "clip500": clip(folder), "control": clip(folder, "control_")}
    runs: dict[str, list[dict[str, np.ndarray]]] = {place: [] for place in places}
    for seed in SEEDS:
        start = time.perf_counter()
        stage: Any = rerankit.stage(name, **params)
        settings = replace(stage.training_settings(), seed=seed, **training)
        stage.fit(*train, validation=validation, settings=settings)
        if save:
            stage.save(save / str(seed))
        Console().print(f"seed {seed}: {time.perf_counter() - start:.0f} s, best step {stage.history.best_step}")
        for place, (problem, relevance) in places.items():
            runs[place].append(hits(stage.rerank_both(problem), relevance))
            Console(width=160).print(place, list(means(runs[place][-1]).values()))
    results: dict[str, Any] = {}
    for place, judged in places.items():
        before, after = base(judged), over_seeds(runs[place])
        each = [means(run) for run in runs[place]]
        spread = {key: round(float(np.std([figures[key] for figures in each])), 2) for key in before}
        owner = judged[1].reversed().indices  # texts of one image depend on each other
        gains = {key: interval(after[key], before[key], owner if key[:3] == "t2i" else None) for key in before}
        results[place] = {"base": means(before), name: means(after), "over seeds ±": spread, "gain": gains}
        show(place, results[place])
    return results


def interval(after: np.ndarray, before: np.ndarray, groups: np.ndarray | None = None) -> str:
    low, high, _ = paired_bootstrap(before, after, groups=groups)
    return f"{(after - before).mean():+.1f} [{low:+.1f}, {high:+.1f}]"


def ablation(folder: Path, only: list[str]) -> dict[str, Any]:
    """Every variant, fitted on one half of the training items and measured on the other."""
    order = np.random.default_rng(5).permutation(len(np.load(folder / "coco_captions" / "train.npz")["image"]))
    halves = [np.sort(half) for half in np.array_split(order, 2)]
    fit_on, held_out = (captions(folder, "train", half) for half in halves)
    single = one_each(held_out)
    rows = {"base": side_by_side(base(held_out), base(single))}
    plan: Any = rerankit.stage("pillar-plus")
    plan.set_weights({key: tensor.numpy() for key, tensor in plan.build().state_dict().items()})
    rows["the plan alone, untrained"] = side_by_side(*(hits(plan.rerank_both(p), r) for p, r in (held_out, single)))
    for name, params in ABLATION.items():
        if only and name not in only:
            continue
        runs: list[tuple[dict[str, np.ndarray], ...]] = []
        for seed in SEEDS:
            stage: Any = rerankit.stage("pillar-plus", **params)
            epochs = ABLATION_STEPS // stage.parts
            stage.fit(*fit_on, settings=replace(stage.training_settings(), seed=seed, epochs=epochs))
            runs.append(tuple(hits(stage.rerank_both(p), r) for p, r in (held_out, single)))
        rows[name] = side_by_side(*(over_seeds([run[at] for run in runs]) for at in (0, 1)))
        Console().print(name, rows[name])
    show("held-out half of the training items", rows)
    return rows


def one_each(judged: Judged) -> Judged:
    """The same items with one text each: a problem in which both sides have as many."""
    problem, relevance = judged
    random = np.random.default_rng(0)
    columns = np.sort([random.choice(relevance.of(row).items) for row in range(relevance.shape[0])])
    return problem.subset(None, columns), relevance.subset(None, columns)


def side_by_side(every: dict[str, np.ndarray], single: dict[str, np.ndarray]) -> dict[str, float]:
    """All figures with all texts, and R@1 with one text for each image."""
    return means(every) | {f"1:1 {name}": value for name, value in means(single).items() if name.endswith("R@1")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("final", "ablation", "published"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", action="append", default=[], help="a row of the ablation; may be repeated")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    parser.add_argument("--save", type=Path, help="save the fitted stage of every seed under this folder")
    given = parser.parse_args()
    if given.what == "ablation":
        results = ablation(given.data, given.only)
    elif given.what == "final":
        results = final(given.data, "pillar-plus", {}, {}, given.save)
    else:
        sizes = {"width": 256, "heads": 8}
        results = final(given.data, "pillar", sizes, {"epochs": 8, "validate_every": None}, given.save)
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

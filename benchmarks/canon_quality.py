"""Quality of the training-free stages and of learned fusion on real scores: choose on development data, then test.

    python benchmarks/canon_quality.py --data FOLDER --out benchmarks/recorded

Captions of COCO (coco_captions): one caption stands for the picture, four others look for it, and back. Parameters are
chosen on a development problem as large as the test: 1,500 items drawn from train and val; the bank and the labels
that learned fusion learns from are the other 2,000 items, so that no bank query has its answer in the gallery under
test. The chosen parameters are written to a file; then the test split is measured, with all 3,500 others as bank.
Each line says whether a method looks at the other test queries. Intervals are 95 %, by paired bootstrap over queries;
texts of one image are resampled as one.

Beside it, at the parameters chosen there: the control (embeddings of an untrained network, on which nothing should
gain) with the trained network of that form, and place recognition (sped), where ten backbones show who gains and who
loses.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import rerankit
from rerankit import Problem, Relevance, stage
from rerankit.metrics import evaluate
from rerankit.statistics import paired_bootstrap

METRICS = ("success@1", "success@5", "success@10")
DIRECTIONS = ("image→text", "text→image")
BASE = "scores as they are"
VOTES = ("score", "margin", "rank", "back-rank", "hubness", "level", "back-margin", "balance")


@dataclass(frozen=True)
class Split:
    """Items with their images (n, d), texts (m, d) and the image each text belongs to (m,)."""

    images: np.ndarray
    texts: np.ndarray
    image_of_text: np.ndarray

    def take(self, items: np.ndarray, seed: int = 0) -> Split:
        """Some items, with images and texts in an order of their own that tells nothing."""
        random = np.random.default_rng(seed)
        items = random.permutation(items)
        place = np.full(len(self.images), -1)
        place[items] = np.arange(len(items))
        texts = random.permutation(np.flatnonzero(place[self.image_of_text] >= 0))
        return Split(self.images[items], self.texts[texts], place[self.image_of_text[texts]])

    def problem(self, bank: Split | None = None) -> Problem:
        """Images look for texts; the bank's images are other queries, its texts other gallery items."""
        banks = {} if bank is None else {"query_bank": bank.images, "gallery_bank": bank.texts}
        return Problem.from_embeddings(self.images, self.texts, **banks)

    @property
    def relevance(self) -> Relevance:
        return Relevance.from_labels(np.arange(len(self.images)), self.image_of_text)


def read(path: Path) -> Split:
    found = np.load(path)
    vectors = [found[side].astype(np.float32) for side in ("image", "text")]
    return Split(vectors[0], vectors[1], found["image_of_text"])


def joined(one: Split, other: Split) -> Split:
    return Split(
        np.concatenate([one.images, other.images]),
        np.concatenate([one.texts, other.texts]),
        np.concatenate([one.image_of_text, other.image_of_text + len(one.images)]),
    )


def facing(split: Split, direction: str, bank: Split | None) -> tuple[Problem, Relevance]:
    """One direction's problem and what is right."""
    problem, relevance = split.problem(bank), split.relevance
    return (problem, relevance) if direction == DIRECTIONS[0] else (problem.reversed(), relevance.reversed())


@dataclass(frozen=True)
class Contender:
    """A stage with the values to choose from; `sides` are parameters that differ by direction."""

    name: str
    grid: dict[str, list[Any]] = field(default_factory=dict)
    bank: bool = False
    """Whether other queries are those of the bank rather than of the test."""
    sides: dict[str, dict[str, Any]] = field(default_factory=dict)
    fixed: dict[str, Any] = field(default_factory=dict)
    label: str = ""

    @property
    def title(self) -> str:
        return f"{self.name}{self.label}{', bank' if self.bank else ''}"

    def choices(self) -> Iterator[dict[str, Any]]:
        for values in itertools.product(*self.grid.values()):
            yield dict(zip(self.grid, values, strict=True))

    def make(self, direction: str, chosen: dict[str, Any]) -> rerankit.Stage:
        return stage(self.name, **self.fixed, **chosen, **self.sides.get(direction, {}))


_PUBLISHED = {"published": True}
BETA = {"beta": [10.0, 15.0, 20.0, 30.0]}
_FEATURES = {
    DIRECTIONS[0]: {"opinions": (*VOTES, "gallery-opinion", "gallery-votes")},
    DIRECTIONS[1]: {"opinions": (*VOTES, "query-opinion", "query-votes")},
}
_OTHERS = (
    Contender("inverted-softmax", BETA, fixed=_PUBLISHED),
    Contender("qb-norm", {**BETA, "neighbours": [1, 5]}, fixed=_PUBLISHED),
    Contender("dual-softmax", {"beta": [20.0, 30.0, 40.0, 60.0]}, fixed=_PUBLISHED),
    Contender("csls", {"neighbours": [2, 5, 10, 20]}, fixed=_PUBLISHED),
    Contender("nnn", {"neighbours": [4, 16, 64], "alpha": [0.5, 0.75, 1.0]}, fixed=_PUBLISHED),
    Contender("mutual-rank", {"weight": [0.5, 1.0, 2.0]}, fixed=_PUBLISHED),
    Contender("mutual-neighbours", {"neighbours": [3, 10, 30]}, fixed=_PUBLISHED),
    Contender("sinkhorn", {"beta": [10.0, 15.0, 20.0, 30.0]}, fixed=_PUBLISHED),
)
GRAPHS: dict[str, dict[str, list[Any]]] = {
    "k-reciprocal": {"k1": [4, 10, 20], "k2": [1, 3], "weight": [0.3]},
    "gnn": {"k1": [5, 15], "k2": [2, 4], "layers": [1]},
}
LEARNED = ("list-wise", "logistic", "trees")
GRIDS: dict[str, dict[str, list[Any]]] = {"logistic": {"penalty": [0.1, 1.0, 10.0]}, "trees": {"trees": [50, 150]}}
_ALONE = {"align": False, "strength": 1}
CONTENDERS = (
    Contender("alpha-qe", {"neighbours": [1, 3], "alpha": [1.0, 3.0]}, fixed={"strength": 1}),
    Contender("dba", {"neighbours": [1, 4], "alpha": [1.0, 3.0]}, fixed={"strength": 1}),
    Contender(
        "diffusion", {"neighbours": [5, 20], "query_neighbours": [1, 5], "alpha": [0.5, 0.9]}, fixed={"strength": 1}
    ),
    *(Contender(one.name, one.grid, bank=True, fixed=one.fixed) for one in _OTHERS[:-1]),
    Contender("sinkhorn", {"beta": [10.0, 15.0, 20.0], "cells_kept": [64, None]}, bank=True, fixed=_PUBLISHED),
    Contender(
        "dual-is",
        {"beta": [10.0, 20.0], "gallery_beta": [5.0, 20.0]},
        bank=True,
        fixed={"gallery": "bank", **_PUBLISHED},
    ),
    *(Contender(name, grid, bank=True, fixed=_ALONE) for name, grid in GRAPHS.items()),
    *(
        Contender("learned-fusion", GRIDS.get(model, {}), bank=True, fixed={"model": model}, label=f" {model}")
        for model in LEARNED
    ),
    *_OTHERS,
    Contender("mutual-rank", fixed=_PUBLISHED, label=" unweighted"),
    Contender(
        "mutual-neighbours",
        {"neighbours": [10, 30], "nearest_queries": [1, 3]},
        fixed=_PUBLISHED,
        label=" with nearest queries",
    ),
    Contender("dual-is", {"beta": [10.0, 20.0], "gallery_beta": [5.0, 20.0]}, fixed=_PUBLISHED),
    *(Contender(name, grid, fixed=_ALONE) for name, grid in GRAPHS.items()),
    *(Contender(name, grid, fixed={"strength": 1}, label=" aligned") for name, grid in GRAPHS.items()),
    Contender("consensus", {"equal_shares": [False, True]}),
    *(
        Contender(
            "learned-fusion",
            GRIDS.get(model, {}),
            fixed={"model": model},
            sides=_FEATURES,
            label=f" {model} with votes",
        )
        for model in LEARNED
    ),
)


@dataclass
class Data:
    """A split under test, its bank, and a split to fit on with the bank that belongs to it."""

    test: Split
    bank: Split
    fit: tuple[Split, Split]

    @classmethod
    def of(cls, test: Split, others: Split) -> Data:
        """Labels come from as many of the other items as the test has, so that opinions mean the same there."""
        items = np.random.default_rng(5).permutation(len(others.images))
        count = min(len(test.images), len(items) * 3 // 4)
        return cls(test, others, (others.take(items[:count], 1), others.take(items[count:], 2)))


def bank_for(contender: Contender | None, data: Data) -> Split | None:
    """The bank a contender looks at; learned fusion keeps the one it was fitted beside."""
    if contender is None or not contender.bank:
        return None
    return data.fit[1] if contender.name == "learned-fusion" else data.bank


def fitted(made: rerankit.Stage, data: Data, contender: Contender, direction: str) -> rerankit.Stage:
    if "weights" not in made.needs:
        return made
    problem, relevance = facing(data.fit[0], direction, data.fit[1] if contender.bank else None)
    return made.fit(problem, relevance)  # type: ignore[attr-defined]


def measured(data: Data, contender: Contender | None, chosen: dict[str, Any], direction: str) -> Any:
    """The evaluation of one contender (None: the scores as they are) in one direction."""
    problem, relevance = facing(data.test, direction, bank_for(contender, data))
    ranking = problem.ranking(100)
    if contender is not None:
        made = fitted(contender.make(direction, chosen), data, contender, direction)
        ranking = rerankit.Pipeline([made]).rerank(problem, ranking)
    return evaluate(ranking, relevance, METRICS, empty="zero")


def chosen_on(data: Data, contender: Contender, say: Callable[[str], None]) -> dict[str, Any]:
    """The values with the highest mean of all figures in both directions."""
    best: tuple[float, dict[str, Any]] = (-1.0, {})
    for values in contender.choices():
        found = [measured(data, contender, values, direction) for direction in DIRECTIONS]
        figure = float(np.mean([[one[metric] for metric in METRICS] for one in found]))
        shown = " ".join(f"{100 * one[metric]:.2f}" for one in found for metric in METRICS)
        say(f"  {contender.title} {values}: {shown}")
        if figure > best[0]:
            best = (figure, values)
    return best[1]


def looks_at_queries(contender: Contender, chosen: dict[str, Any], data: Data) -> bool:
    problem, _ = facing(data.test, DIRECTIONS[0], bank_for(contender, data))
    return contender.make(DIRECTIONS[0], chosen).looks_at(problem).queries


def record(flag: str, found: list[Any], base: list[Any], values: dict[str, Any], data: Data) -> dict[str, Any]:
    """What is kept of one contender: percentages of both directions, and the interval of what R@1 gained."""
    sides = {
        direction: {
            "figures": [round(100 * one[metric], 2) for metric in METRICS],
            "gain": interval(first, one, together(data, direction)),
        }
        for direction, one, first in zip(DIRECTIONS, found, base, strict=True)
    }
    return {"looks at other test queries": flag, **sides, "parameters": values}


def line(title: str, kept: dict[str, Any]) -> str:
    """One row of the table."""
    cells = []
    for direction in DIRECTIONS:
        cells += [f"{figure:.2f}" for figure in kept[direction]["figures"]]
        cells.append("" if title == BASE else kept[direction]["gain"])
    shown = ", ".join(f"{name}={value}" for name, value in kept["parameters"].items())
    return f"| {title} | {kept['looks at other test queries']} | {' | '.join(cells)} | {shown} |"


def together(data: Data, direction: str) -> np.ndarray | None:
    """Which queries depend on each other: texts of one image."""
    return None if direction == DIRECTIONS[0] else data.test.image_of_text


def interval(base: Any, found: Any, groups: np.ndarray | None) -> str:
    """The 95 % interval of what R@1 gained, in points."""
    low, high, _ = paired_bootstrap(base.per_query["success@1"], found.per_query["success@1"], groups=groups)
    return f"{100 * low:+.1f} … {100 * high:+.1f}"


def captions(folder: Path, out: Path, say: Callable[[str], None], only: set[str]) -> list[str]:
    splits = {name: read(folder / "coco_captions" / f"{name}.npz") for name in ("train", "val", "test")}
    known = joined(splits["train"], splits["val"])
    items = np.random.default_rng(1).permutation(len(known.images))
    development = Data.of(known.take(items[:1500], 3), known.take(items[1500:], 4))
    file = out / "canon-parameters.json"
    parameters = json.loads(file.read_text()) if file.is_file() else {}
    contenders = [one for one in CONTENDERS if not only or {one.name, one.title} & only]
    for contender in contenders:
        if contender.title not in parameters:
            parameters[contender.title] = chosen_on(development, contender, say)
            file.write_text(json.dumps(parameters, indent=2, ensure_ascii=False) + "\n")
            say(f"chosen for {contender.title}: {parameters[contender.title]}")
    test = Data.of(splits["test"].take(np.arange(1500), 7), known)
    return table("test", test, contenders, parameters, out / "canon-captions.json", say)


def table(
    title: str,
    data: Data,
    contenders: list[Contender],
    parameters: dict[str, Any],
    file: Path,
    say: Callable[[str], None],
) -> list[str]:
    """One line for each contender; what was measured before stands in `file` and is not measured again."""
    head = " | ".join(f"{direction} R@1 | R@5 | R@10 | gain in R@1" for direction in DIRECTIONS)
    kept = json.loads(file.read_text()) if file.is_file() else {}
    base = [measured(data, None, {}, direction) for direction in DIRECTIONS]
    kept[BASE] = record("no", base, base, {}, data)
    for contender in contenders:
        if contender.title in kept:
            continue
        values = parameters[contender.title]
        found = [measured(data, contender, values, direction) for direction in DIRECTIONS]
        flag = "yes" if looks_at_queries(contender, values, data) else "no"
        kept[contender.title] = record(flag, found, base, values, data)
        say(line(contender.title, kept[contender.title]))
        file.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    order = [BASE, *(one.title for one in CONTENDERS if one.title in kept)]
    first = f"| {title} | looks at other test queries | {head} | parameters |"
    return [first, "|---|---|" + "--:|" * 8 + "---|", *(line(name, kept[name]) for name in order)]


def control(folder: Path, parameters: dict[str, Any], say: Callable[[str], None]) -> list[str]:
    """500 pairs under CLIP and under an untrained network, with the parameters chosen on captions."""
    lines = ["| stage | CLIP i→t R@1 | gain | t→i R@1 | gain | untrained i→t R@1 | gain | t→i R@1 | gain |"]
    lines.append("|---|" + "--:|" * 8)
    sets = []
    for prefix in ("", "control_"):
        parts = [
            np.load(folder / "coco_clip500" / f"{prefix}{name}.npy") for name in ("image", "text", "image_of_text")
        ]
        images, texts = (centred(part) for part in parts[:2])
        sets.append(Data(Split(images, texts, parts[2]), Split(images, texts, parts[2]), (None, None)))  # type: ignore[arg-type]
    base = [[measured(data, None, {}, direction) for direction in DIRECTIONS] for data in sets]
    for contender in CONTENDERS:
        if contender.bank or contender.name == "learned-fusion":
            continue
        cells = []
        for data, first in zip(sets, base, strict=True):
            for direction, before in zip(DIRECTIONS, first, strict=True):
                found = measured(data, contender, parameters[contender.title], direction)
                cells += [f"{100 * found['success@1']:.1f}", interval(before, found, together(data, direction))]
        lines.append(f"| {contender.title} | {' | '.join(cells)} |")
        say(lines[-1])
    first = [f"{100 * one['success@1']:.1f} | " for both in base for one in both]
    lines.insert(2, f"| scores as they are | {' | '.join(first)} |")
    return lines


def centred(vectors: np.ndarray) -> np.ndarray:
    """Vectors of length 1 around their mean: CLIP's two sides lie in two narrow cones far from each other."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = unit - unit.mean(axis=0)
    return (unit / np.linalg.norm(unit, axis=1, keepdims=True)).astype(np.float32)


SPREAD = 0.12  # the deviation of the captions' cosines, for which the parameters were chosen


def places(folder: Path, parameters: dict[str, Any], say: Callable[[str], None]) -> list[str]:
    """Ten backbones of place recognition; their scores are brought to the spread of the captions' cosines."""
    right = json.loads((folder / "sped" / "relevant.json").read_text())
    relevance = Relevance.from_lists([right[str(query)] for query in range(len(right))], len(right))
    chosen = [one for one in CONTENDERS if not one.bank and stage_needs_scores_only(one)]
    lines = [f"| backbone | scores as they are | {' | '.join(one.title for one in chosen)} |"]
    lines.append("|---|" + "--:|" * (len(chosen) + 1))
    for path in sorted((folder / "sped").glob("*.npy")):
        scores = np.load(path)
        problem = Problem(scores / scores.std() * SPREAD)
        ranking = problem.ranking(100)
        base = evaluate(ranking, relevance, METRICS, empty="zero")
        cells = [f"{100 * base['success@1']:.1f}"]
        for contender in chosen:
            made = contender.make("", parameters[contender.title])
            found = evaluate(made.rerank(problem, ranking), relevance, METRICS, empty="zero")
            low, high, _ = paired_bootstrap(base.per_query["success@1"], found.per_query["success@1"])
            mark = "▲" if low > 0 else "▼" if high < 0 else ""
            cells.append(f"{100 * (found['success@1'] - base['success@1']):+.1f}{mark}")
        lines.append(f"| {path.stem} | {' | '.join(cells)} |")
        say(lines[-1])
    return lines


def stage_needs_scores_only(contender: Contender) -> bool:
    chosen = next(contender.choices())
    return not contender.sides and not contender.make("", chosen).needs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder with coco_captions, coco_clip500 and sped")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/recorded"))
    parser.add_argument("--only", nargs="*", default=[], help="names of stages (all by default)")
    parts = ["captions", "control", "places"]
    parser.add_argument("--parts", nargs="*", default=parts, choices=parts)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)

    def say(text: str) -> None:
        print(text, flush=True)

    def section(part: str) -> tuple[str, list[str]]:
        if part == "captions":
            return "Captions of COCO, test split", captions(given.data, given.out, say, set(given.only))
        parameters = json.loads((given.out / "canon-parameters.json").read_text())
        if part == "control":
            return "CLIP and an untrained network", control(given.data, parameters, say)
        return "Place recognition: gain in R@1", places(given.data, parameters, say)

    for part in given.parts:
        title, lines = section(part)
        text = "\n".join([f"## {title}", "", *lines])
        (given.out / f"canon-{part}.md").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Every stage on every set of real data that it can read, controls included; writes its part of docs/benchmarks.md.

    OMP_NUM_THREADS=2 python benchmarks/real.py --data FOLDER --write docs/benchmarks.md

Parameters are chosen on the validation split of the COCO captions and nowhere else, trained stages are fitted on its
training split, and the test is looked at once. Finished runs in --out are not repeated.

A stage whose training takes long can be fitted elsewhere on the training split and brought along; only its own row is
then run, the others are read from --out:

    python benchmarks/real.py --data FOLDER --out SAME --fitted pillar=SAVED_STAGE --write docs/benchmarks.md
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

import rerankit
from rerankit import Looks, Problem, Relevance, Stage
from rerankit.bench import Contender, Result, ScoreSet, bench, compare_results, contender, score_set, tune
from rerankit.errors import RerankitError
from rerankit.files import atomic
from rerankit.measure import machine
from rerankit.plugins import manager
from rerankit.statistics import Comparison
from rerankit.statistics.render import markdown
from rerankit.tasks import Benchmark, Card, DataFile, Matrix, Part, Task

METRICS = ("success@1", "success@5", "success@10", "median_rank", "rsum")
WAYS = ("image-to-text", "text-to-image")
BEGIN, END = "<!-- begin: benchmarks/real.py -->", "<!-- end: benchmarks/real.py -->"
"""What is between these lines of the page is written by this program."""
# Sharpness is left at "auto", which reads it off each set's own scores: one number for all sets suits none but one.
SPACES: dict[str, dict[str, list[Any]]] = {
    "alpha-qe": {"neighbours": [1, 3, 10], "alpha": [1.0, 3.0, 10.0]},
    "csls": {"neighbours": [3, 10, 30]},
    "dba": {"neighbours": [1, 3, 10], "alpha": [3.0, 10.0]},
    "diffusion": {"neighbours": [5, 20], "query_neighbours": [1, 5], "alpha": [0.5, 0.9]},
    "gnn": {"k1": [5, 15], "k2": [2, 4], "layers": [1]},
    "k-reciprocal": {"k1": [4, 10, 20], "k2": [1, 3]},
    "mutual-neighbours": {"neighbours": [10, 20, 40]},
    "mutual-rank": {"weight": [0.25, 0.5, 1.0]},
    "nnn": {"neighbours": [4, 16, 64], "alpha": [0.5, 0.75, 1.0]},
    "qb-norm": {"neighbours": [1, 10]},
}
OTHER_INPUTS = {
    "auto": "tries the others",
    "pipeline": "joins other stages",
    "cross-encoder": "reads texts or pictures with a large model",
    "remote": "asks a service",
    "hmrn": "reads regions of pictures",
    "top": "wraps another stage",
    "triplet": "reads pictures or tokens",
}


class Arrays(Task):
    """A task whose data is at hand."""

    def __init__(self, name: str, title: str, parts: tuple[Part, ...], shape: tuple[int, int]) -> None:
        self.name, self.title, self.made, self.shape = name, title, parts, shape

    @property
    def card(self) -> Card:  # type: ignore[override]
        main = "rsum" if len(self.made) > 1 else f"{self.made[0].name}/success@1"
        plain = ("see README", "see README", "as given", "test", "both")
        return Card(self.name, self.title, *plain, METRICS, main)

    files: ClassVar[tuple[DataFile, ...]] = ()  # type: ignore[misc]

    def read(self, data: Path) -> Benchmark:
        matrix = Matrix(range(self.shape[0]), range(self.shape[1]))
        return Benchmark(self, {"scores": matrix}, self.made, self.name)

    def get_params(self) -> dict[str, Any]:
        return {}

    def write_miniature(self, data: Path, seed: int = 0) -> Task:
        raise NotImplementedError("real data has no miniature")

    def summary(self, results: Mapping[str, Any], parts: Sequence[Part]) -> dict[str, float]:
        figures = super().summary(results, parts)
        return {**figures, "rsum": sum(value for name, value in figures.items() if name.endswith("/rsum"))}


@dataclass
class RealSet:
    """One set of real data: benchmark and scores; training data where there is some."""

    title: str
    note: str
    benchmark: Benchmark
    scores: list[ScoreSet]
    train: tuple[Problem, Relevance] | None = None
    results: list[Result] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def problem(self) -> Problem:
        return self.scores[0].problems["scores"]


def two_sided(name: str, title: str, owner: np.ndarray, images: int) -> Benchmark:
    relevance = Relevance.from_labels(np.arange(images), owner)
    parts = (
        Part("image-to-text", relevance),
        Part("text-to-image", relevance.reversed(), reverse=True, together=owner.tolist()),
    )
    return Arrays(name, title, parts, (images, len(owner))).read(Path())


def coco_captions(data: Path) -> tuple[RealSet, RealSet]:
    """The test split and the validation split, both with the training split as bank."""
    splits = {name: np.load(data / "coco_captions" / f"{name}.npz") for name in ("train", "val", "test")}
    vectors = {name: [split[side].astype(np.float32) for side in ("image", "text")] for name, split in splits.items()}
    banks = {"query_bank": vectors["train"][0], "gallery_bank": vectors["train"][1]}
    train = (
        Problem.from_embeddings(*vectors["train"]),
        Relevance.from_labels(np.arange(len(vectors["train"][0])), splits["train"]["image_of_text"]),
    )
    made = []
    for name in ("test", "val"):
        benchmark = two_sided(f"coco-captions-{name}", name, splits[name]["image_of_text"], len(vectors[name][0]))
        scores = score_set(benchmark, Problem.from_embeddings(*vectors[name], **banks), "MiniLM")
        note = (
            "1,500 pictures, each known by one caption, and the 6,000 captions of four other people; 3,000 other "
            "items are the bank and the training set, 500 chose the parameters."
        )
        made.append(RealSet("COCO captions, MiniLM sentence vectors", note, benchmark, [scores], train))
    return made[0], made[1]


def clip500(data: Path, control: bool) -> RealSet:
    front = "control_" if control else ""
    image, text, owner = (
        np.load(data / "coco_clip500" / f"{front}{name}.npy") for name in ("image", "text", "image_of_text")
    )
    name = "coco-clip500-control" if control else "coco-clip500"
    benchmark = two_sided(name, name, owner, len(image))
    scores = score_set(benchmark, Problem.from_embeddings(image, text), "CLIP ViT-B/16")
    if control:
        return RealSet(
            "Control: the same pairs, untrained network",
            "Nothing is to be found here; a gain would be a leak.",
            benchmark,
            [scores],
        )
    note = "500 pairs without a bank: stages that look at other queries look at the test's. Intervals are about ±4."
    return RealSet("COCO pairs, CLIP ViT-B/16", note, benchmark, [scores])


def sped(data: Path) -> RealSet:
    folder = data / "sped"
    relevant = json.loads((folder / "relevant.json").read_text())
    lists = [relevant[str(row)] for row in range(len(relevant))]
    files = sorted(folder.glob("*.npy"))
    shape = np.load(files[0], mmap_mode="r").shape
    part = Part("place", Relevance.from_lists(lists, shape[1]))
    benchmark = Arrays("sped", "SPED", (part,), (shape[0], shape[1])).read(folder)
    scores = [score_set(benchmark, np.load(file), file.stem) for file in files]
    note = (
        "607 places in two seasons under ten backbones; only the scores are known. Every place occurs once on each "
        "side, which methods that balance both sides are made for."
    )
    return RealSet("SPED, ten place-recognition backbones", note, benchmark, scores)


def untrained(given: RealSet) -> Iterator[Stage]:
    """Every stage that runs on the set as it is; the others with the reason."""
    for name in rerankit.stages_available():
        if not manager().stages[name].__module__.startswith("rerankit."):  # a plugin that happens to be installed
            continue
        if name in OTHER_INPUTS:
            given.skipped[name] = OTHER_INPUTS[name]
            continue
        made = rerankit.stage(name)
        if "weights" in made.needs:
            given.skipped[name] = "needs fitting"
            continue
        faults = made.unmet(given.problem)
        if faults:
            given.skipped[name] = f"needs {faults[0].need}"
            continue
        yield made


def both_ways(made: Stage, name: str, problem: Problem) -> Iterator[Contender]:
    """A stage under its name and, where a bank is at hand, also among the test queries under a name that says so."""
    if _takes_bank(made) and problem.query_bank is not None:
        yield contender(looking_at(None, made), name)
        yield contender(looking_at("queries", made), f"{name}, test queries")
    else:
        yield contender(made, name)


def _takes_bank(made: Stage) -> bool:
    return "bank" in (made.forward if isinstance(made, TwoWays) else made).parameters()


def looking_at(bank: str | None, made: Stage) -> Stage:
    """The stage with another `bank` parameter."""
    if isinstance(made, TwoWays):
        return TwoWays(looking_at(bank, made.forward), looking_at(bank, made.backward))
    return made.clone(bank=bank)


def chosen(given: Contender, validation: RealSet, k: int, out: Path) -> tuple[Contender, Any]:
    """The stage with the parameters that validation likes best."""
    (made,) = given.pipeline
    if made.name not in SPACES:
        return given, None
    found = tune(given, SPACES[made.name], validation.benchmark, validation.scores[0], k=k, out=out)
    return found.contender, found.record


def saved(place: Path) -> Stage:
    """A fitted stage from its folder, or from two folders inside, one for each direction."""
    if all((place / way).is_dir() for way in WAYS):
        return TwoWays(*(rerankit.load(place / way) for way in WAYS))
    return rerankit.load(place)


def fitted(name: str, given: RealSet, validation: RealSet, folder: Path) -> Stage:
    """A trained stage for pictures that look for texts, fitted once and kept in a folder."""
    place = folder / "weights" / name
    if place.is_dir():
        return saved(place)
    assert given.train is not None
    problem, relevance = given.train
    held = validation.problem, validation.benchmark.parts[0].relevance
    made = rerankit.stage(name)
    if _takes_bank(made):
        made = looking_at("queries", made)  # the training problem has no bank beside it, so validation has none
    if hasattr(made, "rerank_both"):  # one object for both directions
        made.fit(problem, relevance, validation=held)  # type: ignore[attr-defined]
        made.save(place)
        return made
    reversed_pair = problem.reversed(), relevance.reversed()
    both = TwoWays(made.clone().fit(problem, relevance), made.clone().fit(*reversed_pair))  # type: ignore[attr-defined]
    for way, each in zip(WAYS, (both.forward, both.backward), strict=True):
        each.save(place / way)
    return both


class TwoWays(Stage):
    """A stage of its own for each direction."""

    name = "two-ways"

    def __init__(self, forward: Stage, backward: Stage) -> None:
        self.forward, self.backward = forward, backward

    @property
    def stage(self) -> Stage:
        """The one of this direction: what stages that hold another show of it."""
        return self.forward

    def reversed(self) -> TwoWays:
        return TwoWays(self.backward, self.forward)

    def looks_at(self, problem: Problem | None = None) -> Looks:
        return self.forward.looks_at(problem)

    def reorder(self, problem: Problem, ranking: Any) -> Any:
        return self.forward.rerank(problem, ranking)

    def get_weights(self) -> dict[str, Any]:
        return {
            f"{way}.{name}": array
            for way, one in (("forward", self.forward), ("backward", self.backward))
            for name, array in one.get_weights().items()
        }

    def __repr__(self) -> str:
        return repr(self.forward)


def run_coco(
    test: RealSet, validation: RealSet, k: int, out: Path, trained: Sequence[str], brought: Mapping[str, Path]
) -> dict[str, Stage]:
    """Stages with chosen parameters, and trained ones, which are given back."""
    for given in (each for made in untrained(test) for each in both_ways(made, made.name, test.problem)):
        each, record = chosen(given, validation, k, out)
        tuning = None if record is None else {each.label: record}
        test.results += bench(test.benchmark, test.scores, each, k=k, out=out, tuning=tuning)
    found = {name: fitted(name, test, validation, out) for name in trained if name not in brought}
    found |= {name: saved(place) for name, place in brought.items()}
    run_trained(test, found, k, out)
    return found


def run_trained(given: RealSet, trained: Mapping[str, Stage], k: int, out: Path) -> None:
    for name, made in trained.items():
        for each in both_ways(made, name, given.problem):
            given.results += bench(given.benchmark, given.scores, each, k=k, out=out)
        given.skipped.pop(name, None)


def run_defaults(given: RealSet, k: int, out: Path) -> None:
    for made in untrained(given):
        try:
            given.results += bench(given.benchmark, given.scores, made, k=k, out=out)
        except RerankitError as error:
            given.skipped[made.name] = str(error)


def two_sided_table(given: RealSet) -> str:
    """R@1 with marks, R@5, R@10 of both directions, rSum, seconds, what is looked at."""
    tables = compare_results(given.results, metrics=["success@1"])
    rows = [_row("first stage", given.results[0].summary["first"], None, tables)]
    rows += [
        _row(each.label, each.summary["last"], each, tables)
        for each in sorted(given.results, key=lambda each: -each.summary["last"]["rsum"])
    ]
    ceiling = given.results[0].summary["ceiling"]
    rows.append(_row("best order of the candidates", ceiling, None, {}))
    ways = [f"{way} R@{k}" for way in ("i→t", "t→i") for k in (1, 5, 10)]
    return markdown(["stage", "looks at", "parameters", *ways, "rSum", "Δ R@1 i→t", "Δ R@1 t→i", "seconds"], rows, 3)


def _row(name: str, figures: Mapping[str, float], result: Result | None, tables: Mapping[str, Comparison]) -> list[str]:
    cells, between = [], []
    for way in WAYS:
        cell = next((c for c in tables[way].cells if c.system == name and c.p is not None), None) if tables else None
        for k in (1, 5, 10):
            mark = f" {cell.mark}" if cell is not None and k == 1 and cell.mark else ""
            cells.append(f"{100 * figures[f'{way}/success@{k}']:.2f}{mark}")
        low, high = (cell.difference_interval or (0, 0)) if cell is not None else (0, 0)
        between.append("" if cell is None else f"{100 * low:+.2f} … {100 * high:+.2f}")
    if result is None:
        return [name, "", "", *cells, f"{figures['rsum']:.1f}", *between, ""]
    params = "" if result.tuning is None else _shown(result.tuning["chosen"])
    looks = result.looks_at.words
    return [name, looks, params, *cells, f"{figures['rsum']:.1f}", *between, f"{result.seconds:.2f}"]


def _shown(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in values.items())


def sped_table(given: RealSet) -> str:
    """Mean over backbones, NetVLAD, and on how many backbones a stage is significantly better or worse."""
    by_stage: dict[str, list[Result]] = {}
    for each in given.results:
        by_stage.setdefault(each.label, []).append(each)
    first = next(iter(by_stage.values()))
    means = [np.mean([r.summary["first"][f"place/success@{k}"] for r in first]) for k in (1, 5)]
    vlad = next(r for r in first if r.scores["label"] == "NetVLAD").summary["first"]["place/success@1"]
    rows = [["first stage", "", *(f"{100 * value:.2f}" for value in means), f"{100 * vlad:.2f}", "", ""]]
    for name, found in by_stage.items():
        values = [np.mean([r.summary["last"][f"place/success@{k}"] for r in found]) for k in (1, 5)]
        vlad = next(r for r in found if r.scores["label"] == "NetVLAD").summary["last"]["place/success@1"]
        marks = [compare_results([each], metrics=["success@1"])["place"].cells[-1].mark for each in found]
        counts = f"{marks.count('+')} / {marks.count('−')}"
        seconds = sum(each.seconds for each in found)
        figures = [f"{100 * value:.2f}" for value in (*values, vlad)]
        rows.append([name, found[0].looks_at.words, *figures, counts, f"{seconds:.2f}"])
    rows[1:] = sorted(rows[1:], key=lambda row: -float(row[2]))
    return markdown(
        ["stage", "looks at", "mean R@1", "mean R@5", "NetVLAD R@1", "better / worse of 10", "seconds"], rows
    )


def page(sets: Sequence[RealSet], k: int, note: str = "") -> str:
    here = machine()
    versions = ", ".join(f"{name} {here[name]}" for name in ("numpy", "scipy", "torch") if name in here)
    lines = [
        "## Every stage on real data",
        "",
        f"Measured on {date.today().isoformat()} with `benchmarks/real.py` on {here['cores']} cores ({here['cpu']}; "
        f"{versions}). Every stage of rerankit on every set that satisfies its needs; R@k is success@k in percent, "
        f"ties count as their expected value, the first {k} candidates are re-ranked. **+** and **−** mark R@1 that is "
        "significantly better or worse than the first stage (paired randomisation test at 5 %, with Holm's correction "
        "over the stages of a table); Δ is the 95 % interval of the difference (paired bootstrap). Captions of one "
        "picture are resampled together.",
        "",
        "A stage looks at the other *test queries*, at a *bank* of queries that are not under test, or at *labels* of "
        "the COCO captions' training split, with which it was fitted. A figure that looks at test queries "
        "(transductive) is one for a batch of queries: a single query on its own cannot have it.",
        *(["", note] if note else []),
    ]
    for given in sets:
        table = sped_table(given) if given.benchmark.task.card.name == "sped" else two_sided_table(given)
        lines += ["", f"### {given.title}", "", given.note, "", table]
        if given.skipped:
            reasons = "; ".join(f"`{name}` ({why})" for name, why in sorted(given.skipped.items()))
            lines += ["", f"Not run: {reasons}."]
    return "\n".join(lines) + "\n"


def put(text: str, page: Path) -> None:
    """The tables into a page, in place of those between its two marks."""
    marked = f"{BEGIN}\n{text}{END}"
    if page.is_file():
        before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
        _, end, after = rest.partition(END)
        if not end:
            raise SystemExit(f"{page} must hold the lines {BEGIN} and {END}")
        marked = f"{before}{marked}{after}"
    else:
        marked += "\n"
    with atomic(page) as temporary:
        temporary.write_text(marked, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the real data")
    parser.add_argument("--out", type=Path, default=Path("results/real"), help="results and fitted weights")
    parser.add_argument("--write", type=Path, help="page whose tables are replaced")
    parser.add_argument("--note", default="", help="a sentence for the top of the page")
    parser.add_argument("--fit", nargs="*", default=["calibrate", "learned-fusion", "pillar-small", "pillar-plus"])
    parser.add_argument("--fitted", action="append", default=[], metavar="NAME=FOLDER", help="a saved, fitted stage")
    parser.add_argument("-k", type=int, default=100)
    given = parser.parse_args(arguments)
    test, validation = coco_captions(given.data)
    brought = {name: Path(place) for name, _, place in (text.partition("=") for text in given.fitted)}
    trained = run_coco(test, validation, given.k, given.out, given.fit, brought)
    pairs = [clip500(given.data, control) for control in (False, True)]
    others = [*pairs, sped(given.data)]
    for each in others:
        run_defaults(each, given.k, given.out)
    for each in pairs:
        run_trained(each, trained, given.k, given.out)
    text = page([test, *others], given.k, given.note)
    if given.write:
        put(text, given.write)
    else:
        print(text)


if __name__ == "__main__":
    main()

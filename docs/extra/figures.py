"""Pictures of stages whose worth no figure of the panel tells: computed on the demo's digits, or drawn from tables.

`FIGURES` has one for each of them, with what it shows in words. Tables are those of the pages, found by their head.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

import rerankit
from rerankit import Ranking, evaluate, stage
from rerankit.demo.digits import DigitHalves, halves
from rerankit.plots import Theme

DOCS = Path(__file__).parents[1]
CANDIDATES = 100
"""How many first candidates of a digit's half are re-ranked."""
CUTS = (1, 2, 3, 5, 10, 20, 50, 100)
SHARES = np.linspace(0, 1, 11)
"""Weights of the second of two sources."""


@dataclass(frozen=True)
class Figure:
    """What is drawn, its size in inches, and what it shows."""

    draw: Callable[[Any, Theme], None]
    size: tuple[float, float]
    says: str


@lru_cache(1)
def digits() -> DigitHalves:
    """The demo's halves of handwritten digits, made once."""
    return halves()


def recall(ranking: Ranking, at: int = 1) -> float:
    """R@k in percent: whether the own half is among the first k."""
    return 100 * float(evaluate(ranking, digits().own, [f"success@{at}"])[f"success@{at}"])


def ranked(made: Any = None) -> Ranking:
    """The digits' candidates, as they come or re-ranked by a stage or pipeline."""
    first = digits().problem.ranking(CANDIDATES)
    return first if made is None else made.rerank(digits().problem, first)


# -- computed on digits -------------------------------------------------------------------------------------------


@lru_cache
def fused(first: str) -> list[float]:
    """R@1 of a source beside a weaker model as that gets more weight."""
    sources = [first if first == "scores" else stage(first), "predicted"]
    made = [stage("fuse", sources=sources, normalise="z-score", weights=[1 - share, share]) for share in SHARES]
    return [recall(ranked(each)) for each in made]


def draw_fuse(figure: Any, theme: Theme) -> None:
    axes = figure.subplots()
    for first, label in {"scores": "the scores", "sinkhorn": "sinkhorn"}.items():
        axes.plot(SHARES, fused(first), marker="o", label=f"{label} and a weaker model")
    axes.axhline(recall(ranked()), color=theme.muted, linestyle="--", linewidth=1, label="the scores alone")
    axes.set(xlabel="weight of the weaker model", ylabel="R@1, %")
    axes.legend()


def halved(start: int) -> tuple[rerankit.Problem, rerankit.Relevance]:
    """Every second digit's query, with what is right."""
    queries, count = digits().problem.shape
    rows, items = np.arange(start, queries, 2), np.arange(count)
    return digits().problem.subset(rows, items), digits().own.subset(rows, items)


def reliability(method: str, parts: int = 20, least: int = 20) -> list[tuple[float, float]]:
    """In parts of the range: the mean of probabilities, learned on other queries, and the share of what is right."""
    fitted = stage("calibrate", method=method).fit(*halved(0))
    asked, own = halved(1)
    ranking = fitted.rerank(asked, asked.ranking(fitted.candidates))
    hit = ranking.indices == np.array([own.of(row).items[0] for row in range(asked.shape[0])])[:, None]
    place = (ranking.scores * parts).astype(int)
    filled = [place == each for each in range(parts + 1) if (place == each).sum() >= least]
    return [(float(ranking.scores[each].mean()), float(hit[each].mean())) for each in filled]


def draw_calibrate(figure: Any, theme: Theme) -> None:
    axes = figure.subplots()
    found = {method: reliability(method) for method in ("temperature", "platt", "isotonic")}
    most = max(max(point) for points in found.values() for point in points)
    axes.plot([0, most], [0, most], "--", color=theme.muted, linewidth=1, label="as often as it says")
    for method, points in found.items():
        axes.plot(*zip(*points, strict=True), marker="o", label=method)
    axes.set(xlabel="probability that it gives a candidate", ylabel="share that is right")
    axes.legend()


@lru_cache
def chosen() -> Any:
    """What `choose` finds with the labels of every second digit."""
    return rerankit.choose(*halved(0))


def draw_auto(figure: Any, theme: Theme) -> None:
    axes, found = figure.subplots(), chosen()
    tried = sorted(found.tried, key=lambda each: each.gain)
    for row, each in enumerate(tried):
        is_chosen = each.pipeline.stages == found.stages
        colour = theme.gain if is_chosen else theme.muted
        axes.plot([each.low, each.high], [row] * 2, color=colour, alpha=0.6, linewidth=2.4)
        axes.plot([each.gain], [row], "o", color=colour, markersize=8 if is_chosen else 4.5)
    axes.axvline(0, color=theme.muted, linewidth=1)
    axes.set_yticks(range(len(tried)), [", ".join(one.name for one in each.pipeline.stages) for each in tried])
    axes.set(xlabel="points of R@1 gained, with the 95 % interval; what is chosen in green")


@lru_cache
def steps() -> dict[str, Ranking]:
    """The digits after each stage of a pipeline."""
    second = stage("fuse", sources=["ranking", "predicted"], normalise="z-score", weights=[0.7, 0.3])
    first = stage("sinkhorn")
    return {"as they\ncome": ranked(), "sinkhorn": ranked(first), "sinkhorn\n>> fuse": ranked(first >> second)}


def draw_pipeline(figure: Any, theme: Theme) -> None:
    for axes, at in zip(figure.subplots(1, 3), (1, 5, 10), strict=True):
        values = [recall(each, at) for each in steps().values()]
        axes.plot(range(len(values)), values, "o-", color=theme.gain)
        for place, value in enumerate(values):
            axes.annotate(f"{value:.1f}", (place, value), (7, -9), textcoords="offset points", fontsize=8.5)
        axes.set(title=f"R@{at}, %")
        axes.margins(0.25)
        axes.set_xticks(range(len(values)), list(steps()), fontsize=8)
        axes.grid(visible=False, axis="x")


@lru_cache
def cut(name: str, candidates: int) -> Ranking:
    """The digits, the first of their candidates re-ranked by a stage."""
    return ranked(stage(name).top(candidates))


def draw_top(figure: Any, theme: Theme) -> None:
    for axes, at in zip(figure.subplots(1, 2), (1, 10), strict=True):
        for name in ("sinkhorn", "mutual-rank"):
            axes.plot(CUTS, [recall(cut(name, each), at) for each in CUTS], marker="o", label=name)
        axes.axhline(recall(ranked(), at), color=theme.muted, linestyle="--", linewidth=1, label="as they come")
        axes.set(xscale="log", xlabel="candidates that are re-ranked", title=f"R@{at}, %")
        axes.set_xticks(CUTS, [str(each) for each in CUTS])
        axes.minorticks_off()
    axes.legend()


# -- drawn from tables of the pages -------------------------------------------------------------------------------


def table(page: str, head: str) -> list[list[str]]:
    """The cells of the tables of a page whose first line begins so, one after the other, without their heads."""
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    found: list[list[str]] = []
    for start in (number for number, line in enumerate(lines) if line.startswith(head)):
        for line in lines[start + 2 :]:
            if not line.startswith("|"):
                break
            found.append([cell.strip(" `") for cell in line.strip("|").split("|")])
    if not found:
        raise LookupError(f"docs/{page} has no table that begins '{head}'")
    return found


def number(cell: str) -> float:
    """The first number of a cell."""
    found = re.search(r"[-+]?[\d.]+", cell.replace("−", "-").replace(",", ""))
    if found is None:
        raise LookupError(f"'{cell}' has no number")
    return float(found[0])


def bars(
    figure: Any, theme: Theme, labels: Sequence[str], values: Mapping[str, Sequence[float]], what: str, form: str
) -> None:
    """A row for each label, in it a bar for each of the values' names."""
    axes = figure.subplots()
    height = 0.8 / len(values)
    for place, (name, found) in enumerate(values.items()):
        rows = np.arange(len(labels)) + height * (place - (len(values) - 1) / 2)
        axes.barh(rows, found, height=0.9 * height, color=theme.series[place], label=name)
        for row, value in zip(rows, found, strict=True):
            axes.text(value, row, f" {value:{form}}", va="center", color=theme.ink, fontsize=8)
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set(xlabel=what)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    if len(values) > 1:
        axes.legend(loc="best")


def draw_metric(figure: Any, theme: Theme) -> None:
    base, *rows = table("benchmarks.md", "| bank of labelled pairs |")
    gained = {
        name: [number(row[column]) - number(base[column]) for row in rows] for name, column in (("i→t", 3), ("t→i", 4))
    }
    bars(figure, theme, [row[0].replace("`", "") for row in rows], gained, "points of R@1 gained, test split", "+.1f")


def draw_pillar(figure: Any, theme: Theme) -> None:
    axes, rows = figure.subplots(), pillar_rows()
    for place, (_, name, (gain, low, high)) in enumerate(rows):
        colour = {"pillar": theme.others, "pillar-plus": theme.alone}[name]
        axes.plot([low, high], [place] * 2, color=colour, alpha=0.5, linewidth=2.6)
        axes.plot([gain], [place], "o", color=colour)
    axes.axvline(0, color=theme.muted, linewidth=1)
    axes.set_yticks(range(len(rows)), [f"{label}: {name}" for label, name, _ in rows])
    axes.invert_yaxis()
    axes.set(xlabel="points of R@1 gained, with the 95 % interval")


def pillar_rows() -> list[tuple[str, str, tuple[float, ...]]]:
    """Set with its direction, stage, and the gain in R@1 with its interval, of both reasoners."""
    found, name, sets = [], "", iter(("captions", "CLIP", "untrained"))
    for cells in table("pillar.md", "| | image → text R@1 |"):
        if cells[0].endswith("base"):
            title = next(sets)
        name = cells[0].split("`")[0].split(",")[0] if cells[0].startswith("pillar") else name
        if cells[0] == "gain":
            for way, column in (("i→t", 1), ("t→i", 4)):
                values = re.findall(r"[-+]?[\d.]+", cells[column].replace("−", "-"))
                found.append((f"{title} {way}", name, tuple(map(float, values))))
    return found


def draw_cross_encoder(figure: Any, theme: Theme) -> None:
    rows = table("triplet.md", "| | CPU seconds |")[:-1]  # the last is a look-up: its bar would hide the others
    labels = [row[0].replace("`", "").replace(", ", ",\n") for row in rows]
    bars(figure, theme, labels, {"": [number(row[2]) for row in rows]}, "pairs a second on one core", ".0f")


def draw_maxsim(figure: Any, theme: Theme) -> None:
    labels, rows, last = [], table("late-interaction.md", "| queries and documents |"), ""
    for row in rows:
        last = row[0] or last
        labels.append(f"{last.replace(', ', ',' + chr(10)).replace(' that share', chr(10) + 'that share')}\n{row[1]}")
    values = {name: [number(row[column]) for row in rows] for name, column in (("stage", 2), ("products alone", 3))}
    bars(figure, theme, labels, values, "milliseconds on one core", ".0f")


def draw_remote(figure: Any, theme: Theme) -> None:
    axes, rows = figure.subplots(), table("remote.md", "| requests at once |")[:-1]
    at_once = [number(row[0]) for row in rows]
    for column, label, style in ((1, "remote", "o-"), (2, "the service's part", "--")):
        colour = theme.alone if column == 1 else theme.muted
        axes.plot(at_once, [number(row[column]) for row in rows], style, color=colour, label=label)
    axes.set(xscale="log", yscale="log", xlabel="requests at once (concurrency)", ylabel="seconds")
    axes.set_xticks(at_once, [f"{each:g}" for each in at_once])
    axes.set_yticks([0.2, 0.5, 1, 2, 4], ["0.2", "0.5", "1", "2", "4"])
    axes.minorticks_off()
    axes.legend()


_DIGITS = "R@1 of the 900 halves of digits of [the demo](../index.md), computed when this page was built"
FIGURES = {
    "fuse": Figure(draw_fuse, (6.2, 3.2), f"{_DIGITS}. A little of a weaker model helps, much of it loses."),
    "calibrate": Figure(
        draw_calibrate,
        (6.2, 3.4),
        "Of the candidates that are given a probability, so many are right: learned on every second of the demo's 900 "
        "halves of digits and measured on the others, when this page was built.",
    ),
    "metric": Figure(draw_metric, (6.2, 3.8), "What the test columns of the table gain."),
    "auto": Figure(
        draw_auto,
        (6.2, 4),
        "What `choose` tried on every second of the demo's 900 halves of digits, with their labels, computed when this "
        "page was built. Where many are tried, a gain counts if it is significant among so many; of those that are, "
        "the first in its order is taken unless another one gains significantly more.",
    ),
    "pillar": Figure(draw_pillar, (6.2, 3.6), "R@1 of the tables below, and of an untrained network beside them."),
    "cross-encoder": Figure(draw_cross_encoder, (6.2, 2.6), "Pairs a second, out of the table."),
    "maxsim": Figure(draw_maxsim, (6.2, 4.4), "The whole stage beside its matrix products, out of the table."),
    "remote": Figure(draw_remote, (6.2, 3), "Seconds of the table: what is waited for falls as more is asked at once."),
    "pipeline": Figure(draw_pipeline, (6.2, 2.8), f"{_DIGITS}: what each stage of a pipeline adds."),
    "top": Figure(draw_top, (6.2, 3), f"{_DIGITS}, and R@10, as more of {CANDIDATES} candidates are re-ranked."),
}
"""A picture for each of these stages."""

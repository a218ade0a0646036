"""What stages gain, out of the committed figures of `benchmarks/panel.py`: tables and pictures of the site.

    python docs/extra/gains.py      # draws docs/images/gains.svg anew, which the README shows, too

A line `<!-- gains: VIEW -->` in a page becomes the table of every stage on one view of the panel. What stands between
`<!-- measured: NAME … -->` and `<!-- end: measured -->` in a page is shown on the pages of these stages too.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

import rerankit
from figures import FIGURES
from rerankit.builtins import FAMILIES
from rerankit.plots import Theme, save, save_pair

ROOT = Path(__file__).parents[2]
PANEL: dict[str, Any] = json.loads((ROOT / "benchmarks/recorded/panel.json").read_text(encoding="utf-8"))
"""What every stage gains with its defaults: `benchmarks/panel.py --all --json` wrote it."""
TOGETHER, BANK = "everything at once", "halves, one of them the bank"
_SHOWN = ("sinkhorn", "inverted-softmax", "nnn", "csls", "mutual-rank", "dual-softmax")
"""The stages of the first page's chart: those that run on every view."""
_MARK = re.compile(r"<!-- gains: (.*?) -->")
_PASSAGE = re.compile(r"<!-- measured: (.*?) -->\n(.*?)<!-- end: measured -->", re.S)


def cells(title: str) -> list[dict[str, Any]]:
    """Every stage on every view, the control's left out, of one of the panel's runs."""
    found = [dict(zip(PANEL["columns"], row, strict=True)) for row in PANEL["gains"][title]]
    return [each for each in found if not each["view"].startswith("control")]


def gains(name: str) -> dict[str, list[tuple[str, float]]]:
    """What a stage gains on each view, by what was given; nothing if it was not run."""
    runs = {
        title: [(each["view"], each["gain"]) for each in cells(title) if each["stage"] == name]
        for title in PANEL["gains"]
    }
    return runs if any(runs.values()) else {}


def of_view(view: str) -> str:
    """A table of every stage on one view: with all queries at once, and one at a time with a bank."""
    runs = [{each["stage"]: each for each in cells(title) if each["view"] == view} for title in (TOGETHER, BANK)]
    lines = [
        "| stage | R@1 before | gain, all queries at once | gain, one at a time with a bank |",
        "| --- | --: | --: | --: |",
    ]
    for cell in sorted(runs[0].values(), key=lambda each: -each["gain"]):
        name = cell["stage"]
        alone = _gain(runs[1].get(name)) if _alone(name) else ""
        lines.append(f"| `{name}` | {cell['base']:.1f} | {_gain(cell)} | {alone} |")
    return "\n".join(lines)


def _alone(name: str) -> bool:
    """Whether a stage, given a bank, answers one query without looking at other test queries."""
    return not rerankit.stage(name).looks_at().queries or "bank" in rerankit.stage(name).get_params()


def _gain(cell: dict[str, Any] | None) -> str:
    return "" if cell is None else f"{cell['gain']:+.1f} ({cell['low']:+.1f} … {cell['high']:+.1f})"


def measured(name: str) -> list[str]:
    """All that was measured of a stage: its own figure, rows of the panel or of fitted stages, passages of pages."""
    return [*_figure(name), *(_panel_rows(name) or _fitted_rows(name)), *passages(name)]


def _figure(name: str) -> list[str]:
    """The picture of a stage whose worth the panel does not tell, with what it shows."""
    found = FIGURES.get(name)
    return [] if found is None else [_picture(name, found.says), f"*{found.says}*\n{{ .caption }}"]


def passages(name: str) -> list[str]:
    """What pages say between marks that name the stage; links lead to where they led."""
    texts = []
    for path in sorted((ROOT / "docs").glob("*.md")):
        for names, passage in _PASSAGE.findall(path.read_text(encoding="utf-8")):
            if name in names.split():
                linked = re.sub(r"\]\((?=#)", f"]({path.name}", passage.strip())
                texts.append(re.sub(r"\]\((?!https?:)", "](../", linked))
    return texts


def _panel_rows(name: str) -> list[str]:
    """The stage's rows of the panel as a table, with the figure of every view."""
    found = gains(name)
    if not found:
        return []
    lines = ["| given | views | mean | worst | on |", "| --- | --: | --: | --: | --- |"]
    for title, cells in found.items():
        view, worst = min(cells, key=lambda cell: cell[1])
        mean = sum(gain for _, gain in cells) / len(cells)
        lines.append(f"| {title} | {len(cells)} | {mean:+.1f} | {worst:+.1f} | {view} |")
    about = (
        "R@1 in points over the order that came, with the defaults, on the sets of [the "
        "panel](../benchmarks.md#the-panel) "
        f"({PANEL['date']})."
    )
    return [about, _picture(name), "\n".join(lines)]


def _fitted_rows(name: str) -> list[str]:
    """What is known of a stage that the panel does not have, out of the tables of `benchmarks/real.py`."""
    lines = [
        f"| {title} | {row['stage']} | {' | '.join(f'{before} → {after}' for before, after in _both(row, first))} "
        f"| {row['looks at']} |"
        for title, row, first in _fitted(name)
    ]
    if not lines:
        return []
    head = ["| set | as | i→t R@1 | t→i R@1 | looks at |", "| --- | --- | --: | --: | --- |"]
    about = "R@1 before and after, out of [every stage on real data](../benchmarks.md#every-stage-on-real-data)."
    picture = [_picture(name)] if fitted_gains(name) else []
    return [about, *picture, "\n".join([*head, *lines])]


def _fitted(name: str) -> list[tuple[str, dict[str, str], dict[str, str]]]:
    """A stage's rows among fitted ones: the set, the row, and that of the first stage."""
    text = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    text = text[text.index("<!-- begin: benchmarks/real.py -->") : text.index("<!-- end: benchmarks/real.py -->")]
    found = []
    for section in text.split("\n### ")[1:]:
        rows = [
            [cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"
        ]
        if not rows or "i→t R@1" not in rows[0]:
            continue
        first, *others = [dict(zip(rows[0], row, strict=True)) for row in rows[2:]]
        found += [(section.splitlines()[0], row, first) for row in others if row["stage"].partition(",")[0] == name]
    return found


def _both(row: Mapping[str, str], first: Mapping[str, str]) -> list[tuple[str, str]]:
    """R@1 of both directions, before and after."""
    return [(first[side], row[side].rstrip(" +−")) for side in ("i→t R@1", "t→i R@1")]


def fitted_gains(name: str) -> dict[str, list[tuple[str, float]]]:
    """What a stage gains that the panel does not have, by what it was run as; no control, {} if nothing moves."""
    found: dict[str, list[tuple[str, float]]] = {}
    for title, row, first in _fitted(name):
        if title.startswith("Control"):
            continue
        each = [(title, float(after) - float(before)) for before, after in _both(row, first)]
        found.setdefault(row["stage"], []).extend(each)
    return found if any(gain for cells in found.values() for _, gain in cells) else {}


def _picture(name: str, says: str = "") -> str:
    alt = re.sub(r"\[(.*?)\]\(.*?\)|`", r"\1", says) or f"What {name} gains on each set, in points of R@1"
    return f"![{alt}]({name}.svg#only-light)\n![{alt}]({name}-dark.svg#only-dark)"


Picture: TypeAlias = tuple[Callable[[Any, Theme], None], tuple[float, float]]
"""What draws a picture, and its size in inches."""


def pictures() -> dict[str, Picture]:
    """The pictures of the pages of stages by their paths below docs, without their endings."""
    named = {name: gains(name) or fitted_gains(name) for _, (_, names) in FAMILIES.items() for name in names}
    of_stages = {
        f"stages/{name}": (partial(_strips, found), (6.2, 0.9 + 0.3 * len(found)))
        for name, found in named.items()
        if found
    }
    return {**of_stages, **{f"stages/{name}": (figure.draw, figure.size) for name, figure in FIGURES.items()}}


def drawn(pictures: Mapping[str, Picture]) -> dict[str, bytes]:
    """The pictures as SVG, each for light and for dark ground."""
    made = {}
    with tempfile.TemporaryDirectory() as folder:
        for path, (draw, size) in pictures.items():
            for theme, ending in (("light", ""), ("dark", "-dark")):
                file = save(draw, Path(folder) / f"{len(made)}.svg", size, theme)
                made[f"{path}{ending}.svg"] = file.read_bytes()
    return made


def means() -> dict[str, list[float]]:
    """Mean gains of the first page's chart over all views: all queries at once, and one at a time with a bank."""
    return {
        title: [float(np.mean([gain for _, gain in gains(name)[title]])) for name in _SHOWN]
        for title in (TOGETHER, BANK)
    }


def _overview(figure: Any, theme: Theme) -> None:
    """A row for each of these stages, a bar for all queries at once and one for one query at a time."""
    axes = figure.subplots()
    for place, found in enumerate(means().values()):
        label = ("all queries at once", "one query at a time, with a bank")[place]
        rows = np.arange(len(_SHOWN)) + 0.38 * (place - 0.5)
        axes.barh(rows, found, height=0.36, color=(theme.others, theme.bank)[place], label=label)
        for row, mean in zip(rows, found, strict=True):
            axes.text(mean + 0.2, row, f"{mean:+.1f}", va="center", color=theme.ink, size=8.5)
    axes.set_yticks(range(len(_SHOWN)), _SHOWN)
    axes.invert_yaxis()
    axes.set(xlabel=f"points of R@1 gained, mean of {len(gains('sinkhorn')[TOGETHER])} views of real scores")
    axes.margins(x=0.1)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.legend(loc="lower right")


def _strips(found: dict[str, list[tuple[str, float]]], figure: Any, theme: Theme) -> None:
    """A row for what a stage was given, a dot for every view."""
    axes = figure.subplots()
    for row, cells in enumerate(found.values()):
        values = np.array([gain for _, gain in cells])
        colours = [theme.gain if value >= 0 else theme.loss for value in values]
        axes.scatter(values, np.full(len(values), row), c=colours, s=26, alpha=0.55, linewidths=0)
        axes.plot([values.mean()] * 2, [row - 0.3, row + 0.3], color=theme.ink, linewidth=1.6)
    axes.axvline(0, color=theme.muted, linewidth=1)
    axes.set_yticks(range(len(found)), list(found))
    axes.set(ylim=(len(found) - 0.5, -0.5), xlabel="points of R@1 over the order that came; the line is the mean")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")


# -- hooks of the site --------------------------------------------------------------------------------------------


def on_files(files: Any, config: Any) -> Any:
    """Put the pictures into the site."""
    from mkdocs.structure.files import File

    for path, content in drawn(pictures()).items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put tables where a page asks for them."""
    return _MARK.sub(lambda found: of_view(found[1]), markdown)


if __name__ == "__main__":
    print(*save_pair(_overview, ROOT / "docs/images/gains.svg", (6.2, 3.2)))

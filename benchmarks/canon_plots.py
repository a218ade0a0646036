"""Draws benchmarks/recorded/canon-captions.json: what every stage gained on captions, in both directions.

python benchmarks/canon_plots.py --out docs/images/canon-quality.png
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import Any

from canon_quality import BASE, DIRECTIONS
from rerankit.plots import Theme, save_pair

LABELS = {"no": "each query by itself, or with a bank", "yes": "looks at the other test queries"}


def draw(kept: dict[str, Any], names: list[str], figure: Any, theme: Theme) -> None:
    """R@1 after re-ranking, one row for each stage, sorted; the line is R@1 before."""
    from matplotlib.lines import Line2D

    colours = {"no": theme.alone, "yes": theme.others}
    panels = figure.subplots(1, 2, sharey=True)
    for axes, direction in zip(panels, DIRECTIONS, strict=True):
        base = kept[BASE][direction]["figures"][0]
        axes.axvline(base, color=theme.muted, linewidth=1)
        for row, name in enumerate(names):
            colour, found = colours[kept[name]["looks at other test queries"]], kept[name][direction]
            low, high = (base + float(end) for end in found["gain"].split(" … "))
            axes.plot([low, high], [row, row], color=colour, alpha=0.4, linewidth=3)
            axes.plot(found["figures"][0], row, "o", color=colour, markersize=4)
        axes.set(title=direction, xlabel="R@1, with the 95 % interval of the gain")
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.set_ylim(-0.7, len(names) - 0.3)
        axes.grid(visible=False, axis="y")
    handles = [Line2D([], [], color=colours[flag], marker="o", label=LABELS[flag]) for flag in colours]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("benchmarks/recorded/canon-captions.json"))
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    kept = json.loads(given.results.read_text())
    names = sorted((name for name in kept if name != BASE), key=lambda name: kept[name][DIRECTIONS[1]]["figures"][0])
    save_pair(partial(draw, kept, names), given.out, (9, 0.24 * len(names) + 1.4))


if __name__ == "__main__":
    main()

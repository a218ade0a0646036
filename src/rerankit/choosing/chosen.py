"""What a choice came to: a pipeline, what was tried, and the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rerankit.looks import Looks
from rerankit.pipelines.pipeline import Pipeline
from rerankit.statistics.render import check_style, html, latex, markdown, p_value, plain

_STYLES = {"text": plain, "markdown": markdown, "md": markdown, "latex": latex, "html": html}


def styled(style: str, head: Sequence[str], rows: Sequence[Sequence[str]], names: int) -> str:
    """A table as text, markdown, latex or html; the first `names` columns name a row."""
    check_style(style)
    return _STYLES[style](head, rows, names=names)


_HEAD = ("tried", "looks at", "figure", "gain", "95 %", "p", "")


@dataclass(frozen=True)
class Tried:
    """One pipeline that was tried: its figure, and its gain over leaving the order alone, both in points."""

    pipeline: Pipeline
    looks_at: Looks
    figure: float
    gain: float
    low: float
    high: float
    p: float
    """That there is no gain, adjusted for how many were tried."""
    seconds: float

    def row(self, mark: str) -> tuple[str, ...]:
        """The cells of a table."""
        name = " >> ".join(map(repr, self.pipeline.stages))
        between = f"{self.low:+.1f} … {self.high:+.1f}"
        return name, str(self.looks_at), f"{self.figure:.1f}", f"{self.gain:+.1f}", between, p_value(self.p), mark


class Chosen(Pipeline):
    """The pipeline that was chosen; without stages where the order is best left alone.

    `tried` has what was tried, `left_out` what was not, by name with the reason, `reason` says in a sentence why this
    one, `base` is the figure of the order as it came, and `table()` shows it all.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        measured_on: str,
        base: float,
        tried: Sequence[Tried],
        left_out: Sequence[tuple[str, str]] = (),
        reason: str,
    ) -> None:
        super().__init__(pipeline.stages)
        self.measured_on = measured_on
        self.base = base
        self.tried = tuple(tried)
        self.left_out = tuple(left_out)
        self.reason = reason

    def with_stages(self, pipeline: Pipeline, reason: str | None = None) -> Chosen:
        """The same choice with other stages in its place, such as fitted ones; with another reason, if one is given."""
        return Chosen(
            pipeline,
            measured_on=self.measured_on,
            base=self.base,
            tried=[replace(each, pipeline=pipeline) if each.pipeline == self else each for each in self.tried],
            left_out=self.left_out,
            reason=self.reason if reason is None else reason,
        )

    def table(self, style: str = "text") -> str:
        """What was tried, best first, as text, markdown, latex or html."""
        alone = ("the order as it came", str(Looks()), f"{self.base:.1f}", "", "", "", "" if self.stages else "chosen")
        best = sorted(self.tried, key=lambda each: -each.gain)
        rows = [alone, *(each.row("chosen" if each.pipeline.stages == self.stages else "") for each in best)]
        table = styled(style, _HEAD, rows, names=2)
        left = [f"not tried: {name} ({why})" for name, why in self.left_out]
        return "\n".join([table, f"measured on {self.measured_on}", *left, self.reason])

    def __str__(self) -> str:
        return self.table()

    def _repr_html_(self) -> str:
        return self.table("html")

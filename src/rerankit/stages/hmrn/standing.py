"""What stands ready of a gallery of pictures: their regions as the networks encode them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rerankit.arrays import AnyArray, IntArray
from rerankit.pipelines.prepared import Change, Prepared, State
from rerankit.problem import Problem
from rerankit.ranking import Ranking

if TYPE_CHECKING:
    from rerankit.gallery import Gallery
    from rerankit.stages.hmrn.fast import Images
    from rerankit.stages.hmrn.stage import HmrnStage

_PARTS = ("regions", "counts", "pooled")


@dataclass(eq=False, repr=False)
class Encoded(Prepared):
    """The stage with a gallery's encoded regions, which are read for a query's candidates alone."""

    stage: HmrnStage
    arrays: Mapping[str, AnyArray]

    keeps = "every picture's regions as the networks encode them"
    exact = False

    @classmethod
    def of(cls, stage: HmrnStage, gallery: Gallery, rows: IntArray | None = None) -> Encoded:
        """Encode a gallery's pictures, or those of some rows."""
        regions = stage.read_regions(gallery.side.features)
        found = stage.scorer.images(regions if rows is None else regions.take(rows))
        arrays: dict[str, AnyArray] = {}
        for number, images in enumerate(found):
            regions_of = images.regions.half() if stage.encoded == "float16" else images.regions
            values = (regions_of, images.counts, images.pooled)
            arrays |= {f"{number}/{part}": one.cpu().numpy() for part, one in zip(_PARTS, values, strict=True)}
        return cls(stage, gallery, arrays)

    def state(self) -> State:
        return State(self.arrays)

    def updated(self, change: Change) -> Prepared:
        rows = np.arange(len(change.kept), change.gallery.size)
        parts = {name: [array[change.kept]] for name, array in self.arrays.items()}
        if len(rows):
            for name, array in Encoded.of(self.stage, change.gallery, rows).arrays.items():
                parts[name].append(array)
        return Encoded(self.stage, change.gallery, {name: np.concatenate(each) for name, each in parts.items()})

    def images(self, rows: IntArray) -> list[Images]:
        """Some pictures as each of the networks encodes them."""
        from rerankit.stages.hmrn.encoders import tensor
        from rerankit.stages.hmrn.fast import Images

        def part(number: int, name: str) -> Any:
            some = self.arrays[f"{number}/{name}"][rows]
            return tensor(some.astype(np.float32) if some.dtype == np.float16 else some).to(self.stage.scorer.device)

        return [Images(*(part(number, name) for name in _PARTS)) for number in range(len(self.stage.networks))]

    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        return self.stage.reorder(problem, ranking, self.images)

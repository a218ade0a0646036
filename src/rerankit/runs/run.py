"""Re-ranking in shards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rerankit import checks
from rerankit.checksums import checksum_of, found_by
from rerankit.cutting import cut_by
from rerankit.engines import Engine, engine_of
from rerankit.engines.parts import Parts, done_on, times
from rerankit.errors import StageError, UnmetNeedError
from rerankit.files import atomic, writing_to
from rerankit.formats.run_shards import blocks_of, shard_file, write_shard
from rerankit.formats.tables import to_ranking
from rerankit.gallery import Gallery
from rerankit.pipelines.pipeline import Pipeline
from rerankit.pipelines.ready import Ready, check_standing, ready_for
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.runs.folder import PARTS, RunFolder, locked
from rerankit.runs.working import RETRIES, checked_size, shards_of, temporary_folder


def rerank_in_shards(
    problem: Problem,
    pipeline: Pipeline,
    k: int | None = 100,
    *,
    engine: str | Engine | None = None,
    engine_settings: Mapping[str, Any] | None = None,
    out: Any = None,
    resume: bool = False,
    shard_size: int | None = None,
    retries: int = RETRIES,
) -> Ranking:
    """Re-rank blocks of `shard_size` queries on an engine, each of which becomes a file of the folder `out`.

    The pipeline is prepared for the gallery once, in shards of so many items, and answers each block; a stage that
    looks at other test queries is refused, since a block has no others. With `resume` the folder may hold the same run,
    stopped: what is finished stays. Without `out` the shards lie in a temporary folder.
    """
    where = engine_of(engine, engine_settings)
    size = checked_size(shard_size)
    checks.integer("retries", retries, least=0)
    pipeline.check(problem)
    gallery, found = Gallery.of(problem), found_by(pipeline, problem)
    _check_cut(pipeline, gallery)
    with _folder(out) as folder, locked(folder.path), writing_to(folder.path):
        plan = {
            "queries": problem.shape[0],
            "gallery": problem.shape[1],
            "k": k,
            "shard_size": size,
            "stages": [repr(one) for one in pipeline.stages],
            "data": checksum_of(problem) if not found else checksum_of([problem, found]),
            "pipeline": checksum_of(pipeline),
        }
        folder.begin(plan, problem, resume=resume)
        if folder.missing():
            count = shards_of(gallery.size, size)
            parts = Parts(where, folder.path / PARTS, count, retries=retries, durable=folder.durable)
            with where.kept():
                with cut_by(parts):
                    ready = folder.prepared(pipeline, gallery, lambda: ready_for(pipeline, gallery))
                work = Answer(ready, problem, k, folder.path.absolute(), size, folder.durable)
                with folder.tidied():
                    _work_off(folder, work, where, retries)
        return to_ranking(folder.tables()).with_notes(stages=plan["stages"], looks_at=pipeline.looks_at(problem))


def _check_cut(pipeline: Pipeline, gallery: Gallery) -> None:
    """Refuse stages that cannot answer a block of queries by itself."""
    try:
        check_standing(pipeline, gallery)
    except UnmetNeedError as cause:
        text = "shards are not compared with each other: give the problem a query_bank; its own queries will do"
        raise UnmetNeedError(f"{cause}\n{text}") from None


@dataclass(frozen=True)
class Answer:
    """The work of one shard: its queries are re-ranked, and their ranking is moved into place."""

    ready: Ready
    problem: Problem
    k: int | None
    folder: Path
    size: int
    durable: bool = True
    """Whether a shard is waited for until it is on the disk."""

    def __call__(self, number: int) -> None:
        queries = self.problem.shape[0]
        block = blocks_of({"queries": queries, "shard_size": self.size})[number]
        part = self.problem.subset(queries=np.arange(block.start, block.stop))
        found = self.ready.answer(part, part.ranking(self.k))
        with atomic(shard_file(self.folder, number), durable=self.durable) as temporary:
            write_shard(temporary, found)


def _work_off(folder: RunFolder, work: Answer, engine: Engine, retries: int) -> None:
    """Run what is missing; the first shard that fails for good ends it, and what is finished stays."""
    missing, total = folder.missing(), folder.count
    title = f"shards of {folder.path.name}"
    with closing(done_on(engine, work, missing, folder.path, title, total, retries)) as answers:
        for done in answers:
            if done.error is not None:
                folder.note_failure(done)
                raise StageError(
                    f"shard {done.task} of '{folder.path}' failed{times(done.tries)}: {done.error} "
                    f"({total - len(folder.missing())} of {total} shards are finished and stay)"
                )
            folder.note_finished(done)
    folder.check_whole()


@contextmanager
def _folder(out: Any) -> Iterator[RunFolder]:
    if out is not None:
        yield RunFolder(Path(out))
        return
    with temporary_folder("rerankit-run-") as folder:
        yield RunFolder(folder, durable=False)

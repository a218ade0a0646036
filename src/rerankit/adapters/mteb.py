"""MTEB: every stage inside `mteb.evaluate`, and its files of predictions in and out."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from rerankit import checks
from rerankit.checksums import checksum_of
from rerankit.errors import InputError, rule, unknown_name
from rerankit.extras import require
from rerankit.features import Pictures
from rerankit.files import atomic
from rerankit.item_lists import item_rows
from rerankit.pipelines.needs import Need
from rerankit.pipelines.pipeline import Pipeline, as_pipeline
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.reading import read_json
from rerankit.scores import VectorMetric

_MTEB = require("mteb", extra="mteb", purpose="the bridge to MTEB", least="2.26")
_WRAPPER = _MTEB.models.SearchEncoderWrapper
_METRICS: tuple[VectorMetric, ...] = get_args(VectorMetric)
_META = "mteb_model_meta"


class RerankingIndex:
    """A search backend of MTEB's encoders (its `IndexEncoderSearchProtocol`) that re-ranks what it finds.

    It sees the embeddings of all documents and all queries of a task, so stages may ask how queries and how documents
    are alike. `RerankedSearch` makes one, and tells it the texts and the bank too; for embeddings alone it stands by
    itself in ``SearchEncoderWrapper(model, index_backend=RerankingIndex("nnn", metric="cosine"))``.

    The first k documents of a query are re-ranked, what is found behind them stays behind; where a task names the
    candidates, all of these are re-ranked.
    """

    def __init__(self, pipeline: Any, *, metric: VectorMetric, k: int = 100) -> None:
        self.pipeline: Pipeline = as_pipeline(pipeline, {})
        self.metric: VectorMetric = checks.choice("metric", metric, _METRICS)
        self.k = checks.integer("k", k, least=1)
        self._parts: list[Any] = []
        self._ids: list[str] = []
        self._known: dict[str, Any] = {}

    def know(self, **known: Any) -> None:
        """What `Problem.from_embeddings` is given besides the embeddings: features, banks, what is left out."""
        self._known |= known

    def places(self) -> dict[str, int]:
        """Where each document stands, by its id."""
        return {name: place for place, name in enumerate(self._ids)}

    def add_documents(self, embeddings: Any, idxs: list[str]) -> None:
        """Documents and their ids, behind those that are there."""
        self._parts.append(embeddings)
        self._ids.extend(idxs)

    def search(
        self,
        embeddings: Any,
        top_k: int,
        similarity_fn: Any,
        top_ranked: Mapping[str, list[str]] | None = None,
        query_idx_to_id: Mapping[int, str] | None = None,
    ) -> tuple[list[list[float]], list[list[int]]]:
        """Scores and places of the first `top_k` documents: places among all, or in a query's list of `top_ranked`."""
        if not self._parts:
            raise InputError("an index must hold documents before it is searched: add_documents(embeddings, ids)")
        problem = Problem.from_embeddings(embeddings, _joined(self._parts), self.metric, **self._known)
        if top_ranked is None:
            ranking = self.pipeline.top(self.k).rerank(problem, problem.ranking(top_k))
            return _lists(ranking.scores, ranking.indices)
        ids, places = dict(query_idx_to_id or {}), self.places()
        given = [[places[name] for name in top_ranked.get(ids[row], ())] for row in range(len(embeddings))]
        rows = item_rows(given, None, len(self._ids), "top_ranked")
        scores = problem.scores.pairs(np.arange(len(rows))[:, None], np.maximum(rows, 0))
        first = Ranking.ordered(rows, np.where(rows >= 0, scores, -np.inf), gallery_size=len(self._ids))
        first = first.excluding(problem.excluded)
        ranking = self.pipeline.rerank(problem, first).top(top_k)
        found = [{item: place for place, item in enumerate(items)} for items in given]
        where = [[found[query].get(item, -1) for item in row] for query, row in enumerate(ranking.indices.tolist())]
        return _lists(ranking.scores, np.array(where))

    def clear(self) -> None:
        """Forget the documents."""
        self._parts, self._ids, self._known = [], [], {}


class RerankedSearch(_WRAPPER):  # type: ignore[misc, valid-type]
    """An encoder whose results are re-ranked, for `mteb.evaluate`.

    model: an encoder of MTEB (`mteb.get_model(name)`) or a `SentenceTransformer`; pipeline: a stage's name, a stage or
    a pipeline, which re-ranks the first k documents of every query. Texts are kept as the feature `text` of both
    sides, as the model reads them, and pictures as `images` where a stage needs these.

    bank: other queries, as texts, which are encoded like a task's queries, or as vectors (n, d);
    ``{task's name: either}`` where they differ from task to task. metric: how vectors are compared, where the model
    does not say (`mteb_model_meta.similarity_fn_name`). ignore_identical_ids: as the task's own flag, for tasks whose
    queries stand among the documents: a query is then no candidate of its own, and no stage sees it as one.

    Results are kept under the model's name with an experiment of their own, so they are never taken for those of the
    model alone.
    """

    def __init__(
        self,
        model: Any,
        pipeline: Any,
        *,
        k: int = 100,
        bank: Any = None,
        metric: VectorMetric | None = None,
        ignore_identical_ids: bool = False,
    ) -> None:
        encoder = model if hasattr(model, _META) else _MTEB.SentenceTransformerEncoderWrapper(model)
        similarity = encoder.mteb_model_meta.similarity_fn_name
        known = getattr(similarity, "value", similarity) if metric is None else metric
        if known not in _METRICS:
            raise rule(
                "metric", f"must be {', '.join(_METRICS)}, since the model does not say one of these", repr(similarity)
            )
        super().__init__(encoder, index_backend=RerankingIndex(pipeline, metric=known, k=k))
        self.bank, self.ignore_identical_ids = bank, checks.boolean("ignore_identical_ids", ignore_identical_ids)
        meta: Any = encoder.mteb_model_meta
        mine = {"reranked_by": _name(self.index_backend.pipeline, bank, self.ignore_identical_ids), "k": k}
        experiment = {**(meta.experiment_kwargs or {}), **mine}
        self.mteb_model_meta = meta.model_copy(update={"experiment_kwargs": experiment})

    def index(self, corpus: Any, **rest: Any) -> None:
        self.index_backend.clear()
        super().index(corpus, **rest)
        self.index_backend.know(gallery_features=self._features(corpus, "gallery", "title", "text"))

    def search(self, queries: Any, **rest: Any) -> Any:
        self.index_backend.know(
            query_features=self._features(queries, "query", "text", "instruction"),
            query_bank=self._encoded_bank(**rest),
        )
        if self.ignore_identical_ids:
            places = self.index_backend.places()
            self.index_backend.know(exclude=[[places[name]] if name in places else [] for name in queries["id"]])
        return super().search(queries, **rest)

    def _features(self, rows: Any, side: str, *texts: str) -> dict[str, Any]:
        """Texts, and pictures where a stage needs them, since these must be opened."""
        needs = map(Need.of, self.index_backend.pipeline.needs)
        pictures = "image" in rows.column_names and any(
            need.kind == f"{side}_features" and "images" in need.names for need in needs
        )
        return _texts(rows, *texts) | ({"images": Pictures(list(rows["image"]))} if pictures else {})

    def _encoded_bank(self, *, task_metadata: Any, encode_kwargs: Mapping[str, Any], **rest: Any) -> Any:
        bank: Any = self.bank
        if isinstance(bank, Mapping):
            if task_metadata.name not in bank:
                raise unknown_name("task of 'bank'", task_metadata.name, bank)
            bank = bank[task_metadata.name]
        if not _is_texts(bank):
            return bank
        from datasets import Dataset
        from torch.utils.data import DataLoader

        loader = DataLoader(Dataset.from_dict({"text": list(bank)}), batch_size=encode_kwargs.get("batch_size", 32))
        where = {name: rest[name] for name in ("hf_split", "hf_subset")}
        role = _MTEB.types.PromptType.query
        return self.model.encode(loader, task_metadata=task_metadata, prompt_type=role, **where, **encode_kwargs)


def problem_of(path: str | os.PathLike[str], *, split: str = "test", subset: str = "default", **rest: Any) -> Problem:
    """A problem of lists out of the file that `mteb.evaluate(…, prediction_folder=…)` wrote for a task.

    `rest` goes to `Problem`: features, banks, ids in an order of yours.
    """
    found = read_json(Path(path), dict)
    for kind, name in (("subset", subset), ("split", split)):
        if not isinstance(found.get(name), dict):
            raise unknown_name(kind, name, [each for each in found if each != _META])
        found = found[name]
    return Problem(found, **rest)


def write_predictions(
    ranking: Ranking,
    folder: str | os.PathLike[str],
    task: str,
    *,
    model: str,
    split: str = "test",
    subset: str = "default",
) -> Path:
    """Write a ranking with ids as predictions of a task, which `task.convert_to_reranking(folder)` reads.

    task and model are names; other splits and subsets that are in the file stay. The file's path is returned.
    """
    if ranking.query_ids is None or ranking.gallery_ids is None:
        raise rule("ranking", "must have ids of queries and documents", "none")
    path = Path(folder) / f"{task}_predictions.json"
    fresh: dict[str, Any] = {_META: {"model_name": model, "revision": None}}
    content = read_json(path, dict) if path.exists() else fresh
    if content.get(_META, {}).get("model_name") != model:
        raise rule("model", f"must be that of the predictions which are in {path}", repr(model))
    run = {str(query): {str(item): s for item, s in items.items()} for query, items in ranking.to_dict().items()}
    content.setdefault(subset, {})[split] = run
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(content), encoding="utf-8")
    return path


def _name(pipeline: Pipeline, *settings: Any) -> str:
    """The stages' names, and a digest of all that decides what they answer."""
    return f"{'+'.join(one.name for one in pipeline.stages)}-{checksum_of([pipeline, *settings])[:12]}"


def _joined(parts: list[Any]) -> Any:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([part.float().cpu().numpy() if hasattr(part, "cpu") else np.asarray(part) for part in parts])


def _lists(scores: Any, places: Any) -> tuple[list[list[float]], list[list[int]]]:
    """Rows without their padding."""
    counts = (places >= 0).sum(axis=1).tolist()
    return tuple([row[:count] for row, count in zip(all_.tolist(), counts, strict=True)] for all_ in (scores, places))  # type: ignore[return-value]


def _texts(rows: Any, *names: str) -> dict[str, list[str]]:
    """The feature `text` out of columns that hold texts, joined as MTEB joins them; nothing where they hold other."""
    columns = [list(rows[name]) for name in names if name in rows.column_names]
    if "text" not in rows.column_names or not all(isinstance(one, str | None) for column in columns for one in column):
        return {}
    return {"text": [" ".join(filter(None, one)).strip() for one in zip(*columns, strict=True)]}


def _is_texts(bank: Any) -> bool:
    return isinstance(bank, Sequence) and len(bank) > 0 and all(isinstance(one, str) for one in bank)

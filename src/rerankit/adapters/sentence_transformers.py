"""sentence-transformers: a bi-encoder's embeddings as a problem, and an evaluator before and after re-ranking."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rerankit import checks
from rerankit.adapters.items import named
from rerankit.errors import InputError, rule
from rerankit.extras import require

if TYPE_CHECKING:
    from rerankit.problem import Problem

_BASE = require(
    "sentence_transformers.base.evaluation.evaluator",
    extra="cross-encoder",
    purpose="the bridge to sentence-transformers",
    least="6",
).BaseEvaluator
_METRICS = {"cosine": "cosine", "dot": "dot", "euclidean": "euclidean"}


def problem_of(model: Any, queries: Any, documents: Any, *, batch_size: int = 32, **rest: Any) -> Problem:
    """Queries and documents encoded by a `SentenceTransformer`, as a problem over their embeddings.

    queries, documents: lists of what the model encodes, or ``{id: text}``, whose keys become ids. Texts are kept as the
    feature `text`, for stages that read them. `encode_query` and `encode_document` add the model's prompts; its
    similarity (cosine, dot, euclidean) is the problem's metric. `rest` goes to `Problem.from_embeddings`.
    """
    from rerankit.problem import Problem

    similarity = str(model.similarity_fn_name)
    if similarity not in _METRICS:
        raise rule("model", f"must compare by {', '.join(_METRICS)}: model.similarity_fn_name = 'cosine'", similarity)
    vectors = []
    for side, given in (("query", queries), ("gallery", documents)):
        ids, inputs = named(given, "queries" if side == "query" else "documents")
        encode = model.encode_query if side == "query" else model.encode_document
        vectors.append(encode(inputs, batch_size=batch_size, convert_to_numpy=True, show_progress_bar=False))
        rest = {f"{side}_ids": ids, **rest} if ids is not None else rest
        if all(isinstance(one, str) for one in inputs):
            rest[f"{side}_features"] = {"text": inputs, **(rest.get(f"{side}_features") or {})}
    return Problem.from_embeddings(vectors[0], vectors[1], _METRICS[similarity], **rest)  # type: ignore[arg-type]


class RerankingEvaluator(_BASE):  # type: ignore[misc, valid-type]
    """Figures of a bi-encoder while it is trained, before and after re-ranking by `pipeline`.

    queries ``{id: text}``, documents ``{id: text}`` and relevant ``{query id: {document id: grade}}``, or a set of
    documents for each query. Each metric comes twice, as ``base_ndcg@10`` and ``reranked_ndcg@10``; the last of the
    first metric decides which model is best. `bank` are other queries, which the model encodes each time. With an
    `output_path` a line is added to a CSV file there.
    """

    def __init__(
        self,
        queries: Mapping[Any, str],
        documents: Mapping[Any, str],
        relevant: Mapping[Any, Any],
        pipeline: Any,
        *,
        metrics: Sequence[str] = ("ndcg@10", "success@1", "mrr"),
        k: int = 100,
        bank: Sequence[str] | None = None,
        name: str = "",
        batch_size: int = 32,
    ) -> None:
        from rerankit.metrics.registry import measures
        from rerankit.pipelines.pipeline import as_pipeline

        super().__init__()
        self.queries, self.documents = dict(queries), dict(documents)
        self.relevant = {query: _graded(items) for query, items in relevant.items()}
        self.pipeline = as_pipeline(pipeline, {})
        self.metrics = [measure.name for measure in measures(metrics)]
        self.k, self.name = checks.integer("k", k, least=1), name
        self.bank = None if bank is None else named(bank, "bank")[1]
        self.batch_size = checks.integer("batch_size", batch_size, least=1)
        self.primary_metric = f"reranked_{self.metrics[0]}"
        _check_known(self.relevant, self.queries, self.documents)

    def __call__(
        self, model: Any, output_path: str | None = None, epoch: int = -1, steps: int = -1
    ) -> dict[str, float]:
        from rerankit.metrics import evaluate
        from rerankit.relevance import Relevance

        options: dict[str, Any] = {"batch_size": self.batch_size}
        if self.bank is not None:
            options["query_bank"] = model.encode_query(self.bank, show_progress_bar=False, **options)
        problem = problem_of(model, self.queries, self.documents, **options)
        right = Relevance.from_dict(self.relevant, list(self.queries), list(self.documents))
        first = problem.ranking(self.k)
        rankings = {"base": first, "reranked": self.pipeline.rerank(problem, first)}
        found = {
            f"{name}_{metric}": value
            for name, ranking in rankings.items()
            for metric, value in evaluate(ranking, right, self.metrics, empty="skip").items()
        }
        named: dict[str, float] = self.prefix_name_to_metrics(found, self.name)
        self.store_metrics_in_model_card_data(model, named, epoch, steps)
        if output_path is not None:
            _add_line(
                Path(output_path) / f"reranking_evaluation{self.name and '_' + self.name}.csv", epoch, steps, found
            )
        return named

    def get_config_dict(self) -> dict[str, Any]:
        return {"pipeline": repr(self.pipeline), "k": self.k}


def _graded(items: Any) -> dict[Any, float]:
    return dict(items) if isinstance(items, Mapping) else dict.fromkeys(items, 1.0)


def _check_known(relevant: Mapping[Any, Mapping[Any, float]], queries: Any, documents: Any) -> None:
    unknown = [query for query in relevant if query not in queries]
    unknown += [item for items in relevant.values() for item in items if item not in documents]
    if unknown:
        raise InputError(f"'relevant' must name only known queries and documents (got {unknown[:3]})")


def _add_line(path: Path, epoch: int, steps: int, figures: Mapping[str, float]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(["epoch", "steps", *figures])
        writer.writerow([epoch, steps, *figures.values()])

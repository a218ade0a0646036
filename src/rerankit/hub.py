"""Publishing on the Hugging Face Hub: a stage, a pipeline or a prepared gallery, with a card of what is known of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import yaml

from rerankit.adapters.huggingface import ADDRESS, hub
from rerankit.bench.result import PartRow, Result
from rerankit.checksums import checksum_of
from rerankit.errors import rule
from rerankit.pipelines.pipeline import Pipeline, as_pipeline
from rerankit.pipelines.ready import Ready
from rerankit.pipelines.stage import Stage
from rerankit.pipelines.top import Top
from rerankit.statistics import bootstrap
from rerankit.statistics.render import markdown
from rerankit.version import __version__


def push(
    what: Stage | Ready,
    repo: str,
    *,
    results: Sequence[Result] = (),
    trained_on: str | None = None,
    license: str | None = None,
    private: bool | None = None,
    revision: str | None = None,
    message: str = "Saved by rerankit",
    token: str | None = None,
) -> str:
    """Save a stage, a pipeline or what `rerankit.prepare` returned into a repository of the hub, ``owner/name``.

    The repository is made where it is not there. `card` is the text of its card. It is loaded by
    ``rerankit.load("hf:owner/name")``. The address of the commit is returned.
    """
    text = card(what, repo, results=results, trained_on=trained_on, license=license)
    client = hub().HfApi(token=token)
    with TemporaryDirectory() as place:
        folder = Path(place) / "saved"
        what.save(folder)
        (folder / "README.md").write_text(text, encoding="utf-8")
        client.create_repo(repo, private=private, exist_ok=True)
        commit = client.upload_folder(repo_id=repo, folder_path=folder, revision=revision, commit_message=message)
    return str(commit.commit_url)


def card(
    what: Stage | Ready,
    repo: str,
    *,
    results: Sequence[Result] = (),
    trained_on: str | None = None,
    license: str | None = None,
) -> str:
    """The model card: what it is, what its answers depend on, what it was trained on, a digest, figures with intervals.

    results: what `rerankit.bench` measured; figures come with intervals of 95 % over the queries. trained_on: a
    sentence or more in your words.

    >>> from rerankit import stage
    >>> print(card(stage("nnn"), "me/nnn").partition("## Load it")[2])  # doctest: +ELLIPSIS
    <BLANKLINE>
    <BLANKLINE>
    ```python
    import rerankit
    ...
    """
    if not isinstance(what, Stage | Ready):
        raise rule("what", "must be a stage, a pipeline or what rerankit.prepare returned", type(what).__name__)
    pipeline = what.pipeline if isinstance(what, Ready) else as_pipeline(what, {})
    parts = [
        f"---\n{yaml.safe_dump(_head(pipeline, repo, results, license), sort_keys=False)}---",
        f"# {repo.rpartition('/')[2]}",
        "For rerankit, which puts the candidates of a search into a better order.",
        _table(_facts(what, pipeline, trained_on)),
        f"## Load it\n\n```python\nimport rerankit\n\n{_use(what, repo)}\n```",
    ]
    if results:
        parts.append("## Figures\n\n" + _table(row for result in results for row in _figures(result)))
    cited = list(dict.fromkeys(one.citation for one in _inside(pipeline) if one.citation))
    if cited:
        parts.append("## Cite\n\n" + "\n".join(f"- {text}" for text in cited))
    return "\n\n".join(parts) + "\n"


def _head(pipeline: Pipeline, repo: str, results: Sequence[Result], license: str | None) -> dict[str, Any]:
    """What the hub reads of a card."""
    names = list(dict.fromkeys(one.name for one in _inside(pipeline)))
    head: dict[str, Any] = {"library_name": "rerankit", "tags": ["rerankit", "reranking", *names]}
    if license is not None:
        head["license"] = license
    if results:
        found = [_measured(result) for result in results]
        head["model-index"] = [{"name": repo.rpartition("/")[2], "results": found}]
    return head


def _measured(result: Result) -> dict[str, Any]:
    name, last = str(result.task["name"]), result.summary["last"]
    main = str(result.summary["main"])
    return {
        "task": {"type": "reranking"},
        "dataset": {"name": f"{name}, {result.scores['label']}", "type": name},
        "metrics": [{"name": main, "type": main, "value": float(last[main])}],
    }


def _facts(what: Stage | Ready, pipeline: Pipeline, trained_on: str | None) -> Iterator[dict[str, str]]:
    needs = [need for need in pipeline.needs if need != "weights"]
    weights = [array for one in _inside(pipeline) for array in one.get_weights().values()]
    facts = {
        "stages": f"`{pipeline!r}`" if len(pipeline) > 1 else f"`{pipeline.stages[0]!r}`",
        "an answer depends on": str(pipeline.looks_at()) if not isinstance(what, Ready) else "the query and the bank",
        "needs": ", ".join(f"`{need}`" for need in needs) or "scores alone",
        "prepared for": repr(what.gallery) if isinstance(what, Ready) else "",
        "weights": f"{sum(map(np.size, weights)):,} numbers in {len(weights)} arrays" if weights else "none",
        "trained on": trained_on or ("not stated" if weights else ""),
        "digest": f"`sha256:{checksum_of(pipeline)}`, of stages, parameters and weights",
        "written by": f"rerankit {__version__}",
    }
    yield from ({"": name, "what is known": text} for name, text in facts.items() if text)


def _use(what: Stage | Ready, repo: str) -> str:
    if isinstance(what, Ready):
        return f'ready = rerankit.load("{ADDRESS}{repo}")\nranking = ready.rerank(query)'
    return f'ranking = rerankit.rerank(problem, rerankit.load("{ADDRESS}{repo}"))'


def _figures(result: Result) -> Iterator[dict[str, str]]:
    """Before and after for each part and figure, with an interval where the figure is the mean over queries."""
    for part in result.parts:
        for name, after in part.last.items():
            yield {
                "task": f"{result.task['name']} ({part.name})",
                "scores": str(result.scores["label"]),
                "figure": name,
                "before": f"{part.first[name]:.4f}",
                "after": f"{after:.4f}",
                "95 %": _interval(part, name),
                "queries": f"{part.queries:,}",
            }


def _interval(part: PartRow, name: str) -> str:
    values = np.asarray(part.last.per_query[name], np.float64)
    there = np.isfinite(values)
    if not there.any() or not np.isclose(values[there].mean(), part.last[name]):
        return ""
    groups = None if part.together is None else np.asarray(part.together)[there]
    low, high = bootstrap(values[there], groups=groups)
    return f"{low:.4f} … {high:.4f}"


def _table(rows: Iterable[dict[str, str]]) -> str:
    found = list(rows)
    return markdown(list(found[0]), [list(row.values()) for row in found], 1)


def _inside(one: Stage) -> Iterator[Stage]:
    """The stages that are no mere joining of others."""
    if not isinstance(one, Pipeline | Top):
        yield one
    for child in one.children:
        yield from _inside(child)

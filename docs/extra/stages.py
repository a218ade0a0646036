"""A page for every stage, written from its code when the site is built: nothing in it can be out of date.

`pages()` gives the texts; the hooks below them put the texts into the site and its menu.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

import gains
import rerankit
from rerankit import Gallery, Stage
from rerankit.builtins import FAMILIES
from rerankit.errors import RerankitError
from rerankit.pipelines.needs import Need
from rerankit.plugins import manager

MORE = {
    **dict.fromkeys(("pillar-plus", "pillar", "pillar-small"), "pillar.md"),
    **dict.fromkeys(("triplet", "cross-encoder"), "triplet.md"),
    "remote": "remote.md",
    "hmrn": "hmrn.md",
    "maxsim": "late-interaction.md",
}
"""The stages that have a page of their own beside this reference."""
REQUIRED: dict[str, Any] = {
    "model": "a-model",
    "url": "http://localhost:8000/v1/rerank",
    "stage": rerankit.stage("mutual-rank"),
    "candidates": 10,
    "stages": ["nnn"],
}
"""Values for parameters without a default, so that a stage can be made to be asked about itself."""
COMPOSITES = ("fuse", "pipeline", "top", "auto")
"""The stages that run others."""
_PROBES = ("?", -(10**9), 10**9)
"""Values that most parameters refuse, and whose error says what they take."""
_LOSES = re.compile(r"\b(lose|loses)\b(?! at most)")


def pages() -> dict[str, str]:
    """The texts by path below docs."""
    made = {f"stages/{name}.md": page(name) for _, (_, names) in FAMILIES.items() for name in names}
    return {"stages/index.md": overview(), **made}


def overview() -> str:
    """All stages by family, with what they compute in a line."""
    lines = [
        "# Every stage",
        "",
        "Each page is written from the stage's code. [Choosing a stage](../choosing.md) says where to start. "
        "The last column says whether a query's answer looks at the other test queries.",
    ]
    for family, (what, names) in FAMILIES.items():
        lines += [
            "",
            f"## {family.capitalize()}",
            "",
            f"{what.capitalize()}.",
            "",
            "| stage | what it does | other queries |",
            "| --- | --- | --- |",
        ]
        lines += [f"| [`{name}`]({name}.md) | {_text(name)[0]} | {looks_at(_made(name), name)} |" for name in names]
    return "\n".join(lines) + "\n"


def page(name: str) -> str:
    """All about one stage."""
    first, body, example = _text(name)
    stage, factory = _made(name), _factory(name)
    facts = {
        "family": next(f"{family}: {what}" for family, (what, names) in FAMILIES.items() if name in names),
        "needs": needs(stage),
        "looks at other queries": looks_at(stage, name),
        **({"one query without a bank": _LONE} if "lone" in stage.parameters() else {}),
        "trained": "yes: `fit(problem, relevance)`" if hasattr(factory, "fit") else "no",
        "prepared for a gallery": prepared(stage, name),
        "cost": cost(name),
    }
    loses, computes = _parted(body)
    parts = [f"# `{name}`", first, "\n".join(f"- **{what}**: {said}" for what, said in facts.items())]
    parts += ["## What it computes", *computes] if computes else []
    parts += ["## When it helps, and when it loses", *loses] if loses else []
    parts += ["## Measured", *measured] if (measured := gains.measured(name)) else []
    parts += ["## Parameters", table(name)] if inspect.signature(factory).parameters else []
    parts += ["## Large galleries", scales(stage)] if stage.scaling else []
    parts += ["## Example", f"```pycon\n{example}\n```"] if example else []
    parts += ["## Citation", stage.citation or "None: it is no method of a paper."]
    parts += ["## More", f"Figures: [benchmarks](../benchmarks.md). {_links(name)}"]
    return "\n\n".join(parts) + "\n"


_LONE = 'refused, or left as it came with `lone` "pass" ([why](../concepts.md#one-query-alone))'


def table(name: str) -> str:
    """The parameters with their defaults and what they take, as their own checks say it."""
    lines = ["| parameter | default | takes |", "| --- | --- | --- |"]
    for each in inspect.signature(_factory(name)).parameters.values():
        default = "(required)" if each.default is each.empty else f"`{each.default!r}`"
        takes = "; ".join(rules(name, each.name)) or _kind(each.annotation)
        lines.append(f"| `{each.name}` | {default} | {takes.replace('|', chr(92) + '|')} |")
    return "\n".join(lines)


def rules(name: str, parameter: str) -> Iterator[str]:
    """What a parameter must be, in the words of the errors for values that it refuses."""
    seen: list[str] = []
    for probe in _PROBES:
        try:
            _factory(name)(**{**_required(name), parameter: probe})
        except RerankitError as error:
            known = re.search(r"Known: (.*)", str(error))
            must = re.match(rf"'{parameter}' must (?:be )?(.*?),? \(got ", str(error))
            found = known[1] if known else must[1] if must else ""
            if found and found not in seen:
                seen.append(found)
        except Exception:  # a value that no check foresees says nothing about the range
            continue
    yield from seen


def _kind(annotation: Any) -> str:
    """The types of a parameter that no check asks about, as they stand in the code."""
    if annotation in ("Any", inspect.Parameter.empty):
        return "anything: see above"
    return " or ".join(f"`{each}`" for each in str(annotation).split(" | "))


def scales(stage: Stage) -> str:
    """What it costs where galleries are large and queries come in shards."""
    assert stage.scaling is not None, "asked by the caller"
    lines = [f"- **{what}**: {said}" for what, said in stage.scaling.items().items()]
    return "\n".join([*lines, "", "[How runs in shards work](../scale.md)."])


def needs(stage: Stage) -> str:
    """What a problem must bring for the stage."""
    return ", ".join(Need.of(need).what.replace("'", "`") for need in stage.needs) or "scores alone"


def looks_at(stage: Stage, name: str) -> str:
    """Whether other test queries change a query's answer."""
    if name in COMPOSITES:
        return "as what it runs does"
    if not stage.looks_at().queries:
        return "no"
    return "yes; with a bank no" if "bank" in inspect.signature(_factory(name)).parameters else "yes, always"


def prepared(stage: Stage, name: str) -> str:
    """What `rerankit.prepare` keeps of a gallery, asked of a small one."""
    if looks_at(stage, name) == "yes, always":
        return "no: one query alone cannot be answered as in a batch"
    if type(stage).prepare is Stage.prepare:
        return "the gallery; the whole stage runs for every block of queries"
    if name in COMPOSITES:
        return "what the stages inside it keep"
    if any("feature" in Need.of(need).what for need in stage.needs):  # which the small gallery has none of
        assert stage.scaling is not None, "every stage that ships says how it scales"
        return stage.scaling.keeps
    return stage.prepare(_gallery()).keeps


def cost(name: str) -> str:
    """Time and memory, out of the table of costs on the page on choosing."""
    text = (gains.ROOT / "docs/choosing.md").read_text(encoding="utf-8").partition("\n## Cost\n")[2]
    for line in text.splitlines():
        first, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        if f"`{name}`" in first:
            time, memory = cells
            return f"{time}; memory beyond a block: {memory} ([what the letters mean](../choosing.md#cost))"
    raise LookupError(f"the table of costs in docs/choosing.md has no row of '{name}'")


def _gallery() -> Gallery:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(3, 12, 4))
    return Gallery(vectors[0], bank=vectors[1])


def _text(name: str) -> tuple[str, str, str]:
    """A docstring's first paragraph, what follows it, and its example."""
    text, _, example = (inspect.getdoc(_factory(name)) or "").partition(">>> ")
    first, _, body = text.partition("\n\n")
    return " ".join(first.split()), body.strip(), f">>> {example}".strip() if example else ""


def _parted(body: str) -> tuple[list[str], list[str]]:
    """The sentences that say when a stage loses, and the paragraphs without them.

    What is said of the published form stays beside it.
    """
    loses, rest = [], []
    for paragraph in body.split("\n\n"):
        if paragraph.startswith("`published`"):
            rest.append(" ".join(paragraph.split()))
            continue
        sentences = re.split(r"(?<=[.!?)])\s+(?=[A-Z`(])", " ".join(paragraph.split()))
        loses += [sentence for sentence in sentences if _LOSES.search(sentence)]
        rest.append(" ".join(sentence for sentence in sentences if not _LOSES.search(sentence)))
    return ([" ".join(loses)] if loses else []), [paragraph for paragraph in rest if paragraph]


def _links(name: str) -> str:
    own = f" [The page on it](../{MORE[name]})." if name in MORE else ""
    return f"[Choosing a stage](../choosing.md).{own} In the shell: `rerankit stages {name}`."


def _factory(name: str) -> Any:
    return manager().stages.entry(name).load()


def _required(name: str) -> dict[str, Any]:
    parameters = inspect.signature(_factory(name)).parameters.values()
    return {each.name: REQUIRED[each.name] for each in parameters if each.default is each.empty}


def _made(name: str) -> Any:
    return _factory(name)(**_required(name))


# -- hooks of the site --------------------------------------------------------------------------------------------


def on_config(config: Any) -> Any:
    """Put the pages into the menu, below the stages."""
    menu: list[Any] = [{"All of them": "stages/index.md"}]
    menu += [{family.capitalize(): [{n: f"stages/{n}.md"} for n in names]} for family, (_, names) in FAMILIES.items()]
    stages = next(entry["Stages"] for entry in config.nav if "Stages" in entry)
    stages.append({"Reference": menu})
    return config


def on_files(files: Any, config: Any) -> Any:
    """Put the pages into the site."""
    from mkdocs.structure.files import File

    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files

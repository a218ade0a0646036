"""`rerankit demo`: what re-ranking does, on real and on drawn data, in seconds."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from rerankit.cli._options import ForceOption, check_target
from rerankit.cli._output import JsonOption, say, show, show_json, wrapped

PARTS = {"digits": (), "multi-query": ("torch",), "composed": ("torch", "transformers", "safetensors", "tokenizers")}
"""The parts of the demo, and what each needs besides what all of them need."""


def demo(
    parts: Annotated[
        list[str] | None, typer.Argument(help="digits, multi-query, composed; all that can run by default.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The folder for the page; rerankit-demo by default.")
    ] = None,
    train: Annotated[
        bool, typer.Option("--train", help="Train the networks again, in minutes, and draw their curves.")
    ] = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Re-rank handwritten digits, drawn pictures and changes of them: tables, and a page with pictures.

    Offline, with networks that ship. digits: hubness, mutual ranks and a reasoner on the scores of two views, then a
    prepared gallery, one query at a time. multi-query: a picture looked for sentence by sentence. composed: a picture,
    and a text that changes one thing about it.
    """
    from rerankit import checks
    from rerankit.extras import require

    for name in parts or ():
        checks.choice("parts", name, list(PARTS))
    for module in ("sklearn", "matplotlib", "PIL", "jinja2"):
        require(module, extra="demo", purpose="the demo")
    folder = Path("rerankit-demo") if out is None else out
    # The default folder was not named by the user: what is in it is a page of this command, and it may be run twice.
    check_target(folder / "demo.html", "out", force=force or out is None)
    chosen, left_out = _possible(parts)
    if train:
        _check_trainable(chosen)
    found = []
    for name in chosen:
        made = _made(name, folder, train)()
        found.append(made)
        if not as_json:
            _print(made)
    if as_json:
        show_json({part.name: [table.rows for table in part.tables] for part in found})
    from rerankit.demo.page import write

    for line in left_out:
        say(line)
    say(f"everything with its pictures: {write(found, folder / 'demo.html', left_out).resolve()}")


def _possible(parts: list[str] | None) -> tuple[list[str], list[str]]:
    """The parts to run, in their order, and what is left out for want of a package; what was named must run."""
    from importlib.util import find_spec

    from rerankit.extras import require

    chosen, left_out = [], []
    for name, modules in PARTS.items():
        if parts and name not in parts:
            continue
        absent = [module for module in modules if find_spec(module) is None]
        if absent and parts:
            require(absent[0], extra="demo", purpose=f"the demo '{name}'")
        if absent:
            left_out.append(f"left out: '{name}', which needs {' and '.join(absent)}: pip install 'rerankit[demo]'")
        else:
            chosen.append(name)
    if "digits" in chosen and find_spec("torch") is None:
        left_out.append(
            "left out of 'digits': the reasoner 'pillar-plus', which needs torch: pip install 'rerankit[demo]'"
        )
    return chosen, left_out


def _check_trainable(chosen: list[str]) -> None:
    from rerankit.errors import rule

    if chosen == ["digits"]:
        raise rule("--train", "must go with 'multi-query' or 'composed': nothing is trained for the digits", "digits")


def _made(name: str, folder: Path, train: bool) -> Callable[[], Any]:
    """What makes a part, with weights trained again where that was asked for."""
    if name == "digits":
        from rerankit.demo import contest

        return contest.section
    from rerankit.demo import composed, multi_query

    module: Any = {"multi-query": multi_query, "composed": composed}[name]
    return partial(_trained, module, folder) if train else module.section


def _trained(module: Any, folder: Path) -> Any:
    from rerankit.demo import shipped

    say(f"training the networks of '{module.NAME}' from nothing: {module.MINUTES} on two cores …")
    training = folder / "training" / module.NAME
    arrays, histories = module.train(training)
    (folder / "weights").mkdir(exist_ok=True)
    path = shipped.write(folder / "weights" / f"{module.NAME}.safetensors", arrays)
    for name, history in histories.items():
        say(f"{name}: {history!r}")
    say(f"weights: {path}; checkpoints and curves: {training}")
    return module.section(shipped.read(path), histories=histories)


def _print(part: Any) -> None:
    say(f"\n{part.title}\n\n{wrapped(part.lead)}\n")
    for table in part.tables:
        show(table.rows)
        say(f"\n{wrapped(table.note)}\n")

"""The templates and the style sheet that all pages share."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rerankit.extras import require
from rerankit.plots import THEMES

PACKAGE = "rerankit.reports"


def environment(*packages: str) -> Any:
    """Jinja's environment with the templates of `packages`, and of the reports behind them."""
    jinja = require("jinja2", extra="report", purpose="a report")
    loader = jinja.ChoiceLoader([jinja.PackageLoader(package) for package in (*packages, PACKAGE)])
    return jinja.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja.StrictUndefined
    )


def css(environment: Any) -> str:
    """The style sheet of every page, in both themes."""
    themes = {
        name: " ".join(f"--{part}: {colour};" for part, colour in asdict(theme).items())
        for name, theme in THEMES.items()
    }
    text: str = environment.get_template("report.css").render(**themes)
    return text


def script(environment: Any) -> str:
    """The script of every page."""
    text: str = environment.loader.get_source(environment, "report.js")[0]
    return text

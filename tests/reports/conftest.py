"""A headless Chromium for tests that look at pages, where one is installed, and a report to look at."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rerankit import Pipeline, Problem, stage
from rerankit.bench import Result, bench
from rerankit.reports import report
from rerankit.tasks import task

ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


class Browser:
    """What tests ask of a page, in the words of the WebDriver protocol."""

    def __init__(self, address: str, profile: str, binary: str) -> None:
        options = {"args": [*ARGUMENTS, f"--user-data-dir={profile}"], "binary": binary}
        capabilities = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self.address = address
        self.address = (
            f"{address}/session/{self._call('/session', {'capabilities': {'alwaysMatch': capabilities}})['sessionId']}"
        )

    def open(self, page: Path, width: int = 1280, dark: bool = False) -> None:
        """A page of a width, in a theme."""
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.command("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", {"features": [scheme]})
        self._call("/url", {"url": page.resolve().as_uri()})

    def command(self, name: str, parameters: dict[str, Any]) -> Any:
        """A command of the developers' tools."""
        return self._call("/goog/cdp/execute", {"cmd": name, "params": parameters})

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns."""
        return self._call("/execute/sync", {"script": script, "args": list(arguments)})

    def wait_for(self, script: str, seconds: float = 10.0) -> bool:
        """Whether a script returns something true within so many seconds: a machine may be busy."""
        end = time.monotonic() + seconds
        while not self.run(script):
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True

    def log(self) -> list[str]:
        """What the page wrote to the console since the last call."""
        return [entry["message"] for entry in self._call("/se/log", {"type": "browser"})]

    def close(self) -> None:
        """End the session."""
        urllib.request.urlopen(urllib.request.Request(self.address, method="DELETE"), timeout=30).close()

    def _call(self, path: str, body: dict[str, Any]) -> Any:
        data = json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=90) as answer:
            return json.load(answer)["value"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A browser; tests that need one are skipped where there is none."""
    driver, binary = shutil.which("chromedriver"), shutil.which("chromium") or shutil.which("google-chrome")
    if driver is None or binary is None:
        pytest.skip("no chromium with its chromedriver on this machine")
    with subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        port = next(found[1] for line in process.stdout if (found := re.search(r"successfully on port (\d+)", line)))
        try:
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
                made = Browser(f"http://127.0.0.1:{port}", profile, binary)
                yield made
                made.close()
        finally:
            process.kill()  # asked to end, the driver may wait for a minute


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    """Pipelines of every kind on a made-up task: alone, with a bank, with test queries, with labels, in two steps."""
    folder = tmp_path_factory.mktemp("data")
    small = task("flickr30k").write_miniature(folder).load(folder)
    rng = np.random.default_rng(0)
    images, texts = rng.normal(size=(7, 12)), rng.normal(size=(21, 12))
    texts += 1.3 * images.repeat(3, axis=0)
    banks = {"query_bank": rng.normal(size=(9, 12)), "gallery_bank": rng.normal(size=(9, 12))}
    problem = Problem.from_embeddings(images.astype(np.float32), texts.astype(np.float32), **banks)
    fitted = stage("learned-fusion", bank="queries").fit(problem, small.parts[0].relevance)
    pipelines = {
        "sinkhorn": stage("sinkhorn", bank="queries", published=True),
        "csls <b>": stage("csls", neighbours=2, published=True),
        "dba": stage("dba", neighbours=1, strength=1),
        "learned": fitted,
        "two steps": Pipeline(
            [stage("dba", neighbours=2, strength=1), stage("mutual-rank", bank="queries", published=True)]
        ),
    }
    return bench(small, problem, pipelines, k=5, batch_sizes=[1, 3])


@pytest.fixture(scope="session")
def page(results: list[Result], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Their report."""
    pytest.importorskip("matplotlib", reason="the extra report is not installed")
    made = report(results, tmp_path_factory.mktemp("page") / "report.html", samples=200)
    assert made.path is not None
    return made.path

"""Fixtures that every test room uses."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Generator, Iterable
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

from rerankit.extras import EXTRAS

# No deadline: a busy machine is not a failure. Under continuous integration the drawn examples are the same each
# time, so that a change is judged by what it changes; everywhere else new ones are drawn. `HYPOTHESIS_PROFILE=thorough`
# draws many more.
settings.register_profile("local", deadline=None, max_examples=25)
settings.register_profile("ci", deadline=None, max_examples=25, derandomize=True)
settings.register_profile("thorough", deadline=None, max_examples=400)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "local"))

# The interpreter looks for circles of objects more rarely, and not among those of imported modules, which stay: it took
# a fifth of the time.
gc.set_threshold(20_000, 10, 10)

os.environ.setdefault("HAYSTACK_TELEMETRY_ENABLED", "False")  # read when it is imported: tests tell nobody anything

OPTIONAL = {module for modules in EXTRAS.values() for module in modules}
REPOSITORY = Path(__file__).resolve().parents[1]


def _shared_folder() -> Path | None:
    """The folder of real data that some tests measure on; it is not part of the project."""
    given = os.environ.get("RERANKIT_SHARED")
    places = [Path(given)] if given else [REPOSITORY.parent / "shared", REPOSITORY.parents[1] / "shared"]
    return next((place.resolve() for place in places if (place / "realdata").is_dir()), None)


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    # Plugins that tests write change within a second, which compiled files cannot tell.
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real data kept outside the project: `RERANKIT_SHARED`, else a `shared` folder above the checkout."""
    folder = _shared_folder()
    if folder is None:
        pytest.skip("no folder of real data; set RERANKIT_SHARED to one that has realdata/")
    return folder


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """A test that needs an optional package which is not installed is skipped and says so."""
    try:
        return (yield)
    except Exception as error:
        _skip_absent(error)
        raise


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup() -> Generator[None, object, object]:
    """The same for what a test is given."""
    try:
        return (yield)
    except Exception as error:
        _skip_absent(error)
        raise


class Module(pytest.Module):
    """A file of tests; one that imports an optional package which is not installed is skipped and says so."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        try:
            return super().collect()
        except self.CollectError as error:
            _skip_absent(error)
            raise


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module:
    return Module.from_parent(parent, path=module_path)


def _skip_absent(error: BaseException) -> None:
    """Skip when the error comes from an optional package that is not there."""
    cause: BaseException | None = error
    while cause is not None:
        name = (getattr(cause, "name", None) or "").partition(".")[0]
        if isinstance(cause, ImportError) and name in OPTIONAL and find_spec(name) is None:
            pytest.skip(f"{name} is not installed", allow_module_level=True)
        cause = cause.__cause__ or cause.__context__


@pytest.fixture(scope="session")
def golden() -> Path:
    """Reference numbers that travel with the tests."""
    return REPOSITORY / "tests" / "golden"

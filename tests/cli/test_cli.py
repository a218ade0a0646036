from __future__ import annotations

import json
import subprocess
import sys
import warnings

import pytest
import typer
from typer.testing import CliRunner

from rerankit import errors
from rerankit.cli import build
from rerankit.cli._options import check_target
from rerankit.cli._run import command
from rerankit.metrics import MetricAlias

RUNNER = CliRunner()


def single(function: object) -> typer.Typer:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(command(function))  # type: ignore[arg-type]
    return app


def test_help_lists_the_commands() -> None:
    shown = RUNNER.invoke(build(), ["--help"])
    assert shown.exit_code == 0
    assert "doctor" in shown.output


def test_every_command_takes_plugin_and_debug() -> None:
    for found in build().registered_commands:
        shown = RUNNER.invoke(build(), [str(found.name), "--help"])
        assert "--plugin" in shown.output, found.name
        assert "--debug" in shown.output, found.name


def test_a_warning_for_people_is_one_line() -> None:
    def show() -> None:
        for kind in (UserWarning, MetricAlias, errors.RerankitWarning, DeprecationWarning):
            typer.echo(warnings.formatwarning("two\nlines", kind, "file.py", 3), nl=False)

    told = RUNNER.invoke(single(show), []).output
    assert told.startswith("warning: two lines\n" * 3 + "file.py:3: DeprecationWarning: two")
    assert warnings.formatwarning("x", UserWarning, "file.py", 3).startswith("file.py:3")


def test_version() -> None:
    assert RUNNER.invoke(build(), ["--version"]).output.startswith("rerankit ")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InputError("'k' must be at least 1 (got 0)"), 2),
        (errors.FormatError("x.npy: truncated"), 2),
        (errors.UnmetNeedError("needs query_scores"), 2),
        (errors.MissingExtraError("needs torch"), 3),
        (errors.PluginError("broken"), 4),
        (errors.StageError("failed"), 1),
        (ZeroDivisionError("surprise"), 1),
    ],
)
def test_errors_become_exit_codes_and_one_line(error: Exception, code: int) -> None:
    def fail() -> None:
        raise error

    result = RUNNER.invoke(single(fail), [])
    assert result.exit_code == code
    assert "Traceback" not in result.output
    assert len(result.stderr.splitlines()) == 1
    assert str(error) in result.stderr


def test_debug_shows_the_traceback_and_keeps_line_and_code() -> None:
    def fail() -> None:
        raise errors.InputError("no")

    result = RUNNER.invoke(single(fail), ["--debug"])
    assert result.exit_code == 2
    assert "Traceback (most recent call last)" in result.stderr
    assert result.stderr.splitlines()[-1] == "error: no"


def test_doctor_as_json() -> None:
    result = RUNNER.invoke(build(), ["doctor", "--json"])
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert {row["extra"] for row in report["extras"]} >= {"torch", "learn"}
    assert all(row["present"] or row["install"].startswith("pip install 'rerankit[") for row in report["extras"])


def test_building_the_program_imports_nothing_heavy() -> None:
    code = (
        "import sys, rerankit.cli; rerankit.cli.build();"
        "print([m for m in ('torch', 'sklearn', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_json_has_null_where_a_number_is_not_finite(capsys):
    from rerankit.cli._output import show

    show([{"a": float("nan"), "b": [float("inf"), 1.5]}], as_json=True)
    assert json.loads(capsys.readouterr().out) == [{"a": None, "b": [None, 1.5]}]


def test_places_are_refused_before_the_work(tmp_path, monkeypatch):
    free, file, folder, full = (tmp_path / name for name in ("free", "file", "folder", "full"))
    file.write_text("mine")
    folder.mkdir()
    full.mkdir()
    (full / "other.txt").write_text("mine")
    for place in (free, folder, tmp_path / "new" / "deep" / "run.npz"):
        check_target(place, "out", force=False)
    check_target(file, "out", force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "full"]
    for place in (file, full):
        with pytest.raises(errors.InputError, match="'out' must not exist, unless --force is given"):
            check_target(place, "out", force=False)
    with pytest.raises(errors.InputError, match=r"has 'other\.txt', which rerankit did not write"):
        check_target(full, "out", force=True)
    with pytest.raises(errors.InputError, match=r"run\.npz' cannot be written: '.*file' is not a folder"):
        check_target(file / "run.npz", "out", force=False)

    def refused(*args, **kwargs):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("rerankit.files.writing.tempfile.TemporaryFile", refused)
    with pytest.raises(errors.InputError, match=r"cannot be written: .*: Read-only file system"):
        check_target(free, "out", force=False)


def test_every_command_that_writes_can_be_told_to_replace():
    app = build()
    commands = {str(found.name): found.callback for found in app.registered_commands}
    for group in app.registered_groups:
        found = group.typer_instance.registered_commands
        commands |= {f"{group.name} {each.callback.__name__}": each.callback for each in found}
    writing = {name for name, each in commands.items() if {"out", "target"} & set(each.__annotations__)}
    # `bench` keeps finished results and `fit` goes on with a run; their own words are --again and --restart.
    forced = {name for name in writing if "force" in commands[name].__annotations__}
    assert writing - forced == {"bench", "fit"}

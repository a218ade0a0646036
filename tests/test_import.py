"""What `import rerankit` costs, and what works without any optional package."""

from __future__ import annotations

from pathlib import Path

from interpreter import python, without

HEAVY = ("torch", "scipy.sparse", "sklearn", "transformers", "matplotlib", "pyarrow", "safetensors", "pluggy", "numpy")

OPTIONAL = (
    "torch", "torch_geometric", "sklearn", "transformers", "matplotlib", "pyarrow", "safetensors", "PIL", "accelerate",
    "faiss", "ranx", "ir_measures", "sentence_transformers", "tokenizers",
)  # fmt: skip
BASE_INSTALL = without(OPTIONAL)


def test_import_is_fast_and_light(tmp_path: Path) -> None:
    code = (
        "import sys, time; start = time.perf_counter(); import rerankit; took = time.perf_counter() - start;"
        f"print(took, *[name for name in {HEAVY} if name in sys.modules])"
    )
    fastest = min(float(python(code, tmp_path).split()[0]) for _ in range(3))
    assert fastest < 0.3
    assert python(code, tmp_path).split()[1:] == []


def test_using_the_base_imports_nothing_optional(tmp_path: Path) -> None:
    code = (
        "import sys, rerankit; rerankit.rerank([[0.2, 0.9], [0.9, 0.2]], 'mutual-rank'); rerankit.stages_available();"
        "print(*[name for name in ('torch', 'sklearn', 'transformers', 'pyarrow') if name in sys.modules])"
    )
    assert python(code, tmp_path).split() == []


def test_one_query_with_a_bank_of_vectors_imports_no_functions_of_scipy(tmp_path: Path) -> None:
    code = (
        "import sys, numpy, rerankit; eye = numpy.eye(9);"
        "problem = rerankit.Problem.from_embeddings(eye, eye, query_bank=eye);"
        "[rerankit.rerank(problem, name) for name in ('nnn', 'csls', 'inverted-softmax', 'sinkhorn', 'mutual-rank')];"
        "print(*[name for name in ('scipy.special', 'scipy.sparse') if name in sys.modules])"
    )
    assert python(code, tmp_path).split() == []


def test_the_base_install_works_without_any_optional_package(tmp_path: Path) -> None:
    code = f"""{BASE_INSTALL}
import numpy as np, rerankit
from rerankit.testing import make_problem
problem = make_problem(5, 7)
ranking = rerankit.rerank(problem, rerankit.stage("mutual-rank") >> "fuse", k=4)
for name in ("a.npz", "a.safetensors", "folder"):
    rerankit.write(name, problem)
    assert rerankit.rerank(rerankit.read(name), "mutual-rank", k=4).shape == (5, 4)
for name in ("r.run", "r.json", "r.csv", "r.npz"):
    rerankit.write(name, ranking)
    assert rerankit.read(name, "ranking").shape == (5, 4)
rerankit.stage("mutual-rank").save("saved")
assert rerankit.load("saved") == rerankit.stage("mutual-rank")
banked = rerankit.stage("mutual-rank", bank=np.eye(7, dtype=np.float32))
banked.save("banked")
assert rerankit.load("banked") == banked
for path, extra in (("a.pt", "torch"), ("a.parquet", "parquet")):
    try:
        rerankit.write(path, ranking)
    except rerankit.errors.MissingExtraError as error:
        assert f"pip install 'rerankit[{{extra}}]'" in str(error), error
    else:
        raise AssertionError(path)
from rerankit.cli import build
from typer.testing import CliRunner
result = CliRunner().invoke(build(), ["doctor", "--json"])
import json
assert result.exit_code == 0, result.output
absent = {{row["extra"] for row in json.loads(result.stdout)["extras"] if not row["present"]}}
assert absent >= {{"torch", "learn", "parquet"}}, absent
print("done")
"""
    assert python(code, tmp_path).strip() == "done"

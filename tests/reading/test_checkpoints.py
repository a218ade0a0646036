"""Checkpoints of torch, read without torch's reader: the same content, and nothing beyond it."""

from __future__ import annotations

import argparse
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reading_files import refusal

from rerankit.errors import FormatError
from rerankit.reading import Record, check_state, compare_states, read_checkpoint, read_state

torch = pytest.importorskip("torch", reason="torch is not installed")

KINDS = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"]


def tensors() -> dict[str, Any]:
    whole = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    made = {kind: torch.arange(6).reshape(2, 3).to(getattr(torch, kind)) for kind in KINDS}
    return made | {
        "turned": whole.permute(2, 0, 1),
        "part": whole[1, :, ::2],
        "one row again": torch.arange(3.0).expand(1, 3),
        "scalar": torch.tensor(2.5),
        "empty": torch.empty(0, 3),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "shared": whole,
    }


@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_are_those_that_torch_reads(tmp_path: Path, zipped: bool) -> None:
    content = {"state": tensors(), "epoch": 3, "rates": [0.1, None], "best": np.float64(0.5), "size": torch.Size([1])}
    torch.save(content, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    found = read_checkpoint(tmp_path / "a.pt")
    assert (found["epoch"], found["rates"], found["best"], found["size"]) == (3, [0.1, None], 0.5, (1,))
    for name, tensor in tensors().items():
        array = found["state"][name]
        if name != "bfloat16":
            assert array.dtype == tensor.detach().numpy().dtype
        assert not array.flags.writeable or name in ("bfloat16", "empty")
        np.testing.assert_array_equal(array, tensor.detach().float().numpy())


def test_a_state_of_training_is_read(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randn(5, 3)).sum().backward()
    optimizer.step()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "a.pt")
    found = read_checkpoint(tmp_path / "a.pt")
    expected = torch.load(tmp_path / "a.pt", weights_only=True)
    assert found["optimizer"]["param_groups"] == expected["optimizer"]["param_groups"]
    for number, state in expected["optimizer"]["state"].items():
        for name, value in state.items():
            np.testing.assert_array_equal(found["optimizer"]["state"][number][name], value.numpy())


def test_numbers_stay_on_the_disk(tmp_path: Path) -> None:
    for zipped in (True, False):
        torch.save({"a": torch.arange(12.0).reshape(3, 4).T}, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
        array = read_checkpoint(tmp_path / "a.pt")["a"]
        assert isinstance(array, np.memmap)
        np.testing.assert_array_equal(array, np.arange(12.0).reshape(3, 4).T)


def test_states_are_found_under_their_keys(tmp_path: Path) -> None:
    state = {"module.a": torch.ones(2), "module.b": torch.zeros(1)}
    for content in (state, {"epoch": 1, "state_dict": state}, {"model": state}, {"mine": state}):
        torch.save(content, tmp_path / "a.pt")
        assert set(read_state(tmp_path / "a.pt", under=("mine", "state_dict", "model"))) == {"a", "b"}
    torch.save({"epoch": 1}, tmp_path / "a.pt")
    with pytest.raises(FormatError, match=r"must hold names and tensors \(got \['epoch'\]\)"):
        read_state(tmp_path / "a.pt")


def test_settings_of_a_training_are_a_record(tmp_path: Path) -> None:
    torch.save({"opt": argparse.Namespace(margin=0.2), "a": torch.ones(1)}, tmp_path / "a.pt")
    opt = read_checkpoint(tmp_path / "a.pt", records=["argparse.Namespace"])["opt"]
    assert opt == Record("argparse.Namespace", (), {"margin": 0.2})
    with pytest.raises(FormatError, match=r"'argparse\.Namespace', which is not data and never run"):
        read_checkpoint(tmp_path / "a.pt")


def odd() -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "sparse": torch.eye(3).to_sparse(),
            "complex": torch.ones(2, dtype=torch.complex64),
            "quantized": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
            "module": torch.nn.Linear(2, 2),
        }


@pytest.mark.parametrize("name", ["sparse", "complex", "quantized", "module"])
def test_other_things_of_torch_are_refused_by_name(tmp_path: Path, name: str) -> None:
    torch.save({"a": odd()[name]}, tmp_path / "a.pt")
    with pytest.raises(FormatError, match=r"a\.pt: not a checkpoint of tensors and plain values: it"):
        read_checkpoint(tmp_path / "a.pt")


def forged(path: Path, storage: str, *view: Any, count: int = 4, data: bytes = bytes(16)) -> Path:
    """A checkpoint with one tensor whose view (offset, shape, strides) is anything."""

    class Storage:
        pass

    class Tensor:
        def __reduce__(self) -> Any:
            return torch._utils._rebuild_tensor_v2, (Storage(), *view, False, {})

    class Pickler(pickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            return ("storage", getattr(torch, storage), "0", "cpu", count) if isinstance(value, Storage) else None

    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("a/data.pkl", "w") as member:
            Pickler(member, 2).dump({"a": Tensor()})
        archive.writestr("a/data/0", data)
    return path


@pytest.mark.parametrize(
    ("view", "rule"),
    [
        ((0, (10**6, 10**6), (0, 0)), "claims more numbers than it has"),
        ((0, (2, 2), (3, 1)), "claims more numbers than it has"),
        ((1, (4,), (1,)), "claims more numbers than it has"),
        ((5, (1,), (1,)), "claims more numbers than it has"),
        ((-1, (1,), (1,)), "whole numbers"),
        ((0, (2,), (-1,)), "whole numbers"),
        ((0, (2,), (1, 1)), "whole numbers"),
        ((0, (2.0,), (1,)), "whole numbers"),
        ((0, (1,) * 40, (1,) * 40), "whole numbers"),
        ((2**62, (1,), (1,)), "claims more numbers than it has"),
    ],
)
def test_tensors_that_reach_beyond_their_numbers_are_refused(tmp_path: Path, view: Any, rule: str) -> None:
    assert read_checkpoint(forged(tmp_path / "ok.pt", "FloatStorage", 0, (2, 2), (1, 2)))["a"].shape == (2, 2)
    with pytest.raises(FormatError, match=rule):
        read_checkpoint(forged(tmp_path / "a.pt", "FloatStorage", *view))


def test_one_storage_is_not_raised_a_thousand_times(tmp_path: Path) -> None:
    """bfloat16 becomes float32, which takes memory; views of one storage must not add up to any size."""
    base = torch.zeros(2_000_000, dtype=torch.bfloat16)
    torch.save([base[n:] for n in range(200)], tmp_path / "a.pt")
    with pytest.raises(FormatError, match="bfloat16 tensors claim more numbers than it has"):
        read_checkpoint(tmp_path / "a.pt")


def test_changed_bits_are_noticed(tmp_path: Path) -> None:
    torch.save({"a": torch.arange(100.0)}, tmp_path / "a.pt")
    data = (tmp_path / "a.pt").read_bytes()
    at = data.index(np.float32(57).tobytes())
    (tmp_path / "b.pt").write_bytes(data[:at] + b"\x01" + data[at + 1 :])
    with pytest.raises(FormatError, match="is damaged: it is not what its checksum says"):
        read_checkpoint(tmp_path / "b.pt")


@pytest.mark.parametrize("zipped", [True, False])
def test_damaged_files_are_refused_in_one_line(tmp_path: Path, zipped: bool) -> None:
    torch.save({"a": torch.arange(6.0), "b": [1, "x"]}, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    data, rng = (tmp_path / "a.pt").read_bytes(), np.random.default_rng(0)
    path = tmp_path / "b.pt"
    for _ in range(300):
        changed = bytearray(data[: rng.integers(len(data))] if rng.random() < 0.3 else data)
        for at in rng.integers(0, max(1, len(changed)), 3 if len(changed) else 0):
            changed[at] = rng.integers(256)
        path.write_bytes(changed)
        message = refusal(read_checkpoint, path)
        assert message == "" or (str(path) in message and len(message) < len(str(path)) + 500)


def test_states_are_compared() -> None:
    wanted = {"a": np.ones((2, 3)), "b": np.ones(1)}
    check_state(dict(wanted), wanted, "'x.pt'", "a checkpoint")
    with pytest.raises(
        FormatError, match=r"^'x\.pt' is not a checkpoint: b is missing; a has shape \(3, 2\), not \(2, 3\)$"
    ):
        check_state({"a": np.ones((3, 2))}, wanted, "'x.pt'", "a checkpoint")
    many = {str(n): np.ones(1) for n in range(20)}
    with pytest.raises(FormatError, match="and 15 more"):
        check_state({}, many, "'x.pt'", "a checkpoint")
    assert compare_states({"z": ()}, {}, unknown=False) == []

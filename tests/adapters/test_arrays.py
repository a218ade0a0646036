"""Arrays of other libraries through the array interface and DLPack, from any device, of any float type."""

from __future__ import annotations

import numpy as np
import pytest

from rerankit import Problem
from rerankit.errors import InputError

MATRIX = np.float32([[1, 2.5], [-3, 0.5]])


class OnDevice:
    """An array that only speaks DLPack, and lies on a device until a copy for the processor is asked for."""

    def __init__(self, array, device, *, copies=True):
        self._array, self._device, self._copies = array, device, copies

    def __dlpack_device__(self):
        return self._device, 0

    def __dlpack__(self, *, dl_device=None, copy=None, **rest):
        if self._device not in (1, 3, 11) and dl_device != (1, 0):
            raise BufferError("the memory of this device is not the processor's")
        if not self._copies:
            raise BufferError("no copies today")
        return self._array.__dlpack__(**rest)


class Cupy(OnDevice):
    """CuPy's arrays refuse to become NumPy's unless `get` is called."""

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def get(self):
        return self._array


@pytest.mark.parametrize("given", [OnDevice(MATRIX, 1), OnDevice(MATRIX, 3), OnDevice(MATRIX, 2), Cupy(MATRIX, 2)])
def test_dlpack_from_any_device(given):
    if given._device == 2 and np.lib.NumpyVersion(np.__version__) < "2.1.0" and not hasattr(given, "get"):
        pytest.skip("NumPy before 2.1 asks for no copies")
    np.testing.assert_array_equal(Problem(given).scores.rows(), MATRIX)
    np.testing.assert_array_equal(Problem.from_embeddings(given, MATRIX).scores.queries, MATRIX)


def test_a_device_that_gives_nothing_is_an_error_in_one_line():
    with pytest.raises(InputError, match=r"'scores' must be an array \(got OnDevice: no copies today\)"):
        Problem(OnDevice(MATRIX, 2, copies=False))


def test_jax():
    jnp = pytest.importorskip("jax.numpy")
    for dtype in (jnp.float32, jnp.bfloat16, jnp.float16):
        given = jnp.asarray(MATRIX, dtype)
        np.testing.assert_array_equal(Problem(given).scores.rows(), MATRIX)
        np.testing.assert_array_equal(Problem.from_embeddings(given, given, "dot").scores.rows(), MATRIX @ MATRIX.T)


def test_a_list_of_tensors_of_any_kind():
    torch = pytest.importorskip("torch")
    rows = [torch.tensor([0.5, 2.0], requires_grad=True), torch.tensor([1.0, 4.0]).bfloat16()]
    np.testing.assert_array_equal(Problem(rows).scores.rows(), np.float32([[0.5, 2], [1, 4]]))
    with pytest.raises(InputError, match="'scores' must be a rectangular array"):
        Problem([torch.ones(2), torch.ones(3)])


def test_vectors_in_an_array_of_objects_are_rows():
    rows = np.empty(2, object)
    rows[:] = [MATRIX[0], MATRIX[1]]
    np.testing.assert_array_equal(Problem.from_embeddings(rows, MATRIX).scores.queries, MATRIX)
    rows[1] = MATRIX[1, :1]
    with pytest.raises(InputError, match=r"must have a vector of one length in every row \(got 1 to 2 numbers"):
        Problem.from_embeddings(rows, MATRIX)

"""Arrays and torch tensors: the same numbers, shared through DLPack where that is safe."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tlverify.graph import DTYPES
from tlverify.interop.torch.errors import TorchError

_WIDENED = {"int8": "int64", "int16": "int64", "int32": "int64", "uint8": "int64"}


def load_torch() -> Any:
    """PyTorch, or TorchError that says how to get it."""
    try:
        import torch
    except ImportError:
        raise TorchError("needs PyTorch: pip install 'tlverify[torch]'") from None
    return torch


def dtype_of(tensor: Any) -> str:
    """The name of the dtype of a torch tensor, as NumPy has it."""
    return str(tensor.dtype).removeprefix("torch.")


def to_numpy(tensor: Any) -> npt.NDArray[Any]:
    """A torch tensor as an array that shares its memory, through DLPack; a copy where it is on a device.

    TorchError for dtypes that NumPy lacks, as bfloat16.
    """
    torch = load_torch()
    if not isinstance(tensor, torch.Tensor):
        raise TorchError(f"expected a torch.Tensor, found {type(tensor).__name__}")
    try:
        return np.from_dlpack(tensor.detach().cpu().resolve_conj().resolve_neg())
    except (BufferError, RuntimeError, TypeError) as error:
        raise TorchError(f"a tensor {tensor.dtype}{list(tensor.shape)} cannot be an array: {error}") from None


def to_tensor(array: Any) -> Any:
    """A NumPy or CuPy array as a torch tensor that shares its memory; a copy if it is read-only."""
    torch = load_torch()
    if isinstance(array, np.ndarray):
        native = array.dtype.newbyteorder("=")
        ready = array.astype(native, copy=not array.flags.writeable or native != array.dtype)
        return torch.from_dlpack(ready) if ready.dtype != np.bool_ else torch.from_numpy(ready)
    if not hasattr(array, "__dlpack__"):
        raise TorchError(f"expected an array, found {type(array).__name__}")
    return torch.from_dlpack(array)


def array_of(tensor: Any, what: str) -> npt.NDArray[Any]:
    """A copy of a stored tensor in a dtype of graphs; small integers are widened, half floats are refused."""
    name = dtype_of(tensor)
    if _WIDENED.get(name, name) not in DTYPES:
        raise TorchError(f"{what}: expected {', '.join(DTYPES)}, found {name}; as in module.float()")
    return np.array(to_numpy(tensor.contiguous()), dtype=_WIDENED.get(name, name))

"""Errors of the bridge to PyTorch."""

from tlverify.graph import TlverifyError


class TorchError(TlverifyError):
    """A module, a graph or a dictionary of parameters that cannot cross: the message names the part and the reason."""

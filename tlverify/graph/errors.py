"""Errors of the shared language. Every one names the thing, what was expected, and what was found."""


class TlverifyError(Exception):
    """Base of every error a user can cause; the command line prints its message and exits with 2."""


class GraphError(TlverifyError):
    """A graph, or a file that claims to hold one, breaks a rule of the format."""


class ShapeError(GraphError):
    """An operation was given shapes or dtypes that it does not accept."""

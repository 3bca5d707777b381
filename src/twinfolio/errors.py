"""Errors a user can cause: one line that names the file or key, and the mend."""

from __future__ import annotations


class TwinfolioError(Exception):
    """A fact the user can mend.

    Args:
        message: What is wrong, naming the file or the key ("params.yaml: siamese.margin = -0.2: must be > 0").
        mend: What to do about it, as an imperative ("set a positive margin").
    """

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message, mend)
        self.message = message
        self.mend = mend

    def __str__(self) -> str:
        """One line: the message, then the mend."""
        return " ".join(f"{self.message}; {self.mend}".split())


class ParamsError(TwinfolioError):
    """A key of params.yaml is unknown, of a wrong type, out of bounds or at odds with another."""


class DataError(TwinfolioError):
    """The images, the manifest or the store cannot be used as they are."""


class ModelError(TwinfolioError):
    """Weights, a model folder or a trunk's name cannot be used as given."""


class TrackingError(TwinfolioError):
    """The tracking store cannot be reached or does not hold what is asked for."""

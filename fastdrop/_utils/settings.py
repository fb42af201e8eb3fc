"""Settings of the process that are read where an operation is called."""

from __future__ import annotations

CONV_ALGORITHMS = ("auto", "direct", "winograd")


class Settings:
    """The values, each set by a public function.

    Attributes
    ----------
    conv_algorithm : str
        One of CONV_ALGORITHMS.
    """

    conv_algorithm: str = "auto"


settings = Settings()

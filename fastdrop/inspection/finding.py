"""The result of `diagnose`: a list of findings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from fastdrop import nn

__all__ = ["Diagnosis", "Finding"]


@dataclass(frozen=True)
class Finding:
    """One likely mistake in a model.

    Attributes
    ----------
    code : str
        A fixed name for programs: "before-batch-norm", "on-output", ...
    place : str
        The path of the layer in the model; "" for the whole model.
    problem : str
        What was found.
    reason : str
        Why it matters, with the paper where there is one.
    remedy : str
        What to do.

    Examples
    --------
    >>> from fastdrop.inspection.finding import Finding
    >>> print(Finding("on-output", "3", "a problem", "A reason.", "A remedy."))
    3: a problem. A reason. A remedy. [on-output]
    """

    code: str
    place: str
    problem: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        place = self.place or "the model"
        return f"{place}: {self.problem}. {self.reason} {self.remedy} [{self.code}]"


class Diagnosis(list[Finding]):
    """The findings of `fastdrop.diagnose`, a list. Printed, it is a numbered list of sentences.

    Examples
    --------
    >>> import fastdrop as fd
    >>> from fastdrop import nn
    >>> model = nn.Sequential(nn.Linear(8, 1), nn.Dropout(0.1))
    >>> found = fd.diagnose(model)
    >>> len(found) == len(found.codes()) > 0
    True
    """

    def __str__(self) -> str:
        return "\n".join(f"{i}. {finding}" for i, finding in enumerate(self, 1)) or "nothing found"

    def codes(self) -> list[str]:
        """The codes of the findings.

        Returns
        -------
        list of str
        """
        return [finding.code for finding in self]


class RuleMatch(NamedTuple):
    """What a rule found in a module; `diagnose` makes a `Finding` of it."""

    code: str
    module: nn.Module
    problem: str
    reason: str
    remedy: str

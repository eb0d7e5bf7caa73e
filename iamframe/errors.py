"""Every error of iamframe, and the policy for them.

An error means that no answer is possible: a file does not exist, nothing can be read, or a policy file is not valid.
Its message is one sentence: what happened, where, and what to do. The command line prints the message and exits with
status 2. Data that can be read in part raises no error. The readable part is kept, and each unreadable piece is a row
of the frame `gaps`. So a failure never looks like an empty result.
"""

from collections.abc import Mapping
from typing import Any


class IamframeError(Exception):
    """The base class of all errors of iamframe. The message of an error is one sentence."""


class SourceError(IamframeError):
    """A source cannot be read: the file does not exist, or iamframe can read nothing in it.

    `said` is the message with its facts, for use in a gap. If it is None, the gap uses the text of the error.
    """

    said: Mapping[str, Any] | None = None


class ExpiredError(SourceError):
    """Credentials expired while an account was read; the answers until then are kept."""


class PolicyError(IamframeError):
    """A tag policy file is not valid."""


class UnknownCheckError(IamframeError):
    """No check has that name."""


class CheckError(IamframeError):
    """One of your own checks cannot be loaded, or stops with an error."""


class FilterError(IamframeError):
    """A filter is not valid, or names something that the result does not have.

    An empty answer would be misleading.
    """


class SchemaError(IamframeError):
    """A frame does not have the columns, types or keys of its schema."""


class ReportError(IamframeError):
    """A report cannot be written to its folder."""


class NotebookError(IamframeError):
    """The notebooks cannot be copied to the folder."""


class PlanError(IamframeError):
    """`plan` was given an age that cannot be parsed."""


class StoreError(IamframeError):
    """A snapshot cannot be saved to a folder, or opened from it."""


class SqlError(IamframeError):
    """A query is not valid SQL, uses an unknown name, or does more than read the frames."""


class WrongObjectError(IamframeError, TypeError):
    """A function was given the wrong type of object."""


def require(function: str, given: object, *kinds: type, instead: str) -> None:
    """Raise WrongObjectError unless an object has one of the types. The message ends with `instead`: what to pass.

    Raises
    ------
    WrongObjectError
        If it has none of the types.
    """
    if not isinstance(given, kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise WrongObjectError(f"{function} takes {names}, not {type(given).__name__}: pass {instead}")


class MissingExtraError(IamframeError):
    """A feature needs a package of an extra that is not installed."""


def missing_extra(package: str, extra: str) -> MissingExtraError:
    """Return the error with the missing package and the command that installs it."""
    return MissingExtraError(f"{package} is not installed; run pip install '.[{extra}]' in the clone of iamframe")

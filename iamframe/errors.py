"""All errors of iamframe, and what they mean.

An error means that no answer is possible: a file does not exist, nothing can be read, or a policy file is not valid.
Its message is one sentence: what happened, where, and what to do. The command line prints the message and exits with
status 2.

If data can be read only in part, no error is raised. The readable part is kept, and each unreadable piece becomes a row
of the frame `gaps`. So a failure never looks like an empty result.
"""

from collections.abc import Mapping
from typing import Any


class IamframeError(Exception):
    """The base class of all errors of iamframe. The message of an error is one sentence."""


class SourceError(IamframeError):
    """A source cannot be read: the file does not exist, or iamframe can read nothing in it.

    `said` is the error's message and its facts, in the form that a gap stores. If it is None, the gap uses the text of
    the error.
    """

    said: Mapping[str, Any] | None = None


class ExpiredError(SourceError):
    """The credentials expired while an account was being read. Answers received before that are kept."""


class PolicyError(IamframeError):
    """A tag policy file is not valid."""


class UnknownCheckError(IamframeError):
    """No check with this name exists."""


class CheckError(IamframeError):
    """One of your own checks cannot be loaded, or stops with an error."""


class FilterError(IamframeError):
    """A filter is not valid, or names something that the result does not have.

    An empty result would be misleading here, so iamframe raises an error.
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
    """Raise WrongObjectError unless `given` is an instance of one of `kinds`.

    The message begins with `function`, the name of the called function. It ends with `instead`, a description of what
    to pass.

    Raises
    ------
    WrongObjectError
        If `given` is not an instance of any of `kinds`.
    """
    if not isinstance(given, kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise WrongObjectError(f"{function} takes {names}, not {type(given).__name__}: pass {instead}")


class MissingExtraError(IamframeError):
    """A feature needs a package of an extra that is not installed."""


def missing_extra(package: str, extra: str) -> MissingExtraError:
    """Return an error that names the missing package and the command that installs it."""
    return MissingExtraError(f"{package} is not installed; run pip install '.[{extra}]' in the clone of iamframe")

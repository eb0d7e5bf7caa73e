"""All errors of iamframe, and what they mean.

iamframe raises an error if a file does not exist, nothing can be read, or a policy file is not valid. The message of an
error is one sentence: what happened, where, and what to do. The command line prints the message of an error and exits
with status 2.

Data that can be read only in part raises no error. All readable data is kept. Each unreadable piece becomes a row of
the frame `gaps`. A failure never looks like an empty result.
"""

from collections.abc import Mapping
from typing import Any


class IamframeError(Exception):
    """The base class of all errors of iamframe."""


class SourceError(IamframeError):
    """A source cannot be read: the file does not exist, or contains nothing that iamframe can read.

    `said` has the id of the message and the values in the message, as in the frame `gaps`. If `said` is None, the frame
    `gaps` has the text of the error.
    """

    said: Mapping[str, Any] | None = None


class ExpiredError(SourceError):
    """The credentials expired while an account was being read. Answers received before the expiry are kept."""


class PolicyError(IamframeError):
    """A tag policy file is not valid."""


class UnknownCheckError(IamframeError):
    """No check with the given name exists."""


class CheckError(IamframeError):
    """A check that you wrote cannot be loaded, or stops with an error."""


class FilterError(IamframeError):
    """A filter is not valid, or names an account, check or severity that the result does not have.

    Without this error, a mistyped filter would look like a filter that finds nothing.
    """


class SchemaError(IamframeError):
    """A frame does not have the columns, types or keys of its schema."""


class ReportError(IamframeError):
    """A report cannot be written to its folder, or an option of the report is not valid."""


class NotebookError(IamframeError):
    """The notebooks cannot be copied to the folder."""


class PlanError(IamframeError):
    """An age that was given to `plan` cannot be parsed."""


class StoreError(IamframeError):
    """A snapshot cannot be saved to its folder, or cannot be opened."""


class SqlError(IamframeError):
    """A query is not valid SQL, uses an unknown name, or does more than read the frames."""


class WrongObjectError(IamframeError, TypeError):
    """A function was given the wrong type of object."""


def require(function: str, given: object, *kinds: type, instead: str) -> None:
    """Raise WrongObjectError if `given` is not an instance of one of `kinds`.

    The error message names the called function. The text `instead` says what to pass.
    """
    if not isinstance(given, kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise WrongObjectError(f"{function} takes {names}, not {type(given).__name__}: pass {instead}")


class MissingExtraError(IamframeError):
    """A feature needs an optional package that is not installed."""


def missing_extra(package: str, extra: str) -> MissingExtraError:
    """Return an error that names the missing package and the command that installs it."""
    return MissingExtraError(f"{package} is not installed; run pip install '.[{extra}]' in the clone of iamframe")

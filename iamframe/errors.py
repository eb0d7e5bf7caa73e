"""The exceptions that iamframe raises.

The message of an error is one sentence. The message says what happened, where, and what to do. The command line prints
the message and ends with exit status 2.

A missing path or a damaged snapshot raises an error. If iamframe can read only a part of an account or file, iamframe
raises no error, except ExpiredError. Each unreadable part becomes a row of the frame `gaps`. A failure never looks like
an empty result.
"""

from collections.abc import Mapping
from importlib import import_module
from os import PathLike
from typing import Any


class IamframeError(Exception):
    """The base class of all errors in `iamframe.errors`."""


class SourceError(IamframeError):
    """A source cannot be loaded or used, or an option of the source is not valid."""

    # If the error can become a row of the frame `gaps`: its `message` and `facts`.
    message: Mapping[str, Any] | None = None


class ExpiredError(SourceError):
    """The credentials expired. Answers that are already in a journal (a file from which a load can resume) are kept."""


class PolicyError(IamframeError):
    """A policy file cannot be read, or is not valid."""


class UnknownCheckError(IamframeError):
    """No check has the given name."""


class CheckError(IamframeError):
    """Your own check cannot be loaded, stops with an error, or returns an invalid result."""


class FilterError(IamframeError):
    """A filter is not valid, for example because it names an account that is not in the result.

    Without FilterError, a mistyped filter would give an empty result.
    """


class SchemaError(IamframeError):
    """A frame does not match its schema: a column or value is missing or has the wrong type."""


class ReportError(IamframeError):
    """An output file cannot be written, or an option of a report is not valid."""


class NotebookError(IamframeError):
    """`iamframe notebooks` cannot copy the notebooks into the given folder."""


class PlanError(IamframeError):
    """The `min_age` or `min_idle` that was passed to `plan` cannot be parsed, or is below zero."""


class StoreError(IamframeError):
    """A snapshot, or the results of `check_snapshot`, cannot be written or read."""


class SqlError(IamframeError):
    """An SQL query is not valid, contains an unknown name, or is forbidden.

    A query that does more than read the frames is forbidden.
    """


class WrongObjectError(IamframeError, TypeError):
    """A function was given the wrong type of object."""


def require(function: str, given: object, *kinds: type, instead: str) -> None:
    """Raise WrongObjectError if the object `given` has none of the types `kinds`."""
    if not isinstance(given, kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise WrongObjectError(f"{function} takes {names}, not {type(given).__name__}: pass {instead}")


def require_paths(function: str, *given: object) -> None:
    """Raise WrongObjectError if one of the given values is neither a str nor a path object."""
    for one in given:
        require(function, one, str, PathLike, instead="the path of a file or folder")


class MissingExtraError(IamframeError):
    """A feature needs an optional package that is not installed."""


def optional(module: str, extra: str) -> Any:
    """Import a module. If its package is not installed, raise an error with the install command."""
    try:
        return import_module(module)
    except ImportError as error:
        install = f'pip install ".[{extra}]" in the clone of iamframe'
        raise MissingExtraError(f"{module.partition('.')[0]} is not installed; run {install}") from error

"""Every error of iamframe, and the policy for them.

An error is for what makes an answer impossible: no such file, nothing readable, a policy file that cannot be
understood. Its message is one sentence that says what, where, and what to do; the command line prints it and exits
with status 2. What could only be read in part never raises: the readable part is kept, and each unreadable piece is
a row of the `gaps` frame, so that an empty result always means "there is none" and never "we could not look".
"""


class IamframeError(Exception):
    """Base of all errors that a user can meet; its message is one sentence."""


class SourceError(IamframeError):
    """A source cannot be read at all: no such file, or nothing in it that iamframe understands."""


class ExpiredError(SourceError):
    """Credentials expired while an account was read; what was read until then is kept."""


class PolicyError(IamframeError):
    """A tag policy file cannot be understood."""


class UnknownCheckError(IamframeError):
    """A check was asked for that does not exist."""


class FilterError(IamframeError):
    """A filter asks for what the result does not have, so that an empty answer would say nothing."""


class SchemaError(IamframeError):
    """A frame does not have the columns, types or keys that the schema gives it."""


class ReportError(IamframeError):
    """A report cannot be written where it was asked for."""


class NotebookError(IamframeError):
    """The notebooks cannot be copied to where they were asked for."""


class PlanError(IamframeError):
    """A clean-up is asked for with an age that is none."""


class StoreError(IamframeError):
    """A snapshot cannot be saved where it was asked for, or what is there cannot be opened."""


class SqlError(IamframeError):
    """A query cannot be answered: it is no SQL, names what is not there, or asks for more than to read the frames."""


class MissingExtraError(IamframeError):
    """Something was asked for that needs a package of an extra which is not installed."""


def missing_extra(package: str, extra: str) -> MissingExtraError:
    """Return the error that says which package is missing, and the command that installs it."""
    return MissingExtraError(f"{package} is not installed: pip install 'iamframe[{extra}]' brings it")

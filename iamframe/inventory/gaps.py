"""The gaps of an inventory: each sentence that merging adds to `gaps`, and the frame.

The gaps of refused requests come from `sources.refusals`, those of files that cannot be read from `sources.reading`.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from iamframe.inventory import schema
from iamframe.knowledge.arn import account_of, name_of
from iamframe.knowledge.operations import GLOBAL, PROFILE, ROLE, ROLE_LINKS, UNKNOWN_ACCOUNT, aws_command
from iamframe.sources.records import Answer

Tags = Iterable[tuple[str, str]]


class GapList:
    """Gaps in the order in which they are found. If two have the same key, the first one counts."""

    def __init__(self) -> None:
        self.rows: list[dict[str, str]] = []

    def add(self, account: str, operation: str, subject: str, reason: str, detail: str, region: str = GLOBAL) -> None:
        """Add a gap."""
        values = (account, region, operation, subject, reason, detail)
        self.rows.append(dict(zip(schema.GAPS.names, values, strict=True)))

    def frame(self) -> pd.DataFrame:
        """Return the frame `gaps`, sorted by its key."""
        rows = {tuple(gap[name] for name in schema.GAPS.key): gap for gap in reversed(self.rows)}
        return schema.GAPS.conform(pd.DataFrame([rows[key] for key in sorted(rows)], columns=schema.GAPS.names))

    # What an answer says of itself

    def several_accounts(self, account: str, answer: Answer) -> None:
        """Add that a list holds the resources of several accounts."""
        why = "lists several accounts, so that it may be the whole list of none; export each account by itself"
        detail = f"{answer.origin}: {why}"
        self.add(account, answer.operation, answer.origin, "not_in_file", detail)

    def truncated_file(self, account: str, answer: Answer) -> None:
        """Add that a file holds only a part of a list."""
        why = "says that there is more, or could be read only in part, so that it is not the whole list"
        detail = f"{answer.origin}: {why}; export it again without --max-items and --no-paginate"
        self.add(account, answer.operation, answer.origin, "truncated", detail, answer.region)

    # What cannot be read

    def no_time(self, arn: str, column: str, text: str) -> None:
        """Add that the text of a time is no time."""
        detail = f"{column} of {arn} is {text!r}, which is no time, so it is left unknown"
        self._of(arn, column, "unreadable", detail)

    def no_policy(self, account: str, arn: str) -> None:
        """Add that a trust policy is no policy document."""
        detail = f"the trust policy of {arn} is no policy document, so whom it trusts is unknown"
        self.add(account, ROLE, arn, "unreadable", detail)

    # What no answer shows

    def role_by_name_alone(self, account: str, profile: str, role: str) -> None:
        """Add that no source shows the role that a profile names."""
        name = role.partition(":")[2]
        command = aws_command("iam get-role", {"role-name": name})
        unknown = f"which no source shows: its path, trust and tags are unknown; {command} would show them"
        self.add(account, ROLE, role, "not_in_file", f"{profile} holds the role {name}, {unknown}")

    def tags_of_nobody(self, account: str, operation: str, resource_type: str, name: str) -> None:
        """Add that no source shows the resource whose tags were read."""
        why = "but no file shows that resource; add the listing of the account"
        detail = f"tags of the {resource_type} {name} were read, {why}"
        self.add(account, operation, name, "not_in_file", detail)

    # Sources that contradict each other

    def cell(self, arn: str, column: str, one: object, origin: str, other: object, other_origin: str) -> None:
        """Add that two answers give a cell different values."""
        detail = f"{column} of {arn} is {one} by {origin} and {other} by {other_origin}, so it is left unknown"
        self._of(arn, column, "contradicted", detail)

    def tags(self, arn: str, one: Tags, origin: str, other: Tags, other_origin: str) -> None:
        """Add that a resource has different tags in two answers, or two values of one key in one answer."""
        said, contrary = (", ".join(f"{key}={value}" for key, value in sorted(tags)) or "none" for tags in (one, other))
        detail = f"tags of {arn} are {said} by {origin} and {contrary} by {other_origin}, so they are left unknown"
        self._of(arn, "tags", "contradicted", detail)

    def holds(self, arn: str, one: Iterable[str], origin: str, other: Iterable[str], other_origin: str) -> None:
        """Add that a profile holds different roles in two answers."""
        said, contrary = (", ".join(sorted(roles)) or "no role" for roles in (one, other))
        self._role_of(arn, f"what it holds is {said} by {origin} and {contrary} by {other_origin}")

    def not_held(self, arn: str, role: str, origin: str, other_origin: str) -> None:
        """Add that a role's own list of profiles leaves out a profile that holds the role in another answer."""
        self._role_of(arn, f"{origin} shows {role} in it, and {other_origin} does not")

    def _role_of(self, profile: str, sentence: str) -> None:
        command = aws_command("iam get-instance-profile", {"instance-profile-name": name_of(profile)})
        detail = f"{profile}: {sentence}, so it is left unknown; {command} would tell"
        self._of(profile, PROFILE, "contradicted", detail)

    def profiles_of(self, role: str) -> None:
        """Add that answers disagree on the profiles that hold a role."""
        self._of(role, ROLE_LINKS, "contradicted", f"{role}: sources disagree on the profiles that hold it")

    def _of(self, arn: str, operation: str, reason: str, detail: str) -> None:
        self.add(account_of(arn) or UNKNOWN_ACCOUNT, operation, arn, reason, detail)

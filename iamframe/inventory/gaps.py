"""The gaps of an inventory: each gap that merging adds to `gaps`, and the frame.

The gaps of refused requests come from `sources.calls`, those of files that cannot be read from `sources.reading`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pandas as pd
import pyarrow.compute as pc

from iamframe.inventory import schema
from iamframe.inventory.arrow import as_arrow
from iamframe.knowledge.arn import account_of, name_of
from iamframe.knowledge.operations import GLOBAL, PROFILE, ROLE, ROLE_LINKS, UNKNOWN_ACCOUNT, aws_command
from iamframe.messages.render import render
from iamframe.sources.records import Answer

Tags = Iterable[tuple[str, str]]
# The message that names an answer: its operation and its file.
Origin = dict[str, str]


def with_details(gaps: pd.DataFrame, lang: str = "en") -> pd.DataFrame:
    """Return gaps with their details, rendered in a language; one without a message, of an old snapshot, keeps its."""
    message, facts, detail = (as_arrow(gaps[name]) for name in ("message", "facts", "detail"))
    said = render(message, facts, lang).cast(detail.type)
    told = pc.if_else(pc.equal(message, ""), detail, said).to_pandas()
    return gaps.assign(detail=told.astype("str").set_axis(gaps.index))


class GapList:
    """Gaps in the order in which they are found. If two have the same key, the first one counts."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def add(
        self,
        account: str,
        operation: str,
        subject: str,
        reason: str,
        message: str,
        facts: dict[str, Any],
        region: str = GLOBAL,
    ) -> None:
        """Add a gap: an id of `messages`, and the facts that fill it."""
        values = (account, region, operation, subject, reason, message, facts, "")
        self.rows.append(dict(zip(schema.GAPS.names, values, strict=True)))

    def frame(self) -> pd.DataFrame:
        """Return the frame `gaps`, sorted by its key."""
        rows = {tuple(gap[name] for name in schema.GAPS.key): gap for gap in reversed(self.rows)}
        each = [rows[key] | {"facts": msgspec.json.encode(rows[key]["facts"]).decode()} for key in sorted(rows)]
        return with_details(schema.GAPS.conform(pd.DataFrame(each, columns=schema.GAPS.names)))

    # What an answer says of itself

    def several_accounts(self, account: str, answer: Answer) -> None:
        """Add that a list holds the resources of several accounts."""
        facts = {"file": answer.origin}
        self.add(account, answer.operation, answer.origin, "not_in_file", "gaps.answer.several_accounts", facts)

    def truncated_file(self, account: str, answer: Answer) -> None:
        """Add that a file holds only a part of a list."""
        file, facts = answer.origin, {"file": answer.origin}
        self.add(account, answer.operation, file, "truncated", "gaps.answer.truncated", facts, answer.region)

    # What cannot be read

    def no_time(self, arn: str, column: str, text: str) -> None:
        """Add that the text of a time is no time."""
        facts = {"column": column, "arn": arn, "text": repr(text)}
        self._of(arn, column, "unreadable", "gaps.answer.no_time", facts)

    def no_policy(self, account: str, arn: str) -> None:
        """Add that a trust policy is no policy document."""
        self.add(account, ROLE, arn, "unreadable", "gaps.answer.no_policy", {"arn": arn})

    # What no answer shows

    def role_by_name_alone(self, account: str, profile: str, role: str) -> None:
        """Add that no source shows the role that a profile names."""
        name = role.partition(":")[2]
        facts = {"profile": profile, "role": name, "command": aws_command("iam get-role", {"role-name": name})}
        self.add(account, ROLE, role, "not_in_file", "gaps.absent.role", facts)

    def tags_of_nobody(self, account: str, operation: str, resource_type: str, name: str) -> None:
        """Add that no source shows the resource whose tags were read."""
        facts = {"resource_type": resource_type, "name": name}
        self.add(account, operation, name, "not_in_file", "gaps.absent.owner_of_tags", facts)

    # Sources that contradict each other

    def cell(self, arn: str, column: str, one: object, origin: Origin, other: object, other_origin: Origin) -> None:
        """Add that two answers give a cell different values."""
        facts = {"column": column, "arn": arn, "one": str(one), "origin": origin}
        facts |= {"other": str(other), "other_origin": other_origin}
        self._of(arn, column, "contradicted", "gaps.contradicted.cell", facts)

    def tags(self, arn: str, one: Tags, origin: Origin, other: Tags, other_origin: Origin) -> None:
        """Add that a resource has different tags in two answers, or two values of one key in one answer."""
        said, contrary = (
            [f"{key}={value}" for key, value in sorted(tags)] or {"message": "list.none"} for tags in (one, other)
        )
        facts = {"arn": arn, "one": said, "origin": origin, "other": contrary, "other_origin": other_origin}
        self._of(arn, "tags", "contradicted", "gaps.contradicted.tags", facts)

    def holds(self, arn: str, one: Iterable[str], origin: Origin, other: Iterable[str], other_origin: Origin) -> None:
        """Add that a profile holds different roles in two answers."""
        said, contrary = (sorted(roles) or {"message": "gaps.contradicted.no_role"} for roles in (one, other))
        facts = {"one": said, "origin": origin, "other": contrary, "other_origin": other_origin}
        self._role_of(arn, "gaps.contradicted.holds", facts)

    def not_held(self, arn: str, role: str, origin: Origin, other_origin: Origin) -> None:
        """Add that a role's own list of profiles leaves out a profile that holds the role in another answer."""
        facts = {"role": role, "origin": origin, "other_origin": other_origin}
        self._role_of(arn, "gaps.contradicted.held", facts)

    def _role_of(self, profile: str, message: str, facts: dict[str, Any]) -> None:
        command = aws_command("iam get-instance-profile", {"instance-profile-name": name_of(profile)})
        self._of(profile, PROFILE, "contradicted", message, facts | {"profile": profile, "command": command})

    def profiles_of(self, role: str) -> None:
        """Add that answers disagree on the profiles that hold a role."""
        self._of(role, ROLE_LINKS, "contradicted", "gaps.contradicted.links", {"role": role})

    def _of(self, arn: str, operation: str, reason: str, message: str, facts: dict[str, Any]) -> None:
        self.add(account_of(arn) or UNKNOWN_ACCOUNT, operation, arn, reason, message, facts)

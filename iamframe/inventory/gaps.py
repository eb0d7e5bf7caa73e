"""The gaps of an inventory, and their frame."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pandas as pd
import pyarrow.compute as pc

from iamframe.inventory import schema
from iamframe.inventory.arrow import as_arrow
from iamframe.knowledge.arn import account_of
from iamframe.knowledge.operations import UNKNOWN_ACCOUNT
from iamframe.messages.render import render
from iamframe.sources.records import Gap

# The message for an answer: its operation and its file.
Origin = dict[str, str]


def with_details(gaps: pd.DataFrame, lang: str = "en") -> pd.DataFrame:
    """Return gaps with their details in the given language.

    A gap from an old snapshot has no message, and keeps its detail.
    """
    message, facts, detail = (as_arrow(gaps[name]) for name in ("message", "facts", "detail"))
    said = render(message, facts, lang).cast(detail.type)
    rendered = pc.if_else(pc.equal(message, ""), detail, said).to_pandas()
    return gaps.assign(detail=rendered.astype("str").set_axis(gaps.index))


class GapList(list[Gap]):
    """Gaps in the order in which they are found. If two have the same key, the first one counts."""

    def frame(self) -> pd.DataFrame:
        """Return the frame `gaps`, sorted by its key."""
        rows = {(gap.account_id, gap.region, gap.operation, gap.subject): gap for gap in reversed(self)}
        gaps = [rows[key] for key in sorted(rows)]
        columns = {name: [getattr(gap, name) for gap in gaps] for name in schema.GAPS.names if name != "detail"}
        columns["facts"] = [msgspec.json.encode(facts).decode() for facts in columns["facts"]]
        return with_details(schema.GAPS.conform(columns | {"detail": [""] * len(gaps)}))

    def of(self, arn: str, operation: str, reason: str, message: str, **facts: object) -> None:
        """Add a gap about one resource. The ARN becomes a fact of the message."""
        account = account_of(arn) or UNKNOWN_ACCOUNT
        self.append(Gap(operation, arn, reason, message, {"arn": arn} | facts, account_id=account))

    def differ(
        self,
        arn: str,
        operation: str,
        message: str,
        sides: Iterable[object],
        origins: Iterable[Origin],
        **facts: object,
    ) -> None:
        """Add a gap for two answers that contradict each other about one resource."""
        (one, other), (origin, other_origin) = sides, origins
        facts |= {"one": one, "origin": origin, "other": other, "other_origin": other_origin}
        self.of(arn, operation, "contradicted", message, **facts)

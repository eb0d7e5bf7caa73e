"""The gaps of an inventory: which data is missing, and why."""

from __future__ import annotations

from typing import Any

import msgspec
import pandas as pd
import pyarrow.compute as pc

from iamframe.inventory import schema
from iamframe.inventory.arrow import as_arrow
from iamframe.knowledge.arn import account_of
from iamframe.knowledge.operations import GLOBAL, UNKNOWN_ACCOUNT
from iamframe.messages.render import render
from iamframe.sources.records import Gap


def with_details(gaps: pd.DataFrame, lang: str = "en") -> pd.DataFrame:
    message, facts, detail = (as_arrow(gaps[name]) for name in ("message", "facts", "detail"))
    text = render(message, facts, lang).cast(detail.type)
    # A row from an old snapshot has no message id, and keeps its text.
    rendered = pc.if_else(pc.equal(message, ""), detail, text).to_pandas()
    return gaps.assign(detail=rendered.astype("str").set_axis(gaps.index))


class GapList(list[Gap]):
    def frame(self) -> pd.DataFrame:
        # Of several gaps with the same key, the first counts.
        rows = {(gap.account_id, gap.region, gap.operation, gap.subject): gap for gap in reversed(self)}
        gaps = [rows[key] for key in sorted(rows)]
        columns = {name: [getattr(gap, name) for gap in gaps] for name in schema.GAPS.names if name != "detail"}
        columns["facts"] = [msgspec.json.encode(facts).decode() for facts in columns["facts"]]
        return with_details(schema.GAPS.conform(columns | {"detail": [""] * len(gaps)}))

    def add(
        self, account: str, operation: str, subject: str, reason: str, message: str, region: str = GLOBAL, **facts: Any
    ) -> None:
        self.append(Gap(operation, subject, reason, message, facts, region, account))

    def about(self, arn: str, operation: str, reason: str, message: str, **facts: Any) -> None:
        self.add(account_of(arn) or UNKNOWN_ACCOUNT, operation, arn, reason, message, arn=arn, **facts)

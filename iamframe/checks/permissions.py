"""The policies of roles, for the checks in `orphans`: facts, a message, and the order of findings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from iamframe.inventory.arrow import Positions, joined_key, lookup
from iamframe.knowledge.arn import name_of
from iamframe.knowledge.policies import POWERS, aws_managed_name, power_of
from iamframe.messages.render import Message, as_fact, columns_of


def policies_message(attached: str | None, inline: int | None) -> Message:
    """Return the message about a role's policies. If policies were not collected, the message says so.

    `attached` is a value of the column `attached_policies` of `roles`. `inline` is the number of inline policies.
    """
    if attached is None or (inline is None and not attached):
        return {"message": "permissions.unknown"}
    arns = sorted(attached.split(), key=lambda arn: POWERS.index(power_of(arn) or POWERS[-1]))
    managed = [name_of(arn) for arn in arns if aws_managed_name(arn)]
    own = [name_of(arn) for arn in arns if not aws_managed_name(arn)]
    parts: list[Message] = [
        {"message": f"permissions.{whose}", "names": names}
        for whose, names in (("aws", managed), ("own", own))
        if names
    ]
    parts += [{"message": "permissions.inline", "count": inline}] if inline else []
    return (
        {"message": "permissions.some", "power": _power(attached), "parts": parts}
        if parts
        else {"message": "permissions.none"}
    )


def _power(attached: str | None) -> str:
    powers = {power_of(arn) for arn in (attached or "").split()}
    return next((power for power in POWERS if power in powers), "")


def powerful_first(rows: pd.DataFrame, roles: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return rows of `pairs`, roles with an administrator policy first, and facts about the roles' policies.

    The fact `_may` is the message about the policies. `_order` keeps the findings of a check in this order.
    """
    facts = _facts_of(roles, rows["role_row"].to_numpy())
    order = np.argsort(facts["_order"], kind="stable")
    return rows.iloc[order], {name: values.take(order) for name, values in facts.items()}


def _facts_of(roles: pd.DataFrame, where: Positions) -> dict[str, Any]:
    """Return facts about the policies of the roles at these rows; -1 stands for a role that no source shows."""
    attached, inline = lookup(roles["attached_policies"], where), _taken(roles["inline_policy_count"], where)
    key = joined_key(attached, inline).dictionary_encode()
    # Thousands of roles share a few sets of policies.
    codes = np.asarray(key.indices)
    _, first = np.unique(codes, return_index=True)
    each = zip(attached.take(pa.array(first)).to_pylist(), inline.iloc[first].astype(object), strict=True)
    sets = [(arns, None if pd.isna(count) else int(count)) for arns, count in each]
    messages, facts = columns_of(policies_message(*one) for one in sets)
    said = pa.array(map(as_fact, messages.to_pylist(), facts.to_pylist()), pa.string())
    powers = [_power(arns) for arns, _ in sets]
    order = np.array([POWERS.index(power) if power else len(POWERS) for power in powers], dtype=np.int64)
    return {
        "attached_policies": attached,
        "inline_policy_count": inline,
        "power": pa.array([power or None for power in powers], pa.string()).take(pa.array(codes)),
        "_may": said.take(pa.array(codes)),
        "_order": order[codes],
    }


def _taken(values: pd.Series, where: Positions) -> pd.Series:
    return pd.Series(values.array.take(where, allow_fill=True))

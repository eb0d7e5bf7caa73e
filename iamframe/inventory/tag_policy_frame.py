"""The frame with the tag policies of organizations."""

from __future__ import annotations

from iamframe.inventory.frame import ACCOUNT_ID, Frame, flag, text

TAG_POLICIES = Frame(
    "tag_policies",
    "account, resource type and tag key in the tag policy of its organization",
    ("account_id", "resource_type", "tag_key"),
).with_columns(
    ACCOUNT_ID,
    text("resource_type", "`role` or `instance-profile`"),
    text("tag_key", "key, in the spelling that the organization demands"),
    text(
        "allowed_values?",
        "allowed values, as a JSON list in which `*` is any text; empty if any value is allowed; missing if unknown",
    ),
    flag("is_required", "True if resources of this type need the tag; otherwise only tags with this key are judged"),
    flag("is_enforced", "True if AWS refuses other values and spellings on resources of this type"),
    text("source", "operation that showed it: DescribeEffectivePolicy or ListRequiredTags, which shows no values"),
)

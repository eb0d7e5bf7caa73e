"""Frames of results that are not findings, such as `quota_use`. `schema` imports them."""

from __future__ import annotations

from iamframe.inventory.frame import Frame, count, share, text

QUOTA_USE = Frame(
    "quota_use",
    "account, tool that created roles and profiles, cluster or stack that they belong to, and owner",
    ("account_id", "maker", "owner_type", "owner_name", "owner_region", "owner_status", "state", "owner"),
).with_columns(
    text("account_id", "12-digit account id"),
    text("account_name?", "alias or name of the account"),
    text("maker?", "service or tool that created them, as in `pairs`; missing if no name, path or tag shows one"),
    text("owner_type?", "what they belong to, as in `owned_profiles`: eks-cluster, beanstalk-environment, stack"),
    text("owner_name?", "name or id of that cluster, environment or stack"),
    text("owner_region?", "its region, if the profile shows it"),
    text("owner_status?", "living, gone, or unread: it is unknown whether it still exists"),
    text("owner?", "value of the owner tag; missing in the states without an owner"),
    text(
        "state",
        "owned, none (no owner tag), unread (tags not collected), aws (AWS manages the role), "
        "not_collected (counted by GetAccountSummary only)",
    ),
    count("roles", "roles"),
    count("profiles", "instance profiles"),
    share("role_share?", "roles / the account's quota; missing if the quota is unknown, or AWS manages them"),
    share("profile_share?", "instance profiles / the account's quota; missing if the quota is unknown"),
    count("empty", "profiles among them that hold no role"),
    count("role_unread", "profiles among them whose role was not collected, so that they may be empty"),
    count("guessed", "roles and profiles among them whose maker is a guess: only one of the two names fits"),
)

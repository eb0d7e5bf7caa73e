"""Quota use: how many roles and profiles each tool, cluster, stack and owner has, per account."""

from __future__ import annotations

import numpy as np
import pandas as pd

from iamframe.checks.owner import OWNER_TAG, owners
from iamframe.checks.result import Result
from iamframe.errors import require
from iamframe.inventory import schema
from iamframe.inventory.arrow import index_in, is_in, lookup
from iamframe.inventory.inventory import Inventory
from iamframe.inventory.views import owned_profiles, pairs
from iamframe.knowledge.makers import GUESS

# Columns of the key, and their columns in `owned_profiles`.
_OWNER = {
    name: name.replace("owner_status", "status")
    for name in ("owner_type", "owner_name", "owner_region", "owner_status")
}
_KEY = ["account_id", "maker", *_OWNER, "state", "owner"]
_COUNTS = ["roles", "profiles", "empty", "role_unread", "guessed"]


@schema.shows(schema.QUOTA_USE)
def quota_use(inventory: Inventory | Result, tag_key: str = OWNER_TAG) -> pd.DataFrame:
    """Return how many roles and instance profiles each tool, cluster and team has, and their share of the quotas.

    The tool is the `maker` in the view `pairs`. It is missing for roles that are in no profile and do not trust EC2.
    The cluster, environment or stack of a profile comes from the view `owned_profiles`. If all profiles of a role have
    the same one, it counts for the role, too. The owner is the value of the owner tag. A profile without an owner tag
    has the owner of its role. Roles that AWS manages have separate rows, because no source says whether they count
    against the quota. If GetAccountSummary counts more resources than were collected, a row with the state
    `not_collected` has the difference.

    Rows are sorted by account. In each account, rows with the largest share of a quota come first. No request is made
    to AWS.
    """
    require("quota_use", inventory, Inventory, Result, instead="what `iamframe.load` or `iamframe.run_checks` gives")
    read = inventory if isinstance(inventory, Inventory) else inventory.inventory
    view = pairs(read) if isinstance(inventory, Inventory) else inventory.pairs
    each = pd.concat([_resources(read, view, tag_key), _not_collected(read)], ignore_index=True)
    used = each.groupby(_KEY, dropna=False, sort=False)[_COUNTS].sum().reset_index()
    accounts = read.accounts.set_index("account_id").reindex(used["account_id"]).reset_index(drop=True)
    shares = {
        f"{side}_share": used[f"{side}s"].astype("float64")
        / accounts[f"{side}_quota"].replace(0, pd.NA).astype("float64")
        for side in ("role", "profile")
    }
    shares["role_share"] = shares["role_share"].where(used["state"] != "aws")
    used = used.assign(account_name=accounts["account_name"], **shares)
    most = pd.concat(list(shares.values()), axis=1).max(axis=1).fillna(0)
    keyed = used.assign(most=-most, number=-used["roles"] - used["profiles"])
    order = keyed.sort_values(["account_id", "most", "number", *_KEY[1:]], kind="stable").index
    return schema.QUOTA_USE.conform(used.loc[order])


def _resources(inventory: Inventory, view: pd.DataFrame, tag_key: str) -> pd.DataFrame:
    """Return one row per role and profile, with its maker, owner and state."""
    # A link comes before profiles and roles without a link, and a sure maker before a guess.
    sure = view.assign(rank=(view["maker_basis"] == GUESS) + 2 * view["maker"].isna()).sort_values(
        "rank", kind="stable"
    )
    sides = []
    for side, frame in (("role", inventory.roles), ("profile", inventory.profiles)):
        where = index_in(frame[f"{side}_arn"], sure[f"{side}_arn"])
        columns = {
            "account_id": frame["account_id"],
            "resource_arn": frame[f"{side}_arn"],
            "related_arn": pd.Series(None, frame.index, dtype="str"),
            "maker": lookup(sure["maker"], where).to_pandas().array,
            "guessed": (lookup(sure["maker_basis"], where).to_pandas() == GUESS).astype(int).to_numpy(),
            "roles": int(side == "role"),
            "profiles": int(side == "profile"),
            "aws": frame["is_aws_managed"] if side == "role" else False,
        }
        sides.append(pd.DataFrame(columns))
    profiles, linked = inventory.profiles, inventory.linked_rows
    is_linked = np.isin(np.arange(len(profiles)), linked.link_profile)
    for name, known in (("empty", True), ("role_unread", False)):
        of_profiles = ~is_linked & (profiles["role_known"].to_numpy(bool) == known)
        for frame, values in zip(sides, (0, of_profiles.astype(int)), strict=True):
            frame[name] = values
    each = pd.concat(sides, ignore_index=True)
    shown = _belongs_to(inventory)
    where = index_in(each["resource_arn"], shown["resource_arn"])
    each = each.assign(**{name: lookup(shown[name], where).to_pandas().array for name in _OWNER})
    owner, unread = owners(inventory, each, tag_key)
    each["owner"] = owner.to_pandas().array
    state = np.select([each["aws"].to_numpy(bool), each["owner"].notna(), unread], ["aws", "owned", "unread"], "none")
    return each.assign(state=state, owner=each["owner"].where(state == "owned"))[[*_KEY, *_COUNTS]]


def _belongs_to(inventory: Inventory) -> pd.DataFrame:
    """Return the cluster, environment or stack of each profile that has one, and of roles whose profiles all agree."""
    shown = owned_profiles(inventory).rename(columns={was: name for name, was in _OWNER.items()})
    shown = shown[["profile_arn", *_OWNER]]
    links = inventory.links[["role_arn", "profile_arn"]]
    links = links[is_in(links["role_arn"], links["role_arn"][is_in(links["profile_arn"], shown["profile_arn"])])]
    roles = links.merge(shown, on="profile_arn", how="left").drop(columns="profile_arn").drop_duplicates()
    roles = roles[~roles.duplicated("role_arn", keep=False)]
    sides = [shown.rename(columns={"profile_arn": "resource_arn"}), roles.rename(columns={"role_arn": "resource_arn"})]
    return pd.concat(sides, ignore_index=True)


def _not_collected(inventory: Inventory) -> pd.DataFrame:
    """Return one row per account in which roles or profiles were not collected, with their number."""
    accounts = inventory.accounts
    columns = {"account_id": accounts["account_id"], "state": "not_collected"}
    for side in ("role", "profile"):
        read = getattr(inventory, f"{side}s")["account_id"].value_counts().reindex(accounts["account_id"], fill_value=0)
        rest = accounts[f"{side}s_expected"].fillna(0).to_numpy(int) - read.to_numpy(int)
        columns[f"{side}s"] = np.maximum(rest, 0)
    rows = pd.DataFrame(columns).reindex(columns=[*_KEY, *_COUNTS]).fillna(dict.fromkeys(_COUNTS, 0))
    return rows[(rows["roles"] > 0) | (rows["profiles"] > 0)].astype(dict.fromkeys(_COUNTS, int))

"""Count findings by owner, and count roles and profiles by tool, owner, and cluster or stack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from iamframe.checks.owner import OWNER_TAG, owners
from iamframe.checks.result import Result
from iamframe.errors import require
from iamframe.inventory import schema
from iamframe.inventory.arrow import index_in, is_in, lookup
from iamframe.inventory.inventory import Inventory
from iamframe.inventory.views import owned_profiles, pairs
from iamframe.knowledge.makers import GUESS
from iamframe.messages.text import SEVERITIES

STATES = ("owned", "none", "unread", "account")
_OF_ACCOUNTS = ("account", "tag key")
_OWNER = ["owner_type", "owner_name", "owner_region", "owner_status"]
_KEY = ["account_id", "maker", *_OWNER, "state", "owner"]
_COUNTS = ["roles", "profiles", "empty", "role_unread", "guessed"]


@schema.shows(schema.FINDINGS_BY_OWNER)
def findings_by_owner(result: Result, tag_key: str = OWNER_TAG) -> pd.DataFrame:
    """Return the number of findings per owner, by severity. Accepted findings are left out.

    The owner is the value of an owner tag. iamframe uses the tag of the finding's resource. If this resource has no
    owner tag, iamframe uses the tag of the finding's related resource. If that has none either, and the finding is
    about a profile, iamframe uses the tag of the profile's role. A tag key that differs from `tag_key` only in case,
    spaces or separators is an owner tag, too. If there are several owner tags, the key `tag_key` has priority. Owner
    tags with an empty value are ignored. No finding is counted twice.

    Owners with the most findings come first. The last rows (at most three) count the findings without a known owner. If
    the column `owner` is empty, the column `state` gives the reason. `findings_by_owner` reads only the result, not the
    account.
    """
    require("findings_by_owner", result, Result, instead="what `iamframe.run_checks` gives")
    findings = result.findings[result.findings["accepted"].isna()]
    if tag_key != result.owner_tag:
        owner, unread = owners(result.inventory, findings, tag_key)
        findings = findings.assign(owner=owner.to_pandas().array, owner_known=~unread)
    each = findings[["owner", "severity"]].assign(state=owner_states(findings))
    return schema.FINDINGS_BY_OWNER.conform(count_by_value(each, "owner", "state", STATES))


def owner_states(findings: pd.DataFrame) -> npt.NDArray[np.str_]:
    whole = findings["resource_type"].isin(_OF_ACCOUNTS)
    return np.select(
        [findings["owner"].notna(), whole, ~findings["owner_known"]], ["owned", "account", "unread"], "none"
    )


def joined_owners(one: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    if one.empty:
        return other
    keys = ["state", "owner"]
    counts = pd.concat([one, other]).groupby(keys, dropna=False)[list(SEVERITIES)].sum().reset_index()
    return schema.FINDINGS_BY_OWNER.conform(_by_number(counts, "owner", "state", STATES))


def count_by_value(rows: pd.DataFrame, value: str, state: str, states: Sequence[str]) -> pd.DataFrame:
    # Rows in the first state are counted by value, too.
    rows = rows.assign(**{value: rows[value].astype("str").fillna("").where(rows[state] == states[0], "")})
    counts = rows.groupby([state, value, "severity"]).size().unstack(fill_value=0)
    counts = counts.reindex(columns=list(SEVERITIES), fill_value=0).reset_index()
    return _by_number(counts.assign(**{value: counts[value].where(counts[state] == states[0])}), value, state, states)


def _by_number(counts: pd.DataFrame, value: str, state: str, states: Sequence[str]) -> pd.DataFrame:
    counts = counts.assign(findings=counts[list(SEVERITIES)].sum(axis=1), rank=counts[state].map(list(states).index))
    return counts.sort_values(["rank", "findings", value], ascending=[True, False, True])


@schema.shows(schema.QUOTA_USE)
def quota_use(inventory: Inventory | Result, tag_key: str = OWNER_TAG) -> pd.DataFrame:
    """Count roles and profiles by account, tool, owner, and cluster (or environment, or stack).

    The column `maker` is the tool that created the role or profile. Roles without a profile and without EC2 trust have
    no `maker`. The cluster, environment or stack of a profile comes from the view `owned_profiles`. A role belongs to
    a cluster, environment or stack if all its profiles belong to it. The owner is the value of the owner tag. A
    profile without an owner tag has the owner of its role. AWS-managed roles have separate rows, and count against the
    role quota. Source: IAM User Guide, "Create a service-linked role"; IAM Identity Center User Guide, "IAM roles
    created by IAM Identity Center". Rows with the state `not_collected` count the roles and profiles that
    GetAccountSummary counts, but that were not collected. If GetAccountSummary was not collected, no row has the state
    `not_collected`, even if a list is incomplete.

    Rows are sorted by account. In each account, rows with the largest share of a quota come first. `quota_use` reads
    only the inventory, not the account.
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
    used = used.assign(account_name=accounts["account_name"], **shares)
    most = pd.concat(list(shares.values()), axis=1).max(axis=1).fillna(0)
    keyed = used.assign(most=-most, number=-used["roles"] - used["profiles"])
    order = keyed.sort_values(["account_id", "most", "number", *_KEY[1:]], kind="stable").index
    return schema.QUOTA_USE.conform(used.loc[order])


def resources_by_owner(result: Result) -> Counter[str]:
    counts: Counter[str] = Counter()
    for part in result.parts():
        read = part.inventory
        arns = pd.concat([read.roles["role_arn"], read.profiles["profile_arn"]], ignore_index=True)
        resources = pd.DataFrame({"resource_arn": arns, "related_arn": pd.Series(None, arns.index, dtype="str")})
        counts.update(owners(read, resources, result.owner_tag)[0].drop_null().to_pylist())
    return counts


def _resources(inventory: Inventory, view: pd.DataFrame, tag_key: str) -> pd.DataFrame:
    # A link comes before profiles and roles without a link, and a sure maker before a guess.
    rank = (view["maker_basis"] == GUESS) + 2 * view["maker"].isna()
    sure = view.assign(rank=rank).sort_values("rank", kind="stable")
    profiles = inventory.profiles
    without_role = ~np.isin(np.arange(len(profiles)), inventory.linked_rows.link_profile)
    known = profiles["role_known"].to_numpy(bool)
    role_counts = {"roles": 1, "aws": inventory.roles["is_aws_managed"]}
    profile_counts = {
        "profiles": 1,
        "empty": (without_role & known).astype(int),
        "role_unread": (without_role & ~known).astype(int),
    }
    sides = []
    for side, frame, counts in (("role", inventory.roles, role_counts), ("profile", profiles, profile_counts)):
        where = index_in(frame[f"{side}_arn"], sure[f"{side}_arn"])
        columns = {
            "account_id": frame["account_id"],
            "resource_arn": frame[f"{side}_arn"],
            "related_arn": pd.Series(None, frame.index, dtype="str"),
            "maker": lookup(sure["maker"], where).to_pandas().array,
            "aws": False,
            **dict.fromkeys(_COUNTS, 0),
            "guessed": (lookup(sure["maker_basis"], where).to_pandas() == GUESS).astype(int).to_numpy(),
            **counts,
        }
        sides.append(pd.DataFrame(columns))
    each = pd.concat(sides, ignore_index=True)
    shown = _clusters_and_stacks(inventory)
    where = index_in(each["resource_arn"], shown["resource_arn"])
    each = each.assign(**{name: lookup(shown[name], where).to_pandas().array for name in _OWNER})
    owner, unread = owners(inventory, each, tag_key)
    each["owner"] = owner.to_pandas().array
    state = np.select([each["aws"].to_numpy(bool), each["owner"].notna(), unread], ["aws", "owned", "unread"], "none")
    return each.assign(state=state, owner=each["owner"].where(state == "owned"))[[*_KEY, *_COUNTS]]


def _clusters_and_stacks(inventory: Inventory) -> pd.DataFrame:
    shown = owned_profiles(inventory).rename(columns={"status": "owner_status"})[["profile_arn", *_OWNER]]
    links = inventory.links[["role_arn", "profile_arn"]]
    links = links[is_in(links["role_arn"], links["role_arn"][is_in(links["profile_arn"], shown["profile_arn"])])]
    roles = links.merge(shown, on="profile_arn", how="left").drop(columns="profile_arn").drop_duplicates()
    roles = roles[~roles.duplicated("role_arn", keep=False)]
    sides = [shown.rename(columns={"profile_arn": "resource_arn"}), roles.rename(columns={"role_arn": "resource_arn"})]
    return pd.concat(sides, ignore_index=True)


def _not_collected(inventory: Inventory) -> pd.DataFrame:
    accounts = inventory.accounts
    columns = {"account_id": accounts["account_id"], "state": "not_collected"}
    for side in ("role", "profile"):
        read = getattr(inventory, f"{side}s")["account_id"].value_counts().reindex(accounts["account_id"], fill_value=0)
        rest = accounts[f"{side}s_expected"].fillna(0).to_numpy(int) - read.to_numpy(int)
        columns[f"{side}s"] = np.maximum(rest, 0)
    rows = pd.DataFrame(columns).reindex(columns=[*_KEY, *_COUNTS]).fillna(dict.fromkeys(_COUNTS, 0))
    return rows[(rows["roles"] > 0) | (rows["profiles"] > 0)].astype(dict.fromkeys(_COUNTS, int))

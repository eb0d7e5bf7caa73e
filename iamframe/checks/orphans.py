"""Profiles and roles that have lost their other half, and accounts that run full of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.checks import coverage as needs
from iamframe.checks.findings import command, filters, found
from iamframe.checks.registry import check
from iamframe.inventory.arrow import as_arrow, concat, index_in, is_in, join_by_group, joined_key, lookup
from iamframe.inventory.linking import account_named, profile_ids, without_path

_CONSUMERS = ("instance", "association", "launch-template", "launch-configuration")


@check(severity="medium", needs=[needs.all_profiles], about="profile", alone=True, remedy="delete")
def empty_profiles(pairs: pd.DataFrame) -> pd.DataFrame:
    """Instance profiles that hold no role.

    Such a profile gives an instance no credentials and cannot start one; it counts against the quota, and the IAM
    console does not show it. They are left behind where a role was deleted or a deployment stopped half-way. AWS
    refuses to delete a profile that holds a role, so the command does nothing to one that is no longer empty. A profile
    that is minutes old may be about to get its role.
    """
    empty = pairs[pairs["role_arn"].isna() & pairs["role_known"]]
    return found(
        empty,
        "profile_arn",
        None,
        "holds no role",
        maker=empty["maker"],
        maker_basis=empty["maker_basis"],
        next_step=command("iam delete-instance-profile", "instance-profile-name", empty["profile_name"]),
    )


@check(
    severity="medium", needs=[needs.all_profiles, needs.references], certainty="maybe", about="profile", remedy="delete"
)
def unreferenced_profiles(pairs: pd.DataFrame, references: pd.DataFrame, lists: pd.DataFrame) -> pd.DataFrame:
    """Profiles with a role that nothing in the scanned scope refers to.

    The scope is what the detail names: nobody can see what Karpenter, Terraform or a script will name next, so such a
    profile is not called unused. The command asks EC2 in one region; ask in each that you use, then read the role's
    last use, before you remove anything.
    """
    readable = lists[lists["references_status"] != "unknown"]
    candidates = pairs[pairs["relation"].notna() & is_in(pairs["account_id"], readable["account_id"])]
    silent = candidates[~is_in(candidates["profile_arn"], references["profile_arn"])]
    where = index_in(silent["account_id"], readable["account_id"])
    reads_all = lookup(readable["references_status"], where)
    return found(
        silent,
        "profile_arn",
        "role_arn",
        concat(
            "no instance, launch template, launch configuration or group that was read names it: ",
            pc.if_else(
                pc.equal(reads_all, "complete"),
                "all enabled regions were read",
                lookup(readable["references_reason"], where),
            ),
        ),
        certainty=pc.if_else(pc.equal(reads_all, "complete"), "in scope", "maybe"),
        maker=silent["maker"],
        maker_basis=silent["maker_basis"],
        next_step=command(
            "ec2 describe-instances",
            "filters",
            filters("iam-instance-profile.arn", silent["profile_arn"]),
        ),
    )


@check(severity="high", needs=[needs.any_references], about="profile")
def stale_references(references: pd.DataFrame, profiles: pd.DataFrame, lists: pd.DataFrame) -> pd.DataFrame:
    """Instances and templates that name a profile which is gone, or was recreated under another id.

    An instance keeps the id of the profile that it was started with: after the profile was deleted and made anew under
    the same name, the instance has no credentials until it is associated again (IAM User Guide, "Troubleshoot IAM and
    Amazon EC2"). A template that names a profile which is gone starts nothing. So does one whose ARN has another path
    than the profile of that name.
    """
    direct = _direct(references)
    # An ARN names its account.
    whose = pc.coalesce(account_named(direct["named"]), as_arrow(direct["account_id"]))
    gone = np.asarray(direct["profile_arn"].isna()) & is_in(whose, lists["account_id"][lists["profiles_whole"]])
    # Masked ids, and those of associations, tell nothing.
    held = profile_ids(direct["profile_id"])
    now = profile_ids(lookup(profiles["profile_id"], index_in(direct["profile_arn"], profiles["profile_arn"])))
    recreated = np.asarray(pc.fill_null(pc.not_equal(held, now), False))
    where = np.flatnonzero(gone | recreated)
    stale = direct.iloc[where].reset_index(drop=True)
    rows = found(
        stale.assign(arn=stale["consumer_arn"].fillna(stale["consumer_id"])),
        "arn",
        "profile_arn",
        _stale_detail(stale, profiles, now.take(pa.array(where)), pa.array(recreated[where])),
        account_id=stale["account_id"],
        resource_type=stale["consumer_type"],
        resource_name=stale["consumer_name"].fillna(stale["consumer_id"]),
        next_step=_stale_step(stale),
    )
    return _one_per_profile(rows)


def _direct(references: pd.DataFrame) -> pd.DataFrame:
    """Return the references of instances and templates; an association counts where its instance was not read."""
    direct = references[is_in(references["consumer_type"], pa.array(_CONSUMERS))]
    seen = direct[direct["consumer_type"] == "instance"]
    return direct[~((direct["consumer_type"] == "association") & is_in(direct["consumer_name"], seen["consumer_id"]))]


def _stale_detail(stale: pd.DataFrame, profiles: pd.DataFrame, now: pa.Array, recreated: pa.Array) -> pa.Array:
    """Return what is wrong with each reference; `now` is the id that its profile has today."""
    # An ARN that has another path than the profile of its name means that profile no more than any other.
    namesake = index_in(without_path(stale["named"]), without_path(profiles["profile_arn"]))
    names = concat("names the profile ", as_arrow(stale["named"]))
    missing = concat(names, ", which does not exist")
    started = concat(
        "was started with the profile id ", as_arrow(stale["profile_id"]), "; ", as_arrow(stale["profile_name"])
    )
    detail = pc.case_when(
        pc.make_struct(recreated, pa.array(namesake >= 0)),
        concat(started, " has since been made anew, with the id ", now),
        concat(missing, ": the profile of that name has the path ", lookup(profiles["profile_path"], namesake)),
        missing,
    )
    return pc.fill_null(detail, names)


def _stale_step(stale: pd.DataFrame) -> pa.Array:
    """Return the command that shows each consumer of a stale profile."""
    kind = as_arrow(stale["consumer_type"])
    instance = pc.if_else(
        pc.equal(kind, "association"), as_arrow(stale["consumer_name"]), as_arrow(stale["consumer_id"])
    )
    of_instance = filters("instance-id", instance)
    name, region = stale["consumer_id"], ("region", stale["region"])
    template = command("ec2 describe-launch-template-versions", "launch-template-id", name, *region)
    step = pc.case_when(
        pc.make_struct(
            pc.is_in(kind, value_set=pa.array(["instance", "association"])), pc.equal(kind, "launch-template")
        ),
        command("ec2 describe-iam-instance-profile-associations", "filters", of_instance, *region),
        concat(template, ' --versions=\'["$Default","$Latest"]\''),
        command("autoscaling describe-launch-configurations", "launch-configuration-names", name, *region),
    )
    return pc.replace_substring(step, " --region=unknown", "")


def _one_per_profile(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row per consumer and profile, with the details of all versions of a template."""
    keys = ["account_id", "resource_arn", "related_arn"]
    if not rows.duplicated(keys).any():
        return rows
    together = dict.fromkeys(rows.columns, "first") | {"detail": lambda details: "; ".join(dict.fromkeys(details))}
    return rows.groupby(keys, dropna=False, sort=False, as_index=False).agg(
        {name: how for name, how in together.items() if name not in keys}
    )


@check(severity="low", needs=[needs.all_roles, needs.own_profiles, needs.trust], about="role")
def ec2_roles_without_profile(pairs: pd.DataFrame) -> pd.DataFrame:
    """Roles that trust EC2 and sit in no profile.

    EC2 can take a role only from a profile, so such a role was made for instances and is used by none. The IAM console
    makes the profile along with the role; APIs and templates do not.
    """
    alone = pairs[pairs["profile_arn"].isna() & (pairs["trusts_ec2"] == "yes")]
    return found(
        alone,
        "role_arn",
        None,
        "trusts EC2 and is in no instance profile",
        maker=alone["maker"],
        maker_basis=alone["maker_basis"],
        next_step=command("iam list-instance-profiles-for-role", "role-name", alone["role_name"]),
    )


@check(severity="low", needs=[needs.links], about="link")
def roles_in_many_profiles(pairs: pd.DataFrame) -> pd.DataFrame:
    """Roles in more than one profile.

    A profile holds one role, but a role may be in many profiles: what is changed on the role then changes for all of
    them, and which one an instance was given no longer tells what it was meant for.
    """
    links = pairs[["account_id", "role_arn", "role_name", "profile_name"]][pairs["relation"].notna()]
    # A role that no source shows is known by its name alone, and is another one in each account.
    key = joined_key(links["account_id"], links["role_arn"])
    codes = np.asarray(key.dictionary_encode().indices)
    rows = np.flatnonzero(np.bincount(codes)[codes] > 1) if len(codes) else codes
    each = pa.table({"key": key, "name": as_arrow(links["profile_name"])}).take(pa.array(rows))
    rows = rows[np.asarray(pc.sort_indices(each, [("key", "ascending"), ("name", "ascending")]))]
    starts = np.diff(codes[rows], prepend=-1) != 0
    many = links.iloc[rows[starts]]
    size = np.diff(np.flatnonzero(starts), append=len(rows))
    held = join_by_group(np.cumsum(starts) - 1, as_arrow(links["profile_name"].iloc[rows]), len(many), ", ")
    return found(
        many,
        "role_arn",
        None,
        concat("is in ", pa.array(size).cast(pa.string()), " profiles: ", held),
        account_id=many["account_id"],
        resource_name=many["role_name"],
        resource_type="role",
        next_step=command("iam list-instance-profiles-for-role", "role-name", many["role_name"]),
    )


@check(severity="high", needs=[needs.quotas], about="account")
def quota_pressure(accounts: pd.DataFrame, *, threshold: float = 0.8) -> pd.DataFrame:
    """Accounts at 80 % or more of their roles or profiles.

    At the quota the next deployment fails with LimitExceeded; EKS and Karpenter, which make a profile per node group or
    node class, are often the first to meet it.
    """
    details = []
    for what, held, quota in (
        ("roles", "roles_expected", "role_quota"),
        ("instance profiles", "profiles_expected", "profile_quota"),
    ):
        used = accounts[held] / accounts[quota].where(accounts[quota] > 0)
        over = (used >= threshold).fillna(value=False).to_numpy(bool)
        texts_of = [
            f"{h:,} of {q:,} {what} ({100 * h / q:.0f} %)" if o else ""
            for h, q, o in zip(accounts[held], accounts[quota], over, strict=True)
        ]
        details.append(texts_of)
    detail = pd.Series([", ".join(filter(None, both)) for both in zip(*details, strict=True)], dtype="str")
    full = accounts.assign(detail=detail.to_numpy())[(detail != "").to_numpy()]
    partition = full["partition"].fillna("aws")
    return found(
        full.assign(arn="arn:" + partition + ":iam::" + full["account_id"] + ":root"),
        "arn",
        None,
        full["detail"],
        account_id=full["account_id"],
        resource_type="account",
        resource_name=full["account_name"],
        next_step="aws iam get-account-summary",
    )

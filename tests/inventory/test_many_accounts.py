"""Many accounts at once: what is said of each is what is said of it alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from builders import dump, identity, nested_role, profile, profile_list, role_detail, tag_list, write

from iamframe import Inventory, load_files
from iamframe.inventory import schema

SUMMARY = {"SummaryMap": {"Roles": 3, "RolesQuota": 1000, "InstanceProfiles": 2, "InstanceProfilesQuota": 1000}}


def documents(number: int) -> dict[str, Any]:
    """The files of one account; each number lacks, or contradicts, something else."""
    account = f"{number:012d}"
    held = nested_role("app", account=account)
    app = profile("app", held, account=account)
    bare = {key: value for key, value in app.items() if key != "Roles"}
    all_of = {
        "dump.json": dump(
            role_detail("app", [bare], {"Owner": "x"}, account=account), role_detail("job", account=account)
        ),
        "profiles.json": profile_list(app, profile("empty", account=account)),
        "instance-profile-tags/app.json": {"Tags": tag_list({"Owner": "x"})},
        "instance-profile-tags/gone.json": {"Tags": []},
        "identity.json": identity(account),
        "summary.json": SUMMARY,
        "us-east-1/describe-instances.json": {"Reservations": []},
        "us-east-1/describe-launch-template-versions.json": {"LaunchTemplateVersions": []},
        "denied.csv": "operation,subject,error_code\n"
        "ListInstanceProfileTags,empty,AccessDenied\nGetRole,job,NoSuchEntity\n",
    }
    lacking = [
        (),
        ("dump.json",),
        ("profiles.json",),
        ("dump.json", "profiles.json", "denied.csv"),
        ("instance-profile-tags/app.json", "denied.csv"),
        ("identity.json", "summary.json"),
        ("us-east-1/describe-instances.json", "us-east-1/describe-launch-template-versions.json"),
    ]
    kept = {name: one for name, one in all_of.items() if name not in lacking[number % len(lacking)]}
    if number % 4 == 1:
        # Without a profile's role, and a listing that shows a role without its profiles.
        kept["more.json"] = profile_list(
            {k: v for k, v in profile("loose", account=account).items() if k != "Roles"}, IsTruncated=True
        )
        kept["roles.json"] = {"Roles": [nested_role("late", account=account)]}
    if number % 5 == 2:
        kept["other.json"] = profile_list(profile("app", nested_role("job", account=account), account=account))
    if number % 5 == 3:
        kept["broken.json"] = "{"
    return kept


def frames_of(inventory: Inventory) -> dict[str, pd.DataFrame]:
    # What was named as the source differs.
    return inventory.frames | {"accounts": inventory.accounts.drop(columns="source")}


def test_what_is_said_of_each_of_many_accounts_is_what_is_said_of_it_alone(tmp_path: Path) -> None:
    folders = [write(tmp_path / "all" / f"{number:012d}", documents(number)) for number in range(1, 29)]
    together = frames_of(load_files(tmp_path / "all"))
    alone = [frames_of(load_files(folder)) for folder in folders]
    assert set(together["gaps"]["reason"]) == {
        "not_in_file",
        "truncated",
        "contradicted",
        "denied",
        "unreadable",
        "vanished",
    }
    for name, frame in together.items():
        key = list(schema.FRAMES[name].key)
        each = pd.concat([frames[name] for frames in alone]).sort_values(key, ignore_index=True)
        pd.testing.assert_frame_equal(frame.sort_values(key, ignore_index=True), each, obj=name)

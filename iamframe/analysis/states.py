"""Read Terraform states: the roles and profiles that they manage, their tags, and problems of reading."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from msgspec import UNSET

from iamframe.errors import SourceError
from iamframe.inventory.load import sample_folder
from iamframe.knowledge.arn import PROFILE_TYPE, ROLE_TYPE, account_of, name_of, path_of
from iamframe.knowledge.operations import UNKNOWN_ACCOUNT
from iamframe.messages.render import Message
from iamframe.sources.archives import display_path
from iamframe.sources.files import read_files
from iamframe.sources.records import Gap
from iamframe.sources.terraform import Leaving, ManagedProfile, ManagedRole

# The Terraform state of the fictional sample, as a STATE.
SAMPLE_STATE = "sample:terraform"
_TEXTS = "account_id resource_type resource_name resource_arn path id role state_file state_address"
_COLUMNS = dict.fromkeys(_TEXTS.split(), "str") | dict.fromkeys(("role_known", "tags_known"), "bool")
_TAG = {"row": "int64", "tag_key": "str", "tag_value": "str"}


@dataclass(frozen=True)
class States:
    """The resources that Terraform manages.

    Attributes
    ----------
    managed : DataFrame
        One row per Terraform address of a role or profile. `resource_arn` is missing if a plan will create the
        resource.
    tags : DataFrame
        The tags in the states. The column `row` is the row number in `managed`.
    leaving : list of str
        ARNs of the resources that a plan will delete. They are managed until the plan is applied.
    unread : list of (file, message)
        The problems that occurred while reading the states.
    """

    managed: pd.DataFrame
    tags: pd.DataFrame
    leaving: list[str]
    unread: list[tuple[str, Message]]

    @property
    def about(self) -> pd.Series:
        """The accounts in which the states manage resources."""
        accounts = self.managed["account_id"][self.managed["resource_arn"].notna()]
        return accounts[accounts != UNKNOWN_ACCOUNT].drop_duplicates()


def read_states(states: Iterable[str | os.PathLike[str]]) -> States:
    """Read Terraform states and plans.

    Raises
    ------
    SourceError
        If no state is given, a path does not exist, or there is no Terraform state in the paths.
    """
    named = {display_path(one): one for one in states}
    if not named:
        raise SourceError("no Terraform state given; give a state file, or the output of `terraform show -json`")
    folder = str(sample_folder("sample-terraform")) if SAMPLE_STATE in named else None
    rows: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    tags: dict[str, list[Any]] = {name: [] for name in _TAG}
    leaving: list[str] = []
    gaps: list[Gap] = []
    is_terraform = False
    for answer in read_files([folder if name == SAMPLE_STATE else path for name, path in named.items()]):
        is_terraform |= answer.operation.startswith("terraform:")
        file = answer.origin
        if folder and answer.source == display_path(folder):
            file = f"{SAMPLE_STATE}/{name_of(file)}"
        # The account of a file is known only after the file was read.
        for record in [record for chunk in answer for record in chunk]:
            match record:
                case ManagedRole() | ManagedProfile():
                    _add(rows, tags, record, file, answer.account_id or UNKNOWN_ACCOUNT)
                case Leaving():
                    leaving.append(record.managed_arn)
                case Gap():
                    gaps.append(record)
    # A plan whose resources have no ARN yet has no account. That is not a problem of the plan.
    unread = [gap for gap in gaps if not gap.message.startswith("gaps.answer.")]
    if not is_terraform:
        raise SourceError(
            f"{', '.join(named)}: holds no Terraform state; give a state file (version 4), or the output of "
            "`terraform show -json`"
        )
    said: list[tuple[str, Message]] = [(gap.subject, {"message": gap.message, **gap.facts}) for gap in unread]
    return States(pd.DataFrame(rows).astype(_COLUMNS), pd.DataFrame(tags).astype(_TAG), leaving, said)


def _add(
    rows: Mapping[str, list[Any]],
    tags: Mapping[str, list[Any]],
    one: ManagedRole | ManagedProfile,
    file: str,
    account: str,
) -> None:
    """Add a managed resource and its tags. A resource without an ARN gets the account of the file."""
    kind = "role" if isinstance(one, ManagedRole) else "profile"
    arn, name, path, id_ = (getattr(one, f"{kind}_{of}") for of in ("arn", "name", "path", "id"))
    is_planned = arn.startswith("address:")
    held = one.roles if isinstance(one, ManagedProfile) else UNSET
    row = {
        "account_id": account_of(arn) or account,
        "resource_type": ROLE_TYPE if kind == "role" else PROFILE_TYPE,
        "resource_name": name or (None if is_planned else name_of(arn)),
        "resource_arn": None if is_planned else arn,
        "path": path or path_of(arn),
        "id": id_,
        "role": held[0].role_arn.removeprefix("name:") if held else None,
        "role_known": held is not UNSET,
        "tags_known": one.tags is not UNSET,
        "state_file": file,
        "state_address": one.address,
    }
    own: dict[str, str] = {tag.key: tag.value for tag in one.tags} if one.tags is not UNSET else {}
    tags["row"].extend([len(rows["id"])] * len(own))
    tags["tag_key"].extend(own)
    tags["tag_value"].extend(own.values())
    for column, value in row.items():
        rows[column].append(value)

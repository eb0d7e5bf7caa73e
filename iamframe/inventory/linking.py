"""Find the instance profile that each reference points to.

iamframe first looks for a profile with the ARN in the reference, then for a profile with the unique id in the
reference. If the reference has no ARN, iamframe also looks for a profile with the name in the reference. Profile names
are unique in an account, regardless of case and path. Source: IAM User Guide, "IAM and AWS STS quotas". AWS does not
document whether case matters in the profile ARN that a resource names. iamframe ignores case when it looks for this
profile. A case-sensitive comparison could report a referenced profile as unreferenced.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.inventory.arrow import Bools, Positions, as_arrow, index_in, is_in, joined_key, lookup, on_two_cores
from iamframe.inventory.schema import REFERENCES
from iamframe.knowledge.arn import PROFILE_TYPE, ROLE_TYPE, name_of, partition_of
from iamframe.knowledge.operations import UNKNOWN_ACCOUNT, UNKNOWN_REGION
from iamframe.sources.records import Reference

_ARN_OF_EC2 = ("instance", "launch-template")
# Unique ids of profiles (IAM User Guide, "IAM identifiers"; API Reference, idType: 16 characters at least). moto and
# LocalStack show the id of an association instead, which identifies no profile.
_PROFILE_ID = "^AIPA[A-Z0-9]{12,124}$"


class LinkedRows:
    """The row numbers of the roles and profiles to which links, tags and references belong.

    A link belongs to a role and to a profile, a tag to one of them, and a reference to a profile. If only a role's name
    is known, its row number is -1.
    """

    def __init__(self, frames: Mapping[str, pd.DataFrame]) -> None:
        self._frames = frames
        roles, profiles = on_two_cores(
            len(frames["tags"]), *(partial(self._find, side) for side in ("role", "profile"))
        )
        self.link_role, self.tag_role, _ = roles
        self.link_profile, self.tag_profile, self.reference_profile = profiles

    def _find(self, side: str) -> list[Positions]:
        links, tags, references = (self._frames[name] for name in ("links", "tags", "references"))
        is_own = np.asarray((tags["resource_type"] == "role") == (side == "role"), dtype=bool)
        # References have no roles.
        used = references["profile_arn"] if side == "profile" else references["profile_arn"][:0]
        linked, tagged = as_arrow(links[f"{side}_arn"]), as_arrow(tags["resource_arn"])
        # One search takes half as long as a search for each column.
        arns = pa.concat_arrays([linked, tagged.filter(pa.array(is_own)), as_arrow(used)])
        where = index_in(arns, self._frames[f"{side}s"][f"{side}_arn"])
        of_links, of_own_tags, of_references = np.split(where, np.cumsum([len(links), is_own.sum()]))
        of_tags = np.full(len(tags), -1)
        of_tags[is_own] = of_own_tags
        return [of_links, of_tags, of_references]

    def numbered(self) -> dict[str, pd.DataFrame]:
        numbers = {
            "links": {"profile_row": self.link_profile, "role_row": self.link_role},
            "tags": {"profile_row": self.tag_profile, "role_row": self.tag_role},
            "references": {"profile_row": self.reference_profile},
        }
        return {name: frame.assign(**numbers.get(name, {})) for name, frame in self._frames.items()}


def frames_of(frames: Mapping[str, pd.DataFrame], arns: pa.Array) -> dict[str, pd.DataFrame]:
    links, references = frames["links"], frames["references"]
    linked = _are_linked_to(links, arns)
    arns = pa.concat_arrays([arns, *(as_arrow(links[f"{side}_arn"][linked]) for side in ("role", "profile"))])
    sides = {s: frames[f"{s}s"][is_in(frames[f"{s}s"][f"{s}_arn"], arns)] for s in ("role", "profile")}
    own = pa.concat_arrays([as_arrow(frame[f"{side}_arn"]) for side, frame in sides.items()])
    accounts = pc.unique(pa.concat_arrays([as_arrow(frame["account_id"]) for frame in sides.values()]))
    # An ARN with another path is included, because AWS may take it for the profile.
    near = is_in(without_path(references["named"]), without_path(sides["profile"]["profile_arn"]))
    chosen = {
        "roles": sides["role"],
        "profiles": sides["profile"],
        "links": links[linked],
        "tags": frames["tags"][is_in(frames["tags"]["resource_arn"], own)],
        "references": references[is_in(references["profile_arn"], own) | near],
        "events": _events_of(frames["events"], sides, links[linked]),
    }
    rest = {n: f[is_in(f["account_id"], accounts)] for n, f in frames.items() if n not in chosen}
    return {name: (chosen | rest)[name].reset_index(drop=True) for name in frames}


def _are_linked_to(links: pd.DataFrame, arns: pa.Array) -> Bools:
    # A role that no source shows is known only by its name, and is a different role in each account.
    role, profile = joined_key(links["account_id"], links["role_arn"]), as_arrow(links["profile_arn"])
    linked, before = is_in(links["role_arn"], arns) | is_in(profile, arns), -1
    while linked.sum() != before:
        before, mask = linked.sum(), pa.array(linked)
        linked = is_in(role, role.filter(mask)) | is_in(profile, profile.filter(mask))
    return linked


def _events_of(events: pd.DataFrame, sides: Mapping[str, pd.DataFrame], links: pd.DataFrame) -> pd.DataFrame:
    # An event may have neither an ARN nor an id, so names decide.
    kinds = {"role": ROLE_TYPE, "profile": PROFILE_TYPE}
    keys = [_event_key(frame["account_id"], kinds[side], frame[f"{side}_name"]) for side, frame in sides.items()]
    unseen = links[links["role_arn"].str.startswith("name:")]
    keys.append(_event_key(unseen["account_id"], ROLE_TYPE, unseen["role_arn"].str.removeprefix("name:")))
    own = _event_key(events["account_id"], events["resource_type"], events["resource_name"])
    related = _event_key(events["account_id"], ROLE_TYPE, events["related_name"])
    return events[is_in(own, pa.concat_arrays(keys)) | is_in(related, pa.concat_arrays(keys))]


def _event_key(accounts: pd.Series, kinds: pd.Series | str, names: pd.Series) -> pa.Array:
    types = pa.repeat(kinds, len(accounts)) if isinstance(kinds, str) else kinds
    # An event without a name belongs to no resource.
    return pc.if_else(as_arrow(names).is_null(), None, joined_key(accounts, types, without_case(names)))


def profile_ids(values: Any) -> pa.Array:
    ids = as_arrow(values)
    rest = pc.utf8_slice_codeunits(ids, 4)
    # A masked id repeats one character.
    masked = pc.equal(rest, pc.binary_repeat(pc.utf8_slice_codeunits(rest, 0, 1), pc.utf8_length(rest)))
    is_id = pc.and_(pc.match_substring_regex(ids, _PROFILE_ID), pc.invert(masked))
    return pc.if_else(is_id, ids, pa.scalar(None, pa.string()))


def account_named(named: Any) -> pa.Array:
    return pc.struct_field(pc.extract_regex(as_arrow(named), r"^arn:[^:]*:[^:]*:[^:]*:(?P<account>[^:]+):"), "account")


def without_case(values: Any) -> pa.Array:
    return pc.utf8_lower(as_arrow(values))


def without_path(arns: Any) -> pa.Array:
    form = r"(?s)^(?P<account>arn:[^:]*:iam::[^:]*:instance-profile/)(?:.*/)?(?P<name>[^/]+)$"
    found = pc.extract_regex(without_case(arns), form)
    return pc.binary_join_element_wise(pc.struct_field(found, "account"), pc.struct_field(found, "name"), "")


def profiles_meant(references: Any, profiles: Any) -> pa.Array:
    arns = as_arrow(profiles["profile_arn"])
    named = as_arrow(references["named"])
    # An ARN can refer to a profile in any account.
    where = index_in(without_case(named), without_case(arns)).copy()
    rest = np.flatnonzero(where < 0)
    if not len(rest) or not len(arns):
        return lookup(arns, where)
    # An instance keeps the id of its profile, even if a profile with the same name replaces it.
    by_id = profile_ids(lookup(references["profile_id"], rest))
    if by_id.null_count < len(by_id):
        where[rest] = _unique_index(by_id, as_arrow(profiles["profile_id"]))
    rest = rest[(where[rest] < 0) & np.asarray(account_named(lookup(named, rest)).is_null())]
    if len(rest):
        # A name always refers to a profile in the same account.
        wanted = joined_key(*(lookup(without_case(references[name]), rest) for name in ("account_id", "profile_name")))
        names = joined_key(*(without_case(profiles[name]) for name in ("account_id", "profile_name")))
        # If a planned and an existing profile share a name, the ARN of the existing one sorts last, so the search goes
        # backwards.
        last = len(arns) - 1
        place = index_in(wanted, names.take(pa.array(np.arange(last, -1, -1))))
        where[rest] = np.where(place < 0, -1, last - place)
    return lookup(arns, where)


def with_profiles(references: pa.Table, profiles: Any) -> pa.Table:
    missing = np.flatnonzero(references["profile_arn"].is_null())
    if not len(missing):
        return references
    meant = profiles_meant(references.take(pa.array(missing)), profiles)
    where = np.full(len(references), -1)
    where[missing] = np.arange(len(missing))
    arns = pc.coalesce(references["profile_arn"].combine_chunks(), lookup(meant, where))
    place = references.column_names.index("profile_arn")
    return references.set_column(place, references.schema.field(place), arns)


def reference_table(mentions: Iterable[Reference], accounts: Mapping[str, Mapping[str, Any]]) -> pa.Table:
    rows: dict[tuple[str, ...], Reference] = {}
    for mention in mentions:
        account, region = mention.account_id or UNKNOWN_ACCOUNT, mention.region or ""
        key = (account, region, mention.consumer_type, mention.consumer_id, mention.named)
        held = rows.setdefault(key, mention)
        if held is not mention and mention.consumer_version:
            versions = {*(held.consumer_version or "").split(), *mention.consumer_version.split()}
            held.consumer_version = " ".join(sorted(versions, key=lambda version: (len(version), version)))
    found = sorted(rows.items(), key=lambda item: item[0])
    # The function `with_profiles` fills in the column `profile_arn`.
    columns: dict[str, Any] = {
        name: [getattr(mention, name, None) for _, mention in found] for name in REFERENCES.names
    }
    columns["account_id"], columns["region"] = ([key[place] for key, _ in found] for place in (0, 1))
    columns["profile_name"] = [name_of(mention.named) for _, mention in found]
    columns["consumer_arn"] = [
        mention.consumer_arn or _consumer_arn(key[0], key[1], mention, accounts) for key, mention in found
    ]
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


def _consumer_arn(
    account: str, region: str, mention: Reference, accounts: Mapping[str, Mapping[str, Any]]
) -> str | None:
    if region == UNKNOWN_REGION or account == UNKNOWN_ACCOUNT or mention.consumer_type not in _ARN_OF_EC2:
        return None
    row = accounts.get(account, {})
    known = row.get("partition") or partition_of(row.get("caller_arn") or "")
    # The profile may belong to another account, in another partition.
    partition = known or partition_of(mention.named) or "aws"
    return f"arn:{partition}:ec2:{region}:{account}:{mention.consumer_type}/{mention.consumer_id}"


def _unique_index(ids: pa.Array, among: pa.Array) -> Any:
    where = index_in(ids, among)
    found = np.unique(where[where >= 0])
    counts = among.filter(pc.is_in(among, value_set=among.take(pa.array(found)))).value_counts()
    several = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    return np.where(np.asarray(pc.is_in(ids, value_set=several)), -1, where)

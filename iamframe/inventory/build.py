"""Build an inventory from responses of AWS."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.inventory import schema
from iamframe.inventory.arrow import memory_of_system
from iamframe.inventory.events import event_table
from iamframe.inventory.inventory import Inventory
from iamframe.inventory.linking import reference_table, with_profiles
from iamframe.inventory.merge import Merged, merge_links, merge_rows, merge_tags, parsed_times, rows_by_name
from iamframe.inventory.missing import judge_lists, note_absent
from iamframe.inventory.staging import PROFILE_KIND, ROLE_KIND, Staging
from iamframe.knowledge.arn import account_of, name_of, partition_of
from iamframe.knowledge.operations import ALL, GLOBAL, ROLE, TAG_POLICY, UNKNOWN_ACCOUNT
from iamframe.sources.records import Answer, Gap, TagDemand


def build_inventory(answers: Iterable[Answer], sources: Iterable[str] = ()) -> Inventory:
    """The order of the answers does not affect the order of the rows in each frame."""
    with without_collector(), memory_of_system():
        staged = Staging()
        for answer in answers:
            staged.read(answer)
        return _inventory(staged, tuple(sources))


def joined(inventories: Iterable[Inventory], sources: Iterable[str] = ()) -> Inventory:
    parts = list(inventories)
    tables = {}
    for name, frame in schema.FRAMES.items():
        each = [frame.to_arrow(part.frames[name]).cast(frame.arrow) for part in parts]
        tables[name] = pa.concat_tables([frame.arrow.empty_table(), *each]).sort_by(
            [(key, "ascending") for key in frame.key]
        )
    # A template may use a profile of another account, which can be found only now.
    tables["references"] = with_profiles(tables["references"], tables["profiles"])
    return Inventory(
        **{name: frame.from_arrow(tables[name]) for name, frame in schema.FRAMES.items()}, sources=tuple(sources)
    )


@contextmanager
def without_collector() -> Iterator[None]:
    # The garbage collector would find nothing to free.
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _inventory(staged: Staging, sources: tuple[str, ...]) -> Inventory:
    roles = merge_rows(staged, ROLE_KIND, staged.roles.table())
    profiles = merge_rows(staged, PROFILE_KIND, staged.profiles.table())
    links = merge_links(staged, roles, profiles)
    tags = merge_tags(staged, roles, profiles)
    _add_trust(staged, roles)
    profiles.put("account_id", profiles.accounts)
    judge_lists(staged, roles)
    judge_lists(staged, profiles)
    events = event_table(staged.events, roles.table, profiles.table)
    for merged, column in ((roles, "role_arn"), (profiles, "profile_arn")):
        deleted = _left_out(staged, events, merged)
        # IAM deletes no role that is in a profile, so the profile may hold another role now.
        emptied = links.filter(pc.is_in(links[column], value_set=deleted))["profile_arn"]
        profiles.set_known("role_known", pc.index_in(emptied, value_set=profiles.arns).to_pylist(), False)
        merged.table = _without(deleted, merged.table, column)
        links, tags = _without(deleted, links, column), _without(deleted, tags, "resource_arn")
    _add_accounts(staged, roles, profiles)
    _drop_contradicted_policies(staged)
    _drop_contradicted_numbers(staged)
    references = with_profiles(reference_table(staged.mentions, staged.accounts), profiles.table)
    for account in pc.unique(references["account_id"]).to_pylist():
        staged.account(account)
    note_absent(staged, roles, profiles)
    _give_gaps_accounts(staged)
    return Inventory(
        accounts=_accounts(staged, sources),
        roles=schema.ROLES.from_arrow(roles.table),
        profiles=schema.PROFILES.from_arrow(profiles.table),
        links=schema.LINKS.from_arrow(links),
        tags=schema.TAGS.from_arrow(tags),
        references=schema.REFERENCES.from_arrow(references),
        gaps=staged.gaps.frame(),
        calls=_calls(staged),
        events=schema.EVENTS.from_arrow(events),
        resource_owners=_once(schema.RESOURCE_OWNERS, staged.owners),
        tag_policies=_once(schema.TAG_POLICIES, (one for one in staged.demands if _is_in_force(staged, one))),
        sources=sources,
    )


def _left_out(staged: Staging, events: pa.Table, merged: Merged) -> pa.Array:
    """Return the ARNs of roles or profiles that were deleted after they were listed."""
    kind, arns = merged.kind, set[str]()
    # A live load leaves such resources out itself.
    refused = [gap for gap in staged.gaps if gap.reason == "vanished" and gap.message == "gaps.refused_earlier"]
    gone = {(str(gap.account_id), name_of(gap.subject).casefold()) for gap in refused if gap.operation in kind.single}
    if gone:
        known = rows_by_name(merged)
        arns = {merged.arns[known[key]].as_py() for key in gone & known.keys()}
    for arn in (outdated := _deleted_later(events, merged)):
        for operation in kind.lists:
            call = staged.calls.get((account_of(arn) or UNKNOWN_ACCOUNT, operation, GLOBAL))
            if call and call.state == "complete":
                call.state = "partial"
    for arn in arns | outdated:
        message = "gaps.outdated" if arn in outdated else "gaps.deleted"
        staged.gaps.about(arn, kind.single[0], "vanished", message)
    return pa.array(sorted(arns | outdated), pa.string())


def _deleted_later(events: pa.Table, merged: Merged) -> set[str]:
    deleting = pa.array(["DeleteRole", "DeleteInstanceProfile"])
    is_deletion = pc.and_(pc.is_in(events["event_name"], value_set=deleting), events["error_code"].is_null())
    deletions = events.select(["resource_arn", "resource_id"]).filter(is_deletion)
    if not len(deletions):
        return set()
    own = merged.table.select([merged.kind.key, merged.kind.key.replace("_arn", "_id")])
    # A resource that was created again has another id.
    both = (set(zip(*table.to_pydict().values(), strict=True)) for table in (own, deletions))
    return {arn for arn, _ in set.intersection(*both)}


def _without(arns: pa.Array, table: pa.Table, column: str) -> pa.Table:
    return table.filter(pc.invert(pc.is_in(table[column], value_set=arns))) if len(arns) else table


def _give_gaps_accounts(staged: Staging) -> None:
    if staged.gaps and not staged.accounts:
        staged.account(UNKNOWN_ACCOUNT)
    # A file that is named after an operation, and cannot be read, may be about any account.
    staged.gaps[:] = [
        msgspec.structs.replace(gap, account_id=account)
        for gap in staged.gaps
        for account in (staged.accounts if _may_be_of_any(gap) else [gap.account_id])
    ]


def _may_be_of_any(gap: Gap) -> bool:
    return gap.account_id == UNKNOWN_ACCOUNT and gap.operation != "file" and gap.message == "gaps.unreadable"


def _drop_contradicted_policies(staged: Staging) -> None:
    for account, answers in staged.tag_policies.items():
        (first, origin), *others = answers
        other = next((number for policy, number in others if _by_key(policy) != _by_key(first)), None)
        if other is None:
            continue
        origins = {"origin": staged.origins[origin], "other_origin": staged.origins[other]}
        facts = {"account_id": account} | origins
        message = "gaps.contradicted.tag_policy"
        staged.gaps.append(Gap(TAG_POLICY, ALL, "contradicted", message, facts, GLOBAL, account))
        staged.demands = [one for one in staged.demands if (one.account_id, one.source) != (account, TAG_POLICY)]
        for (owner, operation, _), call in staged.calls.items():
            if (owner, operation) == (account, TAG_POLICY):
                call.state = "refused"


def _drop_contradicted_numbers(staged: Staging) -> None:
    for (account, name), answers in staged.summaries.items():
        if len(answers) > 1:
            row = staged.accounts[account]
            row[name] = None
            root = f"arn:{row.get('partition') or 'aws'}:iam::{account}:root"
            values, origins = zip(*answers.items(), strict=True)
            staged.differ(root, name, "gaps.contradicted.cell", map(str, values[:2]), origins[:2], column=name)


def _by_key(policy: list[TagDemand]) -> dict[tuple[str, str], TagDemand]:
    return {(one.resource_type, one.tag_key): one for one in policy}


def _is_in_force(staged: Staging, demand: TagDemand) -> bool:
    # If DescribeEffectivePolicy was collected in full, records of ListRequiredTags do not count.
    call = staged.calls.get((str(demand.account_id), TAG_POLICY, GLOBAL))
    return demand.source == TAG_POLICY or call is None or call.state != "complete"


def _once(frame: schema.Frame, records: Iterable[Any]) -> pd.DataFrame:
    rows = {tuple(getattr(one, name) for name in frame.key): one for one in records}
    found = [rows[key] for key in sorted(rows, key=lambda key: [(part is None, part or "") for part in key])]
    return frame.conform({name: [getattr(one, name) for one in found] for name in frame.names})


def _add_trust(staged: Staging, roles: Merged) -> None:
    code = roles.table["trust"].combine_chunks()
    roles.put("account_id", roles.accounts)
    unreadable = roles.is_known("trust_unreadable") & np.asarray(code.is_null())
    some = roles.table.select(["account_id", "role_arn"]).filter(pa.array(unreadable))
    for account, arn in zip(*(column.to_pylist() for column in some.columns), strict=True):
        staged.gaps.add(account, ROLE, arn, "unreadable", "gaps.answer.no_policy", arn=arn)
    # The policy may be that of a deleted role.
    code = pc.if_else(pa.array(np.isin(np.arange(len(code)), list(roles.mixed))), None, code)
    path = pc.fill_null(roles.table["role_path"], "")
    managed = pc.or_(pc.starts_with(path, "/aws-service-role/"), pc.starts_with(path, "/aws-reserved/"))
    roles.put("trust_policy", staged.trusts.texts().take(code))
    roles.put("trusts_ec2", pc.fill_null(_trusts_ec2(staged, roles.arns, code), "unknown"))
    roles.put("trusted_services", staged.trusts.services().take(code))
    roles.put("is_aws_managed", managed)


def _trusts_ec2(staged: Staging, arns: pa.Array, code: pa.Array) -> pa.Array:
    answers = staged.trusts.ec2("").take(code)
    rest = arns.filter(pc.starts_with(arns, "arn:"))
    while len(rest):
        # A load has one partition, seldom two.
        partition = rest[0].as_py().split(":")[1]
        is_there = pc.starts_with(arns, f"arn:{partition}:")
        answers = pc.if_else(is_there, staged.trusts.ec2(partition).take(code), answers)
        others = pc.invert(pc.or_(pc.starts_with(rest, f"arn:{partition}:"), pc.equal(rest, f"arn:{partition}")))
        rest = rest.filter(others)
    return answers


def _add_accounts(staged: Staging, *resources: Merged) -> None:
    for merged in resources:
        accounts = merged.accounts.dictionary_encode()
        _, first = np.unique(np.asarray(accounts.indices), return_index=True)
        arns = merged.arns.take(pa.array(first)).to_pylist()
        for account, arn in zip(accounts.dictionary.to_pylist(), arns, strict=True):
            staged.account(account).setdefault("partition", partition_of(arn))


def _accounts(staged: Staging, sources: tuple[str, ...]) -> pd.DataFrame:
    rows = sorted(staged.accounts.items())
    columns: dict[str, Any] = {name: [row.get(name) for _, row in rows] for name in schema.ACCOUNTS.names}
    columns["account_id"] = [account for account, _ in rows]
    columns["partition"] = [row.get("partition") or partition_of(row.get("caller_arn") or "") for _, row in rows]
    columns["source"] = [" ".join(sorted(filter(None, row["sources"])) or sorted(sources)) for _, row in rows]
    columns["captured_at"] = _iso_times(max(row["captured_at"], default=None) for _, row in rows)
    return schema.ACCOUNTS.conform(columns)


def _calls(staged: Staging) -> pd.DataFrame:
    rows = [
        (*key, tally.requests, call.rows, tally.retries, tally.started_at, tally.ended_at, call.state)
        for key, call in sorted(staged.calls.items())
        for tally in [call.tally]
    ]
    columns: dict[str, Any] = {name: [row[at] for row in rows] for at, name in enumerate(schema.CALLS.names)}
    return schema.CALLS.conform(columns | {name: _iso_times(columns[name]) for name in ("started_at", "ended_at")})


def _iso_times(texts: Iterable[str | None]) -> pa.ChunkedArray:
    return parsed_times(pa.chunked_array([pa.array(list(texts), pa.string())]))[0]

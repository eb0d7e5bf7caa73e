"""Rows of all sources become one row per key: known beats unknown, and what contradicts itself is unknown."""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.inventory import schema
from iamframe.inventory.columns import Positions, is_in, position
from iamframe.inventory.events import event_table
from iamframe.inventory.gaps import note_absent, note_lacking_others, note_shorter_than_counted
from iamframe.inventory.inventory import Inventory, linked_to
from iamframe.inventory.staging import Book
from iamframe.knowledge.arn import account_of, name_of, partition_of
from iamframe.knowledge.operations import PROFILE_LIST, ROLE_LINKS, ROLE_LISTS, UNKNOWN_ACCOUNT, aws_command
from iamframe.sources.records import Answer, Mention, parsed_time


def build_inventory(answers: Iterable[Answer], sources: Iterable[str] = ()) -> Inventory:
    """Return the frames that answers of AWS, or files that stand for them, prove.

    Frames are sorted by their key, so that the order of the answers does not matter.
    """
    with _large_load():
        book = Book()
        for answer in answers:
            book.read(answer)
        return _Merging(book).inventory(tuple(sources))


def joined(inventories: Iterable[Inventory], sources: Iterable[str] = ()) -> Inventory:
    """Return the inventories of different accounts as one, its frames sorted by their keys."""
    parts = list(inventories)
    tables = {}
    for name, frame in schema.FRAMES.items():
        each = [pa.Table.from_pandas(p.frames[name], schema=frame.arrow, preserve_index=False) for p in parts]
        tables[name] = _sorted(pa.concat_tables([frame.arrow.empty_table(), *each]), list(frame.key))
    # What no account by itself could tell: a template may name a profile of another one.
    tables["references"] = linked_to(tables["profiles"], tables["references"])
    frames = {name: frame.from_arrow(tables[name]) for name, frame in schema.FRAMES.items()}
    return Inventory(**frames, sources=tuple(sources))


@contextmanager
def _large_load() -> Iterator[None]:
    """Hold the collector off, and let Arrow take memory from the system, while an inventory is built."""
    # Records come by the hundred thousand and none is cyclic: the collector would walk them all again and again.
    was_on = gc.isenabled()
    gc.disable()
    # Arrow's own pool gives memory back and takes it again chunk by chunk, at up to a third of the time.
    pool = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(pool)
        if was_on:
            gc.enable()


class _Merging:
    """The rows of a book, merged into frames; what they lack or contradict goes into its gaps."""

    def __init__(self, book: Book) -> None:
        self.book = book

    def inventory(self, sources: tuple[str, ...]) -> Inventory:
        role_rows, profile_rows = self.book.roles.table(), self.book.profiles.table()
        if pc.count_distinct(role_rows["role_arn"]).as_py() < len(role_rows):
            trust = self.book.trusts.unified(role_rows["trust"].combine_chunks())
            role_rows = role_rows.set_column(role_rows.column_names.index("trust"), "trust", trust)
        role_rows = self._timed(role_rows, "role_arn", ("created_at", "last_used_at"))
        profile_rows = self._timed(profile_rows, "profile_arn", ("created_at",))
        roles, clashes = merged(
            role_rows.drop_columns("record"),
            "role_arn",
            ("last_used_known", "trust_unreadable", "tags_known", "links_known"),
            {"last_used_at": ("last_used_region",)},
        )
        profiles, more = merged(profile_rows.drop_columns("record"), "profile_arn", ("role_known", "tags_known"))
        roles, profiles = _sorted(roles, ["role_arn"]), _sorted(profiles, ["profile_arn"])
        for clash in (*clashes, *more):
            self._contradicted(clash)
        links, roles, profiles = self._linked(role_rows, profile_rows, roles, profiles)
        tags, roles, profiles = self._tagged(role_rows, profile_rows, roles, profiles)
        roles = self._with_trust(roles)
        profiles = profiles.set_column(1, "account_id", pc.fill_null(profiles["account_id"], UNKNOWN_ACCOUNT))
        note_lacking_others(self.book, role_rows, "role_arn", ROLE_LISTS)
        note_lacking_others(self.book, profile_rows, "profile_arn", (PROFILE_LIST,))
        note_shorter_than_counted(self.book, roles, profiles)
        for name, table in (("role_arn", roles), ("profile_arn", profiles)):
            accounts = table["account_id"].combine_chunks().dictionary_encode()
            firsts = np.unique(np.asarray(accounts.indices), return_index=True)[1]
            for account, arn in zip(accounts.dictionary.to_pylist(), table[name].take(firsts).to_pylist(), strict=True):
                self._partition(account, arn)
        references = self._resolved(profiles)
        for account in pc.unique(references["account_id"]).to_pylist():
            self.book.accounts.setdefault(account, {"sources": list(sources), "captured_at": []})
        note_absent(self.book, roles, profiles)
        if self.book.gaps and not self.book.accounts:
            # Who looks through the accounts for what was not read finds it.
            self.book.accounts[UNKNOWN_ACCOUNT] = {"sources": list(sources), "captured_at": []}
        return Inventory(
            accounts=self._accounts(sources),
            roles=schema.ROLES.from_arrow(roles),
            profiles=schema.PROFILES.from_arrow(profiles),
            links=schema.LINKS.from_arrow(links),
            tags=schema.TAGS.from_arrow(tags),
            references=schema.REFERENCES.from_arrow(references),
            gaps=self._gaps(),
            calls=self._calls(),
            events=schema.EVENTS.from_arrow(event_table(self.book.events, roles, profiles)),
            sources=sources,
        )

    def _contradicted(self, clash: Contradiction) -> None:
        one, two = (self.book.origins[int(origin)] for origin in clash.origins)
        said = [self.book.trusts.texts()[s] if clash.column == "trust" else s for s in clash.said]
        column = "trust_policy" if clash.column == "trust" else clash.column
        self.book.gap(
            account_of(clash.key) or UNKNOWN_ACCOUNT,
            column,
            clash.key,
            "contradicted",
            f"{column} of {clash.key} is {said[0]} by {one} and {said[1]} by {two}, so it is left unknown",
        )

    def _timed(self, table: pa.Table, key: str, names: tuple[str, ...]) -> pa.Table:
        for name in names:
            times, unreadable = _times(table[name])
            for row in unreadable:
                arn = table[key][row].as_py()
                self.book.gap(
                    account_of(arn) or UNKNOWN_ACCOUNT,
                    name,
                    arn,
                    "unreadable",
                    f"{name} of {arn} is {table[name][row].as_py()!r}, which is no time, so it is left unknown",
                )
            table = table.set_column(table.column_names.index(name), name, times)
        return table

    def _linked(
        self, role_rows: pa.Table, profile_rows: pa.Table, roles: pa.Table, profiles: pa.Table
    ) -> tuple[pa.Table, pa.Table, pa.Table]:
        links = self._resolved_roles(self.book.links.table(), roles, profiles)
        shown = links
        said = profile_rows.select(["profile_arn", "origin", "record"]).filter(profile_rows["role_known"])
        links, doubted = _agreed(said, "profile_arn", links, ["role_arn"], once=len(profiles) == len(profile_rows))
        origins = self.book.origins
        doubted_links: dict[str, str] = {
            arn: f"what it holds is {_or_nothing(one)} by {origins[a]} and {_or_nothing(two)} by {origins[b]}"
            for arn, ((one, a), (two, b)) in doubted.items()
        }
        doubted_roles = {
            role for sides in doubted.values() for held, _ in sides for (role,) in held if not role.startswith("name:")
        }
        own = role_rows.select(["role_arn", "origin", "record"]).filter(role_rows["links_known"])
        one_each = len(roles) == len(role_rows)
        for profile, role, origin, own_origin in _not_in_own_list(shown, own, once=one_each):
            doubted_links[profile] = (
                f"{self.book.origins[origin]} shows {role} in it, and {self.book.origins[own_origin]} does not"
            )
            doubted_roles.add(role)
        for arn, sentence in doubted_links.items():
            self.book.gap(
                account_of(arn) or UNKNOWN_ACCOUNT,
                "GetInstanceProfile",
                arn,
                "contradicted",
                f"{arn}: {sentence}, so it is left unknown; "
                f"{aws_command('iam get-instance-profile', {'instance-profile-name': name_of(arn)})} would tell",
            )
        doubt = pa.array(list(doubted_links), pa.string())
        links = links.filter(pc.invert(pa.array(is_in(links["profile_arn"], doubt))))
        known = np.asarray(profiles["role_known"]) & ~is_in(profiles["profile_arn"], doubt)
        profiles = profiles.set_column(profiles.column_names.index("role_known"), "role_known", pa.array(known))
        own_known = np.asarray(roles["links_known"]) & ~is_in(
            roles["role_arn"], pa.array(list(doubted_roles), pa.string())
        )
        roles = roles.set_column(roles.column_names.index("links_known"), "links_known", pa.array(own_known))
        for arn in sorted(doubted_roles):
            self.book.gap(
                account_of(arn) or UNKNOWN_ACCOUNT,
                ROLE_LINKS,
                arn,
                "contradicted",
                f"{arn}: sources disagree on the profiles that hold it",
            )
        links = _distinct(_sorted(links, ["profile_arn", "role_arn"]), ["profile_arn", "role_arn"])
        accounts = (
            profiles["account_id"]
            .combine_chunks()
            .take(pa.array(position(links["profile_arn"], profiles["profile_arn"])))
        )
        return links.drop_columns(["origin", "record"]).append_column("account_id", accounts), roles, profiles

    def _resolved_roles(self, links: pa.Table, roles: pa.Table, profiles: pa.Table) -> pa.Table:
        """Give links that know their role by name alone its ARN, where the account (or the file) shows that role."""
        rows = np.flatnonzero(np.asarray(pc.starts_with(links["role_arn"], "name:")))
        if not len(rows):
            return links
        by_name = {
            (account, name.casefold()): arn
            for account, name, arn in zip(
                *(roles[c].to_pylist() for c in ("account_id", "role_name", "role_arn")), strict=True
            )
            if name is not None
        }
        accounts = dict(zip(profiles["profile_arn"].to_pylist(), profiles["account_id"].to_pylist(), strict=True))
        arns = links["role_arn"].to_pylist()
        for row in rows.tolist():
            profile, name = links["profile_arn"][row].as_py(), arns[row].removeprefix("name:")
            account = accounts.get(profile) or UNKNOWN_ACCOUNT
            arns[row] = by_name.get((account, name.casefold()), arns[row])
            if arns[row].startswith("name:"):
                self.book.gap(
                    account,
                    "GetRole",
                    arns[row],
                    "not_in_file",
                    f"{profile} holds the role {name}, which no source shows: its path, trust and tags are unknown; "
                    f"{aws_command('iam get-role', {'role-name': name})} would show them",
                )
        return links.set_column(1, "role_arn", pa.array(arns, pa.string()))

    def _tagged(
        self, role_rows: pa.Table, profile_rows: pa.Table, roles: pa.Table, profiles: pa.Table
    ) -> tuple[pa.Table, pa.Table, pa.Table]:
        named = self._named_tags(roles, profiles)
        said = pa.concat_tables(
            [
                rows.select([key, "origin", "record"])
                .filter(rows["tags_known"])
                .rename_columns(["resource_arn", "origin", "record"])
                for rows, key in ((role_rows, "role_arn"), (profile_rows, "profile_arn"))
            ]
            + [named]
        )
        every = self.book.tags.table()
        once = not len(named) and (len(roles), len(profiles)) == (len(role_rows), len(profile_rows))
        tags, doubted = _agreed(said, "resource_arn", every, ["tag_key", "tag_value"], once=once)
        doubted |= _said_twice(every)
        for arn, ((one, a), (two, b)) in doubted.items():
            self.book.gap(
                account_of(arn) or UNKNOWN_ACCOUNT,
                "tags",
                arn,
                "contradicted",
                f"tags of {arn} are {_shown_tags(one)} by {self.book.origins[a]} and {_shown_tags(two)} by "
                f"{self.book.origins[b]}, so they are left unknown",
            )
        doubt = pa.array(list(doubted), pa.string())
        tags = tags.filter(pc.invert(pa.array(is_in(tags["resource_arn"], doubt)))) if doubted else tags
        tables = []
        for table, key in ((roles, "role_arn"), (profiles, "profile_arn")):
            known = np.asarray(table["tags_known"]) | is_in(table[key], named["resource_arn"])
            known &= ~is_in(table[key], doubt)
            tables.append(table.set_column(table.column_names.index("tags_known"), "tags_known", pa.array(known)))
        owners = pa.concat_arrays([t["account_id"].combine_chunks() for t in tables])
        arns = pa.concat_arrays([tables[0]["role_arn"].combine_chunks(), tables[1]["profile_arn"].combine_chunks()])
        # Roles and profiles are sorted already, so that sorting whole numbers sorts the tags.
        owner, rank = position(tags["resource_arn"], arns), _rank(tags["tag_key"])
        order = np.lexsort((np.asarray(tags["origin"]), rank, owner))
        owner, rank = owner[order], rank[order]
        new = np.append(True, (owner[1:] != owner[:-1]) | (rank[1:] != rank[:-1]))[: len(order)]
        tags = tags.take(pa.array(order[new]))
        account = owners.take(pa.array(owner[new]))
        source = pa.array(self.book.operations, pa.string()).take(tags["origin"].combine_chunks())
        reserved = pc.starts_with(pc.utf8_lower(tags["tag_key"]), "aws:")
        tags = tags.append_column("account_id", pc.fill_null(account, UNKNOWN_ACCOUNT))
        return tags.append_column("tag_source", source).append_column("is_aws_reserved", reserved), *tables

    def _named_tags(self, roles: pa.Table, profiles: pa.Table) -> pa.Table:
        """Give tag listings the ARN of the resource that their file is named after; add their rows to the tags."""
        arns: dict[tuple[str, str, str], str] = {}
        if self.book.named_tags:
            for kind, table, key, name in (
                ("role", roles, "role_arn", "role_name"),
                ("instance-profile", profiles, "profile_arn", "profile_name"),
            ):
                columns = zip(*(table[c].to_pylist() for c in ("account_id", name, key)), strict=True)
                arns.update({(kind, account, n.casefold()): arn for account, n, arn in columns if n})
        said: list[tuple[str, int, int]] = []
        rows: list[tuple[str, str, str, str, int, int]] = []
        for account, tagging, origin in self.book.named_tags:
            arn = arns.get((tagging.resource_type, account or UNKNOWN_ACCOUNT, tagging.resource_name.casefold()))
            if arn is None:
                if account:
                    self.book.gap(
                        account,
                        self.book.operations[origin],
                        tagging.resource_name,
                        "not_in_file",
                        f"tags of the {tagging.resource_type} {tagging.resource_name} were read, but no file shows "
                        "that resource; add the listing of the account",
                    )
                continue
            number = self.book.numbered(1)[0].as_py()
            said.append((arn, origin, number))
            rows += [(arn, tag.key, tag.value, tagging.resource_type, origin, number) for tag in tagging.tags]
        if rows:
            columns = zip(*rows, strict=True)
            names = ("resource_arn", "tag_key", "tag_value", "resource_type", "origin", "record")
            self.book.tags.add(len(rows), **dict(zip(names, map(list, columns), strict=True)))
        arns_said, origins, numbers = zip(*said, strict=True) if said else ((), (), ())
        return pa.table(
            {
                "resource_arn": pa.array(arns_said, pa.string()),
                "origin": pa.array(origins, pa.int32()),
                "record": pa.array(numbers, pa.int32()),
            }
        )

    def _with_trust(self, roles: pa.Table) -> pa.Table:
        code = roles["trust"].combine_chunks()
        policy, services = (values.take(code) for values in (self.book.trusts.texts(), self.book.trusts.services()))
        ec2 = self._trusts_ec2(roles["role_arn"].combine_chunks(), code)
        for row in np.flatnonzero(np.asarray(roles["trust_unreadable"]) & ~np.asarray(code.is_valid())).tolist():
            arn = roles["role_arn"][row].as_py()
            self.book.gap(
                roles["account_id"][row].as_py() or UNKNOWN_ACCOUNT,
                "GetRole",
                arn,
                "unreadable",
                f"the trust policy of {arn} is no policy document, so whom it trusts is unknown",
            )
        path = pc.fill_null(roles["role_path"], "")
        managed = pc.or_(pc.starts_with(path, "/aws-service-role/"), pc.starts_with(path, "/aws-reserved/"))
        account = pc.fill_null(roles["account_id"], UNKNOWN_ACCOUNT)
        roles = roles.set_column(roles.column_names.index("account_id"), "account_id", account)
        for name, values in (
            ("trust_policy", policy),
            ("trusts_ec2", pc.fill_null(ec2, "unknown")),
            ("trusted_services", services),
            ("is_aws_managed", managed),
        ):
            roles = roles.append_column(name, values)
        return roles

    def _trusts_ec2(self, arns: pa.Array, code: pa.Array) -> pa.Array:
        """Return whether each role lets EC2 assume it, by the name that EC2 has in the role's partition."""
        found = pc.struct_field(pc.extract_regex(arns, r"^arn:(?P<partition>[^:]+):"), "partition")
        partition = pc.fill_null(found, "")
        answers = pa.nulls(len(arns), pa.string())
        for one in pc.unique(partition).to_pylist():
            answers = pc.if_else(pc.equal(partition, one), self.book.trusts.ec2(one).take(code), answers)
        return answers

    def _resolved(self, profiles: pa.Table) -> pa.Table:
        rows: dict[tuple[str, ...], Mention] = {}
        for mention in self.book.mentions:
            key = (
                mention.account_id or UNKNOWN_ACCOUNT,
                mention.region or "",
                mention.consumer_type,
                mention.consumer_id,
                mention.named,
            )
            held = rows.setdefault(key, mention)
            if held is not mention and mention.consumer_version:
                versions = {*(held.consumer_version or "").split(), *mention.consumer_version.split()}
                held.consumer_version = " ".join(sorted(versions, key=lambda v: (len(v), v)))
        columns: dict[str, list[str | None]] = defaultdict(list)
        for (account, region, *_), mention in sorted(rows.items(), key=lambda item: item[0]):
            columns["account_id"].append(account)
            columns["region"].append(region)
            columns["profile_name"].append(name_of(mention.named))
            columns["profile_arn"].append(None)
            columns["consumer_arn"].append(mention.consumer_arn or self._consumer_arn(account, region, mention))
            for column in (
                "consumer_type",
                "consumer_id",
                "named",
                "profile_id",
                "consumer_name",
                "consumer_version",
                "consumer_state",
            ):
                columns[column].append(getattr(mention, column))
        table = pa.table(
            [pa.array(columns[name], pa.string()) for name in schema.REFERENCES.names], names=schema.REFERENCES.names
        )
        return linked_to(profiles, table) if rows else table

    def _consumer_arn(self, account: str, region: str, mention: Mention) -> str | None:
        if (
            region == "unknown"
            or account == UNKNOWN_ACCOUNT
            or mention.consumer_type not in ("instance", "launch-template")
        ):
            return None
        # A profile of another account may be of another partition.
        row = self.book.accounts.get(account, {})
        known = row.get("partition") or partition_of(row.get("caller_arn") or "")
        partition = known or partition_of(mention.named) or "aws"
        return f"arn:{partition}:ec2:{region}:{account}:{mention.consumer_type}/{mention.consumer_id}"

    # Small frames

    def _partition(self, account: str, arn: str) -> None:
        row = self.book.accounts.setdefault(account, {"sources": [], "captured_at": []})
        row.setdefault("partition", partition_of(arn))

    def _accounts(self, sources: tuple[str, ...]) -> pd.DataFrame:
        rows = sorted(self.book.accounts.items())
        columns: dict[str, Any] = {
            name: [row.get(name) for _, row in rows]
            for name in schema.ACCOUNTS.names
            if name not in ("account_id", "source", "captured_at", "partition")
        }
        columns["account_id"] = [account for account, _ in rows]
        columns["partition"] = [row.get("partition") or partition_of(row.get("caller_arn") or "") for _, row in rows]
        columns["source"] = [
            " ".join(sorted(filter(None, row["sources"]))) or " ".join(sorted(sources)) for _, row in rows
        ]
        columns["captured_at"] = _iso_times(max(row["captured_at"], default=None) for _, row in rows)
        return schema.ACCOUNTS.conform(columns)

    def _gaps(self) -> pd.DataFrame:
        rows = {tuple(gap[name] for name in schema.GAPS.key): gap for gap in reversed(self.book.gaps)}
        found = [rows[key] for key in sorted(rows)]
        return schema.GAPS.conform({name: [gap[name] for gap in found] for name in schema.GAPS.names})

    def _calls(self) -> pd.DataFrame:
        rows = sorted(self.book.calls.items())
        return schema.CALLS.conform(
            {
                "account_id": [key[0] for key, _ in rows],
                "operation": [key[1] for key, _ in rows],
                "region": [key[2] for key, _ in rows],
                "requests": [call.tally.requests for _, call in rows],
                "rows": [call.rows for _, call in rows],
                "retries": [call.tally.retries for _, call in rows],
                "started_at": _iso_times(call.tally.started_at for _, call in rows),
                "ended_at": _iso_times(call.tally.ended_at for _, call in rows),
                "state": [call.state for _, call in rows],
            }
        )


def _sorted(table: pa.Table, names: list[str]) -> pa.Table:
    first = table[names[0]].combine_chunks()
    if len(names) == 1 and pc.all(pc.less(first[:-1], first[1:])).as_py() is not False:
        return table
    return table.take(pc.sort_indices(table, [(name, "ascending") for name in names])) if len(table) else table


def _distinct(table: pa.Table, names: list[str]) -> pa.Table:
    """Return a sorted table without the rows that repeat the one before in the columns named."""
    new = np.zeros(max(len(table) - 1, 0), dtype=bool)
    for name in names:
        column = table[name].combine_chunks()
        new |= np.asarray(pc.not_equal(column[1:], column[:-1]))
    return table if new.all() else table.filter(pa.array(np.append(True, new)))


def _rank(column: pa.ChunkedArray) -> Positions:
    """Return, per text, its place in the sorted order of the distinct ones."""
    encoded = column.combine_chunks().dictionary_encode()
    order = np.asarray(pc.sort_indices(encoded.dictionary))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    ranks: Positions = rank[np.asarray(encoded.indices)]
    return ranks


# What two records say of a resource, each with the answer that it stands in.
Doubts = dict[str, list[tuple[frozenset[tuple[str, ...]], int]]]


def _agreed(said: pa.Table, key: str, rows: pa.Table, values: list[str], *, once: bool) -> tuple[pa.Table, Doubts]:
    """Return the rows of resources on whose rows all records agree, and what two of them say of each of the rest.

    `once` says that each resource is known to come once, which is costly to find out here.
    """
    if once or pc.count_distinct(said[key]).as_py() == len(said):
        return rows, {}
    pairs = said.to_pandas().drop_duplicates()
    several = pairs[pairs.duplicated(key, keep=False)]
    if several.empty:
        return rows, {}
    shared = pa.array(is_in(rows[key], pa.array(several[key].unique())))
    sets: dict[tuple[str, int, int], set[tuple[str, ...]]] = {
        pair: set() for pair in zip(*(several[name] for name in (key, "origin", "record")), strict=True)
    }
    some = rows.filter(shared)
    names = (key, "origin", "record", *values)
    for arn, origin, record, *value in zip(*(some[name].to_pylist() for name in names), strict=True):
        sets.setdefault((arn, origin, record), set()).add(tuple(value))
    first: dict[str, tuple[frozenset[tuple[str, ...]], int]] = {}
    doubted: Doubts = {}
    for (arn, origin, _), held in sets.items():
        mine = (frozenset(held), origin)
        if first.setdefault(arn, mine)[0] != mine[0]:
            doubted[arn] = [first[arn], mine]
    doubt = pa.array(is_in(rows[key], pa.array(list(doubted), pa.string())))
    return rows.filter(pc.invert(doubt)), doubted


def _said_twice(tags: pa.Table) -> Doubts:
    """Return what a record says of each resource of which it gives one key two values."""
    key = tags["tag_key"].combine_chunks().dictionary_encode()
    pairs = np.asarray(tags["record"]).astype(np.int64) * len(key.dictionary) + np.asarray(key.indices)
    if pc.count_distinct(pa.array(pairs)).as_py() == len(tags):
        return {}
    frame = tags.to_pandas().drop_duplicates(["record", "tag_key", "tag_value"])
    twice = frame[frame.duplicated(["record", "tag_key"], keep=False)]
    doubted: Doubts = {}
    for (arn, _), own in twice.groupby(["resource_arn", "tag_key"], sort=False):
        key, values, origins = own["tag_key"].iloc[0], own["tag_value"].tolist(), own["origin"].tolist()
        doubted[arn] = [(frozenset({(key, value)}), origin) for value, origin in zip(values[:2], origins, strict=False)]
    return doubted


def _not_in_own_list(links: pa.Table, own: pa.Table, *, once: bool) -> list[tuple[str, str, int, int]]:
    """Return links that one record shows, and another leaves out of its list of the role's own profiles."""
    one_answer = len(pc.unique(pa.chunked_array([*links["origin"].chunks, *own["origin"].chunks], pa.int32()))) < 2
    if not len(own) or (one_answer and (once or pc.count_distinct(own["role_arn"]).as_py() == len(own))):
        return []
    pairs = links.to_pandas().drop_duplicates()
    both = pairs.merge(own.to_pandas().drop_duplicates(), on="role_arn", suffixes=("", "_own"))
    both = both[both["record"] != both["record_own"]]
    shown = set(zip(pairs["profile_arn"], pairs["role_arn"], pairs["record"], strict=True))
    rows = both[["profile_arn", "role_arn", "origin", "origin_own", "record_own"]].itertuples(index=False, name=None)
    return [row[:4] for row in rows if (row[0], row[1], row[4]) not in shown]


def _or_nothing(held: frozenset[tuple[str, ...]]) -> str:
    return ", ".join(sorted(role for (role,) in held)) or "no role"


def _shown_tags(tags: frozenset[tuple[str, ...]]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(tags)) or "none"


def _iso_times(texts: Iterable[str | None]) -> pa.ChunkedArray:
    return _times(pa.chunked_array([pa.array(list(texts), pa.string())]))[0]


def _times(column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, list[int]]:
    """Return times of ISO texts, and the rows whose text is no time."""
    try:
        return column.cast(schema.TIME), []
    except pa.ArrowInvalid:
        # One text without a zone, or with more than six digits of a second, fails the cast of the whole column.
        encoded = column.combine_chunks().dictionary_encode()
        times = [parsed_time(text) for text in encoded.dictionary.to_pylist()]
        codes = np.asarray(encoded.indices.fill_null(-1))
        bad = np.array([time is None for time in times], dtype=bool)
        values = pa.array(times, schema.TIME).take(encoded.indices)
        return pa.chunked_array([values]), np.flatnonzero((codes >= 0) & bad[codes]).tolist()


class Contradiction(NamedTuple):
    """Two sources that say different things of one cell."""

    key: str
    column: str
    said: tuple[object, object]
    origins: tuple[str, str]


def merged(
    table: pa.Table, key: str, flags: tuple[str, ...] = (), latest: dict[str, tuple[str, ...]] | None = None
) -> tuple[pa.Table, list[Contradiction]]:
    """Return one row per key, in the order in which keys first come, and what the rows of one key contradict.

    A missing value is an unknown one: a known value beats it, and two known ones that differ leave the cell missing.
    Of `flags`, one true is enough. `latest` names columns of which the greatest value counts, each with the columns
    that go with it. The column `origin` tells whose row it is and does not come back.
    """
    latest = latest or {}
    encoded = table[key].combine_chunks().dictionary_encode()
    size = len(encoded.dictionary)
    if size == table.num_rows:
        return table.drop_columns("origin"), []
    code = np.asarray(encoded.indices)
    origins = table["origin"].combine_chunks()
    together = {name for names in latest.values() for name in names}
    columns: dict[str, pa.Array] = {}
    clashes: list[Contradiction] = []
    for name in table.column_names:
        column = table[name].combine_chunks()
        if name == key:
            columns[name] = encoded.dictionary
        elif name in flags:
            columns[name] = pa.array(np.bincount(code, np.asarray(column), minlength=size) > 0)
        elif name != "origin" and name not in together:
            rows = np.flatnonzero(np.asarray(column.is_valid()))
            if name in latest:
                rows = rows[np.asarray(pc.sort_indices(column.take(rows), sort_keys=[("", "descending")]))]
            first = np.full(size, -1)
            first[code[rows][::-1]] = rows[::-1]
            if name not in latest:
                values = np.asarray(column.dictionary_encode().indices.fill_null(-1))
                differing = rows[values[rows] != values[first[code[rows]]]]
                clashes += _contradictions(table[key], column, origins, name, first[code[differing]], differing)
                first[code[differing]] = -1
            for name_too in (name, *latest.get(name, ())):
                values_too = table[name_too].combine_chunks()
                columns[name_too] = values_too.take(pa.array(first, mask=first < 0))
    names = [name for name in table.column_names if name != "origin"]
    return pa.table([columns[name] for name in names], names=names), clashes


def _contradictions(
    keys: pa.ChunkedArray, values: pa.Array, origins: pa.Array, name: str, first: Positions, other: Positions
) -> list[Contradiction]:
    seen: dict[str, Contradiction] = {}
    for one, two in zip(first.tolist(), other.tolist(), strict=True):
        key = keys[one].as_py()
        if key not in seen:
            said = (values[one].as_py(), values[two].as_py())
            seen[key] = Contradiction(key, name, said, (origins[one].as_py(), origins[two].as_py()))
    return list(seen.values())

"""What holds of every load, however the files are broken, copied, ordered, or missing.

Each test draws from the worlds of `shapes.py`, as many as `searching.py` allows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from builders import profile_list, write
from hypothesis import assume, event, example, given
from hypothesis import strategies as st
from searching import searching
from shapes import EVERYTHING, ONE, REGION, WORLDS, broken_worlds, bytes_of, changed, paths, replaced, value_at

from iamframe import CHECKS, Inventory, Result, load_files, run_checks, write_report
from iamframe.checks.tag_policy import read_policy
from iamframe.errors import SourceError
from iamframe.inventory import schema

POLICY = read_policy(Path(__file__).parents[2] / "data" / "tag-policy.toml")


@contextmanager
def folder_of(files: dict[str, Any]) -> Iterator[Path]:
    """Write files into a folder that is gone afterwards."""
    with TemporaryDirectory() as name:
        yield write(Path(name) / "f", {name: bytes_of(document) for name, document in files.items()})


def loaded(*sources: Path) -> Inventory | None:
    """Load sources, or return None where nothing in them can be read."""
    try:
        return load_files(*sources)
    except SourceError as error:
        refusal = str(error)
    assert "\n" not in refusal
    return None


def plain(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Return the rows of a frame as tuples, missing values as None."""
    return list(frame.astype(object).where(frame.notna(), None).itertuples(index=False, name=None))


def without(frame: pd.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    return plain(frame.drop(columns=list(columns)))


# Nothing but iamframe's own errors


@searching(40, ci=6)
@given(files=broken_worlds())
def test_broken_files_are_loaded_and_checked_or_refused_in_one_sentence(files: dict[str, bytes]) -> None:
    with folder_of(files) as folder:
        inventory = loaded(folder)
        if inventory is None:
            event("refused")
            return
        result = run_checks(inventory, policy=POLICY)
    conforms(inventory)
    covers(result)
    rests_on_what_is_known(result)


@searching(15, ci=5)
@given(files=broken_worlds())
def test_a_report_of_broken_files_is_written(files: dict[str, bytes]) -> None:
    with folder_of(files) as folder:
        inventory = loaded(folder)
        assume(inventory is not None)
        assert inventory is not None
        out = folder.parent / "report"
        page = write_report(run_checks(inventory, policy=POLICY), out)
        assert page.read_text(encoding="utf-8").rstrip().endswith("</html>")
        assert (out / "events.csv").exists() == inventory.events_read
        for name, frame in inventory.frames_read.items():
            assert len(pd.read_csv(out / f"{name}.csv", dtype=str)) == len(frame)


# The schema


STATES = {"complete", "partial", "truncated"}
REASONS = {"denied", "throttled", "expired", "vanished", "truncated", "unreadable", "contradicted", "not_in_file"}


def conforms(inventory: Inventory) -> None:
    """Hold the frames to the schema, and to each other."""
    for name, frame in inventory.frames.items():
        expected = schema.FRAMES[name]
        assert list(frame.columns) == expected.names
        assert frame.dtypes.to_dict() == expected.empty().dtypes.to_dict()
        assert not frame[[column.name for column in expected.columns if not column.nullable]].isna().any(axis=None)
        assert not frame.duplicated(list(expected.key)).any(), name
        assert set(frame["account_id"]) <= set(inventory.accounts["account_id"]) | {"unknown"}, name
    roles, profiles, links, tags = inventory.roles, inventory.profiles, inventory.links, inventory.tags
    assert set(roles["trusts_ec2"]) <= {"yes", "no", "maybe", "unknown"}
    assert set(inventory.calls["state"]) <= STATES
    assert set(inventory.gaps["reason"]) <= REASONS
    assert set(links["profile_arn"]) <= set(profiles["profile_arn"][profiles["role_known"]])
    assert {arn for arn in links["role_arn"] if not arn.startswith("name:")} <= set(roles["role_arn"])
    tagged = set(roles["role_arn"][roles["tags_known"]]) | set(profiles["profile_arn"][profiles["tags_known"]])
    assert set(tags["resource_arn"]) <= tagged
    assert set(inventory.references["profile_arn"].dropna()) <= set(profiles["profile_arn"])
    unread = roles["trust_policy"].isna()
    assert (unread == (roles["trusts_ec2"] == "unknown")).all()


def covers(result: Result) -> None:
    """Hold coverage to one row per account and check, and findings to their schema."""
    accounts, coverage, findings = result.inventory.accounts["account_id"], result.coverage, result.findings
    assert plain(coverage[["account_id", "check"]]) == [(account, check) for account in accounts for check in CHECKS]
    assert ((coverage["reason"] == "") == (coverage["status"] == "complete")).all()
    assert list(findings.columns) == schema.FINDINGS.names
    assert findings.dtypes.to_dict() == schema.FINDINGS.empty().dtypes.to_dict()
    assert set(findings["account_id"]) <= set(accounts)
    named = findings[findings["resource_arn"].notna()]
    assert not named.duplicated(["check", "account_id", "resource_arn", "related_arn"]).any()


# Nothing unknown is accused


CORE = {
    "DescribeInstances",
    "DescribeLaunchTemplateVersions",
    "DescribeLaunchConfigurations",
    "DescribeAutoScalingGroups",
}
# What shows, role by role, the profiles that hold it.
OWN_LISTS = {"GetAccountAuthorizationDetails", "config:AWS::IAM::Role", "steampipe:aws_iam_role"}


class Known:
    """What the frames of an inventory say, as sets and rows by ARN."""

    def __init__(self, inventory: Inventory) -> None:
        self.roles = {row["role_arn"]: row for row in inventory.roles.to_dict("records")}
        self.profiles = {row["profile_arn"]: row for row in inventory.profiles.to_dict("records")}
        self.links = set(plain(inventory.links[["profile_arn", "role_arn"]]))
        self.holding, self.held = ({link[side] for link in self.links} for side in (0, 1))
        self.tagged = set(inventory.tags["resource_arn"][~inventory.tags["is_aws_reserved"]])
        calls, gaps = inventory.calls, inventory.gaps
        self.calls = set(plain(calls[["account_id", "operation"]]))
        self.whole = set(plain(calls[calls["state"] == "complete"][["account_id", "operation"]]))
        unread = gaps[gaps["operation"] == "ListInstanceProfilesForRole"]
        self.unread_links = set(plain(unread[["account_id", "subject"]]))
        self.references = inventory.references


def rests_on_what_is_known(result: Result) -> None:
    """Hold each finding to the facts in the frames that it rests on."""
    coverage = result.coverage
    unknown = set(plain(coverage[coverage["status"] == "unknown"][["account_id", "check"]]))
    known = Known(result.inventory)
    for row in result.findings.to_dict("records"):
        assert (row["account_id"], row["check"]) not in unknown, row
        rests_on_tags(known, row)
        rests_on_links(known, row)
        rests_on_references(known, row)


def rests_on_tags(known: Known, row: dict[Any, Any]) -> None:
    arn = row["resource_arn"]
    match row["check"]:
        case "untagged_profiles":
            assert known.profiles[arn]["tags_known"] is True
            assert arn not in known.tagged
        case "untagged_roles":
            assert known.roles[arn]["tags_known"] is True
            assert known.roles[arn]["is_aws_managed"] is False
            assert arn not in known.tagged
        case "missing_required_tags":
            assert (known.roles | known.profiles)[arn]["tags_known"] is True
        case "tag_differences":
            assert known.profiles[arn]["tags_known"] is True
            assert known.roles[row["related_arn"]]["tags_known"] is True


def rests_on_links(known: Known, row: dict[Any, Any]) -> None:
    account, arn, related = row["account_id"], row["resource_arn"], row["related_arn"]
    if pd.notna(related) and row["check"] != "stale_references":
        assert (arn, related) in known.links, row
    match row["check"]:
        case "empty_profiles":
            assert known.profiles[arn]["role_known"] is True
            assert arn not in known.holding
        case "profiles_without_ec2_trust":
            assert known.roles[related]["trusts_ec2"] == "no"
        case "path_mismatches":
            assert pd.notna(known.roles[related]["role_path"])
            assert known.profiles[arn]["profile_path"] != known.roles[related]["role_path"]
        case "ec2_roles_without_profile":
            assert known.roles[arn]["trusts_ec2"] == "yes"
            assert arn not in known.held
            assert not {(account, arn), (account, "*")} & known.unread_links
            hold_known = all(p["role_known"] for p in known.profiles.values() if p["account_id"] == account)
            listed = (account, "ListInstanceProfiles") in known.whole and hold_known
            assert listed or {(account, operation) for operation in OWN_LISTS} & known.calls


def rests_on_references(known: Known, row: dict[Any, Any]) -> None:
    account, arn, related = row["account_id"], row["resource_arn"], row["related_arn"]
    match row["check"]:
        case "unreferenced_profiles":
            assert pd.notna(related)
            assert {(account, operation) for operation in CORE} <= known.whole
            assert arn not in set(known.references["profile_arn"])
        case "stale_references" if pd.isna(related):
            assert (account, "ListInstanceProfiles") in known.whole
        case "stale_references":
            mine = known.references[known.references["profile_arn"] == related]["profile_id"].dropna()
            assert pd.notna(known.profiles[related]["profile_id"])
            assert (mine != known.profiles[related]["profile_id"]).any()


ACCUSES_ABSENCE = [
    "empty_profiles",
    "unreferenced_profiles",
    "stale_references",
    "ec2_roles_without_profile",
    "untagged_profiles",
    "untagged_roles",
    "tag_differences",
    "missing_required_tags",
    "profiles_without_ec2_trust",
]
LISTS = {
    "RoleDetailList",
    "Roles",
    "InstanceProfiles",
    "Reservations",
    "IamInstanceProfileAssociations",
    "LaunchTemplates",
    "LaunchTemplateVersions",
    "LaunchConfigurations",
    "AutoScalingGroups",
}
# Keys whose absence means unknown. Of the answer of GetRole it means that there are no tags, so that it is left alone.
KNOWLEDGE = {
    "dump.json": {"Tags", "InstanceProfileList", "AssumeRolePolicyDocument", "RoleLastUsed"},
    "roles.json": {"AssumeRolePolicyDocument"},
    "profiles.json": {"Roles", "AssumeRolePolicyDocument"},
    "profile-web.json": {"Tags", "Roles", "AssumeRolePolicyDocument"},
    "profile-empty.json": {"Tags", "Roles"},
    "snapshot.json": {"tags", "instanceProfileList", "assumeRolePolicyDocument", "Roles", "configuration"},
    "x.tfstate": {"tags_all", "role", "assume_role_policy"},
    "plan.json": {"tags_all", "role", "assume_role_policy"},
    "steampipe-rows.json": {"tags", "instance_profile_arns", "assume_role_policy"},
    "steampipe-profiles.json": {"tags", "roles"},
}


@st.composite
def less_known(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """Draw some of the files that agree, and the same with less in them: files gone, lists cut short, keys out."""
    # Of many files each says what another leaves out, so that only a few show what a missing one does.
    kept = draw(st.lists(st.sampled_from(sorted(EVERYTHING)), min_size=2, max_size=10, unique=True))
    lists = [f"{ONE}/profiles.json", f"{ONE}/dump.json", *(name for name in WORLDS["references"] if REGION in name)]
    more = {name: EVERYTHING[name] for name in dict.fromkeys(kept + draw(st.sampled_from([[], lists[:1], lists])))}
    less = dict(more)
    for _ in range(draw(st.integers(1, 4))):
        name = draw(st.sampled_from(sorted(less)))
        document, base = less[name], name.rpartition("/")[-1]
        kind = draw(st.sampled_from(["gone", "cut", "keys", "keys"]))
        listed = LISTS & set(document) if isinstance(document, dict) else set()
        places = [path for path in paths(document) if path and path[-1] in KNOWLEDGE.get(base, set())]
        places = [path for path in places if path[-1] != "Roles" or len(path) > 1]
        if kind == "cut" and listed:
            key = listed.pop()
            less[name] = document | {key: document[key][: draw(st.integers(0, len(document[key])))], "NextToken": "t"}
        elif kind == "keys" and places:
            some = st.lists(st.sampled_from(places), min_size=1, max_size=6, unique=True)
            for path in draw(st.just(places) | some):
                if _is_there(less[name], path):
                    holder = value_at(less[name], path[:-1])
                    kept = {key: value for key, value in holder.items() if key != path[-1]}
                    less[name] = replaced(less[name], path[:-1], kept)
        elif len(less) > 1:
            del less[name]
    return more, less


def _is_there(document: Any, path: tuple[str | int, ...]) -> bool:
    try:
        value_at(document, path)
    except KeyError:
        return False
    return True


def accused(result: Result) -> set[tuple[str, str, str]]:
    """Return check, account and resource of the findings that say that something is not there."""
    findings = result.findings[result.findings["check"].isin(ACCUSES_ABSENCE)]
    return set(plain(findings[["check", "account_id", "resource_arn"]]))


REFERENCES = WORLDS["references"]
DUMP = f"{ONE}/dump.json"
LINKLESS = replaced(
    EVERYTHING[DUMP],
    ("RoleDetailList", 0),
    {key: value for key, value in EVERYTHING[DUMP]["RoleDetailList"][0].items() if key != "InstanceProfileList"},
)


@searching(25, ci=3)
@given(worlds=less_known())
@example(worlds=(REFERENCES, REFERENCES | {f"{ONE}/profiles.json": profile_list(NextToken="t")}))
@example(worlds=({DUMP: EVERYTHING[DUMP]}, {DUMP: LINKLESS}))
def test_what_is_taken_out_of_files_that_agree_adds_no_finding_of_something_missing(
    worlds: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    more, less = worlds
    with folder_of(more) as full, folder_of(less) as reduced:
        knows_less = loaded(reduced)
        if knows_less is None:
            return
        knows_more = load_files(full)
    assert not knows_more.gaps["reason"].isin(["contradicted", "unreadable"]).any()
    result = run_checks(knows_less, policy=POLICY)
    rests_on_what_is_known(result)
    assert accused(result) <= accused(run_checks(knows_more, policy=POLICY))
    for name, key, flag in (
        ("roles", "role_arn", "tags_known"),
        ("profiles", "profile_arn", "tags_known"),
        ("profiles", "profile_arn", "role_known"),
    ):
        before, after = getattr(knows_more, name), getattr(knows_less, name)
        assert set(after[key][after[flag]]) <= set(before[key][before[flag]])


def test_the_files_that_agree_show_what_is_missing() -> None:
    with folder_of(EVERYTHING) as folder:
        found = accused(run_checks(load_files(folder), policy=POLICY))
    assert {check for check, _, _ in found} == set(ACCUSES_ABSENCE)


# Copies


def same_facts(one: Inventory, other: Inventory) -> None:
    """Hold two loads to the same facts; how many rows were read and how a gap words it may differ."""
    for name in ("roles", "profiles", "links", "tags", "references"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name))


def gaps_of(inventory: Inventory, renamed: dict[str, str], *unordered: str) -> set[tuple[Any, ...]]:
    """Return the gaps, with names replaced; of contradictions without the detail, which names one pair of sources."""

    def told(text: str) -> str:
        for name, other in renamed.items():
            text = text.replace(name, other)
        return text

    rows = plain(inventory.gaps[["account_id", "region", "operation", "subject", "reason", "detail"]])
    return {
        (account, region, operation, told(subject), reason, "" if reason in unordered else told(detail))
        for account, region, operation, subject, reason, detail in rows
    }


def copied(name: str) -> str:
    """Return where to put a copy of a file: tags beside it would be another resource's, so they go one folder down."""
    folder, _, last = name.rpartition("/")
    up, _, own = folder.rpartition("/")
    if own in ("role-tags", "instance-profile-tags"):
        return f"{up}/again/{own}/{last}".lstrip("/")
    if last.startswith("denied.csv"):
        return f"{folder}/again/{last}".lstrip("/")
    suffix = next((end for end in (".json.gz", ".json.zip", ".tfstate", ".json") if last.endswith(end)), "")
    return f"{folder}/{last}.copy{suffix}".lstrip("/")


@searching(25, ci=4)
@given(files=broken_worlds(most=2), data=st.data())
def test_a_file_that_is_named_twice_or_copied_changes_nothing_but_counts_and_the_names_in_gaps(
    files: dict[str, bytes], data: st.DataObject
) -> None:
    with folder_of(files) as folder:
        once = loaded(folder)
        if once is None:
            return
        names = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        twice = load_files(folder, *data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=3)), folder)
        for name, frame in once.frames.items():
            dropped = ["source"] if name == "accounts" else []
            assert without(frame, *dropped) == without(twice.frames[name], *dropped), name
        name = data.draw(st.sampled_from(sorted(files)))
        copy = copied(name)
        write(folder, {copy: files[name]})
        both = load_files(folder)
        result, again = run_checks(once, policy=POLICY), run_checks(both, policy=POLICY)
    renamed = {copy: name}
    same_facts(once, both)
    assert plain(once.accounts) == plain(both.accounts)
    assert without(once.calls, "rows") == without(both.calls, "rows")
    assert gaps_of(once, renamed, "contradicted") == gaps_of(both, renamed, "contradicted")
    assert plain(result.findings) == plain(again.findings)
    assert without(result.coverage, "reason") == without(again.coverage, "reason")


# Order


# The order of the statements of a policy is part of its text, and the first alias is the account's.
ORDERED = {"AssumeRolePolicyDocument", "assumeRolePolicyDocument", "assume_role_policy", "AccountAliases"}


@st.composite
def reordered(draw: st.DrawFn, node: Any) -> Any:
    """Draw a document with its lists and keys in another order."""
    backwards = draw(st.booleans())
    if isinstance(node, list):
        items = [draw(reordered(item)) for item in node]
        return items[::-1] if backwards else draw(st.permutations(items))
    if isinstance(node, dict):
        pairs = [(key, value if key in ORDERED else draw(reordered(value))) for key, value in node.items()]
        return dict(pairs[::-1] if backwards else pairs)
    return node


@searching(25)
@given(files=broken_worlds(), data=st.data())
def test_the_order_in_which_files_are_named_does_not_matter(files: dict[str, bytes], data: st.DataObject) -> None:
    with folder_of(files) as folder:
        names = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        one, other = loaded(*names), loaded(*data.draw(st.permutations(names)))
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        for name, frame in one.frames.items():
            pd.testing.assert_frame_equal(frame, other.frames[name])


@searching(150)
@given(data=st.data())
def test_the_order_within_a_file_does_not_matter(data: st.DataObject) -> None:
    world = WORLDS[data.draw(st.sampled_from(sorted(WORLDS)))]
    name = data.draw(st.sampled_from(sorted(name for name in world if not name.endswith(".csv"))))
    document = data.draw(changed(world[name]) | st.just(world[name]))
    beside = {other: world[other] for other in data.draw(st.lists(st.sampled_from(sorted(world)), max_size=4))}
    with folder_of(beside | {name: document}) as folder:
        one = loaded(folder)
        write(folder, {name: bytes_of(data.draw(reordered(document)))})
        other = loaded(folder)
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        same_facts(one, other)
        for frame in ("accounts", "calls"):
            pd.testing.assert_frame_equal(getattr(one, frame), getattr(other, frame))
        numbers = [re.sub(r"\[\d+\]", "[]", str(sorted(g[:5] for g in gaps_of(i, {})))) for i in (one, other)]
        assert numbers[0] == numbers[1]


# What could not be read is said


def says_of(inventory: Inventory | None, name: str) -> bool:
    """Return whether a gap tells that something of a file was not read; nothing at all is told by an error."""
    if inventory is None:
        return True
    gaps = inventory.gaps[inventory.gaps["reason"].isin(["unreadable", "truncated"])]
    return bool((gaps["subject"] + " " + gaps["detail"]).str.contains(name, regex=False).any())


def is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


@searching(25)
@given(data=st.data())
def test_a_file_that_is_no_json_is_named_in_a_gap(data: st.DataObject) -> None:
    world = WORLDS[data.draw(st.sampled_from(sorted(WORLDS)))]
    name = data.draw(st.sampled_from(sorted(name for name in world if not name.endswith(".csv"))))
    text = bytes_of(world[name])
    cut = text[: data.draw(st.integers(0, len(text) - 1))]
    junk = data.draw(st.sampled_from([b"", b"}", b"]", b"\xff", b"x", b"\0", b"\n{", b"An error occurred"]))
    assume(not is_json(cut + junk))
    other = data.draw(st.sampled_from(sorted(set(world) - {name}))) if len(world) > 1 else name
    with folder_of({other: world[other], name: cut + junk}) as folder:
        assert says_of(loaded(folder), name)


def keys_of(inventory: Inventory | None) -> set[tuple[Any, ...]]:
    """Return what is known to be there: the keys of the frames that hold facts."""
    if inventory is None:
        return set()
    return {
        (name, *key)
        for name in ("roles", "profiles", "links", "tags", "references")
        for key in plain(getattr(inventory, name)[list(schema.FRAMES[name].key)])
    }


@searching(40)
@given(data=st.data())
def test_a_value_of_another_type_loses_nothing_or_is_a_gap_that_names_the_file(data: st.DataObject) -> None:
    world = WORLDS[data.draw(st.sampled_from(sorted(WORLDS)))]
    name = data.draw(st.sampled_from(sorted(name for name in world if not name.endswith(".csv"))))
    places = [path for path in paths(world[name]) if path and value_at(world[name], path) is not None]
    path = places[data.draw(st.integers(0, len(places) - 1))]
    value = value_at(world[name], path)
    other = data.draw(st.sampled_from([42, True] if isinstance(value, str) else ["odd", [42]]))
    with folder_of({name: world[name]}) as folder:
        before = loaded(folder)
        write(folder, {name: bytes_of(replaced(world[name], path, other))})
        after = loaded(folder)
    lost = keys_of(before) - keys_of(after)
    assert not lost or says_of(after, name), (path, lost)

"""A report of a result in parts: the same as of the whole, and no part is kept."""

from __future__ import annotations

import csv
import functools
import gc
import re
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from builders import event, identity, load, nested_role, of_accounts, sample_result, write
from random_accounts import random_world

import iamframe
from iamframe.checks.result import Result
from iamframe.checks.shards import unread
from iamframe.errors import ReportError
from iamframe.inventory import schema
from iamframe.inventory.build import joined
from iamframe.inventory.inventory import Inventory
from iamframe.report.numbers import numbers_of

SAMPLE_ACCOUNTS = ("111122223333", "123456789012", "444455556666")
POLICY = """
[[accepted]]
check = "untagged_roles"
reason = "tagged next year"
[[accepted]]
check = "name_mismatches"
resource_arn = "*000001*"
reason = "old names"
[required_tags]
CostCenter = ".+"
"""


@dataclass(frozen=True)
class Parted(Result):
    """A result in parts of a few accounts each; each part was checked alone."""

    size: int = 1
    own: Any = ()

    def parts(self, *, neighbours: bool = False) -> Iterator[Result]:  # noqa: ARG002
        ids = self.inventory.accounts["account_id"].tolist()
        for start in range(0, len(ids), self.size):
            part = ids[start : start + self.size]
            given = (only(self.inventory, part), [*self.checks], self.policy, self.own)
            yield of_sample(*part) if self.found is sample_result().found else iamframe.run_checks(*given)


def parted(result: Result, size: int = 1, own: Any = ()) -> Parted:
    return Parted(**{field.name: getattr(result, field.name) for field in fields(Result)}, size=size, own=own)


def only(inventory: Inventory, ids: list[str]) -> Inventory:
    frames = {name: frame[frame["account_id"].isin(ids)] for name, frame in inventory.frames.items()}
    return replace(inventory, **{name: frame.reset_index(drop=True) for name, frame in frames.items()})


@functools.cache
def of_sample(*ids: str) -> Result:
    return iamframe.run_checks(only(iamframe.load_sample(), [*ids]))


def fleet(copies: int) -> Inventory:
    """The sample's three accounts again and again, with other account ids."""
    sample, each = iamframe.load_sample(), []
    for copy in range(1, copies + 1):
        frames = {}
        for name, frame in sample.frames.items():
            texts = {column: frame[column] for column in frame if frame[column].dtype == "str"}
            for number, account in enumerate(SAMPLE_ACCOUNTS):
                new = f"{copy:06d}{number:06d}"
                texts = {column: values.str.replace(account, new, regex=False) for column, values in texts.items()}
            frames[name] = frame.assign(**texts)
        each.append(replace(sample, **frames))
    return joined(each, ["/data/fleet"])


@iamframe.check(severity="high", detail="{role_name} begins with a")
def begins_with_a(roles: pd.DataFrame) -> pd.DataFrame:
    """Roles that begin with a."""
    rows = roles[roles["role_name"].str.startswith("a")]
    return rows.assign(resource_arn=rows["role_arn"])[["resource_arn", "role_name"]]


FIRST, SECOND = "111122223333", "444455556666"


def two_accounts(folder: Path) -> Inventory:
    """Two accounts, each with a role whose name is a formula; of the second, CloudTrail was read, too."""
    each = []
    for account in (FIRST, SECOND):
        files: dict[str, Any] = {"get-caller-identity.json": identity(account)}
        files["list-roles.json"] = {"Roles": [nested_role("=1+1", account=account)]}
        if account == SECOND:
            created = event("2024-05-01T09:00:00Z", "CreateRole", roleName="=1+1")
            files["trail.json"] = {"Records": [created | {"recipientAccountId": SECOND}]}
        each.append(load(folder / account, files))
    return joined(each, ["in"])


def without_gaps(*accounts: str) -> Inventory:
    return replace(of_accounts(*accounts, each=1), gaps=schema.GAPS.empty())


def column_of(path: Path, name: str) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [row[name] for row in csv.DictReader(file)]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def differing(one: Path, other: Path) -> set[str]:
    """The names of the files that differ.

    Only tags and facts come in the order of the parts, and so do findings without an ARN.
    """
    left, right = contents(one), contents(other)
    assert left.keys() == right.keys()

    def rows(name: str, content: bytes) -> list[bytes]:
        lines = content.split(b"\r\n")
        if name == "findings.csv":
            return [line for line in lines if b'"arn:' in line] + sorted(line for line in lines if b'"arn:' not in line)
        return sorted(lines) if name == "tags.csv" or name.startswith("checks") else lines

    return {name for name in left if rows(name, left[name]) != rows(name, right[name])}


# The same report


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_a_report_of_one_account_at_a_time_is_that_of_all_at_once_sorted_by_severity(tmp_path: Path, lang: str) -> None:
    iamframe.write_report(sample_result(), tmp_path / "whole", lang=lang, title="T", author="A")
    iamframe.write_report(parted(sample_result()), tmp_path / "parts", lang=lang, title="T", author="A")
    assert differing(tmp_path / "whole", tmp_path / "parts") == set()
    ids, severities = (column_of(tmp_path / "parts" / "findings.csv", name) for name in ("finding_id", "severity"))
    assert severities == sorted(severities, key=["high", "medium", "low", "info"].index)
    assert ids == sample_result().findings["finding_id"].tolist()


def test_of_too_many_findings_the_page_shows_the_same_rows_if_they_come_in_parts(tmp_path: Path) -> None:
    policy = write(tmp_path, {"policy.toml": POLICY}) / "policy.toml"
    result = iamframe.run_checks(fleet(30), policy=str(policy), checks=[begins_with_a])
    assert len(result.findings) > 10_000
    assert result.findings["accepted"].notna().any()
    whole = iamframe.write_report(result, tmp_path / "whole", owner_tag="team")
    iamframe.write_report(parted(result, 45, [begins_with_a]), tmp_path / "parts", owner_tag="team")
    assert differing(tmp_path / "whole", tmp_path / "parts") == set()
    assert re.search(r"[\d,]+ of [\d,]+ findings: up to 300 of each check", whole.read_text("utf-8"))


def test_a_report_of_a_checked_snapshot_counts_what_other_shards_name_and_own_as_the_whole_does(tmp_path: Path) -> None:
    """In these two accounts, templates and instances also use profiles of the other account."""
    load(tmp_path / "in", random_world(3, 60).files).save(tmp_path / "snapshot")
    inventory = iamframe.open_snapshot(tmp_path / "snapshot")
    named = inventory.references["profile_arn"].str.split(":").str[4]
    assert (named.notna() & (named != inventory.references["account_id"])).any()
    with ThreadPoolExecutor(1) as executor:
        shards: dict[str, Any] = {"executor": executor, "shard_size": 1, "progress": False}
        checked = iamframe.check_snapshot(tmp_path / "snapshot", tmp_path / "checked", **shards)
        assert len(list(checked.parts())) == 2
    iamframe.write_report(iamframe.run_checks(inventory), tmp_path / "whole")
    iamframe.write_report(checked, tmp_path / "parts")
    assert differing(tmp_path / "whole", tmp_path / "parts") == set()


def test_each_file_has_its_header_once_and_the_guarded_cells_of_all_parts_that_were_collected(tmp_path: Path) -> None:
    result = iamframe.run_checks(two_accounts(tmp_path))
    out = iamframe.write_report(parted(result), tmp_path / "out").parent
    assert (out / "roles.csv").read_bytes().count(b"\xef\xbb\xbf") == 1
    assert column_of(out / "roles.csv", "role_name") == ["'=1+1", "'=1+1"]
    assert column_of(out / "roles.csv", "account_id") == ["111122223333", "444455556666"]
    assert sorted(column_of(out / "findings.csv", "account_id")) == sorted(result.findings["account_id"])
    assert [one.inventory.events_read for one in parted(result).parts()] == [False, True]
    assert column_of(out / "events.csv", "account_id") == [SECOND]
    assert list(numbers_of(parted(result)).summary["rows"]) == [*numbers_of(result).summary["rows"]]
    assert numbers_of(parted(result)).summary == numbers_of(result).summary


def test_accounts_of_a_shard_that_could_not_be_checked_are_in_the_report_as_unknown(tmp_path: Path) -> None:
    class Failed(Parted):
        def parts(self, *, neighbours: bool = False) -> Iterator[Result]:  # noqa: ARG002
            yield iamframe.run_checks(unread({"000000000001": "no memory left"}))
            yield from super().parts()

    failed = Failed(**{field.name: getattr(parted(sample_result()), field.name) for field in fields(Parted)})
    page = iamframe.write_report(failed, tmp_path)
    rows = zip(*(column_of(tmp_path / "coverage.csv", name) for name in ("account_id", "status")), strict=True)
    assert {status for account, status in rows if account == "000000000001"} == {"unknown"}
    assert "no memory left" in page.read_text("utf-8")
    assert column_of(tmp_path / "findings.csv", "finding_id") == sample_result().findings["finding_id"].tolist()
    assert numbers_of(failed).summary["rows"]["accounts"] == 4


# The whole result


def test_a_masked_report_and_a_workbook_have_all_parts(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("0123456789abcdef" * 4)
    for name, result in (("whole", sample_result()), ("parts", parted(sample_result()))):
        iamframe.write_report(result, tmp_path / name, mask=tmp_path / "key", xlsx=True)
    assert contents(tmp_path / "whole") == contents(tmp_path / "parts")
    assert b"111122223333" not in (tmp_path / "parts" / "report.html").read_bytes()


# Memory


def test_no_part_is_kept_while_the_next_one_is_read(tmp_path: Path) -> None:
    alive: list[weakref.ref[Result]] = []
    # Then what other tests keep need not be searched for garbage each time.
    gc.freeze()

    class Watched(Parted):
        def parts(self, *, neighbours: bool = False) -> Iterator[Result]:  # noqa: ARG002
            for part in map(replace, super().parts()):
                alive.append(weakref.ref(part))
                yield part
                del part
                gc.collect()
                assert [ref() for ref in alive] == [None] * len(alive)

    watched = Watched(**{field.name: getattr(parted(sample_result()), field.name) for field in fields(Parted)})
    iamframe.write_report(watched, tmp_path)
    assert len(alive) == 3


# Reports that fail


def test_a_part_that_cannot_be_read_leaves_the_old_report_whole(tmp_path: Path) -> None:
    class Failing(Parted):
        def parts(self, *, neighbours: bool = False) -> Iterator[Result]:  # noqa: ARG002
            yield next(super().parts())
            raise ReportError("the second part is missing; check again")

    iamframe.write_report(sample_result(), tmp_path)
    old = contents(tmp_path)
    failing = Failing(**{field.name: getattr(parted(sample_result()), field.name) for field in fields(Parted)})
    with pytest.raises(ReportError, match="the second part is missing"):
        iamframe.write_report(failing, tmp_path)
    assert contents(tmp_path) == old


def test_a_check_that_gives_other_facts_in_other_accounts_is_refused_in_one_sentence(tmp_path: Path) -> None:
    @iamframe.check(severity="low", detail="is there")
    def uneven(roles: pd.DataFrame) -> pd.DataFrame:
        """Roles."""
        fact = f"of_{roles['account_id'].iloc[0]}"
        return roles.assign(resource_arn=roles["role_arn"], **{fact: "x"})[["resource_arn", fact]]

    result = iamframe.run_checks(of_accounts("1" * 12, "2" * 12), ["uneven"], checks=[uneven])
    with pytest.raises(
        ReportError, match=r"^checks/uneven\.csv: [^\n]+of_222222222222[^\n]+; make it give the same facts"
    ):
        iamframe.write_report(parted(result, 1, [uneven]), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_files_of_an_older_report_about_data_that_was_not_collected_now_are_removed(tmp_path: Path) -> None:
    iamframe.write_report(sample_result(), tmp_path)
    assert (tmp_path / "resource_owners.csv").exists()
    iamframe.write_report(iamframe.run_checks(without_gaps("1" * 12), ["empty_profiles"]), tmp_path)
    assert not (tmp_path / "resource_owners.csv").exists()
    assert not (tmp_path / "tag_policies.csv").exists()
    assert [file.name for file in (tmp_path / "checks").iterdir()] == ["empty_profiles.csv"]


# A page of very many accounts


def test_a_filter_offers_a_thousand_accounts_those_on_the_page_first_and_tells_how_many_more_there_are(
    tmp_path: Path,
) -> None:
    ids = [f"{number:012d}" for number in range(1, 1_203)]
    html = iamframe.write_report(iamframe.run_checks(without_gaps(*ids)), tmp_path).read_text("utf-8")
    (options,) = re.findall(r'<select data-by="account">(.*?)</select>', html)
    assert options.count("<option value=") == 1_001
    assert options.endswith("<option disabled>202 more: filter by text</option>")
    shown = set(re.findall(r'data-by="account" data-value="(\d+)"', html))
    assert len(shown) == 10
    assert shown <= set(re.findall(r'value="(\d+)"', options))


def test_a_finding_without_a_type_of_resource_is_a_row_with_its_name_alone(tmp_path: Path) -> None:
    def untyped(profiles: pd.DataFrame) -> pd.DataFrame:
        """Profiles without a type."""
        return profiles[:1].assign(resource_type=None, resource_name="left", resource_arn=None)

    checked = iamframe.check(severity="low", detail="is untyped", remediation="Give a type.")(untyped)
    result = iamframe.run_checks(iamframe.load_sample(), ["untyped"], checks=[checked])
    assert result.findings["resource_type"].isna().all()
    iamframe.write_report(result, tmp_path / "out")
    assert "<td>left<td>is untyped" in (tmp_path / "out" / "report.html").read_text("utf-8")

"""Findings are facts: a frame per check, an id that stays, resources that need attention, checks of one's own."""

from __future__ import annotations

import csv
import inspect
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from builders import (
    ACCOUNT,
    dump,
    identity,
    load,
    nested_role,
    profile,
    profile_list,
    role_detail,
    sample_result,
    tag_list,
    write,
)
from commands import run
from pandas.testing import assert_frame_equal

import iamframe
from iamframe import CHECKS, Inventory, Policy, run_checks, schema
from iamframe.checks import coverage
from iamframe.checks.evidence import Evidence, Need
from iamframe.checks.findings import Found
from iamframe.errors import CheckError, UnknownCheckError
from iamframe.inventory.completeness import completeness
from iamframe.inventory.views import numbered_pairs

POLICY = Path(__file__).parents[2] / "data" / "tag-policy.toml"
COMMON = ["finding_id", "account_id", "resource_arn", "resource_name", "related_arn"]
# The facts of each check, as the contract names them.
FACTS = {
    "tag_differences": {"tag_key", "profile_key", "profile_value", "role_value", "kind"},
    "missing_required_tags": {"tag_key", "found_key", "tag_value", "problem", "demanded_by", "required_of"},
    "tag_key_variants": {"tag_key", "resources"},
    "untagged_profiles": {"related_tag_count"},
    "untagged_roles": {"related_tag_count"},
    "unreferenced_profiles": {"regions", "not_read", "last_used_at", "attached_policies"},
    "stale_references": {
        "consumer_type", "consumer_id", "region", "named", "problem", "referenced_id", "current_id",
    },
    "name_mismatches": {"profile_name", "role_name", "relation"},
    "path_mismatches": {"profile_path", "role_path"},
    "crossed_names": {"namesake_arn"},
    "roles_in_many_profiles": {"profile_arn"},
    "profiles_without_ec2_trust": {"trusted_services"},
    "deleted_trust_principals": {"principal_id"},
    "quota_pressure": {"counted", "used", "quota"},
}  # fmt: skip

HOUSE = '''
import iamframe
from iamframe.checks.coverage import all_profiles


@iamframe.check(severity="low", needs=[all_profiles], detail="is named {profile_name}, which is short")
def short_names(profiles):
    """Profiles with short names.

    Nobody can tell what they are for.
    """
    short = profiles[profiles["profile_name"].str.len() < 3]
    return short.rename(columns={"profile_arn": "resource_arn"})[["account_id", "resource_arn", "profile_name"]]
'''


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_has_its_facts_as_typed_columns_and_an_empty_frame_has_the_same(name: str) -> None:
    full = sample_result()[name]
    assert list(full.columns[:5]) == COMMON
    assert FACTS.get(name, set()) <= set(full.columns)
    assert not [column for column in full.columns if column.startswith("_")]
    nothing = iamframe.Inventory(**{frame: schema.FRAMES[frame].empty() for frame in schema.FRAMES})
    empty = run_checks(nothing, only=[name], policy=POLICY)[name]
    assert len(empty) == 0
    assert empty.dtypes.to_dict() == full.dtypes.to_dict()


def test_each_finding_has_its_facts_and_no_fact_is_of_none() -> None:
    result = sample_result()
    for name in CHECKS:
        of_check = result.findings[result.findings["check"] == name]
        assert set(result[name]["finding_id"]) == set(of_check["finding_id"])
    assert result.findings["finding_id"].is_unique


def test_the_id_of_a_finding_stays_whatever_else_is_found(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    alone = run_checks(load(tmp_path / "one", {"p.json": profile_list(profile("old"))}), only=["empty_profiles"])
    more = run_checks(load(tmp_path / "two", {"p.json": profile_list(profile("a"), profile("old"), profile("z"))}))
    (mine,) = alone["empty_profiles"]["finding_id"]
    empty = more["empty_profiles"].set_index("resource_name")["finding_id"]
    # As in every version: tickets and policies hold it.
    assert empty["old"] == mine == "e3009b9a2f9f464d"
    assert empty.is_unique


def test_one_id_chooses_one_finding_and_without_checks_none_ran() -> None:
    result = sample_result()
    assert len(result.only(result.findings["finding_id"][0]).findings) == 1
    assert run_checks(result.inventory, only=[]).complete_text == "no check ran"


def test_a_check_that_did_not_run_is_an_error_and_no_empty_frame() -> None:
    result = run_checks(iamframe.load_sample(), only=["empty_profiles"])
    with pytest.raises(
        UnknownCheckError, match=r"^tag_differences: that check did not run; the checks that ran are empty_profiles$"
    ):
        result["tag_differences"]


def test_which_key_is_missing_where_is_answered_by_a_pivot(tmp_path: Path) -> None:
    result = run_checks(
        load(
            tmp_path / "in",
            {
                "d.json": dump(role_detail("web", [profile("web")], {"Owner": "x", "Env": "a"})),
                "p.json": profile_list(profile("web", nested_role("web"))),
                "instance-profile-tags/web.json": {"Tags": tag_list({"Env": "b", "Team": "t"})},
            },
        )
    )
    result.write(tmp_path / "out")
    facts = pd.read_csv(tmp_path / "out" / "checks" / "tag_differences.csv", dtype=str)
    counts = facts.pivot_table(index="tag_key", columns="kind", aggfunc="size")
    assert counts.stack().dropna().to_dict() == {
        ("Owner", "missing_on_profile"): 1, ("Env", "value"): 1, ("Team", "missing_on_role"): 1,
    }  # fmt: skip


def test_a_report_has_a_file_for_each_check_that_ran_and_takes_away_those_of_an_older_one(tmp_path: Path) -> None:
    sample_result().write(tmp_path)
    assert {file.stem for file in (tmp_path / "checks").iterdir()} == set(CHECKS)
    (tmp_path / "checks" / "mine.csv").write_text("mine", encoding="utf-8")
    run_checks(iamframe.load_sample(), only=["empty_profiles"]).write(tmp_path)
    assert {file.stem for file in (tmp_path / "checks").iterdir()} == {"empty_profiles", "mine"}


def test_resources_that_need_attention_count_once_each_under_their_gravest_finding(tmp_path: Path) -> None:
    allow = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    trust = {"AssumeRolePolicyDocument": {"Statement": [allow]}}
    role = role_detail("r", [profile("web")], {"Owner": "x"}) | trust
    result = run_checks(
        load(
            tmp_path,
            {
                "d.json": dump(role),
                "p.json": profile_list(profile("web", nested_role("r") | trust), profile("old")),
                "instance-profile-tags/web.json": {"Tags": []},
            },
        )
    )
    # `web` has a high, a medium and a low finding, `old` a medium one.
    found = result.findings.groupby("resource_name")["check"].agg(set)
    assert found["web"] >= {"profiles_without_ec2_trust", "untagged_profiles", "name_mismatches"}
    assert result.attention.to_dict() == {"high": 1, "medium": 1, "low": 0, "info": 0}


def test_the_owner_is_that_of_the_resource_or_else_of_its_role_and_unread_is_not_none(tmp_path: Path) -> None:
    documents = {
        "d.json": dump(role_detail("r", list(map(profile, ("web", "own", "unread"))), {"Owner": "ops"})),
        "p.json": profile_list(*(profile(name, nested_role("r")) for name in ("web", "own", "unread")), profile("old")),
        "instance-profile-tags/web.json": {"Tags": []},
        "instance-profile-tags/own.json": {"Tags": tag_list({"Owner": "dev"})},
    }
    findings = run_checks(load(tmp_path, documents)).findings
    owners = findings.drop_duplicates("resource_name").set_index("resource_name")[["owner", "owner_known"]]
    assert owners.loc["web"].tolist() == ["ops", True]
    assert owners.loc["own"].tolist() == ["dev", True]
    # The profile may have an owner tag of its own.
    assert owners.loc["unread"].tolist() == ["ops", False]
    assert pd.isna(owners.loc["old", "owner"])
    assert not owners.loc["old", "owner_known"]


POLICY_OF_ORIGINALS = """
[required_tags]
Owner = { pattern = "ops|dev" }

[[accepted]]
check = "empty_profiles"
resource_arn = "arn:aws:iam::111122223333:instance-profile/old-*"
reason = "kept for 111122223333"

[[accepted]]
check = "name_mismatches"
related_arn = "*:444455556666:role/*"
reason = "known"
"""


def test_a_masked_report_has_as_many_findings_of_each_kind_as_one_that_shows_all(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(POLICY_OF_ORIGINALS, encoding="utf-8")
    result = run_checks(iamframe.load_sample(), policy=tmp_path / "policy.toml")
    counts = []
    for name, mask in (("plain", False), ("masked", True)):
        result.write(tmp_path / name, mask=mask)
        findings = pd.read_csv(tmp_path / name / "findings.csv", dtype=str)
        findings["accepted"] = findings["accepted"].notna()
        counts.append(findings.groupby(["check", "severity", "expected", "accepted"]).size().to_dict())
        facts = pd.read_csv(tmp_path / name / "checks" / "tag_differences.csv", dtype=str)
        assert set(facts["finding_id"]) == set(findings["finding_id"][findings["check"] == "tag_differences"])
    assert counts[0] == counts[1]
    assert sum(number for key, number in counts[0].items() if key[3]) >= 10
    plain, masked = (
        pd.read_csv(tmp_path / name / "findings.csv", dtype=str)["finding_id"] for name in ("plain", "masked")
    )
    # An id that is a hash of an account's id would tell it to whoever tries them all.
    assert not set(plain) & set(masked)


# Checks of one's own


def house(folder: Path, text: str = HOUSE) -> Path:
    (folder / "house.py").write_text(text, encoding="utf-8")
    return folder / "house.py"


def returning(column: str) -> str:
    """The check with one more column in what it returns."""
    return (
        HOUSE.replace("return short.rename", "short = short.rename")
        .rstrip()
        .replace(
            '[["account_id", "resource_arn", "profile_name"]]',
            f'[["resource_arn", "profile_name"]]\n    return short.assign({column})\n',
        )
    )


def test_a_check_of_ones_own_is_in_findings_coverage_page_and_csv_of_either_language(tmp_path: Path) -> None:
    inventory = load(tmp_path / "in", {"p.json": profile_list(profile("ab"), profile("abc"))})
    result = run_checks(inventory, checks=house(tmp_path))
    assert list(result.checks) == [*CHECKS, "short_names"]
    (row,) = result.findings[result.findings["check"] == "short_names"].to_dict("records")
    assert (row["resource_name"], row["severity"], row["detail"]) == ("ab", "low", "is named ab, which is short")
    assert (row["account_id"], row["resource_type"]) == (ACCOUNT, "instance-profile")
    assert result["short_names"]["profile_name"].tolist() == ["ab"]
    assert result.coverage.set_index("check").loc["short_names", "status"] == "complete"
    for lang in ("en", "ja"):
        page = result.write(tmp_path / lang, lang=lang)
        assert "Profiles with short names" in page.read_text("utf-8")
        assert "is named ab, which is short" in page.read_text("utf-8")
        with (tmp_path / lang / "checks" / "short_names.csv").open(encoding="utf-8-sig", newline="") as file:
            assert [row["profile_name"] for row in csv.DictReader(file)] == ["ab"]
    # It is no check of iamframe's: the next run is without it.
    assert "short_names" not in run_checks(inventory).checks


def test_a_fraction_of_a_check_of_ones_own_is_not_rounded(tmp_path: Path) -> None:
    text = returning("share=0.25, much=1234567.5, whole=2000.0").replace("which is short", "{share} {much} {whole}")
    inventory = load(tmp_path / "in", {"p.json": profile_list(profile("ab"))})
    (detail,) = run_checks(inventory, "short_names", checks=house(tmp_path, text)).findings["detail"]
    assert detail == "is named ab, 0.25 1,234,567.5 2,000"


def test_a_check_of_ones_own_shows_true_and_false_as_words_and_a_small_number_as_a_number(tmp_path: Path) -> None:
    text = returning("is_new=True, is_old=False, shared=12").replace("which is short", "{is_new} {is_old} {shared}")
    profiles = {"p.json": profile_list(profile("ab", account="000000000012"))}
    result = run_checks(load(tmp_path / "in", profiles), "short_names", checks=house(tmp_path, text))
    assert result.findings["detail"].tolist() == ["is named ab, true false 12"]


def test_a_function_may_be_handed_over_as_a_check(tmp_path: Path) -> None:
    @iamframe.check(severity="high", detail="is there")
    def all_roles_there(roles: pd.DataFrame) -> pd.DataFrame:
        """Roles."""
        return roles.assign(resource_arn=roles["role_arn"])[["resource_arn"]]

    result = run_checks(
        load(tmp_path, {"d.json": dump(role_detail("r"))}), only=["all_roles_there"], checks=[all_roles_there]
    )
    assert result.findings[["resource_name", "resource_type", "detail"]].to_numpy().tolist() == [
        ["r", "role", "is there"]
    ]


def test_rows_without_an_arn_are_one_finding_for_each_name(tmp_path: Path) -> None:
    @iamframe.check(severity="low", detail="is a tag key of {count} resources: [{_arn}]")
    def keys_in_use(tags: pd.DataFrame) -> pd.DataFrame:
        """Keys."""
        return pd.DataFrame(
            {"account_id": ACCOUNT, "resource_arn": None, "resource_type": "tag key", "resource_name": tags["tag_key"]},
            index=tags.index[::-1],
        ).assign(_arn=tags["resource_arn"])

    tags = [role_detail("r", tags={"Owner": "a"}), role_detail("s", tags={"Team": "a", "Owner": "b"})]
    result = run_checks(load(tmp_path, {"d.json": dump(*tags)}), only=["keys_in_use"], checks=[keys_in_use])
    assert result.findings.set_index("resource_name")["detail"].to_dict() == {
        "Owner": f"is a tag key of 2 resources: arn:aws:iam::{ACCOUNT}:role/s, arn:aws:iam::{ACCOUNT}:role/r",
        "Team": f"is a tag key of 1 resources: arn:aws:iam::{ACCOUNT}:role/s",
    }
    assert result.findings["finding_id"].is_unique


@pytest.mark.parametrize(
    ("frame", "needs", "held"),
    [
        ("roles", [], ["all roles"]),
        ("profiles", [], ["all profiles"]),
        ("profiles", [coverage.profile_tags], ["profile tags"]),
        ("profiles", ["profile_tags"], ["profile tags"]),
        ("profiles", "profile_tags", ["profile tags"]),
        ("roles", [coverage.all_profiles], ["all profiles", "all roles"]),
        ("tags", [], ["role and profile tags"]),
        ("pairs", [coverage.roles_of_profiles], ["roles of profiles"]),
        ("pairs", [], ["all profiles", "roles of profiles", "all roles", "profiles of roles", "trust"]),
        ("events", [], ["events"]),
        ("resource_owners", [], ["resource owners"]),
    ],
)
def test_a_check_of_ones_own_needs_all_of_the_frames_that_it_reads(
    tmp_path: Path, frame: str, needs: list[Need | str] | str, held: list[str]
) -> None:
    def nothing(given: pd.DataFrame) -> pd.DataFrame:
        """Nothing."""
        return given[:0].assign(resource_arn="")

    nothing.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(frame, inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    )
    own = iamframe.check(severity="low", needs=needs, detail="is there")(nothing)
    inventory = load(tmp_path, {"x.json": {"Roles": [], "NextToken": "more"}, "id.json": identity()})
    result = run_checks(inventory, only=["nothing"], checks=[own])
    assert [need.name for need in result.checks["nothing"].needs] == held
    # An empty result is no all clear where the frames are not whole.
    assert set(result.coverage["status"]) in ({"unknown"}, {"partial"})


def test_a_need_that_does_not_exist_is_refused_with_the_needs_that_there_are() -> None:
    with pytest.raises(TypeError, match=r"check nothing needs 'tags'; use one of all_profiles, .*profile_tags"):

        @iamframe.check(severity="low", needs=["tags"], detail="is there")
        def nothing(profiles: pd.DataFrame) -> pd.DataFrame:
            """Nothing."""
            return profiles


def test_a_check_of_pairs_is_unknown_where_no_role_without_a_profile_could_be_seen(tmp_path: Path) -> None:
    @iamframe.check(severity="low", detail="is alone")
    def alone(pairs: pd.DataFrame) -> pd.DataFrame:
        """Roles without a profile."""
        return pairs[pairs["profile_arn"].isna()].assign(resource_arn=lambda rows: rows["role_arn"])

    documents = {"p.json": profile_list(profile("p", nested_role("r"))), "id.json": identity()}
    result = run_checks(load(tmp_path, documents), only=["alone", "ec2_roles_without_profile"], checks=alone)
    assert set(result.coverage["status"]) == {"unknown"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "import nowhere_at_all",
            "house.py: stops with ModuleNotFoundError: No module named 'nowhere_at_all' (line 1); fix",
        ),
        ("open('missing.csv')", "house.py: stops with FileNotFoundError: [Errno 2] No such file"),
        ("x = 1", "house.py: has no check; put `@iamframe.check"),
        (HOUSE.replace("short_names", "empty_profiles"), "empty_profiles: a check of that name already exists"),
        (HOUSE.replace("short_names", "Empty_Profiles"), "Empty_Profiles: a check of that name already exists"),
        (f"{HOUSE}\nraise SystemExit(0)", "house.py: stops with SystemExit: 0 (line "),
        (HOUSE.replace("return short", "raise SystemExit #"), "check short_names: stops with SystemExit: "),
        (HOUSE.replace("< 3]", "< nothing]"), "check short_names: stops with NameError: name 'nothing' is not defined"),
        (HOUSE.replace('"profile_name"].str', '"name"].str'), "KeyError: 'name' (line "),
        (HOUSE.replace('"profile_name"].str', '"name"].str'), "; profiles has account_id, profile_arn, profile_name, "),
        (
            HOUSE.replace("return short", "return 1 #"),
            "check short_names: does not return a DataFrame with a column resource_arn",
        ),
        (returning('severity="High"'), "returns the severity 'High'; use one of high, medium, low, info"),
        (returning('certainty="sure"'), "returns the certainty 'sure'; use one of certain, in scope, maybe"),
        (returning('check="other"'), "returns the column check, which iamframe fills; rename the column"),
        (returning('account_name="mine"'), "returns the column account_name, which iamframe fills; rename the column"),
        (returning('finding="mine"'), "returns the column finding, which iamframe fills; rename the column"),
        (returning('expected="maybe"'), "returns a value of a wrong type ("),
        *(
            (
                returning(f"names=[{value}] * len(short)"),
                "the column names must hold only texts, only numbers, only times, or only",
            )
            for value in ("['a']", "{'a': 1}", "{'a'}", "b'a'", "__import__('pandas').Period('2024-01')")
        ),
        (
            HOUSE.replace("return short", "return short.assign(resource_arn='a')"),
            "returns several columns resource_arn; rename or drop all but one",
        ),
        (returning("expected=None"), "the column expected has missing values; fill them with true or false"),
        (returning('resource_arn="arn:x"'), "no role or profile in the inventory; return the column account_id, too"),
        (HOUSE.replace("{profile_name}", "{name}"), "detail shows {name}; return a column of that name"),
        *(
            (HOUSE.replace("is named {profile_name}", text), "detail shows {count}; return a column of that name")
            for text in ("is named {count}", "[{count}]", "a [ {count}")
        ),
        (
            HOUSE.replace("detail=", 'next_step="aws iam x --query=A[0].{count}", detail='),
            "next_step shows {count}; return",
        ),
        (HOUSE.replace("detail=", 'next_step="x {name}", detail='), "next_step shows {name}; return a column"),
        (
            returning("share=0.5").replace("which is short", "{share:days}"),
            "detail has {share:days}, but iamframe cannot show the values of share in the form days; write {share}",
        ),
        (
            HOUSE.replace("{profile_name}, which", "{profile_name:words}, which"),
            "cannot show the values of profile_name in the form words; write {profile_name}",
        ),
        (HOUSE.replace("{profile_name}, which", "{profile_name:message}, which"), "in the form message; write {"),
        (
            HOUSE.replace("detail=", 'next_step={"by": "profile_name", "x": "aws"}, detail='),
            "check short_names: next_step has no key `other`; add it, with the text for all other values",
        ),
        (
            HOUSE.replace('"is named {profile_name}, which is short"', '{"by": "profile_name", "x": "is x"}'),
            "check short_names: detail has no key `other`; add it",
        ),
        (HOUSE.replace("(profiles)", "(lives)"), "check short_names reads lives; there are "),
        (HOUSE.replace("Profiles with short names.\n\n    Nobody can tell what they are for.\n", ""), "needs a doc"),
    ],
)
def test_a_check_of_ones_own_that_is_wrong_is_refused_in_one_sentence(tmp_path: Path, text: str, says: str) -> None:
    inventory = load(tmp_path / "in", {"p.json": profile_list(profile("ab"))})
    with pytest.raises(CheckError) as refused:
        run_checks(inventory, checks=house(tmp_path, text))
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("dtype", ["int64", "float64", "Int64", "object", "category"])
def test_account_ids_as_numbers_in_a_check_of_ones_own_are_refused_since_masking_would_miss_them(
    tmp_path: Path, dtype: str
) -> None:
    inventory = load(tmp_path / "in", {"p.json": profile_list(profile("ab", account="111122223333"))})
    text = returning(f"of=__import__('pandas').Series(111122223333, short.index, '{dtype}')")
    with pytest.raises(CheckError) as refused:
        run_checks(inventory, checks=house(tmp_path, text))
    assert str(refused.value) == (
        "check short_names: the column of has account ids as numbers; convert them to texts of 12 digits"
    )


@pytest.mark.parametrize(
    ("checks", "to_do"),
    [
        ("empty_profiles", "to run only this check, use --only empty_profiles (in Python, only=['empty_profiles'])"),
        ("house.txt", "give one that ends in .py"),
    ],
)
def test_a_name_in_place_of_a_file_of_checks_is_answered_with_what_to_type(
    tmp_path: Path, checks: str, to_do: str
) -> None:
    inventory = load(tmp_path / "in", {"p.json": profile_list(profile("ab"))})
    with pytest.raises(CheckError) as refused:
        run_checks(inventory, checks=checks)
    assert str(refused.value) == f"{checks}: is not a Python file; {to_do}"


def test_a_function_without_the_decorator_is_no_check() -> None:
    with pytest.raises(CheckError, match=r"is not a check; put `@iamframe\.check\(\.\.\.\)` in front of the function$"):
        run_checks(iamframe.load_sample(), checks=lambda roles: roles)


def test_a_check_of_ones_own_can_read_how_many_resources_have_each_tag(tmp_path: Path) -> None:
    tags = {
        f"instance-profile-tags/{name}.json": {"Tags": tag_list(of)}
        for name, of in {"a": {"Team": "ops"}, "b": {}}.items()
    }
    inventory = load(tmp_path, {"p.json": profile_list(profile("a"), profile("b"))} | tags)

    @iamframe.check(severity="low", detail="{tagged} of {known} have the tag {tag_key}")
    def rare_tags(tag_coverage: pd.DataFrame) -> pd.DataFrame:
        """Tags that few resources have."""
        rare = tag_coverage[tag_coverage["share"] < 0.9]
        return rare[["account_id", "tag_key", "tagged", "known"]].assign(resource_arn=None)

    findings = run_checks(inventory, "rare_tags", checks=rare_tags).findings
    assert findings["detail"].tolist() == ["1 of 2 have the tag Team"]


def test_a_file_of_checks_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckError, match=r"none\.py: cannot be read \(No such file or directory\); check the path"):
        run_checks(iamframe.load_sample(), checks=tmp_path / "none.py")


def test_the_command_line_lists_checks_and_runs_ones_own(tmp_path: Path) -> None:
    def iamframe_says(*arguments: str) -> str:
        command = [sys.executable, "-m", "iamframe", *arguments]
        return subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout

    listed = iamframe_says("checks", "--checks", str(house(tmp_path)), "--format", "csv")
    rows = list(csv.DictReader(listed.splitlines()))
    assert [row["check"] for row in rows] == [*CHECKS, "short_names"]
    assert {row["severity"] for row in rows} == {"high", "medium", "low"}
    assert next(row for row in rows if row["check"] == "short_names")["needs"] == "all profiles"
    assert [line.split()[1] for line in iamframe_says("checks").splitlines()[-len(CHECKS) :]] == list(CHECKS)


def test_explain_shows_the_findings_of_ones_own_check_and_which_are_accepted(tmp_path: Path) -> None:
    given = two_loads_and_an_accepted_check(tmp_path)
    done = run(tmp_path, "explain", "ab", "new", *given)
    (line,) = (line for line in done.stdout.splitlines() if "short_names" in line)
    assert "'ab' (low, accepted, reason: kept): is named ab, which is short" in line
    assert done.returncode == 0


def test_diff_compares_the_findings_of_ones_own_check(tmp_path: Path) -> None:
    given = two_loads_and_an_accepted_check(tmp_path)
    done = run(tmp_path, "diff", "old", "new", "--format", "csv", *given)
    rows = [row for row in csv.DictReader(done.stdout.splitlines()) if row["what"] == "short_names"]
    assert [(row["change"], row["resource_name"]) for row in rows] == [("finding_new", "cd")]
    assert "short_names" not in done.stderr


def test_a_plan_takes_ones_own_check_and_makes_no_steps_for_it(tmp_path: Path) -> None:
    given = two_loads_and_an_accepted_check(tmp_path)
    done = run(tmp_path, "plan", "new", *given)
    assert done.returncode == 0
    assert ": nothing is planned." in done.stdout
    assert "short_names" not in done.stdout


def two_loads_and_an_accepted_check(folder: Path) -> list[str]:
    """Two folders of files, of which the second has a profile with a short name more, and options for the check."""
    for name, profiles in (("old", ["ab"]), ("new", ["ab", "cd"])):
        roles = {one: nested_role(one) for one in profiles}
        write(folder / name, {"p.json": profile_list(*(profile(one, roles[one]) for one in profiles))})
    entry = "[[accepted]]\ncheck = 'short_names'\nresource_arn = '*/ab'\nreason = 'kept'\n"
    (folder / "policy.toml").write_text(entry, encoding="utf-8")
    return ["--checks", str(house(folder)), "--policy", "policy.toml"]


@cache
def views_of_sample() -> dict[str, pd.DataFrame]:
    sample = iamframe.load_sample()
    evidence = Evidence(sample, iamframe.pairs(sample), completeness(sample), Policy())
    return {"pairs": numbered_pairs(sample), "lists": evidence.lists, "owned_profiles": evidence.owned}


@pytest.mark.parametrize("name", CHECKS)
def test_a_rule_finds_nothing_if_the_frame_that_it_judges_is_empty(name: str) -> None:
    """So the runner need not run it. The other frames are those of the sample."""
    sample, one = iamframe.load_sample(), CHECKS[name]
    judged = {"roles", "profiles"} if one.reads[:2] == ("roles", "profiles") else {one.reads[0]}
    emptied = {name: frame.iloc[:0] for name, frame in sample.frames.items() if name in judged}
    frames = replace(sample, **emptied).linked_rows.numbered() | views_of_sample()
    found = one.rule(*(frames[read].iloc[:0] if read in judged else frames[read] for read in one.reads))
    assert len(found.table if isinstance(found, Found) else found) == 0


def test_a_rule_that_is_not_run_has_the_facts_of_one_that_ran() -> None:
    nothing = Inventory(**{name: frame.empty() for name, frame in schema.FRAMES.items()})  # type: ignore[arg-type]
    first, second = iamframe.run_checks(nothing), iamframe.run_checks(nothing)
    for name in CHECKS:
        assert_frame_equal(first[name], second[name])
    assert {"tag_key", "kind"} <= set(second["tag_differences"])
    assert len(iamframe.run_checks(iamframe.load_sample())["tag_differences"]) > 0


def test_profiles_are_judged_by_the_policy_although_there_are_no_roles() -> None:
    """An inventory without anything comes first: what was kept of it must not stand for this one."""
    frames = {name: frame.empty() for name, frame in schema.FRAMES.items()}
    assert len(run_checks(Inventory(**frames), policy=POLICY)["missing_required_tags"]) == 0  # type: ignore[arg-type]
    sample = iamframe.load_sample()
    profiles = replace(sample, roles=schema.ROLES.empty(), links=schema.LINKS.empty())
    found = run_checks(profiles, policy=POLICY).findings
    found = found[found["check"] == "missing_required_tags"]
    assert found["resource_type"].tolist() == ["instance-profile"] * 33
    assert "EMR_EC2_DefaultRole" in set(found["resource_name"])

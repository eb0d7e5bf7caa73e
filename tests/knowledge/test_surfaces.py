"""Where tags can be seen and changed: each fact with its source, what that makes a person miss, and asking AWS."""

from __future__ import annotations

import csv
import io
import json
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from accounts import EC2
from builders import ACCOUNT, dump, load, profile, profile_list, role_detail, tag_list
from commands import run

import iamframe
from iamframe.errors import SourceError
from iamframe.inventory import schema
from iamframe.knowledge.surfaces import known_facts
from iamframe.practice import PracticeAccount

TOML = tomllib.loads(resources.files("iamframe.knowledge").joinpath("surfaces.toml").read_text(encoding="utf-8"))
ENTRIES = [
    pytest.param(entry, id=f"{surface}: {kind}: {operation}")
    for surface, kinds in TOML["surface"].items()
    for kind, operations in kinds.items()
    for operation, entry in operations.items()
]
SURFACES = [
    "IAM console",
    "Tag Editor",
    "IAM API",
    "Resource Groups Tagging API",
    "Resource Explorer",
    "AWS Config",
    "CloudFormation",
    "Terraform",
    "Resource Groups",
    "tag policy compliance report",
    "EC2 console",
]
RGTA = "Resource Groups Tagging API"
HOME = "only if us-east-1 is selected (in GovCloud: us-gov-west-1; AWS does not document the region for China)"


def answer(surface: str, kind: str, operation: str) -> str:
    known = iamframe.surfaces().set_index(["surface", "resource_type", "operation"])
    return str(known.loc[(surface, kind, operation), "answer"])


# What is known


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_fact_says_how_and_has_a_source_and_its_date(entry: dict[str, Any]) -> None:
    source = TOML["sources"][entry["source"]]
    assert len(source["text"]) > 10
    assert len(entry["detail"]) > 10
    # It has a condition where it depends on something, and nowhere else.
    assert entry["answer"] in {"yes", "no", "depends", "unknown"}
    assert ("condition" in entry) == (entry["answer"] == "depends")
    assert entry.get("condition") in {None, *TOML["conditions"]}
    assert "since" not in entry or entry["since"] < TOML["sources"][entry["source"]]["date"]


def test_each_condition_is_that_of_a_fact_and_narrows_it() -> None:
    assert {fact.condition_id for fact in known_facts()} == {None, *TOML["conditions"]}
    assert {fact.condition for fact in known_facts()} == {None, *TOML["conditions"].values()}
    assert all("only " in text for text in TOML["conditions"].values())


def test_each_source_is_that_of_a_fact() -> None:
    assert {entry.values[0]["source"] for entry in ENTRIES} == set(TOML["sources"])


def test_each_surface_has_an_answer_for_each_type_and_operation() -> None:
    known = iamframe.surfaces()
    assert known["surface"].unique().tolist() == SURFACES
    kinds = ["role"] * 3 + ["instance-profile"] * 3
    assert known["resource_type"].tolist() == kinds * 11
    assert known["operation"].tolist() == ["write", "read", "find"] * 22


def test_dates_are_dates_and_what_is_not_known_is_missing() -> None:
    surfaces = iamframe.surfaces().query("resource_type == 'instance-profile'")
    known = surfaces.set_index(["surface", "operation"]).loc[("IAM API", "write")]
    assert known["since"] == pd.Timestamp(2021, 2, 12)
    assert known["checked_on"] > pd.Timestamp(2026, 1, 1)
    assert pd.isna(known["condition"])
    assert iamframe.surfaces()["checked_on"].notna().all()


@pytest.mark.parametrize(
    ("surface", "kind", "operation", "expected"),
    [
        ("IAM console", "role", "read", "yes"),
        ("IAM console", "instance-profile", "read", "no"),
        ("Tag Editor", "role", "find", "no"),
        ("Tag Editor", "instance-profile", "find", "depends"),
        ("IAM API", "instance-profile", "read", "yes"),
        (RGTA, "role", "write", "depends"),
        (RGTA, "role", "read", "no"),
        (RGTA, "instance-profile", "read", "depends"),
        ("Resource Explorer", "role", "read", "no"),
        ("Resource Explorer", "instance-profile", "find", "no"),
        ("AWS Config", "role", "find", "depends"),
        ("CloudFormation", "role", "write", "depends"),
        ("CloudFormation", "instance-profile", "write", "no"),
        ("Terraform", "role", "read", "yes"),
        ("AWS Config", "instance-profile", "read", "unknown"),
        ("Resource Groups", "role", "find", "no"),
        ("Resource Groups", "instance-profile", "find", "depends"),
        ("tag policy compliance report", "instance-profile", "write", "no"),
        ("tag policy compliance report", "instance-profile", "find", "depends"),
        ("tag policy compliance report", "role", "read", "no"),
        ("EC2 console", "instance-profile", "read", "no"),
        ("EC2 console", "role", "write", "unknown"),
    ],
)
def test_what_is_known_of_the_surfaces_that_people_take_for_complete(
    surface: str, kind: str, operation: str, expected: str
) -> None:
    assert answer(surface, kind, operation) == expected


def test_the_frame_is_made_anew_so_that_changing_one_changes_no_other() -> None:
    mine = iamframe.surfaces()
    mine.loc[:, "answer"] = "yes"
    assert answer("IAM console", "instance-profile", "read") == "no"


# Blind spots


@pytest.fixture
def inventory(tmp_path: Path) -> iamframe.Inventory:
    """A tagged and an untagged role and one that AWS manages, a tagged profile, and one whose tags were not read."""
    tagged, unread = profile("web"), profile("batch")
    return load(
        tmp_path,
        {
            "dump.json": dump(
                role_detail("web", [tagged], {"Owner": "ops"}),
                role_detail("bare"),
                role_detail("linked", path="/aws-service-role/x.amazonaws.com/"),
            ),
            "profiles.json": profile_list(tagged, unread),
            "instance-profile-tags/web.json": {"Tags": tag_list({"Owner": "ops"})},
        },
    )


def missed(spots: pd.DataFrame, surface: str, operation: str) -> dict[tuple[str, str], tuple[str, str]]:
    """Per type and name: whether it has tags, and whether it is missed."""
    rows = spots[(spots["surface"] == surface) & (spots["operation"] == operation)]
    columns = (rows[name].tolist() for name in ("resource_type", "resource_name", "tagged", "missed"))
    return {(kind, name): (tagged, said) for kind, name, tagged, said in zip(*columns, strict=True)}


def test_the_console_misses_the_profiles_tagged_or_not_and_shows_the_roles(inventory: iamframe.Inventory) -> None:
    assert missed(iamframe.blind_spots(inventory), "IAM console", "read") == {
        ("instance-profile", "batch"): ("unknown", "yes"),
        ("instance-profile", "web"): ("yes", "yes"),
    }


def test_the_tag_editor_misses_roles_and_profiles_unless_the_region_is_the_right_one(
    inventory: iamframe.Inventory,
) -> None:
    assert missed(iamframe.blind_spots(inventory), "Tag Editor", "find") == {
        ("role", "bare"): ("no", "yes"),
        ("role", "web"): ("yes", "yes"),
        ("instance-profile", "batch"): ("unknown", "depends"),
        ("instance-profile", "web"): ("yes", "depends"),
    }


def test_a_blind_spot_says_on_what_it_depends_and_by_what_it_is_one(inventory: iamframe.Inventory) -> None:
    spots = iamframe.blind_spots(inventory)
    spots = spots[spots["resource_arn"] == f"arn:aws:iam::{ACCOUNT}:instance-profile/web"]
    said = spots.set_index(["surface", "operation"])["reason"]
    in_editor = (
        f"it is found there by its tags {HOME}: in other regions, Tag Editor finds no profile and shows no error"
    )
    assert said["Tag Editor", "find"] == in_editor
    assert (
        said["CloudFormation", "write"]
        == "its tags cannot be changed there: AWS::IAM::InstanceProfile has no property Tags"
    )


def test_what_nobody_knows_is_no_accusation(inventory: iamframe.Inventory) -> None:
    spots = iamframe.blind_spots(inventory)
    of_scans = spots[(spots["surface"] == "CloudFormation") & (spots["operation"] == "find")]
    assert of_scans["missed"].unique().tolist() == ["unknown"]
    assert of_scans["reason"].str.startswith("it is not known whether ").all()


def test_what_a_surface_does_for_sure_is_no_blind_spot(inventory: iamframe.Inventory) -> None:
    assert missed(iamframe.blind_spots(inventory), "IAM API", "read") == {}


def test_a_tag_that_aws_reserves_does_not_make_a_resource_tagged(tmp_path: Path) -> None:
    role = role_detail("made", tags={"aws:cloudformation:stack-name": "x"})
    spots = iamframe.blind_spots(load(tmp_path, {"dump.json": dump(role)}))
    assert spots["tagged"].unique().tolist() == ["no"]


def test_two_accounts_may_hold_the_same_name(tmp_path: Path) -> None:
    one, two = profile("web"), profile("web", account="000000000002")
    spots = iamframe.blind_spots(
        load(tmp_path, {"a/profiles.json": profile_list(one), "b/profiles.json": profile_list(two)})
    )
    rows = spots[(spots["surface"] == "IAM console") & (spots["operation"] == "read")]
    assert rows[["account_id", "resource_name"]].values.tolist() == [[ACCOUNT, "web"], ["000000000002", "web"]]


def test_an_empty_account_has_no_blind_spots_in_frames_of_the_same_types(inventory: iamframe.Inventory) -> None:
    empty = iamframe.Inventory(**{name: frame[:0] for name, frame in inventory.frames.items()})
    assert iamframe.blind_spots(empty).dtypes.astype(str).unique().tolist() == ["category"]
    assert iamframe.blind_spots(empty).columns.tolist() == schema.BLIND_SPOTS.names
    pd.testing.assert_frame_equal(iamframe.blind_spot_counts(empty), schema.BLIND_SPOT_COUNTS.empty())


def test_counts_tell_of_how_many_resources_it_is_so(inventory: iamframe.Inventory) -> None:
    counts = iamframe.blind_spot_counts(inventory)
    assert len(counts) == len(known_facts())
    columns = ["missed", "resources", "tagged", "untagged", "unknown"]
    by_fact = counts.set_index(["surface", "resource_type", "operation"])[columns]
    assert by_fact.loc[("IAM console", "role", "read")].tolist() == ["no", 2, 1, 1, 0]
    assert by_fact.loc[("IAM console", "instance-profile", "read")].tolist() == ["yes", 2, 1, 0, 1]
    assert by_fact.loc[(RGTA, "instance-profile", "read")].tolist() == ["depends", 2, 1, 0, 1]
    assert by_fact.loc[("AWS Config", "instance-profile", "read")].tolist() == ["unknown", 2, 1, 0, 1]


def test_counts_and_rows_agree_on_the_sample() -> None:
    sample = iamframe.load_sample()
    key = ["account_id", "surface", "resource_type", "operation"]
    rows = iamframe.blind_spots(sample).astype(dict.fromkeys(key, "str")).groupby(key).size()
    counts = iamframe.blind_spot_counts(sample)
    counts = counts[counts["missed"] != "no"].set_index(key)["resources"]
    assert counts.sort_index().to_dict() == rows.to_dict()
    assert len(counts) > 50


# Asking an account


def held(probes: pd.DataFrame) -> dict[tuple[str, str], tuple[str, str]]:
    """Per region and type: what was expected, and whether it holds."""
    columns = (probes[name].tolist() for name in ("region", "resource_type", "expected", "holds"))
    return {(region, kind): (expected, holds) for region, kind, expected, holds in zip(*columns, strict=True)}


def tag(account: PracticeAccount, name: str = "web") -> str:
    """Make a tagged role and profile, and return the profile's ARN."""
    iam = account.session().client("iam")
    tags = [{"Key": "Owner", "Value": "ops"}]
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=EC2, Tags=tags)
    return str(iam.create_instance_profile(InstanceProfileName=name, Tags=tags)["InstanceProfile"]["Arn"])


def probe(account: PracticeAccount, **options: Any) -> pd.DataFrame:
    return iamframe.probe_surfaces(account.session(), progress=False, **options)


def test_an_account_that_answers_as_known_confirms_it_in_each_region() -> None:
    with PracticeAccount() as account:
        tag(account)
        written = account.writes()
        probes = probe(account)
        assert account.writes() == written
    assert held(probes) == {
        ("eu-west-1", "role"): ("no", "yes"),
        ("eu-west-1", "instance-profile"): ("no", "yes"),
        ("us-east-1", "role"): ("no", "yes"),
        ("us-east-1", "instance-profile"): ("yes", "yes"),
    }
    assert probes[["tagged", "shown", "differing"]].values.tolist() == [[1, 0, 0], [1, 0, 0], [1, 0, 0], [1, 1, 0]]
    assert probes["account_id"].unique().tolist() == ["123456789012"]


def test_in_govcloud_the_region_that_shows_profiles_is_another() -> None:
    with PracticeAccount(partition="aws-us-gov") as account:
        tag(account)
        of_profiles = {region: said for (region, kind), said in held(probe(account)).items() if kind != "role"}
    assert of_profiles == {"us-gov-east-1": ("no", "yes"), "us-gov-west-1": ("yes", "yes")}


def test_in_china_where_nobody_has_said_it_what_is_seen_is_told_and_not_judged() -> None:
    with PracticeAccount(partition="aws-cn") as account:
        tag(account)
        probes = probe(account)
    assert held(probes)["cn-north-1", "instance-profile"] == ("unknown", "unknown")
    (detail,) = probes["detail"][(probes["region"] == "cn-north-1") & (probes["resource_type"] == "instance-profile")]
    assert detail == (
        "it shows 1 instance profile, and IAM has 1 instance profile with tags; no source says what it shows in this "
        "partition"
    )


def test_without_anything_tagged_nothing_can_be_told() -> None:
    with PracticeAccount() as account:
        account.session().client("iam").create_instance_profile(InstanceProfileName="bare")
        probes = probe(account, regions=["us-east-1"])
    assert held(probes) == {
        ("us-east-1", "role"): ("no", "unknown"),
        ("us-east-1", "instance-profile"): ("yes", "unknown"),
    }
    assert probes["detail"].tolist()[1] == (
        "it shows 0 instance profiles, and IAM has 0 instance profiles with tags, so there is nothing to compare"
    )


def test_where_aws_has_moved_the_index_the_fact_does_not_hold() -> None:
    with PracticeAccount() as account:
        tag(account)
        account._tagging.home = "eu-west-1"
        probes = probe(account)
    assert held(probes)["us-east-1", "instance-profile"] == ("yes", "no")
    assert held(probes)["eu-west-1", "instance-profile"] == ("no", "no")
    assert probes["detail"].str.contains("AWS did otherwise").sum() == 2


def test_where_aws_shows_roles_at_last_the_fact_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    with PracticeAccount() as account:
        tag(account)
        shown = [{"ResourceARN": "arn:aws:iam::123456789012:role/web", "Tags": [{"Key": "Owner", "Value": "old"}]}]
        new = {"ResourceTagMappingList": shown, "PaginationToken": ""}
        monkeypatch.setattr(account._tagging, "_get_resources", lambda _: new)
        probes = probe(account, regions="us-east-1")
    of_roles = probes[probes["resource_type"] == "role"].iloc[0]
    assert of_roles[["expected", "holds", "shown", "differing"]].tolist() == ["no", "no", 1, 1]
    assert "1 role with other tags than in IAM" in of_roles["detail"]


def test_what_had_tags_once_and_is_shown_without_is_told_apart() -> None:
    with PracticeAccount() as account:
        tag(account)
        iam = account.session().client("iam")
        iam.create_instance_profile(InstanceProfileName="once", Tags=[{"Key": "Owner", "Value": "ops"}])
        iam.untag_instance_profile(InstanceProfileName="once", TagKeys=["Owner"])
        probes = probe(account, regions="us-east-1")
    (detail,) = probes["detail"][probes["resource_type"] == "instance-profile"]
    assert detail.startswith(
        "it shows 2 instance profiles (1 without tags, which may have had some before), and IAM has 1 "
    )


def test_a_denied_index_is_unknown_and_says_what_to_allow() -> None:
    with PracticeAccount() as account:
        tag(account)
        account.deny("GetResources", "arn:aws:tag:eu-west-1:*")
        probes = probe(account)
    assert held(probes)["eu-west-1", "instance-profile"] == ("no", "unknown")
    assert held(probes)["us-east-1", "instance-profile"] == ("yes", "yes")
    denied = probes[probes["region"] == "eu-west-1"]
    assert denied["shown"].isna().all()
    assert denied["detail"].iloc[0] == (
        "AWS did not answer GetResources in eu-west-1 (AccessDeniedException); allow tag:GetResources"
    )


def test_a_region_that_is_not_enabled_is_no_missing_permission() -> None:
    with PracticeAccount() as account:
        account.fill(0, 2)
        account.disable_region("eu-west-1")
        (detail,) = set(probe(account, regions=["eu-west-1"])["detail"])
    assert detail == (
        "AWS did not answer GetResources in eu-west-1 (UnrecognizedClientException); the region is probably not "
        "enabled, so leave it out, or enable it"
    )


def test_credentials_that_expire_are_to_be_renewed_and_are_no_missing_permission() -> None:
    with PracticeAccount() as account:
        account.fill(0, 2)
        # The requests that read IAM: five, and one for each profile.
        account.expire(after=7)
        details = probe(account).groupby("region")["detail"].first()
    assert details["us-east-1"] == (
        "AWS did not answer GetResources in us-east-1 (RequestExpired); renew the credentials and ask again"
    )
    assert details["unknown"] == (
        "which regions are enabled could not be read: renew the credentials and ask again, or name them with regions="
    )


def test_where_iam_tells_no_tags_what_is_not_shown_proves_nothing() -> None:
    with PracticeAccount() as account:
        tag(account)
        for action in ("GetInstanceProfile", "ListInstanceProfileTags"):
            account.deny(action)
        probes = probe(account, regions=["eu-west-1", "us-east-1"])
    assert held(probes)["eu-west-1", "instance-profile"] == ("no", "unknown")
    assert held(probes)["us-east-1", "instance-profile"] == ("yes", "yes")
    assert probes["tagged"].isna().tolist() == [False, True, False, True]


def test_regions_that_cannot_be_listed_are_a_row_of_their_own_and_the_home_is_asked_all_the_same() -> None:
    with PracticeAccount() as account:
        tag(account)
        account.deny("DescribeRegions")
        account.deny("ListRegions")
        probes = iamframe.probe_surfaces(account.session("eu-west-1"), progress=False)
    assert probes["region"].unique().tolist() == ["eu-west-1", "us-east-1", "unknown"]
    assert probes["holds"].tolist() == ["yes"] * 4 + ["unknown"] * 2
    assert "allow ec2:DescribeRegions" in probes["detail"].iloc[-1]


def test_all_pages_of_the_index_are_read() -> None:
    with PracticeAccount(regions=["us-east-1"]) as account:
        account.fill(0, 250)
        probes = probe(account)
    assert probes[["tagged", "shown"]].values.tolist()[1] == [125, 125]


def test_no_region_is_refused() -> None:
    with PracticeAccount() as account, pytest.raises(SourceError, match="no region given; give one, or all"):
        probe(account, regions=[])
    with PracticeAccount() as account, pytest.raises(SourceError, match=r"regions=\[None\]: is not a list of regions"):
        probe(account, regions=[None])


# The command


def printed(form: str) -> str:
    done = run(Path.cwd(), "surfaces", "--format", form)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_command_prints_a_sentence_per_fact() -> None:
    lines = printed("table").splitlines()
    assert len(lines) == 66
    assert lines[11] == f"With Tag Editor, you can find instance profiles by tag, but {HOME}. Checked on 2023-06-30."


def test_the_command_prints_sources_and_dates_as_csv_and_json() -> None:
    rows = list(csv.DictReader(io.StringIO(printed("csv"), newline="")))
    assert [len(rows), rows[15]["since"], rows[14]["since"]] == [66, "2021-02-12", ""]
    assert all(row["source"] and row["checked_on"] for row in rows)
    found = json.loads(printed("json"))
    assert [len(found), found[15]["since"], found[14]["since"]] == [66, "2021-02-12", None]


def test_the_command_prints_a_table_of_markdown() -> None:
    lines = printed("markdown").splitlines()
    assert len(lines) == 68
    assert lines[0] == "| tool | resource type | operation | answer | checked on | condition or detail |"
    assert lines[2] == "| IAM console | role | write | yes | 2023-06-30 | on the role's page, under Tags |"

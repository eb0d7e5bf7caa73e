"""Findings narrowed, counted, grouped, told one by one and exported, what cannot be judged included."""

from __future__ import annotations

import csv
from dataclasses import replace
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
    write,
)
from pages import HOSTILE
from terraform import state_of_profile

import iamframe
from iamframe.checks import Result
from iamframe.errors import FilterError, ReportError
from iamframe.inventory import schema
from iamframe.inventory.export import unguarded
from iamframe.ui import exploring
from iamframe.ui.exploring import NO_MAKER, Filter

CLOUD9 = profile("AWSCloud9SSMInstanceProfile", nested_role("AWSCloud9SSMAccessRole", "/service-role/"), "/cloud9/")
LEFT = profile("left", path="/cloud9/")
DOCUMENTS = {
    "identity.json": identity(),
    # Tags: of the roles web-role and lone, and of the profile left, which has none; of nothing else.
    "dump.json": dump(
        role_detail("web-role", [profile("web")], {"Owner": "ops"}, path="/team/a/"),
        role_detail("lone", [], {"Owner": "data", "Team": "x"}),
    ),
    "left.json": {"InstanceProfile": LEFT | {"Tags": []}},
    "profiles.json": profile_list(
        profile("web", nested_role("web-role", "/team/a/")), LEFT, profile("half", nested_role("half-role")), CLOUD9
    ),
}


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return iamframe.run_checks(load(tmp_path_factory.mktemp("account"), DOCUMENTS))


def rows(findings: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(findings["check"], findings["resource_name"], strict=True))


EMPTY, UNTAGGED, LONE = ("empty_profiles", "left"), ("untagged_profiles", "left"), ("ec2_roles_without_profile", "lone")
HALF, WEB, WEB_PATH = ("name_mismatches", "half"), ("name_mismatches", "web"), ("path_mismatches", "web")
OF_CLOUD9 = [(check, "AWSCloud9SSMInstanceProfile") for check in ("name_mismatches", "path_mismatches")]
ALL = [EMPTY, UNTAGGED, LONE, HALF, WEB, WEB_PATH, *OF_CLOUD9]


@pytest.mark.parametrize(
    ("wanted", "left", "maybe"),
    [
        (Filter(), ALL, []),
        (Filter(checks="empty_profiles"), [EMPTY], []),
        (Filter(checks=["empty_profiles", "path_mismatches"], severities=["low", "medium"]), [EMPTY, WEB_PATH], []),
        (Filter(severities="info"), OF_CLOUD9, []),
        (Filter(makers="AWS Cloud9"), OF_CLOUD9, []),
        (Filter(makers=NO_MAKER), ALL[:6], []),
        (Filter(accounts=ACCOUNT), ALL, []),
        (Filter(text="LEFT empty_profiles"), [EMPTY], []),
        (Filter(text="iam::000000000001:role/team"), [WEB, WEB_PATH], []),
        (Filter(text="(.*"), [], []),
        # Of both sides, whole segments in any case.
        (Filter(path="/team/a/"), [WEB, WEB_PATH], []),
        (Filter(path="A"), [WEB, WEB_PATH], []),
        (Filter(path="eam"), [], []),
        (Filter(path="cloud9"), [EMPTY, UNTAGGED, *OF_CLOUD9], []),
        (Filter(path="/"), [LONE, HALF, WEB, WEB_PATH], []),
        # The profile web was not read, but its role carries the key; of half and Cloud9's pair nothing was read.
        (Filter(tag_key="Owner"), [LONE, WEB, WEB_PATH], [HALF, *OF_CLOUD9]),
        (Filter(tag_key="Owner", tag_value="data"), [LONE], [HALF, WEB, WEB_PATH, *OF_CLOUD9]),
        (Filter(tag_key="Owner", tagged="no"), [EMPTY, UNTAGGED], [HALF, *OF_CLOUD9]),
        (Filter(tag_key="Owner", tagged="unknown"), [HALF, *OF_CLOUD9], []),
        (Filter(tag_key="owner", severities="medium"), [], []),
        (Filter(tag_key="Owner", path="cloud9"), [], OF_CLOUD9),
    ],
    ids=str,
)
def test_a_filter_leaves_what_it_asks_for_and_tells_what_it_cannot_judge(
    result: Result, wanted: Filter, left: list[tuple[str, str]], maybe: list[tuple[str, str]]
) -> None:
    found = exploring.filtered(result, wanted)
    assert sorted(rows(found)) == sorted(left)
    assert sorted(rows(exploring.undecided(result, wanted))) == sorted(maybe)
    pd.testing.assert_frame_equal(found, result.findings.loc[found.index])


def test_a_role_that_no_source_shows_has_a_path_that_nobody_knows(tmp_path: Path) -> None:
    inventory = load(tmp_path, {"terraform.tfstate": state_of_profile("web", "other")})
    result = iamframe.run_checks(inventory, only=["name_mismatches"])
    assert rows(result.findings) == [("name_mismatches", "web")]
    wanted = Filter(path="team")
    assert rows(exploring.filtered(result, wanted)) == []
    assert rows(exploring.undecided(result, wanted)) == [("name_mismatches", "web")]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Filter(accounts="000000000009"), "no account '000000000009'; there are 000000000001"),
        (Filter(checks=["empty_profile"]), "the result has no check 'empty_profile'; there are "),
        (Filter(severities="High"), "no severity 'High'; there are high, medium, low and 1 more"),
    ],
    ids=str,
)
def test_what_the_result_does_not_have_is_an_error_and_not_an_empty_frame(
    result: Result, wanted: Filter, words: str
) -> None:
    for ask in (
        lambda: exploring.filtered(result, wanted),
        lambda: exploring.undecided(result, wanted),
        lambda: exploring.counts(result, result.findings, wanted),
        lambda: exploring.not_complete(result, wanted),
    ):
        with pytest.raises(FilterError, match="the result has") as error:
            ask()
        assert words in str(error.value)


def test_a_check_that_was_not_run_cannot_be_asked_for(tmp_path: Path) -> None:
    result = iamframe.run_checks(load(tmp_path, DOCUMENTS), only=["empty_profiles"])
    with pytest.raises(FilterError):
        exploring.filtered(result, Filter(checks="untagged_roles"))


@pytest.mark.parametrize("asked", [{"tag_key": "a", "tagged": "maybe"}, {"tag_value": "a"}, {"tagged": "no"}])
def test_a_filter_that_asks_for_no_tag_in_particular_is_an_error(asked: dict[str, str]) -> None:
    with pytest.raises(FilterError, match="tag"):
        Filter(**asked)


def test_a_filter_says_what_it_asks_for() -> None:
    wanted = Filter(["1", "2"], "empty_profiles", path=" /a/ ", tag_key="Owner", tag_value="", text=" a  b ")
    assert str(wanted) == "account 1 or 2; check empty_profiles; path /a/; tag Owner=; text a b"
    assert str(Filter(severities="low", makers=NO_MAKER, tag_key="k", tagged="no")) == (
        "severity low; maker (none known); without the tag k"
    )
    assert str(Filter(tag_key="k", tagged="unknown")) == "not known to have the tag k"
    assert str(Filter()) == "all"


def test_counts_follow_the_filter_and_tell_how_far_each_check_saw(result: Result) -> None:
    wanted = Filter(checks=["name_mismatches", "untagged_profiles", "quota_pressure"])
    counts = exploring.counts(result, exploring.filtered(result, wanted), wanted)
    assert counts.to_numpy().tolist() == [
        ["quota_pressure", 0, 0, 0, 0, 0, 0, 0, 1],
        ["untagged_profiles", 1, 0, 1, 0, 0, 0, 1, 0],
        ["name_mismatches", 3, 0, 0, 2, 1, 1, 0, 0],
    ]
    assert list(counts.columns) == list(schema.COUNTS.names)
    wanted = Filter(checks="name_mismatches", severities="info")
    left = exploring.counts(result, exploring.filtered(result, wanted), wanted)
    assert left.loc[0, ["findings", "low", "info"]].tolist() == [1, 0, 1]


def test_coverage_of_what_is_wanted_tells_where_no_finding_means_nothing(result: Result) -> None:
    unsure = exploring.not_complete(result, Filter(checks=["name_mismatches", "quota_pressure"]))
    assert unsure[["check", "status"]].to_numpy().tolist() == [["quota_pressure", "unknown"]]


def test_findings_are_grouped_by_owner_and_unread_tags_are_nobodys(result: Result) -> None:
    owners = exploring.grouped(result, result.findings, "Owner")
    assert owners.fillna("-").to_numpy().tolist() == [
        ["ops", "yes", 2, 0, 0, 2, 0],
        ["data", "yes", 1, 0, 0, 1, 0],
        ["-", "no", 2, 0, 2, 0, 0],
        ["-", "unknown", 3, 0, 0, 1, 2],
    ]
    assert len(exploring.grouped(result, result.findings.head(0), "Owner")) == 0
    assert exploring.grouped(result, result.findings, "owner")["tagged"].tolist() == ["no", "unknown"]


def test_a_finding_whose_sides_name_two_owners_counts_for_both(tmp_path: Path) -> None:
    web = profile("web", nested_role("web-role"))
    documents = {
        "dump.json": dump(role_detail("web-role", [web], {"Owner": "ops"})),
        "web.json": {"InstanceProfile": web | {"Tags": [{"Key": "Owner", "Value": "web"}]}},
    }
    result = iamframe.run_checks(load(tmp_path, documents), only=["tag_differences"])
    owners = exploring.grouped(result, result.findings, "Owner")
    assert owners[["tag_value", "findings"]].to_numpy().tolist() == [["ops", 1], ["web", 1]]


def test_what_else_holds_the_role_of_a_link_is_no_side_of_a_finding_on_that_link(tmp_path: Path) -> None:
    role = nested_role("shared")
    one, two = profile("one", role), profile("two", role)
    documents = {
        "profiles.json": profile_list(one, two),
        "dump.json": dump(role_detail("shared", [one, two])),
        "one.json": {"InstanceProfile": one | {"Tags": []}},
        "two.json": {"InstanceProfile": two | {"Tags": [{"Key": "Owner", "Value": "web"}]}},
    }
    result = iamframe.run_checks(load(tmp_path, documents), only=["name_mismatches", "roles_in_many_profiles"])
    assert rows(exploring.filtered(result, Filter(tag_key="Owner"))) == [
        ("name_mismatches", "two"),
        ("roles_in_many_profiles", "shared"),
    ]
    assert rows(exploring.filtered(result, Filter(tag_key="Owner", tagged="no"))) == [("name_mismatches", "one")]


def test_each_group_of_the_sample_holds_what_the_filter_by_its_tag_finds() -> None:
    result = sample_result()
    for key in exploring.tag_keys(result, result.findings):
        for row in exploring.grouped(result, result.findings, key).itertuples():
            value = row.tag_value if row.tagged == "yes" else None
            assert (
                len(exploring.filtered(result, Filter(tag_key=key, tag_value=value, tagged=row.tagged))) == row.findings
            )


def test_what_can_be_chosen_is_what_the_findings_have(result: Result) -> None:
    assert exploring.tag_keys(result, result.findings) == ["Owner", "Team"]
    assert exploring.tag_values(result, result.findings, "Owner") == ["data", "ops"]
    assert exploring.paths(result, result.findings) == ["/cloud9/", "/service-role/", "/team/a/"]
    assert exploring.tag_keys(result, exploring.filtered(result, Filter(checks="empty_profiles"))) == []


def test_a_card_tells_the_finding_the_status_of_its_check_and_all_that_explain_tells(result: Result) -> None:
    row = exploring.filtered(result, Filter(checks="untagged_profiles")).index[0]
    told = exploring.card(result, row).to_frame()
    finding = told[told["section"] == "finding"].set_index("field")["note"]
    assert finding["check"] == "untagged_profiles"
    assert finding["resource arn"] == f"arn:aws:iam::{ACCOUNT}:instance-profile/cloud9/left"
    assert finding["next step"] == result.findings.loc[row, "next_step"]
    assert finding["check status"].startswith("partial; ")
    assert list(told.columns) == list(schema.EXPLANATION.names)
    rest = told[told["section"] != "finding"].reset_index(drop=True)
    pd.testing.assert_frame_equal(rest, iamframe.explain(result.inventory, "left").to_frame())
    with pytest.raises(FilterError, match="there is no finding 99"):
        exploring.card(result, 99)


def test_an_explanation_of_some_checks_names_those_that_were_not_run(tmp_path: Path) -> None:
    result = iamframe.run_checks(load(tmp_path, DOCUMENTS), only=["untagged_roles"])
    told = iamframe.explain(result, "left").to_frame()
    assert told.loc[told["section"] == "findings", "note"].tolist() == [
        "no finding, but some checks lacked data or did not run"
    ]
    assert "empty_profiles" in told.loc[told["field"] == "not run", "note"].item()


@pytest.mark.parametrize("check", ["quota_pressure", "tag_key_variants", "stale_references"])
def test_a_card_is_told_of_what_is_no_role_and_no_profile_too(check: str) -> None:
    result = iamframe.run_checks(iamframe.load_sample(), only=[check])
    assert len(result.findings)
    for row in result.findings.index:
        told = str(exploring.card(result, row))
        assert result.findings.loc[row, "resource_name"] in told


def test_a_consumer_of_a_profile_that_is_gone_leads_to_what_else_names_it() -> None:
    result = iamframe.run_checks(iamframe.load_sample(), only=["stale_references"])
    gone = result.findings.index[result.findings["detail"].str.contains("does not exist")][0]
    assert {"not found", "referenced by"} <= set(exploring.card(result, gone).to_frame()["section"])


def read_back(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8-sig", newline="") as text:
        return [{name: unguarded(value) for name, value in row.items()} for row in csv.DictReader(text)]


def test_an_export_holds_exactly_the_rows_that_are_wanted(result: Result, tmp_path: Path) -> None:
    wanted = Filter(tag_key="Owner", tag_value="data")
    page = exploring.export(result, wanted, tmp_path / "out")
    assert sorted(file.name for file in page.parent.iterdir()) == ["coverage.csv", "findings.csv", "findings.html"]
    (row,) = read_back(page.with_name("findings.csv"))
    assert row == {
        name: "" if pd.isna(value) else str(value)
        for name, value in result.findings[result.findings["check"] == LONE[0]].iloc[0].items()
    }
    text = page.read_text("utf-8")
    assert text.count("<tr class=finding>") == 1
    assert "1 of 8 findings. Filter: tag Owner=data. 5 more findings may match" in text
    assert "<td>left" not in text


def test_a_masked_export_holds_no_account_and_no_unique_id_and_says_so(tmp_path: Path) -> None:
    result = sample_result()
    wanted = Filter(checks=["empty_profiles", "deleted_trust_principals"], accounts="123456789012")
    page = exploring.export(result, wanted, tmp_path / "out", mask=True)
    files = {file.name: file.read_text("utf-8") for file in page.parent.iterdir()}
    assert sorted(files) == ["coverage.csv", "findings.csv", "findings.html"]
    rows = read_back(page.with_name("findings.csv"))
    assert {row["resource_name"] for row in rows} >= {"intranet-old", "sap-poc", "vendor-backup"}
    (account,) = {row["account_id"] for row in rows}
    assert account.startswith("acct-")
    assert f"Filter: account {account}; check empty_profiles or deleted_trust_principals.<" in files[page.name]
    assert 'data-masked="yes"' in files[page.name]
    assert 'data-console="https' not in files[page.name]
    gone = ("123456789012", "AIDAEXAMPLEDELETED02")
    assert [(name, one) for name, text in files.items() for one in gone if one in text] == []
    page = exploring.export(result, replace(wanted, text="2345 sap"), tmp_path / "out", mask=True)
    assert "empty_profiles or deleted_trust_principals; text (not shown).<" in page.read_text("utf-8")
    with pytest.raises(ReportError, match="the key must not be in the report's folder"):
        exploring.export(result, wanted, tmp_path / "out", mask=tmp_path / "out" / "key")


def test_an_export_of_nothing_says_that_it_is_filtered_and_where_nobody_could_look(
    result: Result, tmp_path: Path
) -> None:
    page = exploring.export(result, Filter(checks="quota_pressure", text="x"), tmp_path)
    assert read_back(page.with_name("findings.csv")) == []
    (covered,) = read_back(page.with_name("coverage.csv"))
    assert (covered["check"], covered["status"]) == ("quota_pressure", "unknown")
    text = page.read_text("utf-8")
    assert "No finding matches this filter." in text
    assert "1 of 1 check is incomplete, so there may be more findings." in text


def test_an_export_never_says_that_there_is_none_while_more_findings_may_match(result: Result, tmp_path: Path) -> None:
    nothing = ["there is nothing to find", "No finding matches this filter"]
    wanted = Filter(checks="path_mismatches", tag_key="Team", tag_value="a")
    text = exploring.export(result, wanted, tmp_path).read_text("utf-8")
    assert "may match: the path or tags of the resource were not collected" in text
    assert [one for one in nothing if one in text] == []
    text = exploring.export(result, replace(wanted, tag_key=None, tag_value=None, text="x y z"), tmp_path).read_text(
        "utf-8"
    )
    assert [one for one in nothing if one in text] == nothing


def test_an_export_that_cannot_be_written_leaves_the_old_one(result: Result, tmp_path: Path) -> None:
    page = exploring.export(result, Filter(checks="empty_profiles"), tmp_path)
    before = page.read_text("utf-8")
    page.with_name("coverage.csv").unlink()
    page.with_name("coverage.csv").mkdir()
    with pytest.raises(ReportError):
        exploring.export(result, Filter(), tmp_path)
    assert page.read_text("utf-8") == before


def test_hostile_text_stays_text_in_an_export(tmp_path: Path) -> None:
    names = [profile(f"{text}-empty", path=f"/{text}/") for text in (*HOSTILE.values(), "=1+1")]
    result = iamframe.run_checks(load(tmp_path / "in", {"profiles.json": profile_list(*names)}))
    page = exploring.export(result, Filter(checks="empty_profiles", text="empty"), tmp_path / "out")
    held = {row["resource_name"] for row in read_back(page.with_name("findings.csv"))}
    assert held == set(result.findings["resource_name"][result.findings["check"] == "empty_profiles"])
    text = page.read_text("utf-8")
    assert text.count("<script>") == text.count("</script>") == 1
    assert not any(name["InstanceProfileName"] in text for name in names if "<" in name["InstanceProfileName"])


def test_nothing_is_changed(result: Result, tmp_path: Path) -> None:
    before = result.findings.copy(), result.inventory.tags.copy()
    exploring.grouped(result, result.findings, "Owner")
    exploring.export(result, Filter(path="team", tag_key="Owner"), write(tmp_path / "out", {}))
    pd.testing.assert_frame_equal(result.findings, before[0])
    pd.testing.assert_frame_equal(result.inventory.tags, before[1])


def test_an_export_writes_nothing_over_a_report(result: Result, tmp_path: Path) -> None:
    iamframe.write_report(result, tmp_path / "out")
    before = {file.name: file.read_bytes() for file in (tmp_path / "out").rglob("*.*")}
    with pytest.raises(ReportError, match=r"^\S+out: holds a report, whose findings\.csv would be written over; name "):
        exploring.export(result, Filter(), tmp_path / "out")
    assert {file.name: file.read_bytes() for file in (tmp_path / "out").rglob("*.*")} == before

"""The tag policy file: what it may hold, how it is refused, and what it accepts."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from builders import ACCOUNT, dump, load, nested_role, profile, profile_list, role_detail
from click.testing import CliRunner

from iamframe import IamframeError, run_checks
from iamframe.checks.tag_policy import Accepted, NamePair, Policy, RequiredTag, read_policy
from iamframe.errors import PolicyError
from iamframe.knowledge.makers import Maker
from iamframe.ui.cli import app

PROFILE_ARN = f"arn:aws:iam::{ACCOUNT}:instance-profile/"
OLD = {"p.json": profile_list(profile("old-a"), profile("old-b", path="/team/"), profile("new"))}


def saved(folder: Path, text: str) -> Path:
    path = folder / "policy.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refused(path: Path) -> str:
    with pytest.raises(PolicyError) as caught:
        read_policy(path)
    return str(caught.value)


def accepted(
    folder: Path, documents: dict[str, Any], text: str, check: str = "empty_profiles"
) -> dict[str, str | None]:
    """The reason of each finding, by the resource's name."""
    findings = run_checks(load(folder, documents), only=[check], policy=saved(folder, text)).findings
    reasons = findings["accepted"].astype(object).where(findings["accepted"].notna(), None)
    return dict(zip(findings["resource_name"], reasons, strict=True))


# Reading


@pytest.mark.parametrize("rule", ["[]", "{ values = [] }"])
def test_a_list_without_values_is_refused_because_it_allows_none(tmp_path: Path, rule: str) -> None:
    said = refused(saved(tmp_path, f"[required_tags]\nOwner = {rule}\n"))
    assert "the list of allowed values is empty; give values, or `true` if any value is allowed" in said
    assert "required_tags.Owner: the list" in said


def test_a_policy_file_is_read_section_by_section(tmp_path: Path) -> None:
    policy = read_policy(
        saved(
            tmp_path,
            """
            [required_tags]
            Owner = "*"
            Team = true
            Stage = "prod"
            Environment = ["prod", "test"]
            CostCenter = { pattern = "[0-9]{4}", on = ["role"] }
            Zone = { values = ["a", "b"], on = ["instance-profile"] }

            [[name_pairs]]
            role = "{name}-role"
            profile = "{name}-profile"

            [[makers]]
            name = "Deployer"
            role = "deploy-*"
            profile = "deployed-*"
            names_differ = true
            paths_differ = true
            tags_profiles = false
            date = 2026-01-01

            [[accepted]]
            check = "empty_profiles"
            resource_arn = "arn:*"
            reason = "kept"
            expires = 2026-12-31
            """,
        )
    )
    assert policy.required == (
        RequiredTag("Owner"),
        RequiredTag("Team"),
        RequiredTag("Stage", ("prod",)),
        RequiredTag("Environment", ("prod", "test")),
        RequiredTag("CostCenter", pattern="[0-9]{4}", on=("role",)),
        RequiredTag("Zone", ("a", "b"), on=("instance-profile",)),
    )
    assert policy.makers == (
        NamePair(role="{name}-role", profile="{name}-profile"),
        Maker("Deployer", "deploy-*", "deployed-*", names_differ=True, paths_differ=True, tags_profiles=False,
              date=date(2026, 1, 1)),
    )  # fmt: skip
    assert (policy.makers[0].name, policy.makers[0].names_differ) == ("house rule", True)
    assert policy.acceptances == (Accepted("empty_profiles", "kept", resource_arn="arn:*", expires=date(2026, 12, 31)),)


def test_no_file_and_an_empty_file_demand_nothing(tmp_path: Path) -> None:
    assert read_policy(None) == Policy()
    empty = read_policy(saved(tmp_path, ""))
    assert (empty.required, empty.makers, empty.acceptances) == ((), (), ())


def test_a_policy_that_was_read_may_be_handed_over(tmp_path: Path) -> None:
    policy = read_policy(saved(tmp_path, '[required_tags]\nOwner = "*"\n'))
    assert read_policy(policy) is policy
    result = run_checks(
        load(tmp_path, {"d.json": dump(role_detail("a"))}), only=["missing_required_tags"], policy=policy
    )
    assert result.findings["detail"].tolist() == ["tag 'Owner' is missing"]


def test_a_policy_made_in_python_demands_its_tags(tmp_path: Path) -> None:
    policy = Policy(required=(RequiredTag("Owner"),))
    result = run_checks(
        load(tmp_path, {"d.json": dump(role_detail("a"))}), only=["missing_required_tags"], policy=policy
    )
    assert result.findings["detail"].tolist() == ["tag 'Owner' is missing"]


def test_several_policies_are_read_as_one(tmp_path: Path) -> None:
    house = saved(
        tmp_path,
        """
        required_tags = { Owner = "*", Team = ["web", "data"] }
        name_pairs = [{ role = "{name}-role", profile = "{name}-profile" }]
        accepted = [{ check = "empty_profiles", reason = "kept by the house" }]
        """,
    )
    team = tmp_path / "team.toml"
    team.write_text(
        """
        required_tags = { Team = "web", Stage = true }
        makers = [{ name = "Deployer", role = "deploy-*", profile = "deployed-*" }]
        accepted = [{ check = "empty_profiles", reason = "kept by the team" }]
        """,
        encoding="utf-8",
    )
    made = Policy(acceptances=(Accepted("untagged_roles", "made in Python"),))
    policy = read_policy([house, str(team), made])
    assert policy.path == f"{house}, {team}"
    assert policy.required == (RequiredTag("Owner"), RequiredTag("Team", ("web",)), RequiredTag("Stage"))
    assert [maker.name for maker in policy.makers] == ["house rule", "Deployer"]
    assert [one.reason for one in policy.acceptances] == ["kept by the house", "kept by the team", "made in Python"]
    findings = run_checks(load(tmp_path, OLD), only=["empty_profiles"], policy=[house, team]).findings
    assert findings["accepted"].tolist() == ["kept by the house"] * 3


def test_of_several_policies_the_one_that_is_refused_is_named(tmp_path: Path) -> None:
    good = saved(tmp_path, '[required_tags]\nOwner = "*"\n')
    bad = tmp_path / "bad.toml"
    bad.write_text("[required_tags]\nOwner = 1\n", encoding="utf-8")
    with pytest.raises(PolicyError, match=rf"^{re.escape(str(bad))}: .*Owner"):
        run_checks(load(tmp_path, OLD), policy=[good, bad])


def test_no_policies_are_an_empty_one() -> None:
    assert read_policy([]) == Policy()


def test_the_policy_of_the_sample_can_be_read() -> None:
    policy = read_policy(Path(__file__).parents[2] / "data" / "tag-policy.toml")
    assert [rule.key for rule in policy.required] == ["Owner", "Environment", "CostCenter"]


def test_a_policy_is_read_as_utf_8(tmp_path: Path) -> None:
    policy = read_policy(saved(tmp_path, '[required_tags]\n"\u74b0\u5883" = ["\u672c\u756a"]\n'))
    assert policy.required == (RequiredTag("\u74b0\u5883", ("\u672c\u756a",)),)


def test_a_policy_that_windows_saved_as_utf_8_is_read_without_its_mark(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_bytes(b"\xef\xbb\xbf[required_tags]\r\nOwner = '*'\r\n")
    assert read_policy(path).required == (RequiredTag("Owner"),)


# Refusing


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[required_tags", "is not TOML"),
        ("Owner: '*'", "is not TOML"),
        ('a = "b"', "unknown key `a`"),
        ("[required_tag]\n", "unknown key `required_tag`"),
        ("[[accepted]]\ncheck = 'x'\nreason = 'y'\nuntil = 2026-01-01", "accepted[0]: unknown key `until`"),
        ("[[makers]]\nname = 'x'\nroles = 'y'", "makers[0]: unknown key `roles`"),
        ("[[name_pairs]]\nrole = 'x'\nprofil = 'y'", "name_pairs[0]: unknown key `profil`"),
        ("[[name_pairs]]\nrole = 'x-role'", "name_pairs[0]: missing key `profile`"),
        ("required_tags = ['Owner']", "required_tags: expected a table, but found a list"),
        ("[accepted]\ncheck = 'x'", "accepted: expected a list, but found a table"),
        ("makers = ['x']", "makers[0]: expected a table, but found a text"),
        ("[[accepted]]\ncheck = 1\nreason = 'y'", "accepted[0].check: expected a text, but found a number"),
        (
            "[[accepted]]\ncheck = 'x'\nreason = 'y'\nexpires = '2026-01-01'",
            "accepted[0].expires: expected a date, but found a text",
        ),
        (
            "[[accepted]]\ncheck = 'x'\nreason = 'y'\nexpires = 2026-01-01T00:00:00Z",
            "accepted[0].expires: expected a date, but found a date with a time",
        ),
        ("[[accepted]]\ncheck = 'x'\nreason = ''", "accepted[0]: `reason` is empty; say why the finding is accepted"),
        ("[[accepted]]\ncheck = 'x'", "accepted[0]: missing key `reason`"),
        ("[[accepted]]\nreason = 'x'", "accepted[0]: missing key `check`"),
        ("[[makers]]\nrole = 'x'", "makers[0]: missing key `name`"),
        ("[[makers]]\nname = 'x'\nnames_differ = 'yes'", ": makers[0].names_differ: expected true or false"),
        ("[[name_pairs]]\nrole = '{env}-role'\nprofile = '{name}-x'", "there is no {env}, only *, {name}, "),
        ("[[name_pairs]]\nrole = '{name}-role'\nprofile = '{env}-x'", "name_pairs[0]: there is no {env}, only "),
        ("[[name_pairs]]\nrole = '{Name}-role'\nprofile = '{Name}-x'", "there is no {Name}, "),
        ("[[makers]]\nname = 'x'\nprofile_path = '/{}/'", "there is no {}, "),
        ("[[makers]]\nname = 'a'\n[[makers]]\nname = 'b'\nrole_path = '/{env}/'", ": makers[1]: "),
        ("[required_tags]\nOwner = 1", "Owner: expected a text, a table or a list, but found a number"),
        ("[required_tags]\nOwner = false", "Owner: expected a text, a table or a list, but found true or false"),
        ("[required_tags]\nTeam = '*'\nOwner = [1]", "required_tags.Owner[0]: expected a text, but found a number"),
        ("[required_tags]\nOwner = { any = true }", "required_tags.Owner: unknown key `any`"),
        ("[required_tags]\nOwner = { key = 'Team' }", "required_tags.Owner: unknown key `key`"),
        ("[required_tags]\nOwner = { values = 'prod' }", "Owner.values: expected a list, but found a text"),
        ("[required_tags]\nOwner = { values = [1] }", "Owner.values[0]: expected a text, but found a number"),
        ("[required_tags]\nOwner = { values = 1 }", "Owner.values: expected a list, but found a number"),
        ("[required_tags]\nOwner = { pattern = 1 }", "Owner.pattern: expected a text, but found a number"),
        ("[required_tags]\nOwner = { pattern = '[' }", "`pattern` is not a regular expression (unterminated"),
        ("[required_tags]\nOwner = { pattern = '[' }", ": required_tags.Owner: "),
        ("[required_tags]\nOwner = { values = ['a'], pattern = 'b' }", "has both `values` and `pattern`; use one"),
        ("[required_tags]\nOwner = { on = [] }", "required_tags.Owner: `on` is empty, so nothing needs the tag"),
        ("[required_tags]\nOwner = { on = ['user'] }", "^(role|instance-profile)$"),
        ("[required_tags]\nOwner = { on = ['role', 'user'] }", ": required_tags.Owner.on[1]: "),
        ("[required_tags]\nOwner = { on = 'role' }", "required_tags.Owner.on: expected a list, but found a text"),
        ("[required_tags]\nOwner = { on = 1 }", "required_tags.Owner.on: expected a list, but found a number"),
    ],
)
def test_what_a_policy_has_no_place_for_is_refused_in_one_sentence(tmp_path: Path, text: str, says: str) -> None:
    path = saved(tmp_path, text)
    sentence = refused(path)
    assert sentence.startswith(f"{path}: ")
    assert says in sentence
    assert "`iamframe notebooks DIR`" in sentence
    assert "see tag-policy.toml" in sentence
    assert "\n" not in sentence
    assert "__init__" not in sentence
    assert "object is not" not in sentence


def test_a_file_that_is_not_there_is_refused_with_what_to_check(tmp_path: Path) -> None:
    path = tmp_path / "nowhere.toml"
    assert refused(path) == f"{path}: cannot be read (No such file or directory); check the path of the policy file"


def test_a_folder_is_no_policy(tmp_path: Path) -> None:
    assert refused(tmp_path).startswith(f"{tmp_path}: cannot be read (")


def test_bytes_that_are_no_text_are_no_policy(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_bytes(b'a = "\xff"')
    assert "is not TOML" in refused(path)


def test_a_policy_error_is_one_that_the_command_line_prints() -> None:
    assert issubclass(PolicyError, IamframeError)


def test_checks_are_not_run_with_a_policy_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="is not TOML"):
        run_checks(load(tmp_path, OLD), policy=saved(tmp_path, "["))


# Accepting


def test_a_finding_is_accepted_by_check_and_arn_with_its_reason(tmp_path: Path) -> None:
    text = f'[[accepted]]\ncheck = "empty_profiles"\nresource_arn = "{PROFILE_ARN}old-a"\nreason = "kept"\n'
    assert accepted(tmp_path, OLD, text) == {"new": None, "old-a": "kept", "old-b": None}


@pytest.mark.parametrize(
    ("glob", "names"),
    [
        ("arn:aws:iam::*:instance-profile/old-*", {"old-a"}),
        ("*old-*", {"old-a", "old-b"}),
        ("*", {"new", "old-a", "old-b"}),
        ("arn:aws:iam::*:instance-profile/team/*", {"old-b"}),
        ("*/old-", set()),
        ("old-a", set()),
        ("*/old.a", set()),
        ("*/OLD-a", set()),
        ("*/old-[ab]", set()),
        ("*(", set()),
    ],
)
def test_a_star_is_any_text_and_the_rest_is_plain(tmp_path: Path, glob: str, names: set[str]) -> None:
    text = f"[[accepted]]\ncheck = 'empty_profiles'\nresource_arn = '{glob}'\nreason = 'kept'\n"
    assert {name for name, reason in accepted(tmp_path, OLD, text).items() if reason == "kept"} == names


def test_an_acceptance_of_another_check_accepts_nothing(tmp_path: Path) -> None:
    text = "[[accepted]]\ncheck = 'untagged_profiles'\nreason = 'kept'\n"
    assert set(accepted(tmp_path, OLD, text).values()) == {None}


def test_the_first_acceptance_that_fits_gives_the_reason(tmp_path: Path) -> None:
    entry = "[[accepted]]\ncheck = 'empty_profiles'\nresource_arn = '{}'\nreason = '{}'\n"
    text = entry.format("*old-*", "first") + entry.format("*", "second")
    assert accepted(tmp_path, OLD, text) == {"new": "second", "old-a": "first", "old-b": "first"}


def test_an_acceptance_may_name_the_related_role(tmp_path: Path) -> None:
    documents = {"p.json": profile_list(profile("a", nested_role("x")), profile("b", nested_role("y")), profile("e"))}
    text = "[[accepted]]\ncheck = 'name_mismatches'\nrelated_arn = '*:role/x'\nreason = 'kept'\n"
    assert accepted(tmp_path, documents, text, "name_mismatches") == {"a": "kept", "b": None}


@pytest.mark.parametrize(("days", "reason"), [(-1, None), (0, "kept"), (1, "kept")])
def test_an_acceptance_holds_until_its_day_is_over(tmp_path: Path, days: int, reason: str | None) -> None:
    expires = datetime.now(UTC).date() + timedelta(days=days)
    text = f"[[accepted]]\ncheck = 'empty_profiles'\nreason = 'kept'\nexpires = {expires}\n"
    assert set(accepted(tmp_path, OLD, text).values()) == {reason}


def test_an_expired_acceptance_leaves_room_for_the_next(tmp_path: Path) -> None:
    entry = "[[accepted]]\ncheck = 'empty_profiles'\nreason = '{}'\nexpires = {}\n"
    text = entry.format("old", "2020-01-01") + entry.format("new", "2999-01-01")
    assert set(accepted(tmp_path, OLD, text).values()) == {"new"}


def test_an_acceptance_of_a_check_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, "[[accepted]]\ncheck = 'empty_profile'\nreason = 'kept'\n")
    with pytest.raises(PolicyError) as caught:
        run_checks(load(tmp_path, OLD), policy=path)
    assert str(caught.value).startswith(
        f"{path}: [[accepted]] names 'empty_profile', which is not a check; there are empty_profiles, "
    )
    assert str(caught.value).endswith(
        "deleted_trust_principals; if the check is your own, pass its file with --checks (in Python, checks=), or use "
        "a policy file without this entry"
    )


FINDINGS = {
    "check": ["empty_profiles", "empty_profiles", "path_mismatches"],
    "resource_arn": ["arn:a", "arn:b", "arn:c"],
    "related_arn": [None, "arn:x", "arn:y"],
}


def reasons(findings: dict[str, Any], **fields: str) -> list[str | None]:
    """The reason of each finding of a hand-made table, of which the policy accepts some."""
    policy = Policy(acceptances=(Accepted("empty_profiles", "kept", **fields),))
    return [*policy.accepted(pa.table(findings)).to_pylist()]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"finding_id": "f-2"}, [None, "kept", None]),
        ({"finding_id": "f-3"}, [None, None, None]),  # of another check
        ({"finding_id": "f-*"}, ["kept", "kept", None]),
        ({"finding_id": "f-2", "resource_arn": "arn:b"}, [None, "kept", None]),
        ({"finding_id": "f-2", "resource_arn": "arn:a"}, [None, None, None]),
        ({"finding_id": "*", "related_arn": "arn:x"}, [None, "kept", None]),
    ],
)
def test_an_acceptance_may_name_the_finding(fields: dict[str, str], expected: list[str | None]) -> None:
    assert reasons(FINDINGS | {"finding_id": ["f-1", "f-2", "f-3"]}, **fields) == expected


def test_an_acceptance_of_a_finding_accepts_none_where_findings_have_no_id() -> None:
    assert reasons(FINDINGS, finding_id="f-1") == [None, None, None]
    assert reasons(FINDINGS | {"finding_id": [None, "f-1", "f-1"]}, finding_id="f-1") == [None, "kept", None]


def test_a_policy_file_names_a_finding_by_its_id(tmp_path: Path) -> None:
    policy = read_policy(saved(tmp_path, "[[accepted]]\ncheck = 'x'\nfinding_id = 'f-1'\nreason = 'kept'\n"))
    assert policy.acceptances == (Accepted("x", "kept", finding_id="f-1"),)


def test_an_accepted_finding_keeps_its_severity_and_its_row(tmp_path: Path) -> None:
    text = "[[accepted]]\ncheck = 'empty_profiles'\nreason = 'kept'\n"
    result = run_checks(load(tmp_path, OLD), only=["empty_profiles"], policy=saved(tmp_path, text))
    assert result.findings[["severity", "accepted"]].to_numpy().tolist() == [["medium", "kept"]] * 3
    assert result.summary[["findings", "accepted"]].to_numpy().tolist() == [[3, 3]]


# The house's own names


def made_by_the_house(folder: Path, profile_name: str, role_name: str, text: str) -> tuple[Any, ...]:
    documents = {"p.json": profile_list(profile(profile_name, nested_role(role_name)))}
    findings = run_checks(load(folder, documents), only=["name_mismatches"], policy=saved(folder, text)).findings
    (row,) = findings[["expected", "severity", "relation", "maker"]].itertuples(index=False, name=None)
    return row


PAIR = "[[name_pairs]]\nrole = '{name}-role'\nprofile = '{name}-profile'\n"


def test_names_that_differ_by_the_houses_own_rule_are_expected(tmp_path: Path) -> None:
    assert made_by_the_house(tmp_path, "web-profile", "web-role", PAIR) == (True, "info", "affix", "house rule")


@pytest.mark.parametrize(
    ("profile_name", "role_name"),
    [("web-profile", "api-role"), ("web_profile", "web_role"), ("web-role", "web-profile")],
)
def test_names_that_break_the_houses_own_rule_are_not(tmp_path: Path, profile_name: str, role_name: str) -> None:
    assert made_by_the_house(tmp_path, profile_name, role_name, PAIR)[:2] == (False, "low")


def test_a_maker_of_the_house_makes_its_names_and_paths_expected(tmp_path: Path) -> None:
    text = "[[makers]]\nname = 'Deployer'\nrole = 'deploy-*'\nprofile = 'deployed-*'\nnames_differ = true\n"
    assert made_by_the_house(tmp_path, "deployed-1", "deploy-9", text) == (True, "info", "different", "Deployer")


def test_a_maker_of_the_house_that_means_equal_names_expects_no_mismatch(tmp_path: Path) -> None:
    text = "[[makers]]\nname = 'Deployer'\nrole = '*'\nprofile = '*'\n"
    assert made_by_the_house(tmp_path, "a", "b", text) == (False, "low", "different", "Deployer")


def test_the_example_that_an_error_points_at_is_copied_by_the_command_that_it_names(tmp_path: Path) -> None:
    sentence = refused(saved(tmp_path, "[required_tags]\nOwner = 1"))
    command = re.search(r"`iamframe (.+) DIR`", sentence)
    assert command is not None
    run = CliRunner().invoke(app, [*command[1].split(), str(tmp_path / "there")], standalone_mode=False)
    assert run.exception is None
    example = re.search(r"see (\S+\.toml)", sentence)
    assert example is not None
    assert read_policy(tmp_path / "there" / example[1]).required

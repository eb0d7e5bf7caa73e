"""One live account: every fact in the fewest requests, and what was refused is unknown and accuses nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from accounts import EC2, IAM_READS, ID, TRUST, add, found, load, status
from moto.iam.models import iam_backends
from owned import start_cluster

import iamframe
from iamframe.errors import SourceError
from iamframe.practice import PracticeAccount
from iamframe.practice.calls import Answer, Call, Refusal, refusal_answer

INLINE = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'


@pytest.fixture
def account() -> Iterator[PracticeAccount]:
    with PracticeAccount(regions=("eu-west-1", "us-east-1")) as opened:
        yield opened


def test_tags_that_a_listing_shows_are_not_believed(monkeypatch: pytest.MonkeyPatch, account: PracticeAccount) -> None:
    """Emulators put tags into ListInstanceProfiles; AWS never does, so that what stands there proves nothing."""
    from iamframe.sources.client import Client

    add(account, "web", "web")
    account.deny("GetInstanceProfile")
    account.deny("ListInstanceProfileTags")
    real = Client.call

    def with_tags(self: Client, service: str, operation: str, *args: Any, **named: Any) -> bytes:
        body = real(self, service, operation, *args, **named)
        lie = b'"Tags":[{"Key":"Owner","Value":"x"}],"InstanceProfileName"'
        return body.replace(b'"InstanceProfileName"', lie) if operation == "ListInstanceProfiles" else body

    monkeypatch.setattr(Client, "call", with_tags)
    inventory = load(account)
    assert inventory.tags.empty
    assert inventory.profiles["tags_known"].tolist() == [False]
    assert status(inventory, "untagged_profiles") == "unknown"


def test_descriptions_and_session_lengths_are_read_when_they_are_asked_for(account: PracticeAccount) -> None:
    account.session().client("iam").create_role(
        RoleName="web", AssumeRolePolicyDocument=EC2, Description="front", MaxSessionDuration=7200
    )
    plain, full = load(account), load(account, role_details=True)
    assert plain.roles[["description", "max_session_seconds"]].isna().all(axis=None)
    assert full.roles[["description", "max_session_seconds"]].to_numpy().tolist() == [["front", 7200]]


def test_without_listroles_only_descriptions_and_session_lengths_are_missing(account: PracticeAccount) -> None:
    add(account, "web", "web")
    account.deny("ListRoles")
    inventory = load(account, role_details=True)
    (detail,) = inventory.gaps["detail"][inventory.gaps["operation"] == "ListRoles"]
    assert detail == (
        "ListRoles failed with AccessDenied, so descriptions and session lengths of roles are unknown; "
        "allow iam:ListRoles"
    )
    account.deny("GetAccountAuthorizationDetails")
    inventory = load(account, role_details=True)
    (detail,) = inventory.gaps["detail"][inventory.gaps["operation"] == "ListRoles"]
    assert "so roles that are in no profile may be missing" in detail


def test_what_roles_may_do_comes_with_the_dump_and_is_unknown_without_it(account: PracticeAccount) -> None:
    iam = account.session().client("iam")
    arn = "arn:aws:iam::aws:policy/AdministratorAccess"
    for name in ("admin", "bare"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=EC2)
    own = iam.create_policy(PolicyName="AdministratorAccess", PolicyDocument=INLINE)["Policy"]["Arn"]
    for one in (arn, own):
        iam.attach_role_policy(RoleName="admin", PolicyArn=one)
    iam.put_role_policy(RoleName="admin", PolicyName="inline", PolicyDocument=INLINE)
    account.forget()
    inventory = load(account)
    columns = ["attached_policies", "inline_policy_count"]
    assert inventory.roles.set_index("role_name")[columns].to_dict("index") == {
        "admin": {"attached_policies": " ".join(sorted([arn, own])), "inline_policy_count": 1},
        "bare": {"attached_policies": "", "inline_policy_count": 0},
    }
    assert not any("Polic" in operation for operation in account.counts())
    (first, _) = iamframe.run_checks(inventory, only="ec2_roles_without_profile").findings["resource_name"]
    assert first == "admin"
    account.deny("GetAccountAuthorizationDetails")
    denied = load(account)
    assert denied.roles[columns].isna().all(axis=None)
    found = iamframe.run_checks(denied, only="ec2_roles_without_profile")
    assert len(found.findings) == 2
    assert found.findings["detail"].str.endswith("the role's policies were not collected").all()
    (field,) = (row for row in found.explain("admin").to_frame().to_dict("records") if row["section"] == "permissions")
    assert (field["role"], "GetAccountAuthorizationDetails" in field["note"]) == ("not collected", True)


def test_the_template_of_a_role_comes_with_getrole_and_is_no_fact_of_the_dump(account: PracticeAccount) -> None:
    iam, arn = account.session().client("iam"), "arn:aws:iam::aws:role-template/Lambda"
    for name in ("made", "plain"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=EC2)
    next(role for role in account._iam.roles(ID) if role.name == "made").source_template_arn = arn
    assert load(account).roles["role_template_arn"].isna().all()
    account.deny("GetAccountAuthorizationDetails")
    inventory = load(account)
    assert inventory.roles.set_index("role_name")["role_template_arn"].dropna().to_dict() == {"made": arn}
    told = iamframe.explain(inventory, "made").to_frame().set_index("field")["role"]
    assert told["role template"] == arn


def test_listings_beyond_a_page_are_read_to_their_end(account: PracticeAccount) -> None:
    account.fill(roles=1100, profiles=1010)
    account.forget()
    inventory = load(account, tag_index=True)
    assert (len(inventory.roles), len(inventory.profiles)) == (1100, 1010)
    assert account.counts()["GetAccountAuthorizationDetails"] == 2
    assert account.counts()["ListInstanceProfiles"] == 2


# The tag index


def test_the_tag_index_shows_profiles_that_could_not_be_listed(account: PracticeAccount) -> None:
    add(account, "empty", Owner="ops")
    account.deny("ListInstanceProfiles")
    inventory = load(account, tag_index=True)
    assert inventory.profiles["profile_name"].tolist() == ["empty"]
    assert inventory.tags["tag_value"].tolist() == ["ops"]


def test_the_tag_index_spares_the_requests_for_what_it_shows(account: PracticeAccount) -> None:
    add(account, "tagged", Owner="ops")
    add(account, "bare")
    account.forget()
    inventory = load(account, tag_index=True)
    assert account.counts()["GetInstanceProfile"] == 1
    assert inventory.profiles["tags_known"].tolist() == [True, True]
    assert inventory.tags[["tag_key", "tag_value", "tag_source"]].to_numpy().tolist() == [
        ["Owner", "ops", "GetResources"]
    ]
    assert found(inventory, "untagged_profiles") == {"bare"}


def test_what_the_index_shows_without_tags_is_asked_for_itself(account: PracticeAccount) -> None:
    add(account, "web", Owner="ops")
    iam = account.session().client("iam")
    iam.untag_instance_profile(InstanceProfileName="web", TagKeys=["Owner"])
    account.forget()
    inventory = load(account, tag_index=True)
    assert account.counts()["GetInstanceProfile"] == 1
    assert found(inventory, "untagged_profiles") == {"web"}


def test_a_denied_index_costs_only_requests(account: PracticeAccount) -> None:
    add(account, "web", Owner="ops")
    account.deny("GetResources")
    inventory = load(account, tag_index=True)
    assert inventory.tags["tag_source"].tolist() == ["GetInstanceProfile"]
    (gap,) = inventory.gaps[inventory.gaps["operation"] == "GetResources"].to_dict("records")
    assert (gap["reason"], gap["region"]) == ("denied", "us-east-1")
    assert gap["detail"].endswith("so tags are collected with one request per profile; allow tag:GetResources")


def test_with_view_only_access_roles_and_tags_come_from_lists(account: PracticeAccount) -> None:
    """ViewOnlyAccess allows iam:List* and of the Get calls GetAccountSummary alone."""
    add(account, "web", "web", Owner="ops")
    account.session().client("iam").tag_role(RoleName="web", Tags=[{"Key": "Owner", "Value": "ops"}])
    for operation in IAM_READS:
        if operation.startswith("Get") and operation != "GetAccountSummary":
            account.deny(operation)
    inventory = load(account)
    assert inventory.tags["tag_source"].tolist() == ["ListRoleTags", "ListInstanceProfileTags"]
    assert inventory.roles[["tags_known", "last_used_known"]].to_numpy().tolist() == [[True, False]]
    assert len(inventory.links) == 1
    assert status(inventory, "untagged_roles") == "complete"
    assert set(inventory.calls["state"][inventory.calls["operation"].str.startswith("Get")]) == {
        "complete",  # the summary, and who asks
        "refused",
    }


def test_one_profile_that_is_denied_leaves_the_others_judged(account: PracticeAccount) -> None:
    add(account, "payroll")
    add(account, "web")
    for operation in ("GetInstanceProfile", "ListInstanceProfileTags"):
        account.deny(operation, resource="*payroll*")
    inventory = load(account)
    assert found(inventory, "untagged_profiles") == {"web"}
    assert status(inventory, "untagged_profiles") == "partial"
    gap = inventory.gaps[inventory.gaps["subject"].str.endswith("payroll")].iloc[0]
    assert gap["reason"] == "denied"
    assert gap["detail"] == (
        "GetInstanceProfile failed with AccessDenied and ListInstanceProfileTags failed with AccessDenied "
        f"for arn:aws:iam::{ID}:instance-profile/payroll, so the tags of this resource are unknown; "
        "allow iam:GetInstanceProfile or iam:ListInstanceProfileTags"
    )


def test_an_operation_that_is_always_denied_is_not_asked_five_hundred_times(account: PracticeAccount) -> None:
    account.fill(roles=60, profiles=60)
    account.deny("GetInstanceProfile")
    account.deny("ListInstanceProfileTags")
    account.forget()
    inventory = load(account)
    # Twenty refusals of each, and what was in flight by then.
    assert account.counts()["GetInstanceProfile"] + account.counts()["ListInstanceProfileTags"] <= 2 * (20 + 16)
    assert not inventory.profiles["tags_known"].any()
    assert len(inventory.gaps[inventory.gaps["reason"] == "denied"]) == 60


def test_an_account_that_denies_all_is_refused_in_one_sentence(account: PracticeAccount) -> None:
    for operation in IAM_READS:
        account.deny(operation)
    with pytest.raises(SourceError, match=f"AWS denied every request for account {ID}; attach the AWS managed policy"):
        load(account)


def test_an_account_in_which_a_policy_denies_all_explicitly_is_not_given_another_policy(
    account: PracticeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    denial = Refusal("AccessDenied", "User: x is not authorized with an explicit deny in a service control policy", 403)
    monkeypatch.setattr(account, "_answer", lambda call: refusal_answer(call, denial))
    with pytest.raises(SourceError) as said:
        load(account)
    assert str(said.value).startswith(
        "aws: AWS denied every request for the account; a policy such as a service control"
    )
    assert "attach" not in str(said.value)


def test_an_account_that_answers_nothing_is_not_said_to_deny(
    account: PracticeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, away = account._answer, Refusal("ServiceUnavailable", "no", 400)
    monkeypatch.setattr(
        account, "_answer", lambda call: real(call) if call.service == "sts" else refusal_answer(call, away)
    )
    with pytest.raises(SourceError, match=f"every request for account {ID} failed, .* with ServiceUnavailable; check"):
        load(account)


def test_a_given_rate_is_never_refused(account: PracticeAccount) -> None:
    account.fill(roles=20, profiles=20)
    # Of two requests that a busy machine sends close together, the second finds the bucket empty but for its burst.
    account.throttle(25, 5)
    account.forget()
    load(account, rate=15)
    assert {request.error_code for request in account.requests} == {None}


def test_credentials_that_expire_midway_keep_what_was_read(account: PracticeAccount) -> None:
    account.fill(roles=30, profiles=30)
    account.expire(after=15)
    inventory = load(account)
    known = inventory.profiles["tags_known"]
    assert len(inventory.profiles) == 30
    assert 0 < known.sum() < 30
    assert set(inventory.gaps["reason"]) == {"expired", "not_asked"}
    expired = inventory.gaps.loc[inventory.gaps["reason"] == "expired", "detail"]
    assert expired.str.endswith("; renew the credentials and load again").all()
    assert status(inventory, "untagged_profiles") == "partial"


# What changes while it is read


def start(ec2: Any, profile: str) -> None:
    """Start an instance with a profile."""
    ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1, IamInstanceProfile={"Name": profile})


def after(monkeypatch: pytest.MonkeyPatch, operation: str, change: Callable[[], None]) -> None:
    """Let something change in the account right after an operation was first answered."""
    from iamframe.sources.client import Client

    real, once = Client.call, iter([change])

    def racing(self: Client, service: str, asked: str, *args: Any, **named: Any) -> bytes:
        body = real(self, service, asked, *args, **named)
        if asked == operation:
            next(once, lambda: None)()
        return body

    monkeypatch.setattr(Client, "call", racing)


def test_a_profile_that_is_deleted_while_it_is_read_is_left_out(
    account: PracticeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(account, "gone")
    add(account, "web", "web")
    iam = account.session().client("iam")
    after(monkeypatch, "ListInstanceProfiles", lambda: iam.delete_instance_profile(InstanceProfileName="gone"))
    inventory = load(account)
    assert inventory.profiles["profile_name"].tolist() == ["web"]
    (gap,) = inventory.gaps[inventory.gaps["reason"] == "vanished"].to_dict("records")
    assert gap["detail"] == (
        f"arn:aws:iam::{ID}:instance-profile/gone was deleted while the account was read, so it is left out"
    )
    assert status(inventory, "empty_profiles") == "complete"
    assert found(inventory, "empty_profiles") == set()


def test_a_profile_that_gets_its_role_while_it_is_read_is_not_called_empty(
    account: PracticeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(account, "web")
    iam = account.session().client("iam")
    iam.create_role(RoleName="web", AssumeRolePolicyDocument=EC2)
    link = {"InstanceProfileName": "web", "RoleName": "web"}
    after(monkeypatch, "ListInstanceProfiles", lambda: iam.add_role_to_instance_profile(**link))
    inventory = load(account)
    assert found(inventory, "empty_profiles") == set()
    assert "contradicted" in set(inventory.gaps["reason"])


# Partitions


@pytest.mark.parametrize(
    ("partition", "region", "service"),
    [("aws-cn", "cn-north-1", "ec2.amazonaws.com.cn"), ("aws-us-gov", "us-gov-west-1", "ec2.amazonaws.com")],
)
def test_other_partitions_are_asked_where_their_iam_is(partition: str, region: str, service: str) -> None:
    with PracticeAccount(partition=partition) as account:
        iam = account.session(region_name=region).client("iam")
        iam.create_role(RoleName="web", AssumeRolePolicyDocument=TRUST % service)
        iam.create_instance_profile(InstanceProfileName="web", Tags=[{"Key": "Owner", "Value": "ops"}])
        iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="web")
        account.forget()
        session = account.session(region_name=region)
        inventory = iamframe.load_account(session, references=False, tag_index=True, progress=False)
        asked = {request.region for request in account.requests if request.service == "iam"}
    assert asked == {region}
    assert inventory.accounts["partition"].tolist() == [partition]
    assert inventory.roles["trusts_ec2"].tolist() == ["yes"]
    assert inventory.tags["tag_source"].tolist() == ["GetResources"]


# From the command line


def test_regions_that_are_not_named_are_all_that_are_enabled(account: PracticeAccount) -> None:
    account.forget()
    inventory = load(account, references=True)
    asked = {r.region for r in account.requests if r.action == "DescribeInstances"}
    assert asked == {"eu-west-1", "us-east-1"}
    assert status(inventory, "unreferenced_profiles") == "complete"


def test_where_regions_cannot_be_listed_only_the_own_one_is_asked_and_that_is_said(account: PracticeAccount) -> None:
    add(account, "web", "web")
    account.deny("DescribeRegions")
    account.deny("ListRegions")
    account.forget()
    inventory = load(account, references=True)
    assert {r.region for r in account.requests if r.action == "DescribeInstances"} == {"us-east-1"}
    assert status(inventory, "unreferenced_profiles") == "partial"
    findings = iamframe.run_checks(inventory).findings
    assert findings["certainty"][findings["check"] == "unreferenced_profiles"].tolist() == ["maybe"]


def test_a_profile_that_is_made_after_the_listing_is_not_called_gone(
    account: PracticeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EKS and Karpenter make profiles all day; an instance may name one that was not there when they were listed."""
    add(account, "old", "old")
    iam, ec2 = (account.session(region_name="us-east-1").client(name) for name in ("iam", "ec2"))

    def launch() -> None:
        add(account, "new", "new")
        start(ec2, "new")

    after(monkeypatch, "ListInstanceProfiles", launch)
    inventory = load(account, references=True)
    assert found(inventory, "stale_references") == set()
    assert inventory.profiles["profile_name"].tolist() == ["new", "old"]
    assert inventory.references["profile_arn"].notna().all()
    assert iam


def test_the_use_of_a_profile_that_is_newer_than_the_list_of_instances_is_unknown(
    account: PracticeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two listings, a cluster starts with a profile and an instance, after instances were listed."""
    add(account, "tmp", "tmp")
    for cluster in ("blue", "gone"):
        add(account, f"{cluster}-node", **{"eks:cluster-name": cluster})
    start_cluster(account, "blue", "us-east-1")
    iam, ec2 = (account.session(region_name="us-east-1").client(name) for name in ("iam", "ec2"))
    start(ec2, "tmp")
    iam.remove_role_from_instance_profile(InstanceProfileName="tmp", RoleName="tmp")
    iam.delete_instance_profile(InstanceProfileName="tmp")
    real, lists = account._answer, iter(range(9))

    def before_the_second_list(call: Call) -> Answer:
        if call.action == "ListInstanceProfiles" and next(lists) == 1:
            start_cluster(account, "green", "us-east-1")
            add(account, "green-node", "green", **{"eks:cluster-name": "green"})
            start(ec2, "green-node")
        return real(call)

    monkeypatch.setattr(account, "_answer", before_the_second_list)
    inventory = load(account, references=True)
    assert sorted(inventory.profiles["profile_name"]) == ["blue-node", "gone-node", "green-node"]
    assert found(inventory, "owner_gone") == {"gone-node"}
    (gone,) = iamframe.run_checks(inventory, only="owner_gone").coverage.to_dict("records")
    assert gone["status"] == "partial"
    assert "green-node was created after the clusters, environments and stacks were collected" in gone["reason"]
    assert "incomplete" not in gone["reason"]
    assert status(inventory, "unreferenced_profiles") == "partial"
    findings = iamframe.run_checks(inventory, only="unreferenced_profiles").findings
    assert findings["certainty"].tolist() == ["maybe"]
    assert "green-node was created after the resources that use profiles were collected" in findings["detail"].iloc[0]


def test_the_use_of_a_profile_that_is_newer_than_the_answers_of_a_resumed_load_is_unknown(
    account: PracticeAccount, tmp_path: Path
) -> None:
    add(account, "old", "old")
    ec2 = account.session(region_name="us-east-1").client("ec2")
    start(ec2, "old")
    account.deny("ListInstanceProfiles")
    load(account, references=True, journal=tmp_path / "journal")
    account.allow()
    add(account, "new", "new")
    (new,) = (one for one in iam_backends[ID]["aws"].instance_profiles.values() if one.name == "new")
    # AWS shows whole seconds, and the journal fractions of them.
    new.create_date += timedelta(seconds=2)
    start(ec2, "new")
    inventory = load(account, references=True, journal=tmp_path / "journal")
    assert status(inventory, "unreferenced_profiles") == "partial"
    findings = iamframe.run_checks(inventory, only="unreferenced_profiles").findings
    assert findings[["resource_name", "certainty"]].to_numpy().tolist() == [["new", "maybe"]]


def test_a_profile_that_is_really_gone_is_found_so_by_a_second_listing(account: PracticeAccount) -> None:
    add(account, "web", "web")
    iam, ec2 = (account.session(region_name="us-east-1").client(name) for name in ("iam", "ec2"))
    start(ec2, "web")
    iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="web")
    iam.delete_instance_profile(InstanceProfileName="web")
    account.forget()
    inventory = load(account, references=True)
    assert len(found(inventory, "stale_references")) == 1
    assert status(inventory, "stale_references") == "complete"
    assert account.counts()["ListInstanceProfiles"] == 2


def test_a_profile_that_is_made_anew_while_it_is_read_accuses_no_instance(
    account: PracticeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(account, "web", Owner="before")
    iam, ec2 = (account.session(region_name="us-east-1").client(name) for name in ("iam", "ec2"))
    iam.create_role(RoleName="web", AssumeRolePolicyDocument=EC2)

    def anew() -> None:
        iam.delete_instance_profile(InstanceProfileName="web")
        iam.create_instance_profile(InstanceProfileName="web", Tags=[{"Key": "Owner", "Value": "after"}])
        iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="web")
        start(ec2, "web")

    after(monkeypatch, "GetInstanceProfile", anew)
    inventory = load(account, references=True, workers=1)
    assert found(inventory, "stale_references") == set()
    assert set(inventory.tags["tag_value"]) <= {"after"}


def test_a_role_whose_profile_is_replaced_while_it_is_read_is_not_called_lone(
    account: PracticeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(account, "old", "web")
    iam = account.session().client("iam")

    def rename() -> None:
        iam.remove_role_from_instance_profile(InstanceProfileName="old", RoleName="web")
        iam.delete_instance_profile(InstanceProfileName="old")
        iam.create_instance_profile(InstanceProfileName="new")
        iam.add_role_to_instance_profile(InstanceProfileName="new", RoleName="web")

    after(monkeypatch, "ListInstanceProfiles", rename)
    inventory = load(account)
    assert inventory.profiles["profile_name"].tolist() == ["new"]
    assert found(inventory, "ec2_roles_without_profile") == set()


def test_profiles_that_vanish_are_not_denials(account: PracticeAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing but GetInstanceProfile is allowed, it is asked on however many profiles were deleted meanwhile."""
    for number in range(40):
        add(account, f"p{number:02}")
    iam = account.session().client("iam")
    account.deny("ListInstanceProfileTags")

    def clear() -> None:
        for number in range(25):
            iam.delete_instance_profile(InstanceProfileName=f"p{number:02}")

    after(monkeypatch, "ListInstanceProfiles", clear)
    inventory = load(account)
    assert len(inventory.profiles) == 15
    assert inventory.profiles["tags_known"].all()
    assert set(inventory.gaps["reason"]) <= {"vanished", "not_asked"}


def test_a_profile_made_anew_under_another_path_is_one_profile(
    account: PracticeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(account, "web")
    iam = account.session().client("iam")

    def move() -> None:
        iam.delete_instance_profile(InstanceProfileName="web")
        iam.create_instance_profile(InstanceProfileName="web", Path="/app/")

    after(monkeypatch, "ListInstanceProfiles", move)
    assert load(account).profiles["profile_path"].tolist() == ["/app/"]


def test_a_template_that_names_another_accounts_profile_does_not_refer_to_ones_own(account: PracticeAccount) -> None:
    add(account, "same", "same")
    ec2 = account.session(region_name="us-east-1").client("ec2")
    ec2.create_launch_template(
        LaunchTemplateName="lt",
        LaunchTemplateData={"IamInstanceProfile": {"Arn": "arn:aws:iam::999999999999:instance-profile/same"}},
    )
    inventory = load(account, references=True)
    assert inventory.references["profile_arn"].isna().all()
    assert found(inventory, "unreferenced_profiles") == {"same"}
    assert found(inventory, "stale_references") == set()

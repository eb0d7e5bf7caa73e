"""What AWS leaves out of an answer is unknown, and what nobody waits for is not asked."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from accounts import EC2, add, found, load, status

import iamframe
from iamframe.practice import PracticeAccount
from iamframe.practice.calls import Answer, Call, Refusal, refusal_answer


def instead(account: PracticeAccount, action: str, change: Callable[[Call, Answer], Answer | None]) -> None:
    """Let the account answer otherwise to one action."""
    real = account._answer

    def answer(call: Call) -> Answer:
        given = real(call)
        return (change(call, given) or given) if call.action == action else given

    account._answer = answer  # type: ignore[method-assign]


def rewritten(account: PracticeAccount, action: str, pattern: bytes, by: bytes) -> None:
    def change(_: Call, given: Answer) -> Answer:
        body, count = re.subn(pattern, by, given.body, flags=re.DOTALL)
        assert count
        return Answer(given.status, body, given.content_type, given.headers)

    instead(account, action, change)


# Answers that say less than they should


def test_tags_that_iam_gives_in_short_pages_are_read_to_their_end(account: PracticeAccount) -> None:
    """IAM may return fewer than it was asked for, of tags too, and says so in IsTruncated."""
    add(account, "web", **{f"key-{number:02}": "x" for number in range(50)})
    account.deny("GetInstanceProfile")
    real = account._answer

    def short(call: Call) -> Answer:
        if call.action == "ListInstanceProfileTags":
            call.params["MaxItems"] = "20"
        return real(call)

    account._answer = short  # type: ignore[method-assign]
    inventory = load(account)
    assert inventory.profiles["tags_known"].tolist() == [True]
    assert len(inventory.tags) == 50


def test_a_listing_that_says_there_is_more_and_not_where_is_not_whole(account: PracticeAccount) -> None:
    add(account, "web")
    rewritten(account, "ListInstanceProfiles", b"<IsTruncated>false", b"<IsTruncated>true")
    inventory = load(account)
    assert found(inventory, "empty_profiles") == {"web"}
    assert status(inventory, "empty_profiles") == "partial"


@pytest.mark.parametrize(
    ("action", "element", "check", "said"),
    [
        ("ListInstanceProfiles", "InstanceProfiles", "empty_profiles", "unknown"),
        ("DescribeInstances", "reservationSet", "unreferenced_profiles", "unknown"),
        ("DescribeLaunchTemplateVersions", "launchTemplateVersionSet", "unreferenced_profiles", "unknown"),
        ("DescribeAutoScalingGroups", "AutoScalingGroups", "unreferenced_profiles", "unknown"),
    ],
)
def test_an_answer_without_its_list_is_not_an_empty_list(
    account: PracticeAccount, action: str, element: str, check: str, said: str
) -> None:
    rewritten(account, action, f"<{element} ?/>|<{element}>.*</{element}>".encode(), b"")
    inventory = load(account, references=True)
    assert status(inventory, check) == said
    (gap,) = inventory.gaps[inventory.gaps["reason"] == "unreadable"].to_dict("records")
    assert gap["operation"] == action
    assert gap["detail"].startswith(f"the AWS response to {action} lacks the key '")


@pytest.mark.parametrize(
    ("action", "denied"),
    [
        ("GetInstanceProfile", ()),
        ("ListInstanceProfileTags", ("GetInstanceProfile",)),
        ("GetRole", ("GetAccountAuthorizationDetails",)),
        ("GetAccountSummary", ()),
        ("DescribeRegions", ()),
    ],
)
def test_a_hollow_answer_is_a_gap_and_proves_nothing(
    account: PracticeAccount, action: str, denied: tuple[str, ...]
) -> None:
    add(account, "web", "web")
    for operation in denied:
        account.deny(operation)
    rewritten(account, action, rb"(<\w+Response[^>]*>).*(</\w+Response>)", rb"\1\2")
    inventory = load(account, references=True)
    gaps = inventory.gaps[inventory.gaps["reason"].isin(["unreadable", "denied"])]
    said = rf"{action} failed with ResponseParserError|{action} in us-east-1 failed with ValidationError"
    assert gaps["detail"].str.contains(said).any()
    known = {"profiles": action not in ("GetInstanceProfile", "ListInstanceProfileTags"), "roles": action != "GetRole"}
    assert {name: inventory.frames[name]["tags_known"].tolist() for name in known} == {n: [k] for n, k in known.items()}


def test_a_profile_that_is_listed_twice_and_never_found_leaves_the_list_incomplete(account: PracticeAccount) -> None:
    add(account, "web", "web")
    absent = Refusal("NoSuchEntity", "Instance Profile web cannot be found.", 404)
    instead(account, "GetInstanceProfile", lambda call, _: refusal_answer(call, absent))
    inventory = load(account)
    assert inventory.profiles.empty
    assert status(inventory, "empty_profiles") == "unknown"


def test_a_role_whose_profile_is_listed_and_never_found_is_not_called_lone(account: PracticeAccount) -> None:
    add(account, "web", "web")
    absent = Refusal("NoSuchEntity", "Instance Profile web cannot be found.", 404)
    instead(account, "GetInstanceProfile", lambda call, _: refusal_answer(call, absent))
    inventory = load(account)
    assert found(inventory, "ec2_roles_without_profile") == set()
    assert status(inventory, "ec2_roles_without_profile") != "complete"


@pytest.mark.parametrize(("is_deleted", "said"), [(False, "partial"), (True, "complete")])
def test_a_role_that_is_not_found_leaves_the_list_of_roles_incomplete_if_it_is_still_listed(
    account: PracticeAccount, is_deleted: bool, said: str
) -> None:
    """Terraform deletes a role and creates it again; AWS lists it before it finds it."""
    iam = account.session().client("iam")
    iam.create_role(RoleName="batch", AssumeRolePolicyDocument=EC2)
    add(account, "web", "web")
    account.deny("GetAccountAuthorizationDetails")

    def absent(call: Call, _: Answer) -> Answer | None:
        if call.params["RoleName"] != "batch":
            return None
        if is_deleted:
            iam.delete_role(RoleName="batch")
        return refusal_answer(call, Refusal("NoSuchEntity", "The role with name batch cannot be found.", 404))

    instead(account, "GetRole", absent)
    inventory = load(account)
    assert inventory.roles["role_name"].tolist() == ["web"]
    assert status(inventory, "ec2_roles_without_profile") == said


def test_of_a_list_with_one_unreadable_record_the_others_are_kept_and_the_list_is_not_whole(
    account: PracticeAccount,
) -> None:
    add(account, "broken")
    add(account, "web")
    rewritten(account, "ListInstanceProfiles", rb"<Arn>[^<]*instance-profile/broken</Arn>", b"")
    inventory = load(account)
    assert found(inventory, "empty_profiles") == {"web"}
    assert status(inventory, "empty_profiles") == "partial"
    (detail,) = inventory.gaps["detail"][inventory.gaps["reason"] == "unreadable"]
    assert detail == (
        "InstanceProfiles[0] of the AWS response to ListInstanceProfiles cannot be read: "
        "Object missing required field `Arn`"
    )


def test_a_list_of_clusters_that_cannot_be_read_calls_no_cluster_gone(account: PracticeAccount) -> None:
    add(account, "web", "web", **{"eks:cluster-name": "prod"})
    instead(
        account, "ListClusters", lambda _, given: Answer(200, b'{"clusters": [1]}', given.content_type, given.headers)
    )
    inventory = load(account, references=True)
    assert found(inventory, "owner_gone") == set()
    assert status(inventory, "owner_gone") == "unknown"
    (detail,) = inventory.gaps["detail"][inventory.gaps["operation"] == "eks:ListClusters"]
    assert detail == "clusters of the AWS response to eks:ListClusters cannot be read: Expected `str`"
    # EMR has an operation ListClusters, too. The sentence names the key of its list, not the whole JMESPath expression.
    (detail,) = inventory.gaps["detail"][inventory.gaps["operation"] == "elasticmapreduce:ListClusters"]
    assert detail == "the AWS response to elasticmapreduce:ListClusters lacks the key 'Clusters'; load again"


def test_a_list_that_is_refused_when_it_is_read_again_is_not_whole(account: PracticeAccount) -> None:
    """After a profile vanished, a new one may hold its role, so the profiles are listed again."""
    add(account, "web", "web")
    add(account, "empty")
    absent = Refusal("NoSuchEntity", "Instance Profile web cannot be found.", 404)
    web = {"InstanceProfileName": "web"}
    instead(
        account,
        "GetInstanceProfile",
        lambda call, _: refusal_answer(call, absent) if web.items() <= call.params.items() else None,
    )
    denied = Refusal("AccessDenied", "no", 403)
    instead(
        account,
        "ListInstanceProfiles",
        lambda call, _: refusal_answer(call, denied) if account.counts()["ListInstanceProfiles"] == 2 else None,
    )
    inventory = load(account)
    assert found(inventory, "empty_profiles") == {"empty"}
    assert status(inventory, "empty_profiles") == "partial"


def test_a_whole_list_that_is_said_not_to_be_there_is_not_empty(account: PracticeAccount) -> None:
    """Of what was listed a moment ago, "not found" means that it is gone; of a list it means nothing."""
    add(account, "web", "web")
    instead(account, "DescribeInstances", lambda call, _: refusal_answer(call, Refusal("NotFound", "what?", 404)))
    inventory = load(account, references=True)
    assert status(inventory, "unreferenced_profiles") == "unknown"
    assert found(inventory, "unreferenced_profiles") == set()


def test_tags_of_an_index_that_lags_hide_no_untagged_profile_without_a_word(account: PracticeAccount) -> None:
    add(account, "web", Owner="ops")
    add(account, "bare")
    inventory = load(account, tag_index=True)
    assert status(load(account), "untagged_profiles") == "complete"
    assert {status(inventory, check) for check in ("untagged_profiles", "tag_differences")} == {"partial"}
    coverage = iamframe.run_checks(inventory).coverage
    (reason,) = coverage["reason"][coverage["check"] == "untagged_profiles"]
    assert reason == (
        "the tags of 1 profile are from the tagging API, and may be out of date; "
        "load again without `--tag-index` (in Python, `tag_index`)"
    )


def test_a_finding_about_tags_of_an_index_that_lags_is_not_certain(account: PracticeAccount) -> None:
    add(account, "web", "web", Owner="ops")
    iam = account.session().client("iam")
    iam.tag_role(RoleName="web", Tags=[{"Key": "Owner", "Value": "ops"}, {"Key": "owner ", "Value": "x"}])
    # The index still shows the value that the profile had before.
    rewritten(account, "GetResources", b"ops", b"dev")
    inventory = load(account, tag_index=True)
    findings = iamframe.run_checks(inventory).findings.set_index("check")["certainty"]
    assert findings[["tag_differences", "tag_key_variants"]].tolist() == ["maybe", "maybe"]
    # The index does not show which role a profile holds.
    add(account, "empty", Owner="ops")
    result = iamframe.run_checks(load(account, tag_index=True), only="empty_profiles")
    assert result.findings["certainty"].tolist() == ["certain"]


def add_profiles_without_readable_tags(account: PracticeAccount, count: int) -> None:
    for number in range(count):
        add(account, f"p-{number:02}")
    account.deny("GetInstanceProfile")
    account.deny("ListInstanceProfileTags")


def test_what_was_not_called_because_all_others_were_denied_is_not_said_to_have_failed(
    account: PracticeAccount,
) -> None:
    add_profiles_without_readable_tags(account, 25)
    inventory = load(account, workers=1)
    said = inventory.gaps["detail"][inventory.gaps["reason"] == "denied"]
    assert account.counts()["GetInstanceProfile"] == 20
    assert said.str.contains("GetInstanceProfile failed with AccessDenied").sum() == 20
    others = "GetInstanceProfile was not called (AWS had refused it for other resources with AccessDenied)"
    assert said.str.contains(others, regex=False).sum() == 5


def test_an_explicit_deny_is_told_apart_from_a_permission_that_is_missing(account: PracticeAccount) -> None:
    add(account, "web", "web")
    account.deny("DescribeInstances")
    user = b"because no identity-based policy allows the ec2:DescribeInstances action"
    rewritten(account, "DescribeInstances", user, b"with an explicit deny in a service control policy")
    inventory = load(account, references="core")
    gaps = inventory.gaps
    assert iamframe.missing_permissions(inventory)["Statement"] == []
    (detail,) = gaps["detail"][gaps["operation"] == "DescribeInstances"]
    assert detail == (
        "DescribeInstances in us-east-1 failed with UnauthorizedOperation, so it is unknown which profiles are used "
        "by instances there; a policy such as a service control policy denies ec2:DescribeInstances explicitly, so no "
        "other policy can allow it; ask the owner of the policy for an exception"
    )


def test_of_two_operations_only_the_one_that_no_policy_denies_explicitly_is_to_be_allowed(
    account: PracticeAccount,
) -> None:
    add_profiles_without_readable_tags(account, 25)
    rewritten(
        account, "GetInstanceProfile", b"because no .* action", b"with an explicit deny in a service control policy"
    )
    inventory = load(account, workers=1)
    gaps = inventory.gaps[inventory.gaps["reason"] == "denied"]
    assert len(gaps) == 25
    assert (
        gaps["detail"].str.endswith("so the tags of this resource are unknown; allow iam:ListInstanceProfileTags").all()
    )
    (statement,) = iamframe.missing_permissions(inventory)["Statement"]  # type: ignore[misc]
    assert statement["Action"] == ["iam:ListInstanceProfileTags"]


@pytest.mark.parametrize("code", ["InvalidClientTokenId", "OptInRequired", "SubscriptionRequiredException"])
def test_credentials_that_a_service_does_not_accept_are_no_missing_permission(
    account: PracticeAccount, code: str
) -> None:
    add(account, "web", "web")
    instead(account, "GetInstanceProfile", lambda call, _: refusal_answer(call, Refusal(code, "no", 403)))
    inventory = load(account)
    (detail,) = inventory.gaps["detail"][inventory.gaps["operation"] == "GetInstanceProfile"]
    assert detail.endswith("so the tags of this resource are unknown; load again")
    assert iamframe.missing_permissions(inventory)["Statement"] == []


# Regions


def test_a_region_that_neither_botocore_nor_the_account_knows_is_not_asked_and_that_is_said(
    account: PracticeAccount,
) -> None:
    add(account, "web", "web")
    account.forget()
    inventory = load(account, references=True, regions=["us-east-1", "us-nowhere-1"])
    assert {request.region for request in account.requests} == {"us-east-1"}
    gaps = inventory.gaps[inventory.gaps["region"] == "us-nowhere-1"]
    assert set(gaps["reason"]) == {"not_asked"}
    assert set(gaps["detail"]) == {"us-nowhere-1 is not enabled in this account, so it was skipped"}
    assert status(inventory, "unreferenced_profiles") == "partial"


def test_a_named_region_that_was_skipped_is_not_said_to_have_been_scanned(account: PracticeAccount) -> None:
    add(account, "web", "web")
    inventory = load(account, references=True, regions=["us-gov-west-1"])
    coverage = iamframe.run_checks(inventory, only="unreferenced_profiles").coverage
    (reason,) = coverage["reason"]
    assert reason == (
        "regions other than us-gov-west-1 were not scanned; "
        "the file gaps.csv of `iamframe report` lists more missing data"
    )
    gaps = inventory.gaps[inventory.gaps["region"] == "us-gov-west-1"]
    assert set(gaps["detail"]) == {"us-gov-west-1 is not enabled in this account, so it was skipped"}


def test_of_regions_that_botocore_knows_nobody_asks_whether_they_are_enabled(account: PracticeAccount) -> None:
    load(account, references=True, regions=["us-east-1"])
    assert account.counts()["DescribeRegions"] == 0


def test_a_region_that_is_not_enabled_is_no_missing_permission() -> None:
    with PracticeAccount(regions=("us-east-1", "me-south-1")) as account:
        add(account, "web", "web")
        account.disable_region("me-south-1")
        inventory = load(account, references="all", regions=["us-east-1", "me-south-1"])
        gaps = inventory.gaps[inventory.gaps["region"] == "me-south-1"]
        core = {"DescribeInstances", "DescribeLaunchConfigurations"}
        assert core | {"DescribeComputeEnvironments"} <= set(gaps["operation"])
        assert set(gaps["reason"]) == {"not_asked"}
        (detail,) = set(gaps["detail"].str.replace(r"\(\w+\)", "", regex=True))
        assert "not enabled" in detail
        assert "allow" not in detail
        assert iamframe.missing_permissions(inventory)["Statement"] == []
        # Whatever started there before it was switched off may run there still, seen by nobody.
        assert status(inventory, "unreferenced_profiles") == "partial"
        findings = iamframe.run_checks(inventory, only="unreferenced_profiles").findings
        assert findings["certainty"].tolist() == ["maybe"]
        account.forget()
        load(account, references="all", regions=["us-east-1", "me-south-1"])
        assert account.counts()["DescribeRegions"] == 1


@pytest.mark.parametrize("denied", [(), ("DescribeRegions", "ListRegions")])
def test_a_service_without_a_subscription_says_nothing_of_its_region(denied: tuple[str, ...]) -> None:
    with PracticeAccount(regions=("us-east-1", "eu-west-1")) as account:
        add(account, "web", "web")
        for operation in denied:
            account.deny(operation)
        instead(account, "DescribeInstances", lambda call, _: refusal_answer(call, Refusal("OptInRequired", "no", 401)))
        inventory = load(account, references="core", regions=["us-east-1", "eu-west-1"])
    gaps = inventory.gaps[
        (inventory.gaps["operation"] == "DescribeInstances") & (inventory.gaps["region"] != "unknown")
    ]
    assert dict(zip(gaps["region"], gaps["detail"], strict=True)) == {
        region: f"DescribeInstances in {region} failed with OptInRequired, so it is unknown which profiles are used "
        "by instances there; load again"
        for region in ("us-east-1", "eu-west-1")
    }
    assert status(inventory, "unreferenced_profiles") == "unknown"


def test_a_region_that_takes_no_credentials_and_of_which_nobody_says_whether_it_is_enabled_is_unread() -> None:
    with PracticeAccount(regions=("us-east-1", "me-south-1")) as account:
        add(account, "web", "web")
        account.disable_region("me-south-1")
        for operation in ("DescribeRegions", "ListRegions"):
            account.deny(operation)
        inventory = load(account, references=True, regions=["us-east-1", "me-south-1"])
        gaps = inventory.gaps[inventory.gaps["region"] == "me-south-1"]
        assert set(gaps["reason"]) == {"unreadable"}
        (statement,) = iamframe.missing_permissions(inventory)["Statement"]  # type: ignore[misc]
        assert statement["Action"] == ["account:ListRegions", "ec2:DescribeRegions"]
        assert status(inventory, "unreferenced_profiles") == "unknown"


def test_an_enabled_region_that_takes_no_credentials_gets_the_advice_for_sessions_of_the_global_endpoint() -> None:
    with PracticeAccount(regions=("us-east-1", "me-south-1")) as account:
        add(account, "web", "web")
        refused = Refusal("AuthFailure", "no", 401)
        instead(
            account,
            "DescribeInstances",
            lambda call, _: refusal_answer(call, refused) if call.region == "me-south-1" else None,
        )
        inventory = load(account, references="core")
    (detail,) = inventory.gaps["detail"][inventory.gaps["region"] == "me-south-1"]
    assert detail == (
        "me-south-1 is enabled but does not accept these credentials (AuthFailure), so nothing was collected there; "
        "use a regional STS endpoint, because sessions of the global endpoint do not work in opt-in regions"
    )
    assert status(inventory, "unreferenced_profiles") == "unknown"


def test_a_cluster_may_be_in_a_region_that_could_not_be_listed(account: PracticeAccount) -> None:
    add(account, "web", "web", **{"eks:cluster-name": "prod"})
    account.deny("DescribeRegions")
    account.deny("ListRegions")
    inventory = load(account, references=True)
    gaps = inventory.gaps[inventory.gaps["operation"] == "eks:ListClusters"]
    assert gaps["detail"].tolist() == ["the enabled regions could not be listed, so only us-east-1 was scanned"]
    assert found(inventory, "owner_gone") == set()
    assert status(inventory, "owner_gone") == "unknown"


@pytest.mark.parametrize("regions", ["all", ["us-newest-1"]])
def test_a_region_that_is_newer_than_botocore_is_asked_for_everything(regions: Any) -> None:
    with PracticeAccount(regions=("us-east-1", "us-newest-1")) as account:
        real = account._answer

        def closed(call: Call) -> Answer:
            # Moto knows it as little as botocore.
            if call.region == "us-newest-1":
                return refusal_answer(call, Refusal("AccessDenied", "no", 403))
            return real(call)

        account._answer = closed  # type: ignore[method-assign]
        load(account, references="all", regions=regions)
        asked = {request.service for request in account.requests if request.region == "us-newest-1"}
    assert {"ec2", "autoscaling", "batch", "ecs", "elasticbeanstalk", "rds"} <= asked


def test_a_host_that_does_not_exist_is_given_up_at_the_second_try(account: PracticeAccount) -> None:
    account.deny("DescribeRegions")
    account.deny("ListRegions")
    session = account.session(region_name="us-east-1")
    core: Any = session._session
    create = core.create_client

    def somewhere(*args: Any, **named: Any) -> Any:
        nowhere = named.get("region_name") == "us-nowhere-1"
        return create(*args, **named | ({"endpoint_url": "https://ec2.us-nowhere-1.invalid"} if nowhere else {}))

    core.create_client = somewhere
    inventory = iamframe.load_account(session, regions=["us-nowhere-1"], progress=False)
    calls = inventory.calls[inventory.calls["region"] == "us-nowhere-1"]
    assert set(calls["requests"]) == {2}
    details = inventory.gaps["detail"][inventory.gaps["region"] == "us-nowhere-1"]
    assert details.str.contains("check that the region exists and has the service").all()
    assert status(inventory, "unreferenced_profiles") == "unknown"


# Whoever interrupts


def test_an_interrupted_fleet_leaves_its_accounts_alone(
    account: PracticeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in account.environment().items():
        monkeypatch.setenv(name, value)
    first, second = (account.add_member(name) for name in ("small", "large"))
    account.fill(roles=40, profiles=40, account_id=second)
    account.latency = 0.1

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    account.forget()
    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        iamframe.load_fleet(
            [first, second],
            role_name="OrganizationAccountAccessRole",
            references=False,
            workers=1,
            progress=interrupt,  # type: ignore[arg-type]
        )
    # What was in flight is answered, and nothing comes after it: the threads that ask come to their end.
    for thread in set(threading.enumerate()) - before:
        if "process_request" not in thread.name:
            thread.join(30)
            assert not thread.is_alive()
    assert account.counts()["GetInstanceProfile"] < 40


# Secrets


def test_botocore_logs_no_external_id_that_aws_quotes(
    account: PracticeAccount, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in account.environment().items():
        monkeypatch.setenv(name, value)
    member = account.add_member("team")

    def quoted(call: Call, _: Answer) -> Answer:
        said = f"1 validation error detected: Value '{call.params['ExternalId']}' at 'externalId' is too long"
        return refusal_answer(call, Refusal("ValidationError", said, 400))

    instead(account, "AssumeRole", quoted)
    with (
        caplog.at_level(logging.WARNING, logger="botocore"),
        pytest.raises(iamframe.errors.SourceError, match="Value '…' at 'externalId' is too long"),
    ):
        iamframe.load_fleet([member], role_name="audit", external_id="s3cret", progress=False)
    assert "Refreshing temporary credentials failed" in caplog.text
    assert "s3cret" not in caplog.text

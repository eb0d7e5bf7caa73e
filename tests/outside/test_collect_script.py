"""A script that somebody else runs: with the real AWS CLI it collects what a live load reads, and nothing else."""

from __future__ import annotations

import base64
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from accounts import EC2, ID, add, load
from commands import run
from conftest import needed
from owned import GONE, REGIONS, add_clusters, region_of
from resident_aws import resident_aws
from test_consumers import CASES

import iamframe
from iamframe.knowledge.operations import OPERATIONS, TEMPLATES, cli_name
from iamframe.knowledge.owners import known_owners
from iamframe.practice import PracticeAccount
from iamframe.sources.consumers import CONSUMERS
from iamframe.sources.scripts import collect_script

SECRET = "password=correct-horse"
TOOLS = ("awk", "cat", "date", "find", "grep", "mkdir", "mktemp", "mv", "rm", "sed", "sort", "tr", "uniq")
# What says more than one call of the AWS CLI would: nothing of EC2 and Auto Scaling is asked.
IAM_ONLY = 'case $1 in ec2 | autoscaling) echo "Could not connect to the endpoint \\"URL\\"" >&2; exit 1 ;; esac\n'


def resident() -> str:
    """The AWS CLI 1, loaded once, for all that does not depend on how it starts."""
    version_1()
    return str(resident_aws() / "aws")


def version_1() -> str:
    found = shutil.which("aws", path=sysconfig.get_path("scripts"))
    needed(found, "the AWS CLI 1", "pip install 'iamframe[test]' brings it")
    return str(found)


def version_2() -> str:
    for folder in (*os.get_exec_path(), "/usr/bin"):
        found = shutil.which("aws", path=folder)
        said = found and subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
        if said and said.startswith("aws-cli/2"):
            return str(found)
    needed(None, "the AWS CLI 2", "`apt-get install awscli` brings it on Debian")
    raise AssertionError


def tools(folder: Path, aws: str | None, before: str = "", *more: str) -> Path:
    """A folder to be the only one on the PATH: the tools that the script may use, and `aws` with lines before it."""
    needed(os.name == "posix", "a POSIX shell", "run this on Linux or macOS")
    place = folder / "bin"
    place.mkdir()
    for name in (*TOOLS, *more):
        (place / name).symlink_to(Path(sys.executable).resolve() if name == "python3" else str(shutil.which(name)))
    if aws:
        script = place / "aws"
        script.write_text(f'#!/bin/sh\n{before}exec "{aws}" "$@"\n')
        script.chmod(0o755)
    return place


def start(account: PracticeAccount, folder: Path, path: Path, *regions: str) -> subprocess.Popen[str]:
    shell = shutil.which("dash") or shutil.which("sh")
    (folder / "collect.sh").write_text(collect_script())
    (folder / "out").mkdir()
    return subprocess.Popen(
        [str(shell), "../collect.sh", *regions],
        cwd=folder / "out",
        env={"PATH": str(path), "HOME": str(folder)} | account.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def collect(account: PracticeAccount, folder: Path, path: Path, *regions: str) -> subprocess.CompletedProcess[str]:
    process = start(account, folder, path, *regions)
    out, errors = process.communicate(timeout=900)
    return subprocess.CompletedProcess([], process.returncode, out, errors)


def made(folder: Path) -> Path:
    """The zip, which is all that is left in the folder."""
    (found,) = (folder / "out").iterdir()
    assert re.fullmatch(r"iamframe-(\d{12}|unknown)-\d{8}-\d{6}\.zip", found.name)
    return found


def denied(archive: Path) -> list[str]:
    with zipfile.ZipFile(archive) as opened:
        return sorted(opened.read("denied.csv").decode().splitlines()[1:])


def same_facts(files: iamframe.Inventory, live: iamframe.Inventory) -> None:
    """Hold that two loads show the same, and that of what they show the same is certain."""
    for name in ("roles", "profiles", "links", "tags"):
        # Which of two operations told tags is, live, a matter of which was answered more often before.
        one, two = (frames[name].drop(columns="tag_source", errors="ignore") for frames in (files.frames, live.frames))
        pd.testing.assert_frame_equal(one, two, obj=name)
    ours, theirs = iamframe.run_checks(files), iamframe.run_checks(live)
    not_of_iam = ["unreferenced_profiles", "stale_references", "names_refused"]
    for one, two, columns in (
        (ours.coverage, theirs.coverage, ["check", "status"]),
        (ours.findings, theirs.findings, ["check", "certainty", "resource_arn", "related_arn", "detail"]),
    ):
        mine, other = (frame[~frame["check"].isin(not_of_iam)][columns].reset_index(drop=True) for frame in (one, two))
        pd.testing.assert_frame_equal(mine, other)


def lost(inventory: iamframe.Inventory) -> set[tuple[str, str, str]]:
    """What each load says that AWS refused to it: the operation, of what, and why; a file names regions as subjects."""
    gaps = inventory.gaps[~inventory.gaps["reason"].isin(["not_asked", "not_in_file"])]
    subjects = gaps["subject"].str.rpartition("/")[2].mask(gaps["subject"] == gaps["region"], "*")
    return set(zip(gaps["operation"], subjects, gaps["reason"], strict=True))


# Thirty profiles, some reads denied, and all that may name a profile


Thirty = tuple[subprocess.CompletedProcess[str], Path, iamframe.Inventory]


@pytest.fixture(scope="module")
def thirty(tmp_path_factory: pytest.TempPathFactory) -> Thirty:
    folder = tmp_path_factory.mktemp("thirty")
    path = tools(folder, resident(), "", "zip" if shutil.which("zip") else "python3")
    with PracticeAccount(regions=("us-east-1", "eu-west-1")) as account:
        truth = account.fill(roles=30, profiles=30)
        names = sorted(truth["profiles"])
        session = account.session(region_name="eu-west-1")
        ec2, scaling = session.client("ec2"), session.client("autoscaling")
        secret = base64.b64encode(SECRET.encode()).decode()
        template = ""
        for number, name in enumerate(names[:4]):
            data: Any = {"ImageId": "ami-12345678", "IamInstanceProfile": {"Name": name}, "UserData": secret}
            if number == 0:
                answer = ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData=data)
                template = answer["LaunchTemplate"]["LaunchTemplateId"]
            else:
                ec2.create_launch_template_version(LaunchTemplateId=template, LaunchTemplateData=data)
        for version in ("2", "$Latest"):
            scaling.create_auto_scaling_group(
                AutoScalingGroupName=f"of {version}",
                MinSize=0,
                MaxSize=1,
                AvailabilityZones=["eu-west-1a"],
                LaunchTemplate={"LaunchTemplateId": template, "Version": version},
            )
        scaling.create_launch_configuration(
            LaunchConfigurationName="old",
            ImageId="ami-12345678",
            InstanceType="t3.micro",
            IamInstanceProfile=names[4],
            UserData=SECRET,
        )
        ec2.run_instances(
            ImageId="ami-12345678",
            MinCount=1,
            MaxCount=1,
            IamInstanceProfile={"Name": names[5]},
            TagSpecifications=[
                {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "front"}, {"Key": "why", "Value": "x"}]}
            ],
            UserData=SECRET,
        )
        ec2.request_spot_instances(
            SpotPrice="0.1",
            LaunchSpecification={
                "ImageId": "ami-12345678",
                "InstanceType": "t3.micro",
                "IamInstanceProfile": {"Name": names[6]},
                "UserData": secret,
            },
        )
        session.client("iam").put_role_policy(
            RoleName=min(truth["roles"]),
            PolicyName="inline",
            PolicyDocument='{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}',
        )
        for name in names[7:10]:
            account.deny("GetInstanceProfile", name)
        account.deny("ListInstanceProfileTags", names[9])
        account.deny("DescribeFleets")
        account.forget()
        done = collect(account, folder, path, "eu-west-1")
        asked = list(account.requests)
        live = load(account, references="core", regions=["eu-west-1"])
    known = {read.action for read in OPERATIONS} | {"ec2:DescribeLaunchTemplates"}
    assert {f"{request.service}:{request.action}" for request in asked} <= known
    return done, made(folder), live


def test_a_zip_of_thirty_profiles_shows_what_a_live_load_shows_with_the_same_denials(thirty: Thirty) -> None:
    _, archive, live = thirty
    files = iamframe.load_files(archive)
    assert (len(live.profiles), len(live.roles), len(live.references)) == (30, 30, 10)
    assert live.profiles["tags_known"].sum() == 29
    same_facts(files, live)
    of_templates = files.references[files.references["consumer_type"] == "launch-template"]
    assert sorted(of_templates["consumer_version"]) == ["1", "2", "3", "4"]
    pd.testing.assert_frame_equal(files.references, live.references)
    name = live.profiles["profile_name"][~live.profiles["tags_known"]].item()
    of_profile = {(operation, name, "denied") for operation in ("GetInstanceProfile", "ListInstanceProfileTags")}
    of_region = {("DescribeFleets", "*", "denied")}
    assert lost(files) == of_region | of_profile
    # Live, both are one gap.
    assert (len(lost(live)), lost(live) - of_profile) == (2, of_region)
    assert files.accounts["caller_arn"].tolist() == [f"arn:aws:iam::{ID}:user/practice"]
    assert files.accounts["profiles_expected"].tolist() == [30]


def test_what_was_denied_is_told_once_in_the_zip_and_at_the_end(thirty: Thirty) -> None:
    done, archive, live = thirty
    name = live.profiles["profile_name"][~live.profiles["tags_known"]].item()
    assert denied(archive) == [
        '"ec2 describe-fleets","eu-west-1","UnauthorizedOperation"',
        f'"iam get-instance-profile","{name}","AccessDenied"',
        f'"iam list-instance-profile-tags","{name}","AccessDenied"',
    ]
    assert done.returncode == 1
    assert done.stdout == f"Made {archive}; read it with: iamframe report {archive.name}\n"
    assert [line.split() for line in done.stderr.splitlines()[-3:]] == [
        ["1", "ec2", "describe-fleets:", "UnauthorizedOperation"],
        ["1", "iam", "get-instance-profile:", "AccessDenied"],
        ["1", "iam", "list-instance-profile-tags:", "AccessDenied"],
    ]


def test_no_user_data_and_no_policies_are_in_the_zip(thirty: Thirty) -> None:
    _, archive, _ = thirty
    with zipfile.ZipFile(archive) as opened:
        everything = b"".join(opened.read(name) for name in opened.namelist())
        names = opened.namelist()
    secrets = (SECRET, base64.b64encode(SECRET.encode()).decode(), "UserData", "PolicyName", '"why"')
    for text in secrets:
        assert text.encode() not in everything, text
    assert all(name.endswith((".json", ".csv", "/")) for name in names)
    assert archive.stat().st_mode & 0o077 == 0


# The roads around a denial, and names of all kinds


def test_a_zip_shows_the_gone_clusters_of_the_regions_that_could_be_read(tmp_path: Path) -> None:
    with PracticeAccount(regions=REGIONS) as account:
        add_clusters(account)
        account.deny("eks:ListClusters", f"*:{REGIONS[1]}:*")
        assert collect(account, tmp_path, tools(tmp_path, resident(), "", "python3")).returncode == 1
        assert not {"ListStacks", "DescribeEnvironments"} & set(account.counts())
    result = iamframe.run_checks(iamframe.load_files(made(tmp_path)), only="owner_gone")
    found = {name.partition("_")[0] for name in result.findings["resource_name"]}
    assert found == {name for name in GONE if region_of(name) != REGIONS[1]}
    assert result.coverage["status"].tolist() == ["partial"]
    gaps = result.inventory.gaps
    assert gaps[["operation", "region", "reason"]].to_numpy().tolist()[0] == ["eks:ListClusters", REGIONS[1], "denied"]


@pytest.mark.parametrize("refused", [None, "DescribeEffectivePolicy", "no policy"])
def test_a_zip_shows_what_the_organization_demands_as_a_live_load_does(refused: str | None, tmp_path: Path) -> None:
    with PracticeAccount(regions=("us-east-1",)) as account:
        if refused == "no policy":
            # The account is in no organization, which is an answer and no denial.
            refused = None
        else:
            account.add_member("other")
            rule = {"tag_key": "Owner", "tag_value": ["a*"], "report_required_tag_for": ["iam:instance-profile"]}
            account.set_tag_policy({"tags": {"owner": rule}})
        add(account, "web", "web")
        if refused:
            account.deny(refused)
        done = collect(account, tmp_path, tools(tmp_path, resident(), "", "python3"))
        live = load(account, references="core")
    assert (done.returncode, len(denied(made(tmp_path)))) == ((1, 1) if refused else (0, 0))
    files = iamframe.load_files(made(tmp_path))
    pd.testing.assert_frame_equal(files.tag_policies, live.tag_policies)
    ours, theirs = (iamframe.run_checks(one, only="missing_required_tags", policy="org") for one in (files, live))
    pd.testing.assert_frame_equal(ours.coverage, theirs.coverage)
    assert ours.findings["detail"].tolist() == theirs.findings["detail"].tolist()


def throttled(account: PracticeAccount) -> int:
    return [request.error_code for request in account.requests].count("Throttling")


ODD = ("-lead", "a+b=c,d.e@f-g", ".x.json")
# How it starts matters to the names that it is given, and to the tags that it prints.
OF_NAMES = IAM_ONLY + 'case $* in *name=*) ;; *) exec "{resident}" "$@" ;; esac\n'


@pytest.mark.parametrize(
    ("aws", "before", "names"),
    [(resident, "", ODD), (version_1, OF_NAMES, ("-a+b=c,d.e@f-g",)), (version_2, "", ("-a+b=c,d.e@f-g",))],
    ids=["every name", "AWS CLI 1", "AWS CLI 2"],
)
def test_roles_of_any_name_are_read_one_by_one_where_the_dump_is_denied(
    aws: Callable[[], str], before: str, names: tuple[str, ...], tmp_path: Path
) -> None:
    path = tools(tmp_path, aws(), before.format(resident=resident()), "python3")
    first = names[0]
    with PracticeAccount(regions=("eu-west-1",)) as account:
        for name in names:
            add(account, name, name, Ort="Zürich + 東京")
        account.session().client("iam").tag_role(
            RoleName=first, Tags=[{"Key": "a", "Value": ""}, {"Key": "Ort", "Value": "Zürich + 東京"}]
        )
        account.deny("GetAccountAuthorizationDetails")
        account.deny("GetRole")
        for name in names[:2]:
            account.deny("GetInstanceProfile", name)
        account.deny("ListInstanceProfileTags", first)
        account.throttle(0.5, 1)
        process = start(account, tmp_path, path, "eu-west-1")
        # One refusal is enough: the rest would only take longer.
        while process.poll() is None and not throttled(account):
            time.sleep(0.02)
        account.throttle(0, 0)
        process.communicate(timeout=900)
        assert throttled(account)
        live = load(account)
    files = iamframe.load_files(made(tmp_path))
    same_facts(files, live)
    assert files.profiles.set_index("profile_name")["tags_known"].to_dict() == {name: name != first for name in names}
    assert set(files.tags["tag_key"]) == {"Ort", "a"}
    assert not [line for line in denied(made(tmp_path)) if not before and "describe" in line]
    assert process.returncode == 1


@pytest.mark.parametrize("both", [False, True])
def test_profiles_that_cannot_be_listed_are_those_beneath_their_roles(both: bool, tmp_path: Path) -> None:
    path = tools(tmp_path, resident(), IAM_ONLY, "python3")
    with PracticeAccount(regions=("eu-west-1",)) as account:
        add(account, "web", "web", team="a")
        add(account, "empty")
        account.session().client("iam").create_role(RoleName="alone", AssumeRolePolicyDocument=EC2)
        account.deny("ListInstanceProfiles")
        if both:
            account.deny("GetAccountAuthorizationDetails")
            account.deny("ListInstanceProfilesForRole", "alone")
        collect(account, tmp_path, path)
        assert account.counts()["ListRegions"] == 1
        live = load(account)
    files = iamframe.load_files(made(tmp_path))
    assert list(files.profiles["profile_name"]) == ["web"]
    same_facts(files, live)
    # The regions are those of the account's own list, since EC2's was not to be had.
    assert '"ec2 describe-fleets","eu-west-1","Could not connect to the endpoint ""URL"""' in denied(made(tmp_path))


# What goes wrong otherwise


def test_a_listing_that_breaks_off_is_no_listing_and_what_failed_without_a_code_is_told(tmp_path: Path) -> None:
    real = resident()
    cut = f'case $2 in list-instance-profiles) "{real}" "$@" | head -c 300; exit 137 ;; get-caller-identity) ;;\n'
    path = tools(tmp_path, real, cut + "*) printf 'no\\n\"net\", ü' >&2; exit 1 ;; esac\n", "head", "python3")
    with PracticeAccount(regions=("eu-west-1",)) as account:
        account.fill(roles=3, profiles=3)
        done = collect(account, tmp_path, path, "eu-west-1")
    archive = made(tmp_path)
    assert '"iam list-instance-profiles","","the AWS CLI failed without a message"' in denied(archive)
    assert '"iam get-account-summary","","no ""net"", "' in denied(archive)
    with zipfile.ZipFile(archive) as opened:
        assert [name for name in opened.namelist() if name.endswith(".json")] == ["get-caller-identity.json"]
    inventory = iamframe.load_files(archive)
    gaps = inventory.gaps
    assert set(gaps["reason"][gaps["operation"] == "ListInstanceProfiles"]) == {"unreadable"}
    assert "complete" not in set(iamframe.run_checks(inventory).coverage["status"])
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("aws", "regions", "sentence"),
    [
        (None, (), "this script needs the AWS CLI; install the AWS CLI, or run this script in AWS CloudShell"),
        ("exit 1\n", ("../x",), "../x is not a region; write it like eu-west-1"),
        ("exit 1\n", ("--all",), "--all is not a region; write it like eu-west-1"),
    ],
)
def test_what_cannot_begin_leaves_nothing(
    aws: str | None, regions: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    with PracticeAccount() as account:
        done = collect(account, tmp_path, tools(tmp_path, "/bin/false" if aws else None, aws or ""), *regions)
        assert account.requests == []
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"collect: {sentence}\n")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_account_that_answers_nothing_leaves_no_zip_and_says_what_was_denied(tmp_path: Path) -> None:
    no = 'echo "An error occurred (AccessDenied) when calling the operation: no" >&2; exit 254\n'
    with PracticeAccount() as account:
        done = collect(account, tmp_path, tools(tmp_path, "/bin/false", no), "eu-west-1")
    assert (done.returncode, done.stdout) == (2, "")
    assert ["1", "iam", "list-instance-profiles:", "AccessDenied"] in [
        line.split() for line in done.stderr.splitlines()
    ]
    assert (
        "collect: instance profiles could not be listed; only those that hold a role can be collected\n" in done.stderr
    )
    assert done.stderr.endswith(
        "collect: there is no zip; ask for the permissions of SecurityAudit, and run this again\n"
    )
    assert list((tmp_path / "out").iterdir()) == []


def test_credentials_that_have_expired_collect_nothing(tmp_path: Path) -> None:
    with PracticeAccount(regions=("eu-west-1",)) as account:
        account.expire()
        done = collect(account, tmp_path, tools(tmp_path, version_1()))
        assert [request.action for request in account.requests] == ["GetCallerIdentity"]
    assert (done.returncode, done.stdout) == (2, "")
    assert '"sts get-caller-identity","","ExpiredToken"' in done.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_whoever_stops_it_finds_the_folder_as_it_was(tmp_path: Path) -> None:
    with PracticeAccount(regions=("eu-west-1",)) as account:
        slow = f'echo >>"{tmp_path}/asked"; [ $2 = get-caller-identity ] || PATH=/usr/bin:/bin sleep 1\n'
        process = start(account, tmp_path, tools(tmp_path, "/bin/echo", slow), "eu-west-1")
        while not (tmp_path / "asked").exists() or len((tmp_path / "asked").read_text()) < 3:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert list((tmp_path / "out").iterdir()) == []


# The script as it is printed


def printed(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run(Path.cwd(), "collect-script", *arguments)


def test_the_command_prints_the_script_with_the_regions_in_it() -> None:
    command = [sys.executable, "-m", "iamframe.ui.cli", "collect-script"]
    plain = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    assert plain.startswith("#!/bin/sh\n")
    assert "\r" not in plain
    assert printed().stdout == plain
    named = printed("--regions", "eu-west-1, us-gov-east-1").stdout
    assert set(named.splitlines()) - set(plain.splitlines()) == {"regions='eu-west-1 us-gov-east-1'"}
    assert printed("--regions", "all").stdout == plain


@pytest.mark.parametrize("region", ["'; rm -rf ~ #", "Europe", "", "eu-west-1'"])
def test_what_is_no_region_never_gets_into_the_script(region: str) -> None:
    done = printed("--regions", f"us-east-1,{region}")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("is not a region; write regions like eu-west-1,us-east-1\n")


def test_it_asks_for_reads_of_the_list_alone_and_all_that_a_live_load_asks_for() -> None:
    text = "\n".join(line for line in collect_script().splitlines() if not line.lstrip().startswith("#"))
    asked = set(re.findall(r"\b((?:get|list|describe)-[a-z-]+)\b", text))
    services = (
        "iam|ec2|autoscaling|sts|account|eks|cloudformation|elasticbeanstalk|organizations|resourcegroupstaggingapi"
    )
    assert set(re.findall(rf"\b(?:{services}) ([a-z]+-[a-z-]+)", text)) <= asked
    assert re.findall(r"\baws [^ ]+", text) == ['aws "$@"', "aws >/dev/null", 'aws "$@"']
    listed = {
        cli_name(read.operation)
        for read in OPERATIONS
        if read.when in ("plan", "fallback", "references", "organization")
    }
    # Live, the newest version is asked for by that name; files of versions do not say which it is.
    assert asked == listed | {cli_name(TEMPLATES)} | {cli_name(one.operation) for one in known_owners()}


@pytest.mark.parametrize(
    "consumer", [one for one in CONSUMERS if one.service in ("ec2", "autoscaling")], ids=lambda one: one.operation
)
def test_what_it_picks_of_an_answer_is_all_that_iamframe_reads_of_it(consumer: Any) -> None:
    import jmespath
    import msgspec

    script = collect_script()
    text = re.findall(rf"look \w+ {cli_name(consumer.operation)} (?:'([^']*)'|\"\$version\")", script)
    query = text[0] or re.findall(r"version='([^']*)'", script)[0]
    (answer,) = (answer for operation, answer, *_ in CASES if operation == consumer.operation)
    picked = jmespath.search(query, answer)

    def read(found: dict[str, Any]) -> tuple[list[Any], list[Any]]:
        records = msgspec.json.decode(msgspec.json.encode(found[consumer.key]), type=list[consumer.record])
        return [m for r in records for m in consumer.mentions(r)], [p for r in records for p in consumer.pinnings(r)]

    assert read(picked) == read(answer)
    assert set(picked) == {consumer.key}

"""Masked reports: no id, external id or address in any file however it is spelled, and a search that finds them."""

from __future__ import annotations

import csv
import functools
import json
import os
import re
import shlex
import stat
import tempfile
import unicodedata
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pandas as pd
import pytest
from builders import (
    dump,
    identity,
    load,
    nested_role,
    profile,
    profile_list,
    role_detail,
    sample_result,
    tag_list,
    trust,
    write,
)
from hypothesis import given
from hypothesis import strategies as st

import iamframe
from iamframe.checks import CHECKS
from iamframe.errors import ReportError
from iamframe.inventory.load import sample_folder
from iamframe.messages.render import changed_facts
from iamframe.messages.text import DIFFERENCES
from iamframe.report import mask as masking
from iamframe.report.mask import COLUMN_KINDS, holds
from iamframe.report.pseudonyms import Mask, Plain
from iamframe.ui.cli import _run

OWN, FOREIGN, CUSTOMER = "112233445566", "998877665544", "012345678901"
ROLE_ID, PROFILE_ID, USER_ID = "AROADBQP57FF2AEXAMPLE", "AIPADBQP57FF2AEXAMPLE", "AIDACKCEVSQ6C2EXAMPLE"
EXTERNAL = "Unique-ID-7788/by:Example"
MAIL, OTHER_MAIL = "alice.o'neil+iam@corp.example.com", "ops@例え.jp"
ORGANIZATION, UNIT = "o-a1b2c3d4e5", "ou-ab12-cdef3456"
ORIGINALS = [OWN, FOREIGN, CUSTOMER, ROLE_ID, PROFILE_ID, USER_ID, EXTERNAL, MAIL, OTHER_MAIL, ORGANIZATION, UNIT]


def partners_policy() -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {
                    "AWS": [f"arn:aws:iam::{FOREIGN}:root", CUSTOMER, USER_ID],
                    "Service": "ec2.amazonaws.com",
                },
                "Action": "sts:AssumeRole",
                "Condition": {
                    "StringEquals": {"sts:ExternalId": [EXTERNAL, "pin4"], "aws:PrincipalOrgID": ORGANIZATION},
                    "StringLike": {"aws:PrincipalOrgPaths": f"{ORGANIZATION}/r-ab12/{UNIT}/*"},
                    "ArnLike": {"aws:SourceArn": f"arn:aws:ec2:*:{OWN}:instance/*"},
                },
            }
        ],
    }


def organisation() -> dict[str, Any]:
    """One account whose ids and addresses stand wherever AWS, or a file's name, lets them."""
    name = f"cdk-hnb659fds-role-{OWN}-us-east-1"
    role = role_detail(
        name,
        [profile(f"{name}-profile", nested_role(name, account=OWN), account=OWN, InstanceProfileId=PROFILE_ID)],
        {"Owner": MAIL, "billed to": f"{OWN[:4]}-{OWN[4:8]}-{OWN[8:]}", "id": f"x{FOREIGN}9", MAIL: "key"},
        account=OWN,
        policy=partners_policy(),
        RoleId=ROLE_ID,
    )
    listed = nested_role(
        name,
        account=OWN,
        policy=partners_policy(),
        RoleId=ROLE_ID,
        Description=f"for {OTHER_MAIL}, asks for {EXTERNAL}; was {ROLE_ID}x {OWN}0\nsee arn:aws:iam::{FOREIGN}:role/a",
    )
    return {
        f"{OWN}/get-caller-identity.json": identity(OWN)
        | {"Arn": f"arn:aws:sts::{OWN}:assumed-role/Audit/{MAIL}", "UserId": f"{ROLE_ID}:{MAIL}"},
        f"{OWN}/list-account-aliases.json": {"AccountAliases": [f"corp-{OWN}"]},
        f"{OWN}/get-account-authorization-details.json": dump(role),
        f"{OWN}/list-roles.json": {"Roles": [listed]},
        f"{OWN}/list-instance-profiles.json": profile_list(
            profile(MAIL, path=f"/{FOREIGN}/{OTHER_MAIL}/", account=OWN), profile("plain", account=OWN)
        ),
        f"{OWN}/{MAIL}.json": "{",
        f"{OWN}/eu-west-1/list-stacks.json": {
            "StackSummaries": [
                {
                    "StackId": f"arn:aws:cloudformation:eu-west-1:{OWN}:stack/of-{OWN}/7d1f3c10-00aa",
                    "StackName": f"of-{OWN}",
                    "StackStatus": "CREATE_COMPLETE",
                }
            ]
        },
        f"{OWN}/eu-west-1/describe-instances.json": {
            "Reservations": [
                {
                    "OwnerId": OWN,
                    "Instances": [
                        {
                            "InstanceId": "i-0a198765432100abc",
                            "IamInstanceProfile": {"Arn": f"arn:aws:iam::{OWN}:instance-profile/gone-{OWN}"},
                            "Tags": tag_list({"Name": f"web {MAIL}"}),
                        }
                    ],
                }
            ]
        },
    }


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, and every file in a workbook there."""
    found = {}
    for file in folder.rglob("*"):
        if file.is_file():
            found[file.name] = file.read_bytes()
        if file.suffix == ".xlsx":
            with zipfile.ZipFile(file) as archive:
                found |= {f"{file.name}/{name}": archive.read(name) for name in archive.namelist()}
    return found


def where(folder: Path, *originals: str) -> list[tuple[str, str]]:
    """File and original, wherever one stands in a file or its name."""
    return [
        (name, one)
        for name, content in contents(folder).items()
        for one in originals
        if one.encode() in content or one in name
    ]


def column(file: Path, name: str) -> list[str]:
    with file.open(encoding="utf-8-sig", newline="") as stream:
        return [row[name] for row in csv.DictReader(stream)]


def report(folder: Path, documents: dict[str, Any], out: str = "out", **options: Any) -> Path:
    result = iamframe.run_checks(load(folder / "in", documents))
    return iamframe.write_report(result, folder / out, **({"mask": True, "xlsx": True} | options)).parent


def asked_for(external: Any) -> dict[str, Any]:
    """A trust policy that asks for external ids."""
    policy = trust("ec2.amazonaws.com")
    policy["Statement"][0]["Condition"] = {"StringLike": {"sts:ExternalId": external}}
    return policy


def mask_of(*external: str | int, accounts: tuple[str, ...] = ()) -> Mask:
    """A mask that knows external ids and accounts."""
    mask = Mask(b"k" * 32)
    mask.learn(accounts, [json.dumps(asked_for(list(external)))])
    return mask


def shown(mask: Mask, text: str) -> str:
    """What becomes of a text."""
    return mask.known(mask.text(text))


@functools.cache
def found_there() -> iamframe.Result:
    """What is found in that account."""
    with tempfile.TemporaryDirectory() as folder:
        return iamframe.run_checks(load(Path(folder) / "in", organisation()))


def of_organisation(folder: Path, out: str = "out", **options: Any) -> Path:
    return iamframe.write_report(found_there(), folder / out, **({"mask": True, "xlsx": True} | options)).parent


def told(folder: Path, documents: dict[str, Any], only: str | list[str] | None = None) -> iamframe.Result:
    """What a masked report would be written of."""
    result, *_ = masking.masked(iamframe.run_checks(load(folder, documents), only), None, Mask(b"k" * 32))
    return result


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two reports of that account, to be read alone: as it is, and masked."""
    folder = tmp_path_factory.mktemp("both")
    return of_organisation(folder, "plain", mask=False), of_organisation(folder)


# What is taken out


def test_without_masking_all_of_these_stand_in_the_files(both: tuple[Path, Path]) -> None:
    out, _ = both
    assert {one for _, one in where(out, *ORIGINALS)} == {*ORIGINALS}


def test_masked_no_file_holds_an_account_a_unique_id_an_external_id_an_address_or_an_organisation(
    tmp_path: Path,
) -> None:
    out = of_organisation(tmp_path, title=f"Account {OWN}", author=f"Alice, {MAIL}")
    assert where(out, *ORIGINALS, f"{OWN[:4]}-{OWN[4:8]}-{OWN[8:]}", "pin4", "r-ab12") == []
    assert {"report.html", "report.xlsx", "summary.json", "roles.csv"} <= {file.name for file in out.iterdir()}


def test_owners_of_profiles_are_masked_in_their_ids_and_names(both: tuple[Path, Path]) -> None:
    out, masked = both
    assert column(out / "resource_owners.csv", "owner_name") == [f"of-{OWN}"]
    (account,) = set(column(masked / "resource_owners.csv", "account_id"))
    assert column(masked / "resource_owners.csv", "owner_name") == [f"of-{account}"]
    (stack,) = column(masked / "resource_owners.csv", "owner_id")
    assert stack.startswith(f"arn:aws:cloudformation:eu-west-1:{account}:stack/of-{account}/")


def test_a_masked_sample_holds_no_account_and_no_unique_id(tmp_path: Path) -> None:
    inventory = iamframe.load_sample()
    known = [*inventory.accounts["account_id"], *inventory.roles["role_id"], *inventory.profiles["profile_id"].dropna()]
    out = iamframe.write_report(sample_result(), tmp_path, xlsx=True, mask=True).parent
    assert len(known) > 200
    assert where(out, *known) == []
    text = b"".join(contents(out).values())
    assert re.findall(rb"A(?:ROA|IPA|IDA)[A-Z0-9]{12,}", text) == []


def test_masking_keeps_every_row_and_the_shape_of_arns_and_policies(both: tuple[Path, Path]) -> None:
    plain, out = both
    for file in plain.glob("*.csv"):
        with file.open(encoding="utf-8-sig") as one, (out / file.name).open(encoding="utf-8-sig") as two:
            assert len(list(csv.reader(one))) == len(list(csv.reader(two))), file.name
    (arn,) = column(out / "roles.csv", "role_arn")
    account = re.fullmatch(
        r"arn:aws:iam::(acct-[a-z2-7]{10}):role/cdk-hnb659fds-role-(acct-[a-z2-7]{10})-us-east-1", arn
    )
    assert account is not None
    assert account[1] == account[2]
    (policy,) = column(out / "roles.csv", "trust_policy")
    (statement,) = json.loads(policy)["Statement"]
    assert list(statement) == ["Effect", "Principal", "Action", "Condition"]
    assert statement["Principal"]["Service"] == "ec2.amazonaws.com"
    assert re.fullmatch(r"arn:aws:iam::acct-\w{10}:root", statement["Principal"]["AWS"][0])
    assert re.fullmatch(r"acct-\w{10}", statement["Principal"]["AWS"][1])
    assert re.fullmatch(r"AIDA-\w{10}", statement["Principal"]["AWS"][2])
    assert all(re.fullmatch(r"ext-\w{10}", one) for one in statement["Condition"]["StringEquals"]["sts:ExternalId"])
    paths = statement["Condition"]["StringLike"]["aws:PrincipalOrgPaths"]
    assert re.fullmatch(r"org-\w{10}/root-\w{10}/ou-\w{10}/\*", paths)


def test_findings_of_a_masked_report_are_the_same_but_for_the_pseudonyms(both: tuple[Path, Path]) -> None:
    plain, out = both
    for name in ("check", "severity"):
        assert sorted(column(plain / "findings.csv", name)) == sorted(column(out / "findings.csv", name))
    arns = set(column(out / "roles.csv", "role_arn")) | set(column(out / "profiles.csv", "profile_arn"))
    found = {one for one in column(out / "findings.csv", "resource_arn") if ":ec2:" not in one}
    assert found <= arns


def test_facts_of_gaps_are_masked_and_details_are_said_from_them(tmp_path: Path) -> None:
    two = [nested_role("r", account=OWN, Description=f"{what} {MAIL} {EXTERNAL}") for what in ("of", "was")]
    documents = {f"{n}.json": {"Roles": [one]} for n, one in enumerate(two)}
    documents["dump.json"] = dump(role_detail("partner", account=OWN, policy=partners_policy()))
    out = report(tmp_path, documents)
    gaps = zip(*(column(out / "gaps.csv", name) for name in ("message", "facts", "detail")), strict=True)
    ((facts, detail),) = [(json.loads(f), d) for m, f, d in gaps if m == "gaps.contradicted.cell"]
    assert re.fullmatch(r"arn:aws:iam::acct-[a-z2-7]{10}:role/r", facts["arn"])
    assert re.fullmatch(r"of email-[a-z2-7]{10} ext-[a-z2-7]{10}", facts["one"])
    assert detail == (
        f"description of {facts['arn']} is '{facts['one']}' in ListRoles in {facts['origin']['file']} but "
        f"'{facts['other']}' in ListRoles in {facts['other_origin']['file']}, so it is unknown"
    )
    report(tmp_path, documents, "ja", lang="ja", xlsx=False)
    html = (tmp_path / "ja" / "report.html").read_text("utf-8")
    assert re.search(r"<td>arn:aws:iam::acct-[a-z2-7]{10}:role/r の description は、", html)


def test_rows_stand_in_the_order_of_the_pseudonyms_since_that_of_the_ids_would_tell_of_them(tmp_path: Path) -> None:
    documents = {f"{n}.json": profile_list(profile("p", account=f"{n:012}")) for n in range(1, 30)}
    out = report(tmp_path, documents, xlsx=False)
    for name in ("accounts", "profiles", "coverage", "gaps"):
        ids = column(out / f"{name}.csv", "account_id")
        assert ids == sorted(ids), name
    account = column(out / "checks" / "empty_profiles.csv", "account_id")
    assert account == sorted(account)
    empty = [a for a, c in zip(*(column(out / "findings.csv", n) for n in ("account_id", "check")), strict=True)]
    assert empty == sorted(empty)


@pytest.mark.parametrize("name", ["1234", "test", "XXXXXXXXXXXX", "AccountIdHere"])
def test_an_account_whose_id_has_not_twelve_digits_is_masked_where_it_is_one(name: str) -> None:
    mask = mask_of(accounts=(name,))
    account = mask.account(name)
    assert re.fullmatch(r"acct-[a-z2-7]{10}", account)
    assert shown(mask, f"arn:aws:iam::{name}:role/test-1234") == f"arn:aws:iam::{account}:role/test-1234"
    assert json.loads(mask.policy(json.dumps({"AWS": name, "Sid": f"{name}s"}))) == {"AWS": account, "Sid": f"{name}s"}


def test_what_is_awss_own_and_what_is_no_known_id_stays() -> None:
    mask = mask_of()
    mask.text(f"{OWN} {ROLE_ID} {ORGANIZATION}")
    for text in (
        "arn:aws:iam::aws:policy/ReadOnlyAccess",
        "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity",
        "arn:aws:iam::*:role/x, arn:aws:s3:::bucket/key, unknown, ASIAPACIFIC, i-0a198765432100abc",
        "13 digits 1714554000000, a version pkg@1.2.3, a host root@localhost",
        "１２３４５６７８９０１２３, 1122 3344 5567, 10.112.233.44, 1,122,334,455 at 2024-05-01 12:30:45.112233",
        "a role adds a road to AROA-DBQP-57FF-2AEX-AMPLF",
    ):
        assert shown(mask, text) == text
        assert not mask.holds(text)
    assert mask.account("unknown") == "unknown"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("a@x.org.b@y.org", r"email-\w{10}(\.?email-\w{10})?"),
        ("alice%40example.com", r"email-\w{10}"),
        ('to "jane doe"@example.com.', r"to email-\w{10}\."),
        ("'alice@example.com'", r"'email-\w{10}'"),
        ("/team/alice@example.com/", r"/team/email-\w{10}/"),
        ("owner=ALICE@Example.COM;", r"owner=email-\w{10};"),
        ("role111122223333x", r"roleacct-\w{10}x"),
        ("arn:aws:iam::1111*:role/x", r"arn:aws:iam::acct-\w{10}:role/x"),
        ("arn:aws-cn:iam::test:role/x", r"arn:aws-cn:iam::acct-\w{10}:role/x"),
        ("AKIAIOSFODNN7EXAMPLE", r"AKIA-\w{10}"),
        ("AROAWEB", r"AROA-\w{10}"),
    ],
)
def test_a_form_that_tells_is_masked_wherever_it_stands(text: str, masked: str) -> None:
    assert re.fullmatch(masked, Mask(b"k" * 32).text(text))


@pytest.mark.parametrize("unit", ["a", "a.", "aro", "1 ", "1,,, ", "%31", "\uff11x", "o-a", "\\u0031-"])
def test_a_long_text_takes_no_longer_than_its_length(unit: str) -> None:
    mask = mask_of("aro", "x-1")
    mask.text(f"{OWN} {ROLE_ID}")
    text = unit * (60_000 // len(unit)) + " @ "
    assert shown(mask, text) == text
    assert not mask.holds(text)


@given(
    before=st.text(max_size=8),
    between=st.sampled_from(["", " ", "/", "0", "a", "\n", '"', "\\", "<", "'", ":", "-"]),
    after=st.text(max_size=8),
    ids=st.lists(st.sampled_from(ORIGINALS), min_size=1, max_size=3),
)
def test_any_text_with_ids_anywhere_has_none_afterwards(before: str, between: str, after: str, ids: list[str]) -> None:
    mask = mask_of(EXTERNAL)
    for one in ORIGINALS:
        mask.text(one)
    text = before + between.join([*ids, ""]) + after
    told = shown(mask, text)
    # An external id stays within another word.
    assert [one for one in ORIGINALS if one in told and (one != EXTERNAL or mask.holds(told))] == []


# Pseudonyms


def pseudonyms(out: Path) -> list[str]:
    return sorted(set(re.findall(r"(?:acct|email|ext|org|ou|AROA|AIPA)-[a-z2-7]{10}", (out / "roles.csv").read_text())))


def test_an_id_has_the_same_pseudonym_in_every_file_of_a_report_and_another_in_the_next(
    both: tuple[Path, Path], tmp_path: Path
) -> None:
    one, two = both[1], of_organisation(tmp_path, xlsx=False)
    (account,) = column(one / "accounts.csv", "account_id")
    assert json.loads((one / "summary.json").read_text())["accounts"] == [account]
    held = {name for name, _ in where(one, account)}
    assert {"report.html", "roles.csv", "profiles.csv", "findings.csv", "coverage.csv", "gaps.csv"} <= held
    assert len([name for name in held if name.startswith("report.xlsx/")]) > 5
    (owner,) = set(column(one / "tags.csv", "tag_value")) & set(column(one / "profiles.csv", "profile_name"))
    assert owner.startswith("email-")
    assert len(pseudonyms(one)) >= 6
    assert not set(pseudonyms(one)) & set(pseudonyms(two))


def test_an_address_in_capitals_is_the_same_address() -> None:
    mask = mask_of()
    assert mask.text("alice@example.com") == mask.text("Alice@Example.com") == mask.text("alice%40EXAMPLE.com")


def test_a_key_file_is_made_for_its_owner_alone_and_keeps_pseudonyms_from_report_to_report(tmp_path: Path) -> None:
    key = tmp_path / "keys.txt"
    one, two = (of_organisation(tmp_path, name, mask=key, xlsx=False) for name in ("one", "two"))
    assert pseudonyms(one) == pseudonyms(two) != []
    assert len(key.read_bytes().strip()) >= 32
    if os.name == "posix":
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert where(one, *ORIGINALS) == []


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("short", "holds 9 bytes, and a key has 32 to 1,024"),
        ("page.html", "holds 1,025 bytes, and a key has 32 to 1,024"),
        ("folder", "the key cannot be read or created"),
        ("", "the key cannot be read or created"),
        ("gone/key", "the key cannot be read or created"),
        ("out/key", "the key must not be in the report's folder"),
    ],
)
def test_a_key_that_is_none_is_refused_in_one_sentence(tmp_path: Path, key: str, said: str) -> None:
    write(tmp_path, {"short": "too short", "page.html": "x" * 1_025})
    (tmp_path / "folder").mkdir()
    with pytest.raises(ReportError, match=rf"^[^\n]*{key or re.escape('.')}: {said}[^\n]*$"):
        of_organisation(tmp_path, mask=tmp_path / key if key else "")
    assert not (tmp_path / "out").exists()


# However it is spelled


SPELLINGS = {
    "full-width": lambda text: "".join(chr(ord(c) + 0xFEE0) for c in text),
    "bold": lambda text: text.translate({ord("0") + n: chr(0x1D7CE + n) for n in range(10)}),
    "Arabic": lambda text: text.translate({ord("0") + n: chr(0x660 + n) for n in range(10)}),
    "circled": lambda text: text.translate({ord("1") + n: chr(0x2460 + n) for n in range(9)}),
    "spaces": " ".join,
    "no-break spaces": "\u00a0".join,
    "commas": lambda text: ",".join(text[at : at + 3] for at in range(0, len(text), 3)),
    "hyphens": lambda text: "-".join(text[at : at + 4] for at in range(0, len(text), 4)),
    "en dashes": "\u2013".join,
    "dots": ".".join,
    "comma and space": ", ".join,
    "zero-width": "\u200b".join,
    "byte order marks": "\ufeff".join,
    "soft hyphens": "\u00ad".join,
    "fillers": "\u3164".join,
    "percent-encoded": lambda text: "".join(f"%{ord(c):02x}" for c in text),
    "full-width, percent-encoded": lambda text: quote("".join(chr(ord(c) + 0xFEE0) for c in text)),
    "JSON escapes": lambda text: "".join(f"\\u{ord(c):04x}" for c in text),
    "small letters": str.lower,
    "other case": str.swapcase,
}
IDS = {"account": OWN, "role": ROLE_ID, "user": USER_ID}
SPELLED = [(name, kind) for name in SPELLINGS for kind in IDS if not ("case" in name + kind and kind == "account")]


@pytest.mark.parametrize(("name", "kind"), SPELLED)
def test_an_id_that_is_known_is_replaced_however_it_is_spelled(name: str, kind: str) -> None:
    mask = mask_of()
    pseudonym, spelled = mask.text(IDS[kind]), SPELLINGS[name](IDS[kind])
    for around in ("{}", "of {};", "a{}b", "é {} é", "https://x/?q={}&p=%20", "7{}"):
        assert mask.holds(around.format(spelled))
        assert shown(mask, around.format(spelled)) == around.format(pseudonym)
        assert not mask.holds(around.format(pseudonym))


def test_an_id_at_the_end_of_a_name_is_replaced_even_if_a_longer_id_is_known(tmp_path: Path) -> None:
    policy = trust("ec2.amazonaws.com")
    policy["Statement"][0]["Condition"] = {"StringEquals": {"aws:PrincipalOrgID": ORGANIZATION}}
    out = report(tmp_path, {"dump.json": dump(role_detail(f"audit-{ORGANIZATION}", [], policy=policy))})
    (name,) = column(out / "roles.csv", "role_name")
    assert re.fullmatch("audit-org-[a-z2-7]{10}", name)


@given(
    letters=st.lists(st.sampled_from(list(SPELLINGS.values())), min_size=21, max_size=21),
    between=st.lists(st.sampled_from(["", "", "", "\u200b", "\u2060"]), min_size=21, max_size=21),
    kind=st.sampled_from(list(IDS)),
    around=st.tuples(st.text('x \u200b"<é%5', max_size=6), st.text('x \u200b"<é%', max_size=6)),
)
def test_an_id_of_which_each_letter_is_spelled_otherwise_is_replaced(
    letters: list[Any], between: list[str], kind: str, around: tuple[str, str]
) -> None:
    mask = mask_of()
    mask.text(IDS[kind])
    spelled = "".join(how(letter) + gap for how, letter, gap in zip(letters, IDS[kind], between, strict=False))
    text = spelled.join(around)
    assert mask.holds(text)
    assert not mask.holds(shown(mask, text))


@given(text=st.text() | st.text("%aA1\\u0３\u200b\ud835\udfce"))
def test_each_letter_of_a_text_read_plainly_stands_at_one_place(text: str) -> None:
    plain = Plain.of(text)
    if plain.starts is not None:
        assert len(plain.text) + 1 == len(plain.starts)
        assert plain.starts == sorted(plain.starts)
        assert plain.starts[-1] == len(text)
    assert plain.put(text, []) == text
    assert len(plain.text.lower()) == len(plain.text)


def test_a_letter_that_holds_two_digits_goes_with_the_one_that_an_id_ends_with() -> None:
    mask = mask_of()
    assert mask.account("112233445511") == shown(mask, "1122334455⑪")
    assert shown(mask, "x11223344551⑰y") == f"x{mask.account('112233445511')}y"


def as_read(text: str) -> str:
    """A text without what only its spelling has, read otherwise than masking reads it."""
    text = re.sub(r"\\\\?u([0-9a-f]{4})", lambda code: chr(int(code[1], 16)), unquote(text))
    digits = "".join(str(unicodedata.digit(c, c)) for c in unicodedata.normalize("NFKC", text))
    return re.sub(r"[^0-9a-z]", "", digits.casefold())


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_no_file_of_a_report_holds_an_id_in_any_spelling_and_its_terminal_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lang: str
) -> None:
    ids = [OWN, ROLE_ID]
    spelled = {name: [how(one) for one in ids] for name, how in SPELLINGS.items()}
    every = "\n".join(" | ".join(texts) for texts in spelled.values())
    policy = partners_policy() | {"Id": every}
    tags = {f"{name} {at}": text for name, texts in spelled.items() for at, text in enumerate(texts)}
    tags |= {f"k{text}": "key" for text in tags.values()}
    named = "-".join((spelled["dots"][0], spelled["small letters"][1]))
    path = f"/{spelled['commas'][0]}/{spelled['percent-encoded'][0]}/"
    held = profile(f"{named}-profile", nested_role(named, path, OWN, policy), path, OWN)
    first = role_detail(named, [held], tags, account=OWN, policy=policy, RoleId=ROLE_ID, path=path)
    listed = nested_role(named, path, OWN, policy, RoleId=ROLE_ID, Description=every)
    documents = organisation() | {
        f"{OWN}/list-account-aliases.json": {"AccountAliases": [" ".join(spelled["full-width"])]},
        f"{OWN}/get-account-authorization-details.json": dump(first),
        f"{OWN}/list-roles.json": {"Roles": [listed]},
        f"{OWN}/other.json": {"Roles": [listed | {"Description": f"was {every}"}]},
        f"{spelled['spaces'][0]} {spelled['small letters'][1]}.json": "{",
    }
    source = str(write(tmp_path / "in", documents))
    # A key file alone is enough.
    asked = ["--mask"] if lang == "en" else ["--mask-key", str(tmp_path / "key")]
    assert _run(["report", source, "--out", str(tmp_path / "out"), "--xlsx", "--lang", lang, *asked]) == 0
    texts = {name: content.decode() for name, content in contents(tmp_path / "out").items() if name[-5:] != ".xlsx"}
    rows = capsys.readouterr()
    texts |= {"stdout": rows.out.replace(str(tmp_path), ""), "stderr": rows.err.replace(str(tmp_path), "")}
    assert ", so it is unknown\n" in texts["stderr"]
    assert [(name, one) for name, text in texts.items() for one in ids if one.lower() in as_read(text + name)] == []


# The search


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of before."""
    return report(tmp_path_factory.mktemp("before"), {"p.json": profile_list(profile("old"))}, xlsx=False)


@pytest.mark.parametrize("left_out", ["account_id", "trust_policy", "tag_value", "description"])
def test_a_column_that_was_left_out_fails_the_report_and_leaves_the_old_one(
    standing: Path, monkeypatch: pytest.MonkeyPatch, left_out: str
) -> None:
    old = contents(standing)
    whole = masking._masked

    def without(frame: pd.DataFrame, told: Any) -> pd.DataFrame:
        return whole(frame, told).assign(**{name: frame[name] for name in frame.columns if name == left_out})

    monkeypatch.setattr(masking, "_masked", without)
    with pytest.raises(
        ReportError, match=r"^[^\n]+: nothing was written, since [\w.]+ would still hold[^\n]+$"
    ) as said:
        of_organisation(standing.parent, standing.name, xlsx=False)
    assert not [one for one in ORIGINALS if one in str(said.value)]
    assert contents(standing) == old
    assert sorted(file.name for file in standing.rglob("*.*")) == sorted(old)


def test_an_earlier_report_that_is_not_masked_makes_room_for_a_masked_one_or_stops_it(tmp_path: Path) -> None:
    out = of_organisation(tmp_path, mask=False)
    assert (out / "report.xlsx").exists()
    (out / "mine.csv").write_bytes((out / "roles.csv").read_bytes())
    old = contents(out)
    with pytest.raises(ReportError, match=r"^[^\n]+since mine\.csv, which would stay there, holds an id[^\n]+$"):
        of_organisation(tmp_path, xlsx=False)
    assert contents(out) == old
    (out / "mine.csv").unlink()
    assert of_organisation(tmp_path, xlsx=False) == out
    assert not (out / "report.xlsx").exists()
    assert where(out, *ORIGINALS) == []


@pytest.mark.parametrize(
    "spelled", [OWN, SPELLINGS["full-width"](OWN), SPELLINGS["spaces"](OWN), MAIL.upper(), "Zq7-Acme-77"]
)
def test_the_search_finds_an_original_in_a_file_a_workbook_and_a_files_name(tmp_path: Path, spelled: str) -> None:
    mask = mask_of("Zq7-Acme-77", "test", "774411")
    mask.text(f"{OWN} {MAIL}")
    texts = {
        "a.csv": "x" * (masking._PIECE - 5) + f" {spelled}",
        f"{spelled}.csv": "",
        "clean.csv": OWN[:-1] + "x, test",
    }
    # These are words and counts too.
    texts |= {"counts.csv": "774411 (test)", "a.html": "".join(f"&#{ord(letter)};" for letter in spelled)}
    write(tmp_path, texts | {"doubled.json": json.dumps(spelled)})
    with zipfile.ZipFile(tmp_path / "b.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sheet1.xml", f"<t>{spelled}</t>")
    held = {file.name for file in tmp_path.iterdir() if holds(file, mask)}
    assert held == {"a.csv", f"{spelled}.csv", "b.xlsx", "a.html", "doubled.json"}


# External ids


COMMON = (
    "test",
    "role",
    "complete",
    "worksheet",
    "2024",
    "2024-05-01",
    "instance-profile",
    "us-east-1",
    "denied",
    "ext",
)
ANY = ("partner-abcdefghij", 4455667788, OWN, int(FOREIGN), MAIL, 'say "please" <now>')


def test_external_ids_of_any_form_and_common_words_stand_in_no_policy_and_fail_no_report(tmp_path: Path) -> None:
    roles = [role_detail(f"r{n}", policy=asked_for([one, "*"])) for n, one in enumerate([*COMMON, *ANY])]
    listed = nested_role("said", Description="; ".join(f"({one})" for one in ANY))
    out = report(tmp_path, {"dump.json": dump(*roles), "roles.json": {"Roles": [listed]}})
    said = [json.loads(one)["Statement"][0].get("Condition") for one in column(out / "roles.csv", "trust_policy")]
    asked = [one["StringLike"]["sts:ExternalId"] for one in said if one]
    assert {any_one for _, any_one in asked} == {"*"}
    assert len({masked for masked, _ in asked}) == len(asked) == len(COMMON) + len(ANY)
    assert [one for one, _ in asked if not re.fullmatch(r"(ext|acct|email)-\w{10}", one)] == []
    assert where(out, *(json.dumps(one)[1:-1] for one in ANY), *map(str, ANY)) == []
    (description,) = filter(None, column(out / "roles.csv", "description"))
    assert re.fullmatch(r"\((ext|acct|email)-\w{10}\)(; \((ext|acct|email)-\w{10}\)){5}", description)
    # What iamframe itself says with the same word stays.
    assert {"partial", "unknown"} == set(column(out / "coverage.csv", "status"))
    assert set(column(out / "tags.csv", "resource_type")) <= {"role", "instance-profile"}


@pytest.mark.parametrize(
    ("external", "text", "masked"),
    [
        ("Zq7Key", "AcmeZq7KeyRole Zq7Key-role zq7key", "AcmeZq7KeyRole {}-role {}"),
        ("kx7", "kx7prod kx7_a akx7 (kx7), kx7", "kx7prod {}_a akx7 ({}), {}"),
        ("acme", "acmeprod Acme /acme/", "acmeprod {} /{}/"),
        ("774411", "774411, x774411x", "{}, x774411x"),
        ("a.b", "a.b a-b", "{} a-b"),
        ("+x7-q", "is +x7-q.", "is {}."),
        ("été", "été, ete\u0301", "{}, {}"),
        ("a1b2c3d4-e5f6", "A1B2C3D4-E5F6", "{}"),
        ("Zq7/Acme", "zq7/acme Zq7%2FAcme", "{} {}"),
        ("partner-7*", "partner-77x partner-", "{}7x partner-"),
        ("role", "arn:aws:iam::aws:role/role-x", "arn:aws:iam::aws:role/{}-x"),
        ("partner", "partner-9 my partner", "partner-9 my {}"),
        ("ext", "ext, 111122223333", "{}, acct-ku6dtvhjzf"),
    ],
)
def test_an_external_id_is_replaced_where_it_is_a_word_of_its_own(external: str, text: str, masked: str) -> None:
    mask = mask_of(external, "partner-9")
    pseudonym = mask.named("ext", external.rstrip("*"))
    expected = masked.replace("partner-9", mask.named("ext", "partner-9")) if external == "partner" else masked
    expected = expected.replace("acct-ku6dtvhjzf", mask.account("111122223333"))
    assert shown(mask, text) == expected.replace("{}", pseudonym)


@pytest.mark.parametrize("external", ["acme", "role", "100", "o'brien-77", 'x"y9', "x\\y9", "abcdefgh\ni"])
def test_an_external_id_is_masked_in_names_tags_sentences_and_commands(tmp_path: Path, external: str) -> None:
    policy = asked_for(external)
    held = profile("p", nested_role("r", policy=policy), Tags=tag_list({"Owner": "other"}))
    role = role_detail("r", [profile("p", nested_role("r", policy=policy))], {"Owner": external}, policy=policy)
    listed = nested_role("r", policy=policy, Description=f"({external}), {external}")
    documents = {"dump.json": dump(role), "p.json": {"InstanceProfile": held}, "roles.json": {"Roles": [listed]}}
    result = told(tmp_path, documents, "tag_differences")
    pseudonym = Mask(b"k" * 32).named("ext", external)
    assert json.loads(result.inventory.roles["trust_policy"][0])["Statement"][0]["Condition"] == {
        "StringLike": {"sts:ExternalId": pseudonym}
    }
    assert result.inventory.roles["description"].tolist() == [f"({pseudonym}), {pseudonym}"]
    assert sorted(result.inventory.tags["tag_value"]) == sorted([pseudonym, "other"])
    assert result.findings["detail"].tolist() == [
        f"tag 'Owner' is '{pseudonym}' on the role and 'other' on the profile"
    ]
    (step,) = result.findings["next_step"]
    assert step.startswith(f"{COMMENT}aws iam tag-instance-profile --instance-profile-name=p --tags=")
    assert json.loads(shlex.split(step)[-1].removeprefix("--tags=")) == [{"Key": "Owner", "Value": pseudonym}]
    assert result["tag_differences"]["kind"].tolist() == ["value"]


def test_external_ids_that_are_parts_of_a_message_leave_the_message_as_it_is(tmp_path: Path) -> None:
    policy, external = partners_policy(), ["gaps", "message", "contradicted", "facts"]
    policy["Statement"][0]["Condition"] = {"StringEquals": {"sts:ExternalId": external}}
    two = [nested_role("r", account=OWN, Description=f"{what} {external}", policy=policy) for what in ("of", "was")]
    out = report(tmp_path, {f"{n}.json": {"Roles": [one]} for n, one in enumerate(two)})
    assert "gaps.contradicted.cell" in column(out / "gaps.csv", "message")


def test_a_pattern_of_external_ids_stays_a_pattern_and_what_it_is_of_is_masked_too() -> None:
    mask = mask_of("partner-abcdefgh*", "acme?", "*", f"{FOREIGN}*")
    asked = json.dumps(asked_for(["partner-abcdefgh*", "acme?", "*", f"{FOREIGN}*"]))
    patterns = json.loads(mask.policy(asked))["Statement"][0]["Condition"]["StringLike"]["sts:ExternalId"]
    long, short, account = mask.named("ext", "partner-abcdefgh"), mask.named("ext", "acme"), mask.account(FOREIGN)
    assert patterns == [f"{long}*", f"{short}?", "*", f"{account}*"]
    assert shown(mask, f"partner-abcdefgh7 acme {FOREIGN}") == f"{long}7 {short} {account}"


def test_ids_in_paths_of_an_organisation_are_masked_in_part_too() -> None:
    mask = mask_of()
    asked = [f"{ORGANIZATION}/r-ab12/{UNIT}/*", "*/r-ab12/ou-ab12-*", "o-a1b*/r-cd34/*", "o-*/r-*/ou-*"]
    told = mask.known(mask.policy(json.dumps({"aws:PrincipalOrgPaths": asked, "aws:ResourceTag/r-ab12": "r-web1"})))
    paths, tags = json.loads(told).items()
    root, other, part = mask.named("root", "r-ab12"), mask.named("root", "r-cd34"), mask.named("ou", "ou-ab12-")
    org, unit = mask.named("org", ORGANIZATION), mask.named("ou", UNIT)
    started = mask.named("org", "o-a1b")
    assert paths[1] == [f"{org}/{root}/{unit}/*", f"*/{root}/{part}*", f"{started}*/{other}/*", "o-*/r-*/ou-*"]
    assert tags == (f"aws:ResourceTag/{root}", "r-web1")
    assert shown(mask, "root r-ab12, owner-ab12, r-0abc") == f"root {root}, owner-ab12, r-0abc"
    said = mask.written("r-0abc; p-abcd1234, p-frontend")
    assert re.fullmatch(r"root-\w{10}; policy-\w{10}, p-frontend", said)


# What a reader is told


def test_the_page_and_the_summary_say_that_they_are_masked(both: tuple[Path, Path]) -> None:
    plain, out = both
    assert (
        "Names, tags, descriptions and EC2 ids of resources are kept and can still identify you"
        in (out / "report.html").read_text()
    )
    assert json.loads((out / "summary.json").read_text())["masked"] is True
    assert json.loads((plain / "summary.json").read_text())["masked"] is False
    assert "Masked:" not in (plain / "report.html").read_text()


COMMENT = "# masked, not to be run: "


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_each_line_of_a_command_that_is_not_to_be_run_is_a_comment(end: str) -> None:
    (told,) = masking._comments(pd.Series([f"aws iam get-role --role-name='a{end}id'{end}id"], dtype="str"))
    assert told == f"{COMMENT}aws iam get-role --role-name='a{end}# id'{end}# id"


def test_a_command_is_filled_from_masked_facts_and_one_without_pseudonyms_may_be_run(tmp_path: Path) -> None:
    held = profile("r", nested_role("r", account=OWN), account=OWN, Tags=[])
    two = (profile(f"left-{OWN}", account=OWN), profile("plain", account=OWN))
    role = role_detail("r", [held], {"root": "of r-0abc", "K": "v"}, account=OWN)
    documents = {"p.json": profile_list(*two, held), "dump.json": dump(role), "r.json": {"InstanceProfile": held}}
    result = told(tmp_path, documents, ["empty_profiles", "untagged_profiles"])
    verb = "aws iam delete-instance-profile --instance-profile-name="
    (account,) = result.inventory.accounts["account_id"]
    *emptied, tagged = result.findings["next_step"]
    assert emptied == [f"{COMMENT}{verb}left-{account}", f"{verb}plain"]
    assert re.search(r'"Value":"of root-\w{10}"', tagged)


def test_what_chooses_a_sentence_or_a_command_is_no_text_of_others() -> None:
    texts = [text for one in CHECKS.values() for text in (one.detail, one.next_step)]
    tables = [text for text in texts if not isinstance(text, str)]
    assert {table["by"] for table in tables} <= {name for name, kind in COLUMN_KINDS.items() if kind == "own"}


def test_the_terminal_of_a_masked_report_tells_of_acceptances_and_refusals_in_pseudonyms(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(tmp_path / OWN, {"p.json": profile_list(profile("p", account=OWN))})
    other = write(tmp_path / "other", {"p.json": profile_list(profile("p", account=FOREIGN))})
    policy = tmp_path / "policy.toml"
    policy.write_text(
        f'[[accepted]]\ncheck = "empty_profiles"\nreason = "for {MAIL} of {OWN}"\nexpires = 2020-01-01\n', "utf-8"
    )
    options = ["--mask", "--out", str(tmp_path / "out")]
    assert _run(["report", str(source), "--policy", str(policy), *options]) == 0
    last_day = r"the last day of the entry for \w+ with the reason 'for email-\w{10} of acct-\w{10}' was 2020-01-01"
    assert re.search(last_day, capsys.readouterr().err)
    assert _run(["report", str(source), "--compare", str(other), *options]) == 2
    said = capsys.readouterr().err
    assert re.search(r"has acct-\w{10}, and .* has acct-\w{10};", said)
    assert said.count(OWN) == said.count(str(source)) == 1


HOUSE = '''
import iamframe


@iamframe.check(severity="low", detail="{{profile_name}} is not of {own}; {{value}}", remediation="Ask {own}.")
def foreign(profiles):
    """Profiles outside {own}.

    A rule of {own}.
    """
    named = profiles.rename(columns={{"profile_arn": "resource_arn"}})
    return named[["account_id", "resource_arn", "profile_name"]].assign({column})
'''


def of_house(folder: Path, own: str, column: str) -> Path:
    inventory = load(folder / "in", {"p.json": profile_list(profile("p", account=OWN))})
    (folder / "house.py").write_text(HOUSE.format(own=own, column=column), "utf-8")
    result = iamframe.run_checks(inventory, "foreign", checks=folder / "house.py")
    return iamframe.write_report(result, folder / "out", xlsx=True, mask=True).parent


def test_what_a_check_of_ones_own_says_in_its_file_is_masked_and_its_columns_stay(tmp_path: Path) -> None:
    out = of_house(tmp_path, f"{FOREIGN} or {MAIL}", "value='x'")
    texts = contents(out)
    assert [name for name, text in texts.items() for one in (OWN, FOREIGN, MAIL) if one.encode() in text] == []
    page = texts["report.html"].decode()
    hidden = r"acct-\w{10} or email-\w{10}"
    for said in (f"p is not of {hidden}; x", f"Ask {hidden}", f"Profiles outside {hidden}", f"A rule of {hidden}"):
        assert re.search(said, page)


def test_each_of_several_sentences_of_a_check_of_ones_own_is_masked(tmp_path: Path) -> None:
    inventory = load(tmp_path / "in", {"p.json": profile_list(profile("p", account=OWN), profile("q", account=OWN))})

    @iamframe.check(severity="low", detail={"by": "profile_name", "p": f"is of {OWN}", "other": f"not of {FOREIGN}"})
    def owned(profiles: pd.DataFrame) -> pd.DataFrame:
        """Profiles of an account."""
        named = profiles.rename(columns={"profile_arn": "resource_arn"})
        return named[["account_id", "resource_arn", "profile_name"]]

    result = iamframe.run_checks(inventory, "owned", checks=owned)
    out = iamframe.write_report(result, tmp_path / "out", mask=True).parent
    details = column(out / "findings.csv", "detail")
    assert [re.sub(r"acct-\w{10}", "acct", one) for one in details] == ["is of acct", "not of acct"]
    assert where(out, OWN, FOREIGN) == []


@pytest.mark.parametrize("kind", ["object", "string", "category"])
@pytest.mark.parametrize("name", ["value", "facts"])
def test_texts_of_a_check_of_ones_own_are_masked_whatever_type_of_pandas_holds_them(
    tmp_path: Path, kind: str, name: str
) -> None:
    text = f"role of {FOREIGN}"
    column = f"value=1, {name}=__import__('pandas').Series([{text!r}], named.index, dtype={kind!r})"
    texts = contents(of_house(tmp_path, "us", column.replace("value=1, value", "value")))
    assert [file for file, content in texts.items() if FOREIGN.encode() in content] == []
    assert re.search(rb"role of acct-\w{10}", texts["foreign.csv"])


@pytest.mark.parametrize("ids", [("774411", "885522"), ("role", "2024")])
def test_what_was_before_a_change_is_masked_and_told_in_pseudonyms(tmp_path: Path, ids: tuple[str, str]) -> None:
    """The older load has a profile of another id, and a role that trusts an account of its own."""
    foreign, older_id = "222233334444", "AIPAQ7WEB2OLDER4ID55"

    def loaded(name: str, external: str, account: str, **more: Any) -> iamframe.Inventory:
        policy = asked_for(external)
        policy["Statement"][0]["Principal"]["AWS"] = f"arn:aws:iam::{account}:root"
        listed = nested_role("r", policy=policy, Description=f"see {external}")
        documents = {
            "dump.json": dump(role_detail("r", tags={"id": external}, policy=policy)),
            "roles.json": {"Roles": [listed]},
            "profiles.json": profile_list(profile("web", **more), profile(f"left-{account}")),
        }
        return load(tmp_path / name, documents)

    policy = tmp_path / "policy.toml"
    policy.write_text('[required_tags]\nid = { values = ["prod"] }\n', "utf-8")
    result = iamframe.run_checks(loaded("new", ids[1], OWN), policy=policy)
    changes = iamframe.compare(loaded("old", ids[0], foreign, InstanceProfileId=older_id), result)
    out = iamframe.write_report(changes.new, tmp_path / "out", changes=changes, mask=True).parent
    assert where(out, foreign, older_id, OWN, "000000000001") == []
    names = ("change", "before", "after", "detail")
    rows = list(zip(*(column(out / "changes.csv", name) for name in names), strict=True))
    assert {"recreated", "retagged", "trust_changed", "changed"} <= {row[0] for row in rows}
    for change, before, after, detail in rows:
        told = f"{before} {after} {detail}" if change != "trust_changed" else f"{before} {after}"
        if change in ("retagged", "trust_changed", "changed"):
            assert len(set(re.findall(r"ext-[a-z2-7]{10}", told))) == 2
            assert not re.search("|".join(f'"{one}"|(see|is) {one}' for one in ids), told)
    details = "\n".join(row[3] for row in rows)
    assert re.search(r"^tag 'id' is now 'ext-\w{10}' \(before: 'ext-\w{10}'\)$", details, re.MULTILINE)
    assert re.search(r"^description is now 'see ext-\w{10}' \(before: 'see ext-\w{10}'\)$", details, re.MULTILINE)
    steps = [one for one in column(out / "changed_findings.csv", "next_step") if " delete-instance-profile " in one]
    assert len(steps) == 2
    assert all(re.fullmatch(rf"{COMMENT}aws iam .*=left-acct-\w{{10}}", step) for step in steps)
    (refused,) = [one for one in column(out / "findings.csv", "detail") if ", but the policy file allows only " in one]
    assert re.fullmatch(r"tag 'id' is 'ext-[a-z2-7]{10}', but the policy file allows only prod", refused)
    assert not [one for one in column(out / "roles.csv", "trust_policy") if f'"{ids[1]}"' in one]


def test_differences_from_terraform_are_masked_as_all_else_is(tmp_path: Path) -> None:
    arn, tags = f"arn:aws:iam::{OWN}:instance-profile", {"mail": MAIL, "of": f"x{FOREIGN}"}
    attributes = {"name": "web", "arn": f"{arn}/web", "path": "/", "unique_id": PROFILE_ID, "role": "web"}
    resources = [
        {"mode": "managed", "type": "aws_iam_instance_profile", "name": f"of-{OWN}", "instances": [{"attributes": one}]}
        for one in (attributes | {"tags_all": tags}, attributes | {"name": "old", "arn": f"{arn}/old"})
    ]
    state = {"version": 4, "terraform_version": "1.9.0", "resources": resources}
    states = write(tmp_path / "states", {f"{OWN}.tfstate": state})
    held = profile("web", account=OWN, InstanceProfileId="AIPADBQP57FF3AEXAMPLE", Tags=tag_list({"to": OTHER_MAIL}))
    documents = {
        "roles.json": {"Roles": [nested_role("web", account=OWN)]},
        "profiles.json": profile_list(held),
        "get.json": {"InstanceProfile": held},
        "other.json": profile_list(profile("left", account=FOREIGN)),
    }
    inventory = load(tmp_path / "in", documents)
    drift = iamframe.drift(inventory, states)
    assert drift.left_out == (FOREIGN,)
    out = tmp_path / "out"
    iamframe.write_report(iamframe.run_checks(inventory), out, drift=drift, mask=True)
    assert where(out, OWN, FOREIGN, PROFILE_ID, "AIPADBQP57FF3AEXAMPLE", MAIL, OTHER_MAIL) == []
    told = dict(zip(column(out / "drift.csv", "message"), column(out / "drift.csv", "detail"), strict=True))
    recreated = r"was recreated: its id is AIPA-\w{10}; in the Terraform state, its id is AIPA-\w{10}"
    assert re.fullmatch(recreated, told["drift.recreated"])
    added = r"tag 'to' is 'email-\w{10}'; in the Terraform state, it is missing"
    assert re.fullmatch(added, told["drift.tag.added"])
    assert column(out / "drift.csv", "kind") == sorted(
        column(out / "drift.csv", "kind"), key=[*DIFFERENCES, "unknown"].index
    )


def test_reasons_are_rendered_again_of_masked_facts_whose_numbers_stay(tmp_path: Path) -> None:
    """An external id may be a number that a reason counts."""
    group = {
        "AutoScalingGroupName": "g",
        "AutoScalingGroupARN": f"arn:aws:autoscaling:eu-west-1:{OWN}:autoScalingGroup:x:autoScalingGroupName/g",
        "LaunchTemplate": {"LaunchTemplateName": f"web-{OWN}", "Version": "3"},
    }
    documents = {
        "p.json": profile_list(profile("web", account=OWN)),
        "eu-west-1/i.json": {"Reservations": []},
        "eu-west-1/v.json": {"LaunchTemplateVersions": []},
        "eu-west-1/c.json": {"LaunchConfigurations": []},
        "eu-west-1/g.json": {"AutoScalingGroups": [group]},
    }
    result = iamframe.run_checks(load(tmp_path, documents), only="unreferenced_profiles")
    assert OWN in result.coverage["facts"][0]
    hidden, *_ = masking.masked(result, None, Mask(b"k" * 32))
    for frame, name in ((hidden.coverage, ""), (hidden.lists, "references_")):
        message, facts, reason = (frame[f"{name}{part}"][0] for part in ("message", "facts", "reason"))
        assert message == "coverage.gap"
        assert OWN not in facts + reason
        assert "web-acct-" in reason
        assert json.loads(facts)["detail"]["template"] in reason
    assert (
        changed_facts('{"read":1234,"detail":"1234"}', {"1234": "ext-a"}.__getitem__)
        == '{"read":1234,"detail":"ext-a"}'
    )


def test_the_path_of_a_damaged_account_is_masked(tmp_path: Path) -> None:
    snapshot = iamframe.load_sample().save(tmp_path / "snapshot")
    (tmp_path / "snapshot" / "roles" / "account=123456789012" / "part.parquet").write_bytes(b"damaged")
    result = iamframe.check_snapshot(snapshot, tmp_path / "out", shard_size=1)
    result.write(tmp_path / "report", mask=True)
    coverage = (tmp_path / "report" / "coverage.csv").read_text("utf-8")
    assert "account=acct-" in coverage
    assert "123456789012" not in coverage


def test_masked_no_file_has_the_name_of_an_account_or_of_a_source(tmp_path: Path) -> None:
    folder = tmp_path / "home" / "jane" / "acme"
    documents = {
        "dump.json": dump(),
        "profiles.json": profile_list(profile("empty")),
        "list-account-aliases.json": {"AccountAliases": ["acme-prod"]},
        "get-account-summary.json": {"SummaryMap": {"Roles": 990, "RolesQuota": 1000}},
        "get-caller-identity.json": identity(),
        "broken.json": "{bad",
    }
    write(folder, documents)
    result = iamframe.run_checks(iamframe.load(f"{folder}/"))
    assert "acme-prod" in [*result["quota_pressure"]["resource_name"]]
    result.write(tmp_path / "plain", xlsx=True)
    result.write(tmp_path / "masked", mask=True, xlsx=True)
    plain, masked = contents(tmp_path / "plain"), contents(tmp_path / "masked")
    for original in (b"acme", b"jane"):
        assert {name for name, content in plain.items() if original in content} >= {"accounts.csv", "summary.json"}
        assert not [name for name, content in masked.items() if original in content]
    # The file stays recognizable for the sender.
    assert b"/broken.json: is not JSON" in masked["gaps.csv"]


def test_no_report_on_the_sample_has_the_folder_where_iamframe_is_installed(tmp_path: Path) -> None:
    folder = str(sample_folder("sample")).encode()
    sample_result().write(tmp_path)
    assert not [name for name, content in contents(tmp_path).items() if folder in content]


@pytest.mark.parametrize(
    ("source", "text", "masked"),
    [
        (
            "aws:acme/123456789012",
            "log in with `aws sso login --profile=acme`",
            r"log in with `aws sso login --profile=source-\w+`",
        ),
        ("aws:acme", "aws:acme/123456789012: AccessDenied", r"source-\w+/acct-\w+: AccessDenied"),
        ("./data", "data/roles.json: is not JSON", r"source-\w+/roles.json: is not JSON"),
        ("./data", "data", "data"),
        ("data", "the team big-data/etl", "the team big-data/etl"),
        ("sample", "sample/x", "sample/x"),
        (".", "./x.json", "./x.json"),
    ],
)
def test_the_source_is_masked_where_a_text_has_it_as_a_source(source: str, text: str, masked: str) -> None:
    mask = Mask(b"k" * 32)
    mask.learn_sources([source])
    assert re.fullmatch(masked, mask.text(text))

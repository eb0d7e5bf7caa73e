"""Masked reports: no id, external id or address in any file, the same pseudonym throughout, and a search that finds."""

from __future__ import annotations

import csv
import functools
import html
import itertools
import json
import os
import re
import stat
import tempfile
import zipfile
from pathlib import Path
from typing import Any

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
    tag_list,
    trust,
    write,
)
from hypothesis import given
from hypothesis import strategies as st

import iamframe
from iamframe.errors import ReportError
from iamframe.messages.render import changed_facts
from iamframe.report import mask as masking
from iamframe.report.mask import Mask
Finder = Search = WordFinder = None
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


@functools.cache
def found_there() -> iamframe.Result:
    """What is found in that account."""
    with tempfile.TemporaryDirectory() as folder:
        return iamframe.run_checks(load(Path(folder) / "in", organisation()))


def of_organisation(folder: Path, out: str = "out", **options: Any) -> Path:
    return iamframe.write_report(found_there(), folder / out, **({"mask": True, "xlsx": True} | options)).parent


def told(folder: Path, documents: dict[str, Any], only: str | list[str] | None = None) -> iamframe.Result:
    """What a masked report would be written of."""
    result, _, _ = masking.masked(iamframe.run_checks(load(folder, documents), only), None, Mask(b"k" * 32))
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


def test_a_masked_sample_holds_no_account_and_no_unique_id(tmp_path: Path) -> None:
    inventory = iamframe.load_sample()
    known = [*inventory.accounts["account_id"], *inventory.roles["role_id"], *inventory.profiles["profile_id"].dropna()]
    out = iamframe.write_report(iamframe.run_checks(inventory), tmp_path, xlsx=True, mask=True).parent
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


def test_an_id_of_ec2_with_twelve_digits_in_a_row_stays(both: tuple[Path, Path]) -> None:
    _, out = both
    assert column(out / "references.csv", "consumer_id") == ["i-0a198765432100abc"]


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
        f"description of {facts['arn']} is {facts['one']} by ListRoles in {facts['origin']['file']} and "
        f"{facts['other']} by ListRoles in {facts['other_origin']['file']}, so it is left unknown"
    )
    report(tmp_path, documents, "ja", lang="ja")
    html = (tmp_path / "ja" / "report.html").read_text("utf-8")
    assert re.search(r"<td>arn:aws:iam::acct-[a-z2-7]{10}:role/r の description は、", html)


@pytest.mark.parametrize("external", ["gaps", "message", "contradicted", "facts"])
def test_an_external_id_that_is_a_part_of_a_message_leaves_the_message_as_it_is(tmp_path: Path, external: str) -> None:
    policy = partners_policy()
    policy["Statement"][0]["Condition"] = {"StringEquals": {"sts:ExternalId": external}}
    two = [nested_role("r", account=OWN, Description=f"{what} {external}", policy=policy) for what in ("of", "was")]
    out = report(tmp_path, {f"{n}.json": {"Roles": [one]} for n, one in enumerate(two)})
    assert "gaps.contradicted.cell" in column(out / "gaps.csv", "message")


def test_rows_stand_in_the_order_of_the_pseudonyms_since_that_of_the_ids_would_tell_of_them(tmp_path: Path) -> None:
    documents = {f"{n}.json": profile_list(profile("p", account=f"{n:012}")) for n in range(1, 30)}
    out = report(tmp_path, documents, xlsx=False)
    for name in ("accounts", "profiles", "coverage", "gaps"):
        ids = column(out / f"{name}.csv", "account_id")
        assert ids == sorted(ids), name
    empty = [a for a, c in zip(*(column(out / "findings.csv", n) for n in ("account_id", "check")), strict=True)]
    assert empty == sorted(empty)


@pytest.mark.parametrize("name", ["1234", "test", "XXXXXXXXXXXX", "AccountIdHere"])
def test_an_account_whose_id_has_not_twelve_digits_is_masked_and_fails_no_report(tmp_path: Path, name: str) -> None:
    policy = trust("ec2.amazonaws.com") | {
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": name}, "Action": "sts:AssumeRole"}]
    }
    documents = {
        "p.json": profile_list(profile("test-1234", nested_role("r", account=name, policy=policy), account=name))
    }
    out = report(tmp_path, documents)
    (arn,) = column(out / "profiles.csv", "profile_arn")
    (account,) = column(out / "accounts.csv", "account_id")
    assert re.fullmatch(r"acct-[a-z2-7]{10}", account)
    assert arn == f"arn:aws:iam::{account}:instance-profile/test-1234"
    assert json.loads(column(out / "roles.csv", "trust_policy")[0])["Statement"][0]["Principal"] == {"AWS": account}
    for file in out.glob("*.csv"):
        assert f":{name}:" not in file.read_text("utf-8-sig")


def test_what_is_awss_own_stays() -> None:
    mask = Mask(b"k" * 32)
    for text in (
        "arn:aws:iam::aws:policy/ReadOnlyAccess",
        "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity",
        "arn:aws:iam::*:role/x",
        "arn:aws:s3:::bucket/key",
        "unknown",
        "ASIAPACIFIC",
        "13 digits 1714554000000, a version pkg@1.2.3, a host root@localhost",
    ):
        assert mask.text(text) == text
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
    ],
)
def test_a_form_that_tells_is_masked_wherever_it_stands(text: str, masked: str) -> None:
    assert re.fullmatch(masked, Mask(b"k" * 32).text(text))


def test_a_text_of_a_million_letters_takes_no_longer_than_its_length() -> None:
    text = "a" * 1_000_000 + " @ " + "a." * 500_000 + "@"
    assert Mask(b"k" * 32).text(text) == text


@given(
    before=st.text(max_size=8),
    between=st.sampled_from(["", " ", "/", "0", "a", "\n", '"', "\\", "<", "'", ":", "-"]),
    after=st.text(max_size=8),
    ids=st.lists(st.sampled_from(ORIGINALS), min_size=1, max_size=3),
)
def test_any_text_with_ids_anywhere_has_none_afterwards(before: str, between: str, after: str, ids: list[str]) -> None:
    mask = Mask(b"k" * 32)
    for one in ORIGINALS:
        mask.text(one)
    mask.learn_external([json.dumps({"sts:ExternalId": EXTERNAL})])
    text = before + between.join([*ids, ""]) + after
    (told,) = mask.known([mask.text(*mask.external([text]))])
    assert [one for one in ORIGINALS if one in told] == []


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


def test_an_address_in_capitals_is_the_same_address(tmp_path: Path) -> None:
    role = role_detail("r", tags={"Owner": "alice@example.com", "Backup": "Alice@Example.com"})
    out = report(tmp_path, {"dump.json": dump(role)}, xlsx=False)
    assert len(set(column(out / "tags.csv", "tag_value"))) == 1


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
        ("folder", "the key cannot be read or made"),
        ("", "the key cannot be read or made"),
        ("gone/key", "the key cannot be read or made"),
        ("out/key", "a key in the report's folder would be handed on with it"),
    ],
)
def test_a_key_that_is_none_is_refused_in_one_sentence(tmp_path: Path, key: str, said: str) -> None:
    write(tmp_path, {"short": "too short", "page.html": "x" * 1_025})
    (tmp_path / "folder").mkdir()
    with pytest.raises(ReportError, match=rf"^[^\n]*{key or re.escape('.')}: {said}[^\n]*$"):
        of_organisation(tmp_path, mask=tmp_path / key if key else "")
    assert not (tmp_path / "out").exists()


# The search


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of before."""
    return report(tmp_path_factory.mktemp("before"), {"p.json": profile_list(profile("old"))}, xlsx=False)


@pytest.mark.parametrize(
    "left_out", ["account_id", "role_id", "trust_policy", "tag_value", "caller_arn", "description"]
)
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


def test_a_workbook_of_an_earlier_report_that_is_not_masked_is_taken_away_by_a_masked_one(tmp_path: Path) -> None:
    out = of_organisation(tmp_path, mask=False)
    assert (out / "report.xlsx").exists()
    assert of_organisation(tmp_path, xlsx=False) == out
    assert not (out / "report.xlsx").exists()
    assert where(out, *ORIGINALS) == []


def test_another_file_that_holds_an_original_is_not_left_beside_a_masked_report(tmp_path: Path) -> None:
    out = of_organisation(tmp_path, mask=False)
    (out / "report.xlsx").rename(out / "mine.xlsx")
    old = contents(out)
    with pytest.raises(ReportError, match=r"^[^\n]+since mine\.xlsx, which would stay there, holds an id[^\n]+$"):
        of_organisation(tmp_path, xlsx=False)
    assert contents(out) == old


def test_the_search_finds_an_original_in_a_file_a_workbook_and_a_files_name(tmp_path: Path) -> None:
    finder = Finder([OWN.encode(), MAIL.encode(), b"longer" * 10_000])
    originals = Search(finder, WordFinder(["pin4", "774411"]))
    texts = {"a.csv": "x" * 8_388_600 + OWN, f"{OWN}.csv": "", "clean.csv": OWN[:-1] + "x" + MAIL[1:]}
    # 774411 may be a count.
    write(tmp_path, texts | {"word.csv": "a (pin4)", "words.csv": "pin45 xpin4 774411", "word.html": "&lt;pin4&gt;"})
    with zipfile.ZipFile(tmp_path / "b.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sheet1.xml", f"<t>{MAIL}</t>")
    held = {file.name for file in tmp_path.iterdir() if originals.within(file)}
    assert held == {"a.csv", f"{OWN}.csv", "b.xlsx", "word.csv", "word.html"}


@pytest.mark.parametrize("others", [0, 200])
def test_a_word_is_found_where_it_stands_alone_whether_it_is_one_of_few_or_of_many(others: int) -> None:
    finder = WordFinder(["jq8", *(f"w{number}q" for number in range(others))])
    assert list(finder.hits("a (jq8), xjq8x jq8")) == [(3, 6), (15, 18)]
    assert list(finder.hits("none of them")) == []


@given(
    wanted=st.sets(
        st.binary(min_size=6, max_size=12) | st.text("ab", min_size=6, max_size=9).map(str.encode), max_size=9
    ),
    text=st.binary(max_size=40) | st.text("ab", max_size=60).map(str.encode),
    put=st.integers(0, 60),
)
def test_the_search_finds_what_stands_anywhere(wanted: set[bytes], text: bytes, put: int) -> None:
    whole = text[:put] + min(wanted, default=b"") + text[put:]
    hits = list(Finder(wanted).hits(whole))
    assert bool(hits) == any(one in whole for one in wanted)
    assert all(whole[start:end] in wanted for start, end in hits)
    assert not any(one in part for part in _rest(whole, hits) for one in wanted)


def _rest(text: bytes, hits: list[Any]) -> list[bytes]:
    ends = [0, *(end for _, end in hits)]
    starts = [*(start for start, _ in hits), len(text)]
    return [text[end:start] for end, start in zip(ends, starts, strict=True)]


COMMON = (
    "test",
    "role",
    "iamframe",
    "complete",
    "worksheet",
    "openxmlformats",
    "2024",
    "2024-05-01",
    "instance-profile",
)


def test_external_ids_that_are_common_words_are_masked_in_policies_and_fail_no_report(tmp_path: Path) -> None:
    roles = []
    for number, word in enumerate(COMMON):
        policy = trust("ec2.amazonaws.com")
        policy["Statement"][0]["Condition"] = {"StringEquals": {"STS:externalid": word}}
        roles.append(role_detail(f"r{number}", policy=policy))
    out = report(tmp_path, {"dump.json": dump(*roles)})
    said = column(out / "roles.csv", "trust_policy")
    masked = [json.loads(one)["Statement"][0]["Condition"]["StringEquals"]["STS:externalid"] for one in said]
    assert len(masked) == len({*masked}) == len(COMMON)
    assert [one for one in masked if not re.fullmatch(r"ext-\w{10}", one)] == []


@pytest.mark.parametrize("external", ["partner-abcdefghij", 4455667788, OWN, int(FOREIGN), MAIL, 'say "please" <now>'])
def test_an_external_id_of_any_form_stands_in_no_file(tmp_path: Path, external: str | int) -> None:
    policy = trust("ec2.amazonaws.com")
    policy["Statement"][0]["Condition"] = {"StringLike": {"sts:ExternalId": [external, "*"]}}
    policy["Statement"][0]["Principal"]["AWS"] = int(FOREIGN)
    listed = nested_role("r", policy=policy, Description=f"({external})")
    out = report(tmp_path, {"roles.json": {"Roles": [listed]}})
    assert where(out, str(external), FOREIGN, json.dumps(external)[1:-1]) == []
    (said,) = column(out / "roles.csv", "trust_policy")
    given, any_one = json.loads(said)["Statement"][0]["Condition"]["StringLike"]["sts:ExternalId"]
    assert any_one == "*"
    assert column(out / "roles.csv", "description") == [f"({given})"]


def asked_for(external: str | list[str]) -> dict[str, Any]:
    policy = trust("ec2.amazonaws.com")
    policy["Statement"][0]["Condition"] = {"StringLike": {"sts:ExternalId": external}}
    return policy


# With whether it is a word of its own where an x is glued to both its ends.
@pytest.mark.parametrize(
    ("external", "stands_out"),
    [
        ("774411", True),
        ("4711", True),
        ("acme", False),
        ("s3cr3t", True),
        ("jq8", False),
        ("a.b", False),
        ("été", True),
        ("+x7-q", False),
        ("Zq7Key", True),
    ],
)
def test_a_short_external_id_is_a_word_of_no_text(tmp_path: Path, external: str, stands_out: bool) -> None:
    policy = asked_for(external)
    profiles = [profile("p", nested_role("r", policy=policy))]
    tags = {"external-id": external, f"of {external}": f"asks for {external}", "inner": f"x{external}x"}
    role = role_detail("r", profiles, tags, policy=policy)
    listed = nested_role("r", policy=policy, Description=f"({external}), {external}")
    named = role_detail(f"{external}-r", path=f"/{external}/", policy=policy)
    held = profile("p", nested_role("r", policy=policy), Tags=tag_list({"external-id": "other"}))
    documents = {
        f"{external}/dump.json": dump(role, named),
        f"{external}/roles.json": {"Roles": [listed]},
        "p.json": {"InstanceProfile": held},
        "profiles.json": profile_list(*profiles),
    }
    out = report(tmp_path, documents, xlsx=False)
    (description,) = filter(None, column(out / "roles.csv", "description"))
    pseudonym = description.rpartition(" ")[2]
    assert description == f"({pseudonym}), {pseudonym}"
    assert re.fullmatch(r"ext-[a-z2-7]{10}", pseudonym)
    inner = f"x{pseudonym if stands_out else external}x"
    assert set(column(out / "tags.csv", "tag_value")) == {pseudonym, f"asks for {pseudonym}", inner, "other"}
    assert f"of {pseudonym}" in column(out / "tags.csv", "tag_key")
    assert set(column(out / "roles.csv", "role_name")) == {f"{pseudonym}-r", "r"}
    assert f"external-id is {pseudonym} on the role and other on the profile" in "\n".join(
        column(out / "findings.csv", "detail")
    )
    alone = re.compile(rf"(?<![^\W_]){re.escape(external)}(?![^\W_])", re.IGNORECASE)
    texts = {name: html.unescape(content.decode()) for name, content in contents(out).items() if ".xlsx" not in name}
    assert [name for name, content in texts.items() if alone.search(content) or alone.search(name)] == []


@pytest.mark.parametrize("external", ["complete", "role", "2024-05-01", "100", "ext"])
def test_an_external_id_that_is_a_word_of_iamframes_is_masked_in_what_others_wrote(
    tmp_path: Path, external: str
) -> None:
    policy = asked_for(external)
    profiles = [profile("p", nested_role("r", policy=policy))]
    tags = {"external-id": external, "note": f"asks for {external}, 111122223333"}
    role = role_detail("r", profiles, tags, policy=policy)
    listed = nested_role("r", policy=policy, Description=f"{external} for it")
    held = profile("p", nested_role("r", policy=policy), Tags=tag_list({"external-id": "other"}))
    result = told(
        tmp_path, {"dump.json": dump(role), "roles.json": {"Roles": [listed]}, "p.json": {"InstanceProfile": held}}
    )
    (said,) = result.inventory.roles["trust_policy"].tolist()
    pseudonym = json.loads(said)["Statement"][0]["Condition"]["StringLike"]["sts:ExternalId"]
    assert re.fullmatch(r"ext-[a-z2-7]{10}", pseudonym)
    of_tags = result.inventory.tags["tag_value"].tolist()
    assert of_tags[0] == "other"
    assert of_tags[1] == pseudonym
    assert re.fullmatch(f"asks for {pseudonym}, acct-[a-z2-7]{{10}}", of_tags[2])
    assert result.inventory.roles["description"].tolist() == [f"{pseudonym} for it"]
    (detail,) = [one for one in result.findings["detail"] if "external-id is" in one]
    assert f"external-id is {pseudonym} on the role and other on the profile" in detail
    (command,) = [one for one in result.findings["next_step"].dropna() if '"external-id"' in one]
    assert f'"Value":"{pseudonym}"' in command
    # What iamframe itself says with the same word stays.
    assert set(result.inventory.tags["resource_type"]) == {"role", "instance-profile"}
    assert set(result.coverage["status"]) <= {"complete", "partial", "unknown"}


def test_a_pattern_of_external_ids_stays_a_pattern_and_what_it_is_of_is_masked_too(tmp_path: Path) -> None:
    policy = asked_for(["partner-abcdefgh*", "acme?", "*", f"{FOREIGN}*"])
    listed = nested_role("r", policy=policy, Description=f"partner-abcdefgh7 acme {FOREIGN}")
    roles = told(tmp_path, {"roles.json": {"Roles": [listed]}}, []).inventory.roles
    (said,) = roles["trust_policy"]
    long, short, any_one, account = json.loads(said)["Statement"][0]["Condition"]["StringLike"]["sts:ExternalId"]
    assert (long[-1], short[-1], any_one) == ("*", "?", "*")
    assert re.fullmatch(r"acct-[a-z2-7]{10}\*", account)
    assert roles["description"].tolist() == [f"{long[:-1]}7 {short[:-1]} {account[:-1]}"]


@pytest.mark.parametrize(
    ("external", "text", "masked"),
    [
        ("Zq7Key", "AcmeZq7KeyRole", "Acme{}Role"),
        ("98765", "acme98765", "acme{}"),
        ("Zq7Acme", "prodZq7Acmeprod", "prod{}prod"),
        ("kx7", "kx7prod kx7_a akx7", "{}prod {}_a akx7"),
        ("acme", "acmeProd acmeprod Acme", "{}Prod acmeprod Acme"),
        ("a1b2c3d4-e5f6", "A1B2C3D4-E5F6", "{}"),
        ("Zq7/Acme", "zq7/acme Zq7%2FAcme", "{} {}"),
        ("2024", "2024-05-01 is a day", "2024-05-01 is a day"),
    ],
)
def test_an_external_id_within_a_name_or_spelled_otherwise_is_masked(
    tmp_path: Path, external: str, text: str, masked: str
) -> None:
    policy = asked_for(external) | {"Id": text}
    listed = nested_role("r", policy=policy, Description=text)
    roles = told(tmp_path, {"roles.json": {"Roles": [listed]}}, []).inventory.roles
    said = json.loads(roles["trust_policy"][0])
    pseudonym = said["Statement"][0]["Condition"]["StringLike"]["sts:ExternalId"]
    assert roles["description"].tolist() == [masked.replace("{}", pseudonym)]
    assert said["Id"] == masked.replace("{}", pseudonym)


@pytest.mark.parametrize("external", ["abcdef\\h", 'abc"defgh9', "abcdefgh\ni", "o'brien-77", 'x"y9', "x\\y9", "o'b"])
def test_an_external_id_that_a_command_quotes_is_masked_in_it(tmp_path: Path, external: str) -> None:
    policy = asked_for(external)
    held = profile("p", nested_role("r", policy=policy), Tags=tag_list({"K": "other"}))
    role = role_detail("r", [profile("p", nested_role("r", policy=policy))], {"K": external}, policy=policy)
    result = told(tmp_path, {"dump.json": dump(role), "p.json": {"InstanceProfile": held}}, "tag_differences")
    (step,) = [one for one in result.findings["next_step"] if '"Key":"K"' in one]
    assert re.search(r'"Value":"ext-[a-z2-7]{10}"', step)
    assert step.startswith(COMMENT.replace("\\", ""))


def test_a_value_that_a_policy_refuses_and_a_description_that_changed_are_masked(tmp_path: Path) -> None:
    def loaded(name: str, description: str) -> iamframe.Inventory:
        role = role_detail("r", tags={"K": "test"}, policy=asked_for("test"))
        listed = nested_role("r", policy=asked_for("test"), Description=description)
        return load(tmp_path / name, {"dump.json": dump(role), "roles.json": {"Roles": [listed]}})

    policy = tmp_path / "policy.toml"
    policy.write_text('[required_tags]\nK = { values = ["prod"] }\n', "utf-8")
    result = iamframe.run_checks(loaded("new", "see test"), policy=policy)
    changes = iamframe.compare(loaded("old", "see zz"), result)
    out = iamframe.write_report(result, tmp_path / "out", changes=changes, mask=True).parent
    (refused,) = [one for one in column(out / "findings.csv", "detail") if ", not one of " in one]
    assert re.fullmatch(r"K is ext-[a-z2-7]{10}, not one of prod", refused)
    assert re.fullmatch(r"see ext-[a-z2-7]{10}", column(out / "changes.csv", "after")[0])
    assert re.fullmatch(r"description is see ext-[a-z2-7]{10}; it was see zz", column(out / "changes.csv", "detail")[0])


def test_ids_in_paths_of_an_organisation_are_masked_in_part_too(tmp_path: Path) -> None:
    asked = [f"{ORGANIZATION}/r-ab12/{UNIT}/*", "*/r-ab12/ou-ab12-*", "o-a1b*/r-cd34/*", "o-*/r-*/ou-*"]
    policy = trust("ec2.amazonaws.com")
    policy["Statement"][0]["Condition"] = {"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": asked}}
    listed = nested_role("r-web1", policy=policy, Description="root r-ab12, owner-ab12, r-0abc; p-abcd1234, p-frontend")
    roles = told(tmp_path, {"roles.json": {"Roles": [listed]}}, []).inventory.roles
    (statement,) = json.loads(roles["trust_policy"][0])["Statement"]
    whole, parts, started, any_one = statement["Condition"]["ForAnyValue:StringLike"]["aws:PrincipalOrgPaths"]
    matched = re.fullmatch(r"org-\w{10}/(root-\w{10})/ou-\w{10}/\*", whole)
    assert matched is not None
    assert re.fullmatch(rf"\*/{matched[1]}/ou-\w{{10}}\*", parts)
    assert re.fullmatch(r"org-\w{10}\*/root-\w{10}/\*", started)
    assert any_one == "o-*/r-*/ou-*"
    (said,) = roles["description"]
    assert re.fullmatch(rf"root {matched[1]}, owner-ab12, root-\w{{10}}; policy-\w{{10}}, p-frontend", said)
    assert roles["role_name"].tolist() == ["r-web1"]


def test_an_owner_whose_name_is_a_short_external_id_has_its_pseudonym_among_the_owners(tmp_path: Path) -> None:
    policy = trust("ec2.amazonaws.com")
    policy["Statement"][0]["Condition"] = {"StringEquals": {"sts:ExternalId": "acme"}}
    out = report(
        tmp_path,
        {
            "dump.json": dump(role_detail("r", [profile("other")], {"Owner": "acme"}, policy=policy)),
            "p.json": profile_list(),
        },
        xlsx=False,
    )
    (value,) = column(out / "tags.csv", "tag_value")
    assert value.startswith("ext-")
    assert value in column(out / "owners.csv", "owner")


def test_an_external_id_that_overlaps_another_in_iamframes_own_sentences_is_a_common_word_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(masking, "_own_words", lambda: b"we say abcdefghijklmnop here")
    mask = Mask(b"k" * 32)
    mask.learn_external([json.dumps({"sts:ExternalId": ["abcdefghijkl", "ijklmnop", "mnopqrst"]})])
    assert mask.external(["abcdefghijkl ijklmnop", "<mnopqrst>"])[0] == "abcdefghijkl ijklmnop"
    assert re.fullmatch(r"<ext-\w{10}>", mask.external(["<mnopqrst>"])[0])


# What a reader is told


def test_the_page_and_the_summary_say_that_they_are_masked(both: tuple[Path, Path]) -> None:
    plain, out = both
    assert "Names are as they are and can still tell whose these are" in (out / "report.html").read_text()
    assert json.loads((out / "summary.json").read_text())["masked"] is True
    assert json.loads((plain / "summary.json").read_text())["masked"] is False
    assert "Masked:" not in (plain / "report.html").read_text()


def test_the_command_line_masks_and_a_key_file_alone_is_enough(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = str(write(tmp_path / "in", organisation()))
    for number, asked in enumerate((["--mask"], ["--mask-key", str(tmp_path / "key")], [])):
        out = tmp_path / f"out{number}"
        assert _run(["report", source, "--out", str(out), *asked]) == 0
        assert bool(where(out, *ORIGINALS)) == (not asked)
    assert (tmp_path / "key").exists()
    assert "Report: " in capsys.readouterr().out


COMMENT = "# masked, not to be run: "


def tagged_role(folder: Path, **options: Any) -> Path:
    """A role whose tags the profile lacks, and an empty profile."""
    role = role_detail("web", [profile("web", nested_role("web"))], {"mail": "alice@example.com"})
    documents = {
        "dump.json": dump(role),
        "p.json": profile_list(profile("left"), profile("web", nested_role("web"))),
        "instance-profile-tags/web.json": {"Tags": []},
    }
    return report(folder, documents, **options)


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_each_line_of_a_command_that_is_not_to_be_run_is_a_comment(end: str) -> None:
    told = masking.not_to_run(f"aws iam get-role --role-name='a{end}id'{end}id")
    assert told == f"{COMMENT}aws iam get-role --role-name='a{end}# id'{end}# id"


def test_changes_are_masked_and_what_only_the_older_load_holds_too(tmp_path: Path) -> None:
    """The older load has a profile of another id and a role that trusts an account of its own."""
    foreign = "222233334444"
    policy = {
        "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{foreign}:root"}, "Action": "sts:AssumeRole"}
        ]
    }
    old = load(
        tmp_path / "old",
        {
            "identity.json": identity(),
            "profiles.json": profile_list(
                profile("web", nested_role("web", policy=policy), InstanceProfileId="AIPAQ7WEB2OLDER4ID55")
            ),
        },
    )
    new = load(
        tmp_path / "new",
        {"identity.json": identity(), "profiles.json": profile_list(profile("web", nested_role("web")))},
    )
    changes = iamframe.compare(old, iamframe.run_checks(new))
    assert {"recreated", "trust_changed"} & set(changes.changes["change"])
    out = tmp_path / "report"
    iamframe.write_report(changes.new, out, changes=changes, mask=True)
    written = b"".join(file.read_bytes() for file in out.rglob("*.*"))
    assert b"recreated" in written
    for original in ("000000000001", foreign, "AIPAQ7WEB2OLDER4ID55"):
        assert original.encode() not in written


@pytest.mark.parametrize("ids", [("774411", "885522"), ("role", "2024")])
def test_a_short_or_common_external_id_is_masked_in_what_a_policy_and_a_tag_were_before_they_changed(
    tmp_path: Path, ids: tuple[str, str]
) -> None:
    def loaded(name: str, external: str) -> iamframe.Inventory:
        policy = trust("ec2.amazonaws.com")
        policy["Statement"][0]["Condition"] = {"StringEquals": {"sts:ExternalId": external}}
        return load(tmp_path / name, {"dump.json": dump(role_detail("r", tags={"id": external}, policy=policy))})

    old, new = loaded("old", ids[0]), loaded("new", ids[1])
    changes = iamframe.compare(old, iamframe.run_checks(new))
    out = iamframe.write_report(changes.new, tmp_path / "out", changes=changes, mask=True).parent
    kinds, before, after = (column(out / "changes.csv", name) for name in ("change", "before", "after"))
    assert {"retagged", "trust_changed"} <= set(kinds)
    for kind, *values in zip(kinds, before, after, strict=True):
        for value, external in zip(values, ids, strict=True):
            assert "ext-" in value
            assert external not in value, kind
    details = column(out / "changes.csv", "detail")
    (retagged,) = [one for one in details if one.startswith("tag id is ")]
    assert re.fullmatch(r"tag id is ext-\w{10}; it was ext-\w{10}", retagged)
    for value, external in itertools.product(column(out / "roles.csv", "trust_policy"), ids):
        assert json.dumps(external) not in value


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
    hidden, _, _ = masking.masked(result, None, Mask(b"k" * 32))
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

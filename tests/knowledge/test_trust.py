"""Reading trust policies: whom they let in, and the one text that the same policy has from every source."""

from __future__ import annotations

import json
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamframe.knowledge.trust import read_content, trusts_ec2, what_changed
from iamframe.messages.render import say


class Trust(NamedTuple):
    text: str | None
    trusts_ec2: str
    services: str | None
    deleted: str | None


UNREADABLE = Trust(None, "unknown", None, None)


def read_trust(document: bytes, partition: str = "aws") -> Trust:
    """What the frame of roles has of a trust policy in a partition."""
    if (read := read_content(document)) is None:
        return UNREADABLE
    text, content = read
    return Trust(text, trusts_ec2(content.reaches, partition), content.services, content.deleted)


ASSUME = "sts:AssumeRole"
EC2 = {"Service": "ec2.amazonaws.com"}


def allow(principal: object = EC2, action: object = ASSUME, **more: object) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": principal, "Action": action} | more


def read(*statements: dict[str, Any]) -> Trust:
    return read_trust(json.dumps({"Version": "2012-10-17", "Statement": list(statements)}).encode())


def without(statement: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in statement.items() if name != key}


def test_a_statement_may_be_one_object_instead_of_a_list() -> None:
    document = b'{"Statement":{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}}'
    assert read_trust(document) == Trust(document.decode(), "yes", "ec2.amazonaws.com", None)


@pytest.mark.parametrize(
    ("principal", "trusts_ec2"),
    [
        ({"Service": "ec2.amazonaws.com"}, "yes"),
        ({"Service": ["ec2.amazonaws.com"]}, "yes"),
        ({"Service": ["cloud9.amazonaws.com", "ec2.amazonaws.com"]}, "yes"),
        # IAM User Guide, Principal: no wildcard can match a part of a principal's name.
        ({"Service": "ec2.*"}, "maybe"),
        ({"Service": "EC2.amazonaws.com"}, "yes"),
        ({"AWS": "arn:aws:iam::000000000001:root", "Service": "ec2.amazonaws.com"}, "yes"),
        ("*", "maybe"),
        ({"AWS": "*"}, "maybe"),
        ({"AWS": ["000000000001", "*"]}, "maybe"),
        ({"Service": "*"}, "maybe"),
        ({"Service": "ec2.application-autoscaling.amazonaws.com"}, "no"),
        ({"Service": "ecs.amazonaws.com"}, "no"),
        ({"Service": "spotfleet.amazonaws.com"}, "no"),
        ({"Service": "ec2fleet.amazonaws.com"}, "no"),
        ({"Service": "ec2xamazonaws.com"}, "no"),
        ({"Service": "ec2.amazonaws.com.example.org"}, "no"),
        ({"Service": "not-ec2.amazonaws.com"}, "no"),
        ({"Service": []}, "no"),
        ({"AWS": "ec2.amazonaws.com"}, "no"),
        ({"AWS": "arn:aws:iam::000000000001:root"}, "no"),
        ({"Federated": "cognito-identity.amazonaws.com"}, "no"),
        ({}, "no"),
    ],
)
def test_ec2_is_trusted_by_its_own_service_principal_alone(principal: object, trusts_ec2: str) -> None:
    assert read(allow(principal)).trusts_ec2 == trusts_ec2


CHINA, COM, EUROPE = "ec2.amazonaws.com.cn", "ec2.amazonaws.com", "ec2.amazonaws.eu"
ISOLATED = {
    "aws-iso": "ec2.c2s.ic.gov",
    "aws-iso-b": "ec2.sc2s.sgov.gov",
    "aws-iso-e": "ec2.cloud.adc-e.uk",
    "aws-iso-f": "ec2.csp.hci.ic.gov",
}


@pytest.mark.parametrize(
    ("partition", "yes", "maybe"),
    [
        ("aws", {COM}, {"ec2.us-east-1.amazonaws.com"}),
        ("aws-us-gov", {COM}, {"ec2.us-east-1.amazonaws.com"}),
        ("aws-eusc", {COM}, {EUROPE, "ec2.us-east-1.amazonaws.com"}),
        ("aws-cn", {COM, CHINA}, {"ec2.us-east-1.amazonaws.com", "ec2.cn-north-1.amazonaws.com.cn"}),
        *((name, {own}, {COM, "ec2.us-east-1.amazonaws.com"}) for name, own in ISOLATED.items()),
    ],
)
def test_each_partition_has_its_own_name_for_ec2(partition: str, yes: set[str], maybe: set[str]) -> None:
    regional = ["ec2.us-east-1.amazonaws.com", "ec2.cn-north-1.amazonaws.com.cn"]
    names = [COM, CHINA, EUROPE, *ISOLATED.values(), *regional, "ec2.example.org", "ec2.amazonaws.com.example.org"]
    said = {name: trust_in(partition, name) for name in names}
    assert said == {name: "yes" if name in yes else "maybe" if name in maybe else "no" for name in names}
    # A name of another partition beside one's own takes nothing away.
    assert trust_in(partition, "ec2.example.org", *yes) == "yes"


def test_without_a_partition_or_in_an_unknown_one_nothing_is_said_that_may_be_false() -> None:
    names = [COM, CHINA, EUROPE, *ISOLATED.values()]
    assert [trust_in("", name) for name in names] == ["yes", *["maybe"] * (len(names) - 1)]
    assert {trust_in("aws-new", name) for name in (*names, "ec2.new.example")} == {"maybe"}
    assert {trust_in(partition, "ecs.amazonaws.com") for partition in ("", "aws-new")} == {"no"}


def trust_in(partition: str, *services: str) -> str:
    document = json.dumps({"Statement": allow({"Service": list(services)})})
    return read_trust(document.encode(), partition).trusts_ec2


@pytest.mark.parametrize(
    ("action", "trusts_ec2"),
    [
        ("sts:AssumeRole", "yes"),
        ("STS:assumerole", "yes"),
        ("sts:*", "yes"),
        ("*", "yes"),
        ("*:*", "yes"),
        ("sts:Assume*", "yes"),
        ("sts:AssumeRol?", "yes"),
        (["sts:TagSession", "sts:AssumeRole"], "yes"),
        (["sts:TagSession"], "no"),
        ([], "no"),
        ("sts:AssumeRoleWithWebIdentity", "no"),
        ("sts.AssumeRole", "no"),
        ("s3:*", "no"),
        ("sts:Assume(Role", "no"),
    ],
)
def test_an_action_counts_if_it_covers_assume_role(action: object, trusts_ec2: str) -> None:
    assert read(allow(action=action)).trusts_ec2 == trusts_ec2


@pytest.mark.parametrize(
    ("condition", "trusts_ec2"),
    [
        ({"StringEquals": {"aws:SourceAccount": "000000000001"}}, "maybe"),
        ({"StringEquals": {}}, "maybe"),
        ({}, "yes"),
        (None, "yes"),
    ],
)
def test_a_condition_makes_it_maybe_unless_it_is_empty(condition: object, trusts_ec2: str) -> None:
    assert read(allow(Condition=condition)).trusts_ec2 == trusts_ec2


def test_an_empty_condition_with_white_space_is_empty_too() -> None:
    document = (
        b'{"Statement":{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"*","Condition":{\n }}}'
    )
    assert read_trust(document).trusts_ec2 == "yes"


def test_one_statement_without_a_condition_is_enough() -> None:
    conditional = allow(Condition={"Bool": {"aws:SecureTransport": "true"}})
    assert read(conditional, allow()).trusts_ec2 == "yes"


@pytest.mark.parametrize(
    ("deny", "trusts_ec2"),
    [
        (allow(Effect="Deny"), "maybe"),
        (allow("*", Effect="Deny"), "maybe"),
        (allow({"AWS": "*"}, "sts:*", Effect="Deny"), "maybe"),
        (allow(Effect="Deny", Condition={"Bool": {"aws:SecureTransport": "false"}}), "maybe"),
        (allow({"Service": "lambda.amazonaws.com"}, Effect="Deny"), "yes"),
        (allow(action="sts:TagSession", Effect="Deny"), "yes"),
        (without(allow(Effect="Deny", NotAction="sts:AssumeRole"), "Action"), "yes"),
        (without(allow(Effect="Deny", NotAction="sts:TagSession"), "Action"), "maybe"),
    ],
)
def test_a_deny_in_the_way_makes_it_maybe(deny: dict[str, Any], trusts_ec2: str) -> None:
    assert read(allow(), deny).trusts_ec2 == trusts_ec2


def test_a_deny_alone_trusts_nobody() -> None:
    assert read(allow(Effect="Deny"))[1:] == ("no", None, None)


@pytest.mark.parametrize(
    ("not_action", "trusts_ec2"),
    [
        ("sts:TagSession", "yes"),
        (["sts:TagSession", "sts:SetSourceIdentity"], "yes"),
        ("sts:AssumeRole", "no"),
        ("sts:*", "no"),
    ],
)
def test_not_action_covers_what_it_leaves_over(not_action: object, trusts_ec2: str) -> None:
    statement = without(allow(NotAction=not_action), "Action")
    assert read(statement).trusts_ec2 == trusts_ec2


def test_whom_not_principal_leaves_over_is_maybe() -> None:
    statement = without(allow(NotPrincipal={"AWS": "arn:aws:iam::000000000001:user/eve"}), "Principal")
    assert read(statement).trusts_ec2 == "maybe"


def test_the_trusted_services_are_those_of_allow_statements_sorted_and_each_once() -> None:
    trust = read(
        allow({"Service": ["lambda.amazonaws.com", "ec2.amazonaws.com"]}),
        allow(),
        allow({"Service": "ecs.amazonaws.com"}, Effect="Deny"),
    )
    assert trust.services == "ec2.amazonaws.com lambda.amazonaws.com"


@pytest.mark.parametrize(
    ("principal", "deleted"),
    [
        ({"AWS": "AROADBQP57FF2AEXAMPLE"}, "AROADBQP57FF2AEXAMPLE"),
        ({"AWS": ["AROAB", "AIDAA", "000000000001", "AROAB"]}, "AIDAA AROAB"),
        ({"AWS": "arn:aws:iam::000000000001:role/AROA"}, None),
        ({"AWS": "arn:aws:sts::000000000001:assumed-role/x/AROADBQP57FF2AEXAMPLE"}, None),
        ({"AWS": "AIPAEXAMPLE"}, None),
        ({"Service": "AROADBQP57FF2AEXAMPLE"}, None),
        ("*", None),
    ],
)
def test_a_bare_unique_id_of_a_role_or_user_is_a_deleted_principal(principal: object, deleted: str | None) -> None:
    assert read(allow(principal)).deleted == deleted


def test_a_deleted_principal_in_a_deny_is_not_trusted() -> None:
    assert read(allow(), allow({"AWS": "AIDAEXAMPLE"}, Effect="Deny")).deleted is None


CANONICAL = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com",'
    '"AWS":"arn:aws:iam::000000000001:role/a+b/für 50%"},"Action":"sts:AssumeRole"}]}'
)
POLICY = json.loads(CANONICAL)
FORMS = {
    "object": CANONICAL,
    "pretty-printed": json.dumps(POLICY, indent=4, ensure_ascii=False),
    "pretty-printed and escaped": json.dumps(POLICY, indent=2),
    "escaped": json.dumps(POLICY),
    "escaped slashes": CANONICAL.replace("/", "\\/"),
    "string": json.dumps(CANONICAL, ensure_ascii=False),
    "string of an escaped object": json.dumps(json.dumps(POLICY)),
    "string of a pretty-printed object": json.dumps("\n " + json.dumps(POLICY, indent=4)),
    "percent-encoded": json.dumps(quote(CANONICAL, safe="")),
    "percent-encoded but for the plus": json.dumps(quote(CANONICAL, safe="+")),
    "percent-encoded and escaped": json.dumps(quote(json.dumps(POLICY), safe="")),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_same_policy_is_the_same_text_in_every_form(form: str) -> None:
    assert read_trust(FORMS[form].encode()) == Trust(CANONICAL, "yes", "ec2.amazonaws.com", None)


def test_the_keys_of_the_text_keep_their_order() -> None:
    document = b'{"Statement": [], "Version": "2012-10-17", "Id": "a"}'
    assert read_trust(document).text == '{"Statement":[],"Version":"2012-10-17","Id":"a"}'


def test_letters_written_as_escapes_mean_what_they_spell() -> None:
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in "Allow")
    document = CANONICAL.replace('"Allow"', f'"{escaped}"')
    assert read_trust(document.encode()) == Trust(CANONICAL, "yes", "ec2.amazonaws.com", None)


@pytest.mark.parametrize(
    "document",
    [
        b'{"Statement":{"Effect":"Allow","Sid":"\xff\xfe"}}',  # no text
        '"<URL-encoded-JSON>"',
        '"%7B%22Version%22%3A"',
        '"%ff%fe"',
        '"not JSON"',
        '""',
        '"{}"',
        "{}",
        "[]",
        "null",
        "1",
        '{"Statement":"Allow"}',
        '{"Statement":[1]}',
        '{"Statement":[{"Effect":"Allow"}',
        '{"Statement":' + "[" * 5000 + "]" * 5000 + "}",
        '{"Statement":{"Principal":' + '{"a":' * 5000 + "1" + "}" * 5001 + "}",
    ],
)
def test_what_is_no_policy_is_unreadable_and_unknown(document: str | bytes) -> None:
    assert read_trust(document if isinstance(document, bytes) else document.encode()) is UNREADABLE


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
parts = values | st.sampled_from(["Allow", "Deny", "*", ASSUME, EC2, {"AWS": "*"}, {"AWS": "AROAEXAMPLE"}])
statements = st.dictionaries(
    st.sampled_from(["Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Condition", "Sid"]), parts
)
policies = st.fixed_dictionaries({"Statement": statements | st.lists(statements, max_size=3) | values})


@given(value=values | policies | policies.map(json.dumps) | policies.map(lambda policy: quote(json.dumps(policy))))
def test_any_json_is_read_without_an_error(value: object) -> None:
    trust = read_trust(json.dumps(value).encode())
    assert trust.trusts_ec2 in {"yes", "no", "maybe", "unknown"}
    assert (trust.trusts_ec2 == "unknown") == (trust.text is None)


@given(document=st.binary() | st.text().map(str.encode))
def test_any_bytes_are_read_without_an_error(document: bytes) -> None:
    assert read_trust(document).trusts_ec2 in {"yes", "no", "maybe", "unknown"}


@given(policy=policies)
def test_the_canonical_text_is_its_own_canonical_text(policy: dict[str, Any]) -> None:
    text = read_trust(json.dumps(policy).encode()).text
    again = text if text is None else read_trust(text.encode()).text
    assert again == text


ROOT = "arn:aws:iam::000000000001:root"
SAML = {"Federated": "arn:aws:iam::000000000001:saml-provider/idp"}
MFA = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ([allow()], [allow({"AWS": "*"})], "now trusts everyone (AWS: *); no longer trusts ec2.amazonaws.com"),
        ([allow()], [allow(), allow({"AWS": ROOT})], f"now trusts {ROOT}"),
        (
            [allow(SAML)],
            [allow({"CanonicalUser": "79a5"})],
            f"now trusts CanonicalUser 79a5; no longer trusts Federated {SAML['Federated']}",
        ),
        (
            [allow({"AWS": [ROOT, "AROAGONE"]})],
            [allow({"AWS": ROOT})],
            "no longer trusts AROAGONE (a deleted principal)",
        ),
        ([allow()], [], "no longer trusts ec2.amazonaws.com; no longer trusts anybody"),
        (
            [allow()],
            [allow() | {"Effect": "Deny"}],
            "no longer trusts ec2.amazonaws.com; now denies ec2.amazonaws.com; no longer trusts anybody",
        ),
        (
            [without(allow(NotPrincipal={"AWS": ROOT}), "Principal")],
            [without(allow(NotPrincipal={"AWS": [ROOT, "AROAB"]}), "Principal")],
            (
                f"now trusts everyone except AROAB (a deleted principal) and {ROOT}; "
                f"no longer trusts everyone except {ROOT}"
            ),
        ),
        (
            [allow(), without(allow(NotPrincipal=SAML, Effect="Deny"), "Principal")],
            [allow()],
            f"the Deny for everyone except Federated {SAML['Federated']} is gone",
        ),
        ([allow()], [allow(Condition=MFA)], "still trusts ec2.amazonaws.com, but the conditions changed"),
        (
            [allow()],
            [allow(action=[ASSUME, "sts:TagSession"])],
            "still trusts ec2.amazonaws.com, but the actions changed",
        ),
        (
            [allow(action="sts:*", Condition=MFA), allow(SAML)],
            [allow(), allow(SAML), allow({"Service": "*"})],
            (
                "now trusts everyone (Service: *); "
                "still trusts ec2.amazonaws.com, but the actions and the conditions changed"
            ),
        ),
        (
            [allow(action="sts:AssumeRole", Condition=MFA), allow(action="sts:TagSession")],
            [allow(action="sts:TagSession", Condition=MFA), allow(action="sts:AssumeRole")],
            "still trusts ec2.amazonaws.com, but the conditions now apply to other actions",
        ),
        (
            [allow(Sid="one")],
            [allow(Sid="two")],
            "the trust policy changed, but still trusts ec2.amazonaws.com",
        ),
    ],
)
def test_a_policy_that_changed_names_every_principal_that_came_or_went(
    old: list[dict[str, Any]], new: list[dict[str, Any]], said: str
) -> None:
    texts = [read(*statements).text for statements in (old, new)]
    assert say("list.messages", messages=what_changed(*map(str, texts))) == said

"""How two names differ, and which tag keys read alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamframe.knowledge.names import canonical_key, relation, variant_kinds
from iamframe.messages.text import spell_out

GREEK_OWNER = "\u039fwner"
WIDE_OWNER = "\uff2fwner"
FILLED_OWNER = "Owner\u3164"
HARD_SPACE = "Cost\u00a0Center"


@pytest.mark.parametrize(
    ("role", "profile", "expected"),
    [
        ("WebServer", "webserver", "case"),
        ("web-role", "WEB-ROLE", "case"),
        ("web-role", "web-profile", "affix"),
        ("web-role", "web-instance-profile", "affix"),
        ("WebRole", "WebInstanceProfile", "affix"),
        ("web_ec2_role", "web_instance_profile", "affix"),
        ("Web-Role", "web-profile", "affix"),
        ("ecsInstanceRole", "ecsInstanceRole-profile", "affix"),
        ("s3access", "s3access-profile", "affix"),
        ("prod-web", "web", "affix"),
        ("web", "web-01", "affix"),
        ("web", "web-instance-profile", "affix"),
        ("WebServer", "Web", "affix"),
        ("role-web", "profile-web", "affix"),
        ("role-web", "web-profile", "affix"),
        ("RoleWeb", "ProfileWeb", "affix"),
        ("iam-role-for-web", "iam-profile-for-web", "affix"),
        ("s3-readonly-web-eu", "s3", "different"),  # more than one word
        ("prod-s3-web", "s3", "different"),  # in front and behind
        ("sysadmin-web", "admin", "different"),  # letters, no word
        ("webserver", "web", "different"),
        ("roleplay", "play", "different"),
        ("web-20230101", "web-20240101", "different"),  # dates
        ("web-202301011200", "web-202401011200", "different"),
        ("web-20230101T1200", "web-20240101T1200", "different"),
        ("web-01JAN2023", "web-01JAN2024", "different"),
        ("web-202301", "web-202401", "different"),
        ("web-123456789012", "web-210987654321", "different"),  # account ids
        ("web-PRODUCTION1", "web-STAGINGXX22", "different"),  # words
        ("shop-Node-aBcD1fGhIjKl", "shop-Node-ZyXwV2uTsRqP", "generated"),
        ("node_4067990795380418201", "node_1193844207756120033", "generated"),
        ("web-1A2B3C4D5E6F", "web", "generated"),
        ("app-20260102030405000000000001", "app-20260102030406000000000002", "generated"),
        ("shop-Node-1A2B3C4D5E6F", "shop-Node-Z9Y8X7W6V5U4", "generated"),
        ("web-08c968da-2d88-0096-4c82-1ee57490a6af", "web-1ee57490-4c82-0096-2d88-08c968da0000", "generated"),
        ("node_4067990795380418201", "node_9911", "different"),
        ("shop-NodeRole-1A2B3C4D5E6F", "shop-NodeProfile-Z9Y8X7W6V5U4", "different"),
        ("green", "blue", "different"),
        ("web-role", "api-profile", "different"),
        ("role", "profile", "different"),
        ("1A2B3C4D5E6F", "Z9Y8X7W6V5U4", "different"),
        ("AWSCloud9SSMAccessRole", "AWSCloud9SSMInstanceProfile", "different"),
        # The more telling relation wins.
        ("WEB", "web", "case"),  # each contains the other, too
        ("app-1A2B3C4D5E6F", "app-1A2B3C4D5E6F-profile", "affix"),  # and has a random part
        ("app-12345678-role", "app-12345678-profile", "affix"),
        # A word of the letters a to f is no random tail, and neither is a word with a number.
        ("web-facade", "web-decade", "different"),
        ("prod-worker01", "prod-master02", "different"),
        ("app-gateway1", "app-backend2", "different"),
    ],
)
def test_two_names_differ_by_the_first_relation_that_fits(role: str, profile: str, expected: str) -> None:
    assert relation(role, profile) == expected


@given(role=st.text(), profile=st.text())
def test_any_two_names_have_a_relation(role: str, profile: str) -> None:
    assert relation(role, profile) in {"case", "affix", "generated", "different"}


@given(role=st.from_regex(r"[a-zA-Z0-9+=,.@_-]{1,64}", fullmatch=True))
def test_a_name_in_another_case_differs_by_case(role: str) -> None:
    assert relation(role, role.swapcase()) == "case"


@pytest.mark.parametrize(
    ("key", "other"),
    [
        ("Owner ", "owner"),
        (WIDE_OWNER, "owner"),
        (GREEK_OWNER, "Owner"),
        (FILLED_OWNER, "Owner"),
        (HARD_SPACE, "Cost Center"),
        ("Cost\u3000Center", "cost-center"),
        ("CostCenter", "Cost-Center"),
        ("cost_center", "cost.center"),
        ("\u041e\u0442der", "Otder"),  # Cyrillic O and te
        ("Stra\u00dfe", "STRASSE"),
        ("\u039d\u039f\u039c\u039f\u03a3", "\u03bd\u03bf\u03bc\u03bf\u03c3"),  # Greek, in capitals and in small letters
        ("\u0412\u041b\u0410\u0414", "\u0432\u043b\u0430\u0434"),  # Cyrillic, likewise
    ],
)
def test_keys_that_read_alike_share_their_canonical_key(key: str, other: str) -> None:
    assert canonical_key(key) == canonical_key(other)


@pytest.mark.parametrize(
    ("key", "other"),
    [
        ("Owner", "Owners"),
        ("CostCenter", "CostCentre"),
        ("Env", "Environment"),
        ("\u672c\u756a", "\u672c"),
        ("a1", "a2"),
    ],
)
def test_keys_that_read_otherwise_do_not(key: str, other: str) -> None:
    assert canonical_key(key) != canonical_key(other)


@pytest.mark.parametrize(
    ("keys", "kinds"),
    [
        (["Owner", "owner"], ["case"]),
        (["Owner", "Owner "], ["space"]),
        (["Cost Center", HARD_SPACE], ["space"]),
        (["Owner", WIDE_OWNER], ["width"]),
        (["CostCenter", "Cost-Center"], ["separator"]),
        (["Owner", GREEK_OWNER], ["look-alike"]),
        (["Owner", FILLED_OWNER], ["invisible"]),
        (["Owner", "owner", GREEK_OWNER], ["case", "look-alike"]),
        (["Owner", FILLED_OWNER, WIDE_OWNER, "Owner "], ["space", "width", "invisible"]),
        (["owner", GREEK_OWNER], ["case", "look-alike"]),
        (["owner", "Owner "], ["case", "space"]),
        (["cost-center", "CostCenter"], ["case", "separator"]),
        (["owner", FILLED_OWNER], ["case", "invisible"]),
        (["Cost /Kind", "Cost/ \u212aind"], ["space", "width"]),
    ],
)
def test_keys_differ_by_what_was_done_to_them(keys: list[str], kinds: list[str]) -> None:
    assert variant_kinds(keys) == kinds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (GREEK_OWNER, "\u039fwner [\\u039fwner]"),
        (WIDE_OWNER, "\uff2fwner [\\uff2fwner]"),
        (FILLED_OWNER, "Owner\u3164 [Owner\\u3164]"),
        (HARD_SPACE, "Cost\u00a0Center [Cost\\u00a0Center]"),
        ("Owner ", "Owner  [Owner ]"),
        ("a\u202eb", "a\u202eb [a\\u202eb]"),
        ("\U0001f600\u3164", "\U0001f600\u3164 [\\U0001f600\\u3164]"),
        ("Owner", "Owner"),
        ("Cost Center", "Cost Center"),
        ("Gr\u00f6\u00dfe", "Gr\u00f6\u00dfe"),
        ("\u672c\u756a", "\u672c\u756a"),
    ],
)
def test_what_may_deceive_is_spelled_out_behind_it(text: str, expected: str) -> None:
    assert spell_out(text) == expected


@given(text=st.text())
def test_any_key_has_a_canonical_key_that_white_space_around_it_leaves_alone(text: str) -> None:
    assert canonical_key(f"\u3000{text} ") == canonical_key(text)


@given(text=st.from_regex(r"[a-zA-Z0-9_.:/=+@ -]{1,40}", fullmatch=True))
def test_case_and_separators_make_no_other_key(text: str) -> None:
    assert canonical_key(text.swapcase().replace("-", "_")) == canonical_key(text)


@given(text=st.text())
def test_any_text_is_shown_and_its_spelling_is_printable_ascii(text: str) -> None:
    spelling = spell_out(text).removeprefix(text)
    assert spelling.isascii()
    assert spelling.isprintable()


@pytest.mark.parametrize("key", ["\u212aey", "\u017fite"])
def test_a_letter_that_two_folds_take_for_another_still_differs_by_something(key: str) -> None:
    plain = key.replace("\u212a", "K").replace("\u017f", "s")  # the Kelvin sign and the long s
    assert canonical_key(key) == canonical_key(plain)
    assert set(variant_kinds([key, plain])) & {"width", "case", "look-alike"}

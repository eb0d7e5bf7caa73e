"""The page in Japanese: each fixed text, title and reason has its words, and nothing else is English on it."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, ClassVar

import jinja2
import pandas as pd
import pytest
from accounts import IAM_READS
from accounts import load as load_account
from builders import load, nested_role, profile, profile_list, role_detail, sample_result
from click.testing import CliRunner
from jinja2 import nodes

import iamframe
from iamframe.analysis import changed_findings, compare
from iamframe.checks import CHECKS, registry
from iamframe.errors import ReportError
from iamframe.inventory import schema
from iamframe.knowledge.operations import OPERATIONS
from iamframe.knowledge.surfaces import known_facts
from iamframe.messages.render import _catalogue, say
from iamframe.messages.text import SEVERITIES
from iamframe.practice import PracticeAccount
from iamframe.report import mask as masking
from iamframe.report import numbers, page, pictures, rows, translate
from iamframe.report.page import render_page
from iamframe.report.translate import Translator
from iamframe.ui.cli import app

EN, JA_TEXTS = (_catalogue(lang) for lang in ("en", "ja"))
JA = Translator("ja")
JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
# Two English words in a row, the second in lower case: no name of a service, operation or option reads so.
ENGLISH = re.compile(r"(?<![-\w])[A-Za-z]{2,} [a-z]{2,}")
TEMPLATE = jinja2.Environment().parse(Path(page.__file__).with_name("page.html.j2").read_text("utf-8"))

# The catalogue


def fixed(argument: nodes.Expr) -> Iterator[str]:
    """The texts that an argument of the template may be, where they stand in it."""
    if isinstance(argument, nodes.Const):
        yield argument.value
    elif isinstance(argument, nodes.CondExpr) and argument.expr2:
        yield from (*fixed(argument.expr1), *fixed(argument.expr2))


def said_by_template() -> set[str]:
    """The ids that the template names: of its own texts and of nouns."""
    ids = set()
    for call in TEMPLATE.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name == "_":
            ids |= {f"page.{one}" for one in fixed(call.args[0])}
        elif isinstance(call.node, nodes.Getattr) and call.node.attr == "n":
            ids |= {f"nouns.{one}" for one in fixed(call.args[1])}
    return ids


def said_by_code() -> set[str]:
    """The ids that the modules of the page name: of its own texts and of nouns."""
    ids = set()
    for module in (page, pictures, rows, translate):
        for call in ast.walk(ast.parse(Path(str(module.__file__)).read_text("utf-8"))):
            if isinstance(call, ast.Call):
                name = ast.unparse(call.func)
                if name in ("words", "self", "self.words") and call.args:
                    ids |= {f"page.{one}" for one in _fixed(call.args[0])}
                elif name in ("words.n", "self.n"):
                    ids |= {f"nouns.{one}" for one in _fixed(call.args[1])}
    return ids


def _fixed(argument: ast.expr) -> Iterator[str]:
    if isinstance(argument, ast.Constant):
        yield argument.value
    elif isinstance(argument, ast.IfExp):
        yield from (*_fixed(argument.body), *_fixed(argument.orelse))


def ids_of(part: str) -> set[str]:
    return {one for one in EN if one.startswith(f"{part}.")}


def test_every_text_that_the_page_names_is_there_and_none_is_left_over() -> None:
    named = said_by_template() | said_by_code()
    assert len(said_by_template()) > 50
    assert len(named) > 150
    assert named - EN.keys() == set()
    code = "".join(Path(str(module.__file__)).read_text("utf-8") for module in (page, pictures, masking))
    assert ids_of("page.script") == {f"page.script.{name}" for name in page._SCRIPT_TEXTS}
    listed = [one for part in ("words", "heads", "names", "script") for one in ids_of(f"page.{part}")]
    rest = ids_of("page") - named - {*listed}
    # These are named by the value of a column.
    rest = {one for one in rest if not one.startswith(("page.owner_", "page.cell_"))}
    assert {one for one in rest if f'"{one.removeprefix("page.")}"' not in code and f'"{one}"' not in code} == set()


def test_the_markup_in_the_code_of_the_page_has_no_text() -> None:
    code = ast.parse("".join(Path(str(module.__file__)).read_text("utf-8") for module in (pictures, translate)))
    calls = [call for call in ast.walk(code) if isinstance(call, ast.Call) and ast.unparse(call.func) == "Markup"]
    markup = [str(call.args[0].value) for call in calls if isinstance(call.args[0], ast.Constant)]
    assert len(markup) > 10
    assert [text for text in markup if re.search("[A-Za-z]", re.sub(r"<[^>]*>", "", text))] == []
    assert attributes("".join(markup)) == set()


def attributes(html: str) -> set[str]:
    """The words in attributes that people read, or that the script shows."""
    told = re.findall(r'(?:aria-label|placeholder|title|alt|data-[\w-]+)="([^"]*)"', html)
    return {text for text in told if re.search("[A-Za-z]", text)}


def test_the_template_has_no_text_that_is_not_in_the_catalogue() -> None:
    raw = "".join(data.data if isinstance(data, nodes.TemplateData) else "0" for data in _parts(TEMPLATE))
    assert re.findall(r"[A-Za-z]{2,}", re.sub(r"<[^>]*>", " ", raw)) == []
    assert attributes(raw) == set()


def _parts(node: nodes.Node) -> Iterator[nodes.Node]:
    """What an output of the template is made of, in the order in which it stands there."""
    for child in node.iter_child_nodes():
        if isinstance(child, nodes.Output):
            yield from child.nodes
        else:
            yield from _parts(child)


def test_every_fixed_text_of_the_script_comes_from_the_page() -> None:
    script = Path(page.__file__).with_name("page.js").read_text("utf-8")
    code = re.sub(r"^\s*//.*$", "", script, flags=re.MULTILINE)
    code = re.sub(r"\$\{[^}]*\}", "", code)
    texts = {text for pair in re.findall(r'"([^"\n]*)"|`([^`\n]*)`', code) for text in pair}
    no_words = {
        'test "$(aws sts get-caller-identity --query Account --output text)" =  &&\\n',
        "use strict",
        "table, thead, tbody, tr, th, td",
        "Escape",
    }
    assert {text for text in texts if re.search(r"[a-z]{2,},? [a-z]|^[A-Z][a-z]", text)} - no_words == set()


def test_each_text_of_the_page_has_the_same_markup_in_both_languages() -> None:
    for one in ids_of("page"):
        english, japanese = (str(text if isinstance(text, str) else text["other"]) for text in (EN[one], JA_TEXTS[one]))
        for pattern in (r"\{[\w:-]*\}", r"`[^`]+`", r"</?\w+[^>]*>"):
            assert sorted(re.findall(pattern, english)) == sorted(re.findall(pattern, japanese)), one
        assert JAPANESE.search(japanese) or not ENGLISH.search(english), one


# A check without its Japanese is said in English; `test_render` lists what is.
OWN = [name for name in CHECKS if f"checks.{name}.title" in JA_TEXTS]
IN_ENGLISH = {
    paragraph
    for name, check in CHECKS.items()
    for what in ("title", "why", "remediation")
    if f"checks.{name}.{what}" not in JA_TEXTS
    for paragraph in str(getattr(check, what)).split("\n\n")
}


@pytest.mark.parametrize("name", OWN)
def test_every_check_has_a_title_and_a_reason_in_japanese(name: str) -> None:
    for what, text in (("title", CHECKS[name].title), ("why", CHECKS[name].why)):
        said = str(JA_TEXTS[f"checks.{name}.{what}"])
        assert JAPANESE.search(said)
        assert sorted(re.findall("`[^`]+`", said)) == sorted(re.findall("`[^`]+`", text))


def test_every_word_that_stands_in_a_column_has_its_japanese() -> None:
    reasons = next(column for column in schema.FRAMES["gaps"].columns if column.name == "reason")
    facts = known_facts()
    words = {
        *(kind for kind in numbers.RELATIONS if kind not in ("same", "different")),
        *SEVERITIES,
        *registry.STATUSES,
        *("maybe", "in scope", "expected", "accepted"),
        *reasons.meaning.split(", "),
        *(fact.operation for fact in facts),
        *(fact.answer for fact in facts if fact.answer != "depends"),
    }
    assert words - {one.removeprefix("page.words.") for one in JA_TEXTS} == set()
    assert {fact.condition_id for fact in facts if fact.condition} == {
        one.removeprefix("surfaces.") for one in JA_TEXTS if one.startswith("surfaces.")
    }
    assert ids_of("page.names") == {f"page.names.{kind}" for kind in (*numbers.RELATIONS, "unread")}
    kinds = {*compare.KINDS, *(f"finding_{way}" for way in changed_findings.WAYS)}
    assert ids_of("changes.kind") == {f"changes.kind.{kind}" for kind in kinds}
    assert ids_of("changes.count") == {f"changes.count.{kind}" for kind in compare.KINDS}
    assert ids_of("changes.findings") == {f"changes.findings.{way}" for way in changed_findings.WAYS}
    assert JA_TEXTS["page.words.Tag Editor"] == "タグエディタ"


# Composed sentences


def in_japanese(result: iamframe.Result) -> set[str]:
    """The reasons that hold English outside of commands, as the page in Japanese shows them."""
    reasons = set(JA.reasons(result.coverage)) - {""}
    assert all(map(JAPANESE.search, reasons))
    return {reason for reason in reasons if ENGLISH.search(re.sub("`[^`]*`", "", reason))}


@pytest.fixture(scope="module")
def account() -> Iterator[PracticeAccount]:
    with PracticeAccount(regions=("us-east-1",)) as opened:
        opened.fill(roles=6, profiles=6)
        yield opened


@pytest.mark.parametrize(
    "denied", [*IAM_READS, "DescribeInstances", "DescribeRegions", "DescribeLaunchTemplateVersions"]
)
def test_whatever_is_denied_the_reasons_are_japanese(account: PracticeAccount, denied: str) -> None:
    account.deny(denied)
    try:
        result = iamframe.run_checks(load_account(account, references=True))
    finally:
        account.allow()
    assert in_japanese(result) == set()


@pytest.mark.parametrize("given", [{}, {"references": True}, {"references": True, "regions": ["us-east-1"]}])
def test_an_account_of_which_nothing_but_its_alias_is_readable_has_japanese_reasons(
    account: PracticeAccount, given: dict[str, Any]
) -> None:
    for operation in {read.operation for read in OPERATIONS} - {"GetCallerIdentity", "ListAccountAliases"}:
        account.deny(operation)
    try:
        result = iamframe.run_checks(load_account(account, **given))
    finally:
        account.allow()
    assert "complete" not in set(result.coverage["status"])
    assert in_japanese(result) == set()
    assert english_on(render_page(result, lang="ja")) == []


DOCUMENTS: dict[str, Any] = {
    "profiles alone": {"p.json": profile_list(profile("a"), profile("web", nested_role("portal")))},
    "roles alone": {"r.json": {"Roles": [role_detail("web", [])]}},
    "nothing of anybody": {"d.json": {"Reservations": []}},
}


@pytest.mark.parametrize("documents", DOCUMENTS.values(), ids=DOCUMENTS)
def test_files_that_show_a_part_have_japanese_reasons(tmp_path: Path, documents: dict[str, Any]) -> None:
    result = iamframe.run_checks(load(tmp_path, documents))
    assert in_japanese(result) == set()
    assert english_on(render_page(result, lang="ja")) == []


def test_a_reason_is_rendered_of_its_message_and_a_gap_of_its_own() -> None:
    advice = {"message": "coverage.advice.GetAccountSummary", "command": "aws iam get-account-summary"}
    refusal = {"message": "coverage.refused", "operation": "ListRoles", "reason": "denied"}
    frame = pd.DataFrame(
        {
            "message": ["coverage.roles.not_all", "coverage.gap", "coverage.gap", ""],
            # Of a snapshot of an older version a gap is a text.
            "facts": [
                json.dumps({"refusal": refusal, "advice": advice}),
                '{"detail":{"message":"gaps.advice.again"}}',
                '{"detail":"say \\"x\\""}',
                "{}",
            ],
            "reason": ["one", "two", "three", ""],
        }
    )
    assert JA.reasons(frame).tolist() == [
        "読み取れなかったロールがあります (ListRoles が拒否されました)。`aws iam get-account-summary` で確認できます",
        "もう一度読み込んでください",
        'say "x"',
        "",
    ]
    assert Translator("en").reasons(frame).tolist() == ["one", "two", "three", ""]


def counted(said: str, **counts: int) -> list[dict[str, Any]]:
    return [{"message": f"{said}.{one}", "n": n} for one, n in counts.items()]


CHANGED, FOUND = "作成 2 件、信頼ポリシーの変更 1 件", "検出結果: 新規 1,203 件、解消 1 件"


@pytest.mark.parametrize(
    ("message", "facts", "told"),
    [
        (
            "coverage.profiles.not_held",
            {"missing": 3, "total": 1},
            "プロファイル 1 個のうち 3 個は、何が入っているか不明です",
        ),
        (
            "not_compared.unread",
            {"of": {"message": "not_compared.of", "kind": "profile", "total": 5}, "missing": 2, "sides": "OLD NEW"},
            "プロファイル 5 個のうち 2 個は、OLD でも NEW でも収集されていません",
        ),
        (
            "not_compared.coverage",
            {"sides": "OLD", "reason": {"message": "coverage.renew"}},
            "OLD: 認証情報を更新して、もう一度読み込んでください",
        ),
        ("changes.sentence.kinds", {"kinds": counted("changes.count", created=2, trust_changed=1)}, CHANGED),
        ("changes.sentence.findings", {"ways": counted("changes.findings", new=1203, gone=1)}, FOUND),
    ],
)
def test_numbers_and_nouns_of_a_message_stand_in_their_places(message: str, facts: dict[str, Any], told: str) -> None:
    assert say(message, "ja", **facts) == told


# The page


class Texts(HTMLParser):
    """The texts of a page outside commands, details, and the columns that hold what AWS says."""

    SKIPPED = ("code", "style", "script")
    # By class of the table, the columns that hold names, ids and details.
    DATA: ClassVar[dict[str, tuple[int, ...]]] = {
        "findings": (1, 2, 3),
        "changes": (1, 3, 4),
        "apart": (0,),
        "quota": (0, 1),
        "gaps": (0, 2, 3, 5),
    }

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.kind = ""
        self.cell = -1
        self.is_data = False
        self.within: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.texts += [given[name] for name in ("aria-label", "placeholder", "data-label") if name in given]
        if tag == "table":
            self.kind = next((kind for kind in self.DATA if kind in given["class"].split()), "")
        elif tag == "tr":
            self.cell = -1
        elif tag == "td":
            self.cell += 1
            of_finding = self.kind == "findings" and self.cell > 3 and given.get("class") != "how"
            self.is_data = of_finding or self.cell in self.DATA.get(self.kind, ())
        elif tag in ("section", "thead"):
            self.is_data = False
        elif tag in self.SKIPPED:
            self.within.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("tr", "table"):
            self.is_data = False
        elif tag in self.SKIPPED:
            self.within.pop()

    def handle_data(self, data: str) -> None:
        if data.strip() and not self.is_data and not self.within:
            self.texts.append(data.strip())


def english_on(html: str) -> list[str]:
    """The texts of a page that are English."""
    parser = Texts()
    parser.feed(html)
    assert len(parser.texts) > 50
    return [text for text in parser.texts if ENGLISH.search(text) and not any(one in text for one in IN_ENGLISH)]


def test_the_english_page_is_all_english() -> None:
    html = render_page(sample_result())
    assert '<html lang="en">' in html
    # The name of an owner is data.
    assert not JAPANESE.search(html[html.index("<body>") :].replace("基盤チーム", ""))
    assert len(english_on(html)) > 150


def test_the_japanese_page_of_the_sample_has_no_english_sentence_but_details_and_commands() -> None:
    html = render_page(sample_result(), lang="ja")
    assert '<html lang="ja">' in html
    assert english_on(html) == []
    assert "<td>タグがありません<td>" in html
    assert "aws iam delete-instance-profile" in html


def gaps_on(html: str) -> list[str]:
    """What a page says in the last column of its gaps."""
    table = html[html.index('<table class="cards gaps">') :]
    rows = re.findall(r"<tr><td>.*?</tr>", table[: table.index("</table>")], re.DOTALL)
    return [unescape(row.removesuffix("</tr>").rpartition("<td>")[2]) for row in rows]


def test_the_japanese_page_tells_gaps_in_japanese(tmp_path: Path) -> None:
    told = gaps_on(render_page(sample_result(), lang="ja"))
    assert (
        told[0]
        == "ファイルの作成者に対して、AWS が eu-west-1 の DescribeInstances に UnauthorizedOperation を返しました"
    )
    assert told[11] == (
        "起動テンプレートのバージョンがファイルにありません。各リージョンの "
        "`aws ec2 describe-launch-template-versions --versions '$Latest' '$Default'` の出力で確認できます"
    )
    documents = {
        "r.json": {"Roles": [nested_role("web", MaxSessionDuration=3600)], "NextToken": "more"},
        "s.json": {"Roles": [nested_role("web", MaxSessionDuration=7200)]},
        "p.json": profile_list(profile("a"), profile("web", nested_role("portal"))),
        "q.json": {"InstanceProfile": profile("web")},
        "x.json": "[1]",
        "y.json": {"Roles": None},
        "t.json": {"Tags": []},
    }
    result = iamframe.run_checks(load(tmp_path, documents))
    told = gaps_on(render_page(result, lang="ja"))
    assert len(told) == len(result.inventory.gaps) > 15
    assert [text for text in told if not JAPANESE.search(text) or ENGLISH.search(re.sub("`[^`]*`", "", text))] == []
    details = result.inventory.gaps["detail"].str.replace(str(tmp_path), tmp_path.name, regex=False)
    assert gaps_on(render_page(result)) == details.tolist()


def test_the_japanese_page_of_changes_has_no_english_sentence(tmp_path: Path) -> None:
    ec2 = role_detail("web", [])
    old = load(
        tmp_path / "old",
        {
            "p.json": profile_list(profile("a"), profile("b", nested_role("r")), profile("c")),
            "r.json": {"Roles": [ec2]},
        },
    )
    new = load(tmp_path / "new", {"p.json": profile_list(profile("a", nested_role("r")), profile("d"))})
    found = iamframe.compare(old, new)
    assert len(found.changes) >= 2
    assert len(found.not_compared) >= 2
    html = render_page(iamframe.run_checks(new), changes=found, lang="ja")
    assert english_on(html) == []
    sample = iamframe.load_sample()
    both = iamframe.compare(sample, load(tmp_path / "other", {"p.json": profile_list(profile("a"))}))
    drift = iamframe.drift(sample, "sample:terraform")
    assert english_on(render_page(both.new, changes=both, drift=drift, lang="ja")) == []


def test_a_masked_report_says_so_in_japanese(tmp_path: Path) -> None:
    written = iamframe.write_report(sample_result(), tmp_path, lang="ja", mask=True)
    assert english_on(written.read_text("utf-8")) == []
    assert "マスク済み" in written.read_text("utf-8")


def test_only_the_page_is_in_another_language(tmp_path: Path) -> None:
    result = sample_result()
    for lang in ("en", "ja"):
        iamframe.write_report(result, tmp_path / lang, lang=lang)
    files = {lang: {f.name: f.read_bytes() for f in (tmp_path / lang).rglob("*.*")} for lang in ("en", "ja")}
    assert {name for name in files["en"] if files["en"][name] != files["ja"][name]} == {"report.html"}
    assert files["en"].keys() == files["ja"].keys()


def test_the_command_line_takes_the_language(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["report", "sample", "--lang", "ja", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert '<html lang="ja">' in (tmp_path / "report.html").read_text("utf-8")


def test_a_language_that_the_page_is_not_written_in_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"^lang='de': .*there are en, ja$"):
        iamframe.write_report(sample_result(), tmp_path / "out", lang="de")
    assert not (tmp_path / "out").exists()

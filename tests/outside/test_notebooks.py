"""The notebooks, run as people run them: in JupyterLab, by papermill on files of their own, and as they are stored."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from builders import dump, identity, nested_role, profile, profile_list, role_detail, write
from commands import run
from conftest import needed
from labs import environment
from shells import execute

import iamframe
from iamframe import messages

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guides" / "notebooks.md").read_text("utf-8")
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

# They make what they read.
PRACTICE, CLEAN_UP = (ROOT / "notebooks" / name for name in ("08_practice_account.ipynb", "09_clean_up.ipynb"))
OF_A_SOURCE = [path for path in NOTEBOOKS if path not in (PRACTICE, CLEAN_UP)]

each_notebook = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
each_of_a_source = pytest.mark.parametrize("notebook", OF_A_SOURCE, ids=[path.stem for path in OF_A_SOURCE])


def cells(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text("utf-8"))["cells"]  # type: ignore[no-any-return]


def code_cells(path: Path) -> list[dict[str, Any]]:
    return [cell for cell in cells(path) if cell["cell_type"] == "code"]


def sources(path: Path) -> str:
    return "\n".join("".join(cell["source"]) for cell in code_cells(path))


# As they are stored


def test_there_are_these_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == [
        "00_tour",
        "01_orphaned_profiles",
        "02_untagged_profiles",
        "03_name_mismatches",
        "04_investigate_one",
        "05_trust_and_profiles",
        "06_changes",
        "07_your_own_account",
        "08_practice_account",
        "09_clean_up",
    ]


@each_notebook
def test_a_notebook_begins_with_its_question_its_reader_and_the_source_to_change(notebook: Path) -> None:
    title, parameters, setup = cells(notebook)[:3]
    assert re.match(r"# .+\n\n\*\*.+\?\*\*\n\nFor .+\. A \d-minute read\.\n", "".join(title["source"]))
    assert parameters["metadata"]["tags"] == ["parameters"]
    changed = 'SOURCE = "sample"' if notebook in OF_A_SOURCE else 'ACCOUNT_ID = "123456789012"'
    assert parameters["source"][0].startswith(changed)
    assert setup["cell_type"] == "code"
    tags = [tag for cell in cells(notebook)[2:] for tag in cell["metadata"].get("tags", [])]
    assert set(tags) <= {"nbval-ignore-output", "hide-input"}


def test_all_notebooks_are_read_in_less_than_twenty_minutes_and_each_says_in_how_many() -> None:
    words, told = {}, {}
    for notebook in NOTEBOOKS:
        text = " ".join("".join(cell["source"]) for cell in cells(notebook) if cell["cell_type"] == "markdown")
        words[notebook.stem] = len(text.split())
        (told[notebook.stem],) = map(int, re.findall(r"A (\d)-minute read\.\n", text))
    assert sum(words.values()) / 220 < 20
    assert told == pytest.approx({stem: number / 220 for stem, number in words.items()}, abs=0.8)
    assert sum(told.values()) < 20


def test_nothing_stands_in_two_notebooks_but_the_import_and_the_sentence_on_coverage() -> None:
    pieces = [
        {
            piece
            for cell in cells(notebook)[2:]
            for piece in "".join(cell["source"]).split("\n\n")
            if len(piece) > 60 and "inventory = iamframe.load(SOURCE)" not in piece and "`complete`" not in piece
        }
        for notebook in NOTEBOOKS
    ]
    assert [one & other for one, other in itertools.combinations(pieces, 2) if one & other] == []


@each_notebook
def test_a_sentence_about_the_sample_says_that_it_is_one(notebook: Path) -> None:
    """Whoever names another source reads the same sentences: what holds for the sample alone is an instance."""
    known = iamframe.load_sample().accounts[["account_id", "account_name"]].to_numpy().ravel()
    texts = ["".join(cell["source"]) for cell in cells(notebook)[1:] if cell["cell_type"] == "markdown"]
    sentences = [sentence for text in texts for sentence in text.replace("\n", " ").split(". ")]
    of_it = [sentence for sentence in sentences if any(word in sentence for word in known)]
    assert [sentence for sentence in of_it if not re.search("for instance|[Tt]he sample", sentence)] == []


@each_notebook
def test_a_notebook_shows_how_far_its_tables_can_be_trusted(notebook: Path) -> None:
    source = "\n".join("".join(cell["source"]) for cell in code_cells(notebook))
    assert re.search(r"\.(coverage|summary|not_compared)\b", source)


@each_notebook
def test_a_notebook_shows_tables_and_keeps_no_widget(notebook: Path) -> None:
    """A widget is shown by a running JupyterLab alone."""
    shown = [output.get("data", {}) for cell in code_cells(notebook) for output in cell["outputs"]]
    assert sum("<table" in "".join(data.get("text/html", "")) for data in shown) >= 3
    assert not [kind for data in shown for kind in data if "widget" in kind]


def test_each_plot_stands_in_one_notebook_only_and_the_tour_shows_the_explorer() -> None:
    drawn = [name for notebook in NOTEBOOKS for name in re.findall(r"iamframe\.plots\.(\w+)\(", sources(notebook))]
    assert sorted(drawn) == sorted(iamframe.plots.__all__)
    assert "iamframe.explore(result)" in sources(NOTEBOOKS[0])


WITH_REPORT = {"00_tour", "06_changes", "07_your_own_account"}


def test_these_notebooks_write_a_report_beside_their_folder_and_show_where() -> None:
    assert {path.stem for path in NOTEBOOKS if "write_report" in sources(path)} == WITH_REPORT
    for stem in WITH_REPORT:
        first, *_, last = code_cells(named(stem))
        (folder,) = re.findall(r'^OUT = "(\.\./iamframe-report/\w+)"$', "".join(first["source"]), re.MULTILINE)
        assert last["outputs"][0]["data"]["text/plain"] == [f"'{folder}/report.html'"]


@each_notebook
def test_a_notebook_shows_nothing_that_jupyterlab_would_set_as_a_formula(notebook: Path) -> None:
    """Names and commands may hold `$`, and JupyterLab sets what stands between two of them, but for such tables."""
    shown = [output.get("data", {}) for cell in code_cells(notebook) for output in cell["outputs"]]
    pieces = re.findall(r"<(?:table|p|h4)\b[^>]*>", "".join("".join(data.get("text/html", "")) for data in shown))
    assert pieces
    assert [piece for piece in pieces if "mathjax_ignore" not in piece] == []
    assert not [data for data in shown if {"text/markdown", "text/latex"} & set(data)]


@each_notebook
def test_code_of_a_notebook_belongs_in_the_package(notebook: Path) -> None:
    source = "\n".join("".join(cell["source"]) for cell in code_cells(notebook))
    assert "def " not in source
    assert "iterrows" not in source


@each_notebook
def test_a_stored_notebook_says_nothing_of_the_machine_that_ran_it(notebook: Path) -> None:
    content = json.loads(notebook.read_text("utf-8"))
    assert content["metadata"] == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    assert not [
        output
        for cell in code_cells(notebook)
        for output in cell["outputs"]
        if output["output_type"] == "stream" and output["name"] == "stderr"
    ]


def sections(notebook: Path) -> dict[str, str]:
    """What the cells below each heading show, as plain text, with single spaces."""
    shown: dict[str, str] = {}
    heading = ""
    for cell in cells(notebook):
        if cell["cell_type"] == "markdown":
            heading = [heading, *re.findall(r"^## (.*)$", "".join(cell["source"]), re.MULTILINE)][-1]
        for output in cell.get("outputs", []):
            text = "".join(output.get("text") or output["data"]["text/plain"])
            shown[heading] = shown.get(heading, "") + re.sub(" +", " ", text) + "\n"
    return shown


PROFILE = "arn:aws:iam::123456789012:instance-profile/"
# What each step shows, in whole lines; below, what is stored is held to what a run shows.
NEW = "holds no role (the profile was less than a day old when the data was collected)"
STEPS = {
    "1. One name, two resources": ["arn:aws:iam::123456789012:role/web, id AROA…", f"{PROFILE}web, id AIPA…"],
    "2. `CreateInstanceProfile` creates a profile without a role": [
        f"medium empty_profiles instance-profile web {NEW}",
        "low ec2_roles_without_profile role web trusts EC2 and is in no instance profile; the role has no policies",
    ],
    "3. EC2 needs a profile that holds the role": ["The instance makes AWS requests as the role web"],
    "4. EC2 cannot use a role that trusts only EKS": [
        "web True Success",
        "high eks-cluster certain the profile's role eks-cluster trusts eks.amazonaws.com, not EC2",
    ],
    "5. The profile does not get the role's tags": [
        "web web Owner=web-team True",
        'aws iam tag-instance-profile --instance-profile-name=web --tags=\'[{"Key":"Owner","Value":"web-team"}]\'',
    ],
    "6. A second tag with the same key replaces the first": [
        "Owner=web-team Owner=web-team Owner=web-team",
        "Owner=payments Owner=payments Owner=payments",
        "owner=shop owner=shop Owner=payments, owner=shop",
        "low tag_key_variants owner the key has spellings that differ by case: owner (2 resources), Owner (1 resource)",
    ],
    "7. Take the role out of the profile before you delete either": [
        f"high stale_references running uses the profile {PROFILE}eks-cluster, which does not exist"
    ],
    "8. Cloud9's role and profile have different names and paths": [
        f"found by the link from role to profile: {PROFILE}cloud9/AWSCloud9SSMInstanceProfile",
        "/cloud9/ AWSCloud9SSMInstanceProfile /service-role/ AWSCloud9SSMAccessRole True True",
    ],
    "9. Which API calls return tags": [
        f"{name} no no no no" for name in ("ListRoles", "tag:GetResources in eu-west-1")
    ],
    "10. Which requests iamframe sends": [
        "writes: 0",
        "GetInstanceProfile 3 3",
        "incomplete checks: missing_required_tags",
        f"medium empty_profiles left-behind certain {NEW}",
        "medium untagged_profiles left-behind certain has no tags, and holds no role",
    ],
}


@pytest.mark.parametrize("heading", STEPS)
def test_each_step_of_practice_shows_what_it_is_about(heading: str) -> None:
    lines = [line.strip() for line in sections(PRACTICE)[heading].splitlines()]
    assert [line for line in STEPS[heading] if line not in lines] == []


def test_practice_has_these_steps_no_assertions_and_closes_its_account_in_the_end() -> None:
    assert list(sections(PRACTICE)) == list(STEPS)
    for notebook in (PRACTICE, CLEAN_UP):
        assert "assert " not in sources(notebook)
        assert code_cells(notebook)[-1]["source"] == ["account.close()"]


def test_practice_shows_a_role_without_keys_and_nothing_of_what_was_deleted_in_the_end() -> None:
    shown = sections(PRACTICE)
    assert "eks-cluster False AssumeRoleUnauthorizedAccess" in shown["4. EC2 cannot use a role that trusts only EKS"]
    assert not re.search("stale_references|profiles_without_ec2_trust", shown["10. Which requests iamframe sends"])
    assert shown["4. EC2 cannot use a role that trusts only EKS"].count("eks-cluster certain") == 1


def test_practice_shows_which_call_shows_what() -> None:
    """`yes` stands below the first letter of its column."""
    (table,) = [
        "".join(output["data"]["text/plain"])
        for cell in code_cells(PRACTICE)
        for output in cell["outputs"]
        if "profiles without a role" in "".join(output.get("data", {}).get("text/plain", ""))
    ]
    head, *rows = table.splitlines()
    shows = {
        what: [row.split("  ")[0] for row in rows if row[head.index(what) :].startswith("yes")]
        for what in ("role tags", "profile tags", "link", "profiles without a role")
    }
    details, index = "GetAccountAuthorizationDetails", "tag:GetResources in us-east-1"
    assert shows == {
        "role tags": ["GetRole", "ListRoleTags", details],
        "profile tags": ["GetInstanceProfile", "ListInstanceProfileTags", index],
        "link": ["ListInstanceProfiles", "ListInstanceProfilesForRole", "GetInstanceProfile", details],
        "profiles without a role": ["ListInstanceProfiles"],
    }


def test_the_clean_up_shows_a_run_without_a_refusal_what_it_settled_and_an_undo_that_leaves_the_ids_alone() -> None:
    shown = sections(CLEAN_UP)
    planned = ["batch tag", "web tag", "old-web delete", "report remove-role", "report delete"]
    lines = shown["What is planned, and why"].splitlines()[1:]
    assert [" ".join(line.split()[:2]) for line in lines if line] == planned
    left = [line.split()[:2] for line in shown["Why the script leaves some findings alone"].splitlines()[1:] if line]
    assert left == [["tag_differences", "search"], ["unreferenced_profiles", "AmazonSSMRoleForInstancesQuickSetup"]]
    done = shown["Run it"].splitlines()
    assert "exit status 0" in done
    assert [line.split()[1] for line in done if line.startswith("gone ")] == [
        "empty_profiles",
        "tag_differences",
        "unreferenced_profiles",
        "untagged_profiles",
    ]
    assert [line for line in done if line.startswith("new ")] == ["new ec2_roles_without_profile report"]
    undone = shown["Undo it"].splitlines()
    assert "exit status 0" in undone
    changes = [line.split() for line in undone[undone.index("change resource_type resource_name") + 1 :] if line]
    assert changes == [["recreated", "instance-profile", "old-web"], ["recreated", "instance-profile", "report"]]


IN_PROFILE = "Cannot delete entity, must remove roles from instance profile first."
EMPTY = 'IAM Instance Profile "arn:aws:iam::123456789012:instance-profile/web" has no associated IAM Roles'


@pytest.mark.parametrize(
    ("code", "operation", "words"),
    [
        ("InvalidParameterValue", "RunInstances", EMPTY),
        ("LimitExceeded", "AddRoleToInstanceProfile", "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1"),
        ("DeleteConflict", "DeleteRole", IN_PROFILE),
        ("DeleteConflict", "DeleteInstanceProfile", IN_PROFILE),
        (
            "NoSuchEntity",
            "RemoveRoleFromInstanceProfile",
            "Role eks-cluster in Instance Profile eks-cluster cannot be found.",
        ),
        ("NoSuchEntity", "GetInstanceProfile", "Instance Profile AWSCloud9SSMAccessRole cannot be found."),
    ],
)
def test_practice_shows_refusals_in_the_words_of_aws(code: str, operation: str, words: str) -> None:
    shown = [output.get("text", []) for cell in code_cells(PRACTICE) for output in cell["outputs"]]
    lines = "".join(itertools.chain.from_iterable(shown)).splitlines()
    refusal = f"An error occurred ({code}) when calling the {operation} operation: {words}"
    assert refusal in [line[line.find("An error") :] for line in lines]


def test_each_notebook_leads_to_the_next() -> None:
    for notebook, following in itertools.pairwise(NOTEBOOKS):
        text = "".join("".join(cell["source"]) for cell in cells(notebook))
        assert f"({following.name})" in text


# What differs from one run to the next.
VARIES = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}|A(?:ROA|IPA)[A-Z0-9]{16,}")


def differing_cells(notebook: Path, folder: Path) -> list[int]:
    """Run a notebook as it is stored, in a folder, and return the cells that show something else than is stored.

    The bytes of a picture are those of one version of matplotlib, so that only whether there is one is compared.
    """
    (folder / "notebooks").mkdir()
    execute(notebook, folder / "done.ipynb", {}, folder / "notebooks")
    both = zip(code_cells(notebook), code_cells(folder / "done.ipynb"), strict=True)
    return [at for at, (stored, now) in enumerate(both) if shown_by(stored) != shown_by(now)]


def shown_by(cell: dict[str, Any]) -> list[dict[str, str]]:
    """What a cell shows, by kind: the text, where it is text that is the same in each run."""
    if "nbval-ignore-output" in cell["metadata"].get("tags", []):
        return []
    outputs = [output.get("data") or {output["name"]: output["text"]} for output in cell["outputs"]]
    return [
        {kind: "" if kind == "image/png" else VARIES.sub("", "".join(text)) for kind, text in data.items()}
        for data in outputs
    ]


# The tour and those that make what they read are run from start to end in `test_jupyterlab.py`.
@pytest.mark.parametrize("notebook", OF_A_SOURCE[1:], ids=lambda path: path.stem)
def test_a_notebook_shows_what_is_stored_in_it(notebook: Path, tmp_path: Path) -> None:
    assert differing_cells(notebook, tmp_path) == []


def test_a_stored_output_that_went_stale_fails(tmp_path: Path) -> None:
    text = named("03_name_mismatches").read_text("utf-8")
    stale = text.replace("holds the role billing-role", "held the role billing-role")
    write(tmp_path, {"stale.ipynb": stale})
    assert differing_cells(tmp_path / "stale.ipynb", tmp_path) == [4]


# On files of one's own

OWN_FILES = {
    "profiles alone": {"list-instance-profiles.json": profile_list(profile("left"))},
    "an account dump alone": {"dump.json": dump(role_detail("web", [profile("web")], {"Owner": "ops"}))},
    "both lists": {
        "list-roles.json": {"Roles": [nested_role("web"), nested_role("lone")]},
        "list-instance-profiles.json": profile_list(profile("web", nested_role("web")), profile("left")),
        "get-caller-identity.json": identity(),
    },
}


@each_of_a_source
@pytest.mark.parametrize("source", ["profiles alone", "an account dump alone"])
def test_a_notebook_runs_with_another_source(notebook: Path, source: str, tmp_path: Path) -> None:
    told = shown_text(run_on(OWN_FILES[source], notebook, tmp_path))
    assert f"Inventory(1 account, {iamframe.load_files(tmp_path / 'own').roles.shape[0]} role" in told
    if notebook.stem in WITH_REPORT:
        summary = json.loads((tmp_path / "report" / "summary.json").read_text("utf-8"))
        assert summary["accounts"] == ["000000000001"]


def test_a_notebook_runs_by_the_command_of_papermill_as_the_guide_has_it(tmp_path: Path) -> None:
    needed(find_spec("papermill"), "papermill", "pip install 'iamframe[notebooks]'")
    command = re.search(r"papermill (notebooks/\S+) (\S+) -p SOURCE dumps -p OUT my-report", GUIDE)
    assert command is not None
    write(tmp_path / "dumps", OWN_FILES["both lists"])
    given = [*command[0].split()[1:], "-k", "python3"]
    given[0] = str(ROOT / given[0])
    done = subprocess.run(
        [sys.executable, "-m", "papermill", *given],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / command[2]).exists()
    summary = json.loads((tmp_path / "my-report" / "summary.json").read_text("utf-8"))
    assert summary["accounts"] == ["000000000001"]


def test_practice_runs_with_another_account(tmp_path: Path) -> None:
    told = shown_text(run_with(PRACTICE, tmp_path, ACCOUNT_ID="111122223333"))
    assert "arn:aws:iam::111122223333:role/web" in told
    assert "123456789012" not in told


def test_last_use_that_nobody_read_is_not_shown_as_no_use(tmp_path: Path) -> None:
    consumers = ("Reservations", "LaunchTemplateVersions", "LaunchConfigurations", "AutoScalingGroups")
    never, unread = nested_role("never"), nested_role("unread")
    documents = {f"eu-west-1/{name}.json": {name: []} for name in consumers} | {
        "list-instance-profiles.json": profile_list(profile("never", never), profile("unread", unread)),
        "get-role.json": {"Role": never | {"RoleLastUsed": {}}},
    }
    notebook = run_on(documents, named("01_orphaned_profiles"), tmp_path)
    (table,) = [
        "".join(output["data"]["text/plain"])
        for cell in code_cells(notebook)
        for output in cell["outputs"]
        if "last_used" in "".join(output.get("data", {}).get("text/plain", ""))
    ]
    assert [line.split() for line in table.splitlines()[1:]] == [
        ["000000000001", "never", "no", "use", "in", "400", "days"],
        ["000000000001", "unread", "not", "collected"],
    ]


def test_where_tags_were_not_read_nothing_is_said_to_be_in_order(tmp_path: Path) -> None:
    notebook = run_on(OWN_FILES["both lists"], NOTEBOOKS[2], tmp_path)
    said = "".join(
        "".join(output["text"])
        for cell in code_cells(notebook)
        for output in cell["outputs"]
        if output["output_type"] == "stream"
    )
    assert said.splitlines()[1:] == ["none in the collected data"]


def test_a_name_given_is_told_of_and_one_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    write(tmp_path / "own", OWN_FILES["both lists"])
    own = str(tmp_path / "own")
    told = shown_text(run_with(named("04_investigate_one"), tmp_path, SOURCE=own, NAME="lone"))
    assert "== role lone ==" in told
    told = shown_text(run_with(named("04_investigate_one"), tmp_path, SOURCE=own, NAME="gone"))
    said = (
        "no collected profile or role has this name, ARN or id (searched: 2 instance profiles and 2 roles in 1 account)"
    )
    assert said in told


def test_two_sources_are_compared(tmp_path: Path) -> None:
    write(tmp_path / "own", OWN_FILES["both lists"])
    later = {"list-roles.json": {"Roles": [nested_role("web"), nested_role("made")]}}
    write(tmp_path / "later", OWN_FILES["both lists"] | later)
    given = {"EARLIER": str(tmp_path / "own"), "SOURCE": str(tmp_path / "later")}
    told = shown_text(run_with(named("06_changes"), tmp_path, **given))
    changed = [line.split()[:4] for line in told.splitlines() if line.startswith(("created", "deleted"))]
    changed = [line for line in changed if "000000000001" in line]
    assert changed == [["created", "000000000001", "role", "made"], ["deleted", "000000000001", "role", "lone"]]
    assert (tmp_path / "report" / "changes.csv").exists()


def test_what_was_denied_becomes_the_policy_to_ask_for(tmp_path: Path) -> None:
    denied = "operation,subject,error_code\nListInstanceProfileTags,web,AccessDenied\n"
    told = shown_text(run_on(OWN_FILES["both lists"] | {"denied.csv": denied}, named("07_your_own_account"), tmp_path))
    (policy,) = re.findall(r"^\{\n.*?^\}$", told, re.MULTILINE | re.DOTALL)
    (statement,) = json.loads(policy)["Statement"]
    assert statement["Action"] == ["iam:ListInstanceProfileTags"]


def test_the_failures_that_a_notebook_explains_are_said_in_these_words() -> None:
    text = "".join(itertools.chain.from_iterable(cell["source"] for cell in cells(named("07_your_own_account"))))
    table = re.search(r"\| message .*?\n\n", text, re.DOTALL)
    assert table is not None
    said = re.findall(r"^\| (.*?) \|", table[0], re.MULTILINE)[2:]
    code = (Path(messages.__file__).parent / "en.toml").read_text(encoding="utf-8")
    assert len(said) == 5
    assert [words for words in said if words not in code] == []


def named(stem: str) -> Path:
    return next(path for path in NOTEBOOKS if path.stem == stem)


def shown_text(notebook: Path) -> str:
    """Return all that the cells of a notebook show, as plain text."""
    outputs = [output for cell in code_cells(notebook) for output in cell["outputs"]]
    return "\n".join("".join(output.get("text") or output["data"]["text/plain"]) for output in outputs)


def run_on(documents: dict[str, Any], notebook: Path, folder: Path) -> Path:
    """Run a notebook on documents, and return the notebook that it made."""
    write(folder / "own", documents)
    return run_with(notebook, folder, SOURCE=str(folder / "own"))


def run_with(notebook: Path, folder: Path, **parameters: str) -> Path:
    """Run a notebook in this process with the parameters that papermill puts in, and return what it made."""
    needed(find_spec("papermill"), "papermill", "pip install 'iamframe[notebooks]'")
    made = folder / "done.ipynb"
    execute(notebook, made, parameters | {"OUT": str(folder / "report")}, folder)
    return made


def test_a_copy_runs_where_it_is_and_writes_nothing_beside_its_folder(tmp_path: Path) -> None:
    needed(find_spec("papermill"), "papermill", "pip install 'iamframe[notebooks]'")
    run(tmp_path, "notebooks", "work")
    for file in (tmp_path / "work").glob("*.ipynb"):
        sources = [line for cell in cells(file) for line in cell["source"]]
        assert not [line for line in sources if "../" in line]
    execute(tmp_path / "work" / "00_tour.ipynb", tmp_path / "work" / "done.ipynb", {}, tmp_path / "work")
    assert (tmp_path / "work" / "iamframe-report" / "tour" / "report.html").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["work"]

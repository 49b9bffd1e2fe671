"""The documents are held to the program: options, commands, errors, methods, and every link."""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from radicale_shared import errors, settings
from radicale_shared.accounts import Refusal
from radicale_shared.cli import main
from radicale_shared.dav.application import METHODS
from radicale_shared.dav.properties import PROPERTIES
from radicale_shared.dav.reports import REPORTS
from radicale_shared.web.application import ROOT, ROUTES

REPOSITORY = Path(__file__).parents[2]
DOCUMENTS = sorted([REPOSITORY / "README.md", REPOSITORY / "CHANGELOG.md", *(REPOSITORY / "docs").glob("*.md")])
OPTIONS = {**settings.STORAGE_OPTIONS, **settings.AUTH_OPTIONS}
# Never raised themselves, only their children are.
ROOTS = {"SharedBooksError", "RefusedError"}


def document(name: str) -> str:
    return (REPOSITORY / "docs" / name).read_text("utf-8")


def sections(text: str) -> dict[str, str]:
    """{heading without markup: text up to the next heading of any level}; what stands in code blocks is no heading."""
    found: dict[str, str] = {}
    heading, is_code = "", False
    for line in text.splitlines():
        is_code ^= line.startswith("```")
        if not is_code and line.startswith("#"):
            heading = line.lstrip("#").strip().replace("`", "")
        found[heading] = found.get(heading, "") + line + "\n"
    return found


def commands() -> dict[str, click.Command]:
    """{``"radicale-shared user add"``: its command}, groups included."""
    found: dict[str, click.Command] = {}

    def walk(command: click.Command, name: str) -> None:
        found[name] = command
        if isinstance(command, click.Group):
            for key, child in command.commands.items():
                walk(child, f"{name} {key}")

    walk(main, "radicale-shared")
    return found


def options_of(command: click.Command) -> set[str]:
    return {name for one in command.params if isinstance(one, click.Option) for name in one.opts} | {"--help", "-h"}


COMMANDS = commands()
CONFIGURATION = sections(document("configuration.md"))
COMMAND_SECTIONS = sections(document("commands.md"))


def one_line(text: str) -> str:
    return " ".join(text.split())


# -- options -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_has_a_section_that_tells_its_default(option):
    section = CONFIGURATION[option]
    default = OPTIONS[option]["value"]
    assert re.search(rf"default {re.escape(default)}(?!\w)" if default else r"(?i)no default|default\s+nobody", section)


def test_no_section_is_about_an_option_that_is_gone():
    named = {name for name in CONFIGURATION if re.fullmatch(r"[a-z_]+", name)}
    assert named == set(OPTIONS)


# -- commands ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "radicale-shared"])
def test_a_command_has_a_section_with_its_purpose_usage_and_options(name):
    section = one_line(COMMAND_SECTIONS[name])
    command = COMMANDS[name]
    purpose = inspect.cleandoc(command.help or "").partition("\n\n")[0]
    assert one_line(purpose) in section
    assert [option for option in options_of(command) - {"--help", "-h"} if option not in section] == []
    if not isinstance(command, click.Group):
        assert " ".join([name, *command.collect_usage_pieces(click.Context(command))]) in section
        assert "Example:" in section


def test_no_section_is_about_a_command_that_is_gone():
    assert {name for name in COMMAND_SECTIONS if name.startswith("radicale-shared ")} == set(COMMANDS) - {
        "radicale-shared"
    }


def test_the_program_s_own_options_are_told():
    for option in options_of(main):
        assert option in document("commands.md")


def called(path: Path) -> Iterator[str]:
    """What stands as a command of ours in a document: lines of code blocks, and code in the text."""
    text = path.read_text("utf-8")
    for block in re.findall(r"^```[a-z]*\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            if found := re.match(r"(?:.* \| )?(?:sudo -u radicale-shared )?(?:\S*/)?(radicale-shared .*)", line):
                yield found[1]
    yield from re.findall(
        r"`(radicale-shared [^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    )


def unknown_in(line: str) -> list[str]:
    """What of a command in a document doesn't exist. Words in capitals stand for something."""
    words = shlex.split(line.partition(" && ")[0], comments=True)
    command: click.Command = main
    unknown = []
    arguments = iter(words[1:])
    for word in arguments:
        if word.startswith("-"):
            name = word.partition("=")[0]
            option = next((one for one in command.params if name in one.opts), None)
            if option is None and name not in {"--help", "-h"}:
                unknown.append(name)
            elif isinstance(option, click.Option) and not option.is_flag and "=" not in word:
                next(arguments, None)
        elif word.startswith("["):
            continue
        elif isinstance(command, click.Group) and not word.isupper():
            if word not in command.commands:
                return [*unknown, word]
            command = command.commands[word]
    return unknown


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_in_a_document_exist(path):
    lines = [line for line in called(path) if re.match(r"radicale-shared [-a-z\[]", line)]
    assert [(line, unknown_in(line)) for line in lines if unknown_in(line)] == []


@pytest.mark.parametrize(
    ("line", "unknown"),
    [
        ("radicale-shared user add ada --name Ada --password-stdin", []),
        ("radicale-shared --config FILE serve --workers 2", []),
        ("radicale-shared user ad ada", ["ad"]),
        ("radicale-shared user add ada --pasword", ["--pasword"]),
        ("radicale-shared grant add sales/leads group:sales editor --role x", ["--role"]),
    ],
)
def test_a_command_that_does_not_exist_is_found(line, unknown):
    assert unknown_in(line) == unknown


# -- errors and protocol -----------------------------------------------------------------------------------------------


def error_classes() -> list[str]:
    return sorted(
        name
        for name, one in vars(errors).items()
        if inspect.isclass(one) and issubclass(one, errors.SharedBooksError) and name not in ROOTS
    )


@pytest.mark.parametrize("name", error_classes())
def test_an_error_is_told_with_what_to_do(name):
    line = next((line for line in document("errors.md").splitlines() if line.startswith(f"| `{name}` |")), "")
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert len(cells) == 3
    assert all(cells)


def preconditions() -> set[str]:
    """The precondition elements that the dispatcher answers with, as they stand in its source."""
    source = "".join(path.read_text("utf-8") for path in (REPOSITORY / "radicale_shared" / "dav").glob("*.py"))
    raised = re.findall(r"(?:Error|Problem)\(\s*(?:[\d\w.]+(?: if [^,]+)?,\s*)?f?\"<(?:C:)?([a-z-]+)", source)
    return {*raised, "need-privileges"}


def test_the_preconditions_are_found_in_the_source():
    assert {"valid-sync-token", "no-uid-conflict", "max-resource-size", "supported-report"} <= preconditions()


@pytest.mark.parametrize("element", sorted(preconditions()))
def test_a_precondition_is_told(element):
    assert f":{element}`" in document("errors.md")


@pytest.mark.parametrize("method", METHODS)
def test_a_method_is_told(method):
    assert re.search(rf"^\| [A-Z, ]*\b{method}\b", document("protocol.md"), flags=re.MULTILINE)


@pytest.mark.parametrize("name", [*PROPERTIES, *REPORTS])
def test_a_property_or_report_is_told(name):
    assert re.search(rf"^\|.*\b{re.escape(name.rpartition('}')[2])}\b", document("protocol.md"), flags=re.MULTILINE)


TESTS = {
    name
    for path in (REPOSITORY / "tests").rglob("*.py")
    for name in re.findall(r"^\s*def test_(\w+)\(", path.read_text("utf-8"), flags=re.MULTILINE)
}
_TABLE = re.compile(r"^\| (?:section|RFC, section) \| here \| test \|\n\|[-|]+\n((?:\|.*\n)+)", re.MULTILINE)
ROWS = [line for part in _TABLE.findall(document("protocol.md")) for line in part.splitlines()]


def test_the_sections_of_the_rfcs_are_found():
    assert len(ROWS) > 60


@pytest.mark.parametrize("row", ROWS)
def test_a_section_of_an_rfc_names_a_test_that_is_there(row):
    named = re.findall(r"`(\w+)`", row.rstrip("| ").rpartition(" | ")[2])
    assert named
    assert [name for name in named if name not in TESTS] == []


def test_a_route_of_the_api_has_a_section_and_no_section_is_about_one_that_is_gone():
    told = {name for name in sections(document("api.md")) if re.match("[A-Z]+ /", name)}
    assert told == {f"{method} {ROOT}{path}".replace("<rest:", "<") for method, path in ROUTES}


# -- links -------------------------------------------------------------------------------------------------------------


def anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub and others make them."""
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in sections(path.read_text("utf-8")))
    return {heading.replace(" ", "-") for heading in plain}


def broken_links(path: Path, text: str) -> list[str]:
    """The links of a document to files and headings that aren't there; other sites are not asked."""
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    return broken


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    assert broken_links(path, path.read_text("utf-8")) == []


def test_a_broken_link_is_found():
    text = "[a](docs/nowhere.md) [b](docs/install.md#nothing) [c](docs/install.md#upgrade) [d](https://example.org/)"
    assert broken_links(REPOSITORY / "README.md", text) == ["docs/nowhere.md", "docs/install.md#nothing"]


def test_every_document_can_be_reached_from_the_readme():
    readme = (REPOSITORY / "README.md").read_text("utf-8")
    assert [path.name for path in (REPOSITORY / "docs").glob("*.md") if f"(docs/{path.name})" not in readme] == []


def test_the_readme_begins_with_the_two_commands():
    blocks = re.findall(
        r"^```\n(.*?)^```", (REPOSITORY / "README.md").read_text("utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    assert [line.split()[:2] for line in blocks[0].splitlines()] == [["make", "run"], ["make", "test"]]


def test_each_reason_of_a_failed_login_is_explained_and_fail2ban_counts_it_or_says_why_not():
    table = sections(document("install.md"))["Failed logins"]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`([a-z-]+)`", " ".join(cells))) == sorted(Refusal)
    filter_ = (REPOSITORY / "config" / "fail2ban.conf").read_text("utf-8")
    assert set(re.findall(r"[a-z-]+", filter_)) >= set(Refusal)

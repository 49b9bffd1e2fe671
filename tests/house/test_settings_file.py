"""The sample of the settings file and its section of the documents are held to what the program reads."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from radicale_shared import settings_file
from radicale_shared.directory_settings import PRESETS, DirectorySettings, MirrorSettings
from radicale_shared.settings_file import (
    BackupSettings,
    GuardSettings,
    HistorySettings,
    LdapServerSettings,
    NotifySettings,
    PhonesSettings,
)

REPOSITORY = Path(__file__).parents[2]
SAMPLE = REPOSITORY / "config" / "settings.toml"
KEYS = [one.name for one in fields(DirectorySettings)]
MIRROR_KEYS = [one.name for one in fields(MirrorSettings)]
OTHERS = {
    **{"guard": GuardSettings, "notify": NotifySettings, "history": HistorySettings, "backup": BackupSettings},
    **{"phones": PhonesSettings, "ldap_server": LdapServerSettings},
}
OTHER_KEYS = [(name, one.name) for name, kind in OTHERS.items() for one in fields(kind)]
DOCUMENT = (REPOSITORY / "docs" / "configuration.md").read_text("utf-8")
SECTION = DOCUMENT.partition("## The settings file")[2].partition("\n## ")[0]
TABLES = re.findall(r"(?m)(?:^\|.*\n)+", SECTION)


@pytest.fixture
def sample(tmp_path):
    """What the sample says, with password files that are there."""
    secret, path = tmp_path / "password", tmp_path / "settings.toml"
    secret.write_text("hush\n", "utf-8")
    secret.chmod(0o600)
    text = SAMPLE.read_text("utf-8")
    path.write_text(re.sub(r"(?m)^(bind_password_file = ).*$", rf'\1"{secret}"', text), "utf-8")
    return settings_file.load(str(path))


def rows(table):
    """{first cell without marks: the other cells} of a table."""
    cells = ([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table.splitlines()[2:])
    return {key.strip("`"): rest for key, *rest in cells}


def shown(value):
    """A default as the documents write it."""
    if isinstance(value, tuple):
        return ", ".join(f"`{one}`" for one in value) or "none"
    return f"`{value}`".replace("|", "\\|") if value else "none"


def test_the_sample_is_valid(sample):
    main, branch = sample.directories
    assert (main.kind, branch.kind) == ("openldap", "ad")
    assert main.mirror.book
    assert branch.mirror == MirrorSettings()


def test_the_sample_shows_the_defaults_of_its_kind(sample):
    (main, _), preset = sample.directories, DirectorySettings(**PRESETS["openldap"])
    local = {"name", "kind", "servers", "bind_dn", "bind_password", "bind_password_file", "domains", "people_base"}
    local |= {"group_base", "mirror"}
    assert [key for key in KEYS if key not in local and getattr(main, key) != getattr(preset, key)] == []


@pytest.mark.parametrize(
    ("part", "key"), [*((0, key) for key in KEYS if key != "mirror"), *((1, key) for key in MIRROR_KEYS)]
)
def test_a_key_stands_in_the_sample_with_an_explanation_above(part, key):
    assert_explained(SAMPLE.read_text("utf-8").split("[directory.mirror]")[part], key)


def assert_explained(text, key):
    lines = text.splitlines()
    place = next(at for at, line in enumerate(lines) if re.match(rf"#?{key} = ", line))
    above = next(line for line in reversed(lines[:place]) if not re.match(r"#?\w+ = ", line))
    assert above.startswith("# ")


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_told_with_its_default(key):
    by_kind, general, *_ = (rows(table) for table in TABLES)
    default, _ = general[key]
    preset = any(key in values for values in PRESETS.values())
    assert (key in by_kind) == preset
    assert (default == "see above") == (preset or key in {"people_filter"})
    value = getattr(DirectorySettings(), key)
    if isinstance(value, int):
        assert default == str(value).lower()
    if preset:
        kinds = [cell.strip("`") for cell in TABLES[0].splitlines()[0].split("|")[2:-1]]
        told = dict(zip([kind.strip(" `") for kind in kinds], by_kind[key], strict=True))
        assert told == {kind: shown(values.get(key, value)) for kind, values in PRESETS.items()}


@pytest.mark.parametrize("key", MIRROR_KEYS)
def test_a_key_of_the_mirror_is_told_with_its_default(key):
    default, meaning = rows(TABLES[2])[key]
    value = getattr(MirrorSettings(), key)
    assert meaning
    if isinstance(value, int):
        assert default == str(value).lower()


@pytest.mark.parametrize(("table", "key"), OTHER_KEYS)
def test_a_key_of_another_table_stands_in_the_sample_and_is_told_with_its_default(table, key):
    assert_explained(SAMPLE.read_text("utf-8").partition(f"\n[{table}]\n")[2].partition("\n[")[0], key)
    default, meaning = rows(TABLES[3 + list(OTHERS).index(table)])[key]
    value = getattr(OTHERS[table](), key)
    assert meaning
    assert default == (str(value).lower() if isinstance(value, int) else shown(value))


def test_the_sample_shows_the_defaults_of_what_is_not_about_the_organisation(sample):
    local = {"role", "smtp_host", "mail_from", "mail_to"}
    for name, kind in OTHERS.items():
        told, preset = getattr(sample, name), kind()
        keys = [one.name for one in fields(kind)]
        assert [key for key in keys if key not in local and getattr(told, key) != getattr(preset, key)] == []


def test_nothing_is_told_that_is_gone():
    by_kind, general, mirror, *others = (rows(table) for table in TABLES)
    assert [set(one) for one in others] == [{one.name for one in fields(kind)} for kind in OTHERS.values()]
    assert set(general) == set(KEYS)
    assert set(by_kind) <= set(KEYS)
    assert set(mirror) == set(MIRROR_KEYS)

"""The sample configuration and what is refused in one; the samples for proxies fit it."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest

from radicale_shared import settings
from radicale_shared.errors import ConfigurationError
from radicale_shared.phones import paths

CONFIG = Path(__file__).parents[2] / "config"
SAMPLE = CONFIG / "radicale-shared.ini"
OPTIONS = [
    *(("storage", name) for name in settings.STORAGE_OPTIONS),
    *(("auth", name) for name in settings.AUTH_OPTIONS),
]
NUMBERS = [
    (section, name)
    for section, name in OPTIONS
    if str({**settings.STORAGE_OPTIONS, **settings.AUTH_OPTIONS}[name]["value"]).isdigit()
]


def loaded(tmp_path: Path, text: str) -> settings.Settings:
    """The settings of a configuration file with this text."""
    path = tmp_path / "some.ini"
    path.write_text(text, "utf-8")
    return settings.from_configuration(settings.load_configuration(str(path)))


def switched_on(text: str) -> str:
    """``text`` with its switched-off options on, ``database_url`` off in turn."""
    text = re.sub(r"^#([\w-]+ = )", r"\1", text, flags=re.MULTILINE)
    return re.sub(r"^(database_url = )", r"#\1", text, flags=re.MULTILINE)


def storage(*lines: str) -> str:
    return "\n".join(["[storage]", f"type = {settings.STORAGE_PLUGIN}", *lines, ""])


@pytest.fixture
def url_file(tmp_path: Path) -> Path:
    path = tmp_path / "database_url"
    path.write_text("postgresql://books:hush@localhost/books\n", "utf-8")
    path.chmod(0o600)
    return path


def test_the_sample_is_valid_and_enough_to_serve():
    configuration = settings.load_configuration(str(SAMPLE))
    settings.require_own_plugins(configuration)
    found = settings.from_configuration(configuration)
    assert (found.database_url, found.embedded) == ("sqlite:////var/lib/radicale-shared/books.db", False)
    assert found.hosts == (("127.0.0.1", 5232),)


def test_the_sample_is_valid_with_all_its_options_switched_on(tmp_path, url_file):
    text = re.sub(r"(?m)^#database_url_file = .*", f"#database_url_file = {url_file}", SAMPLE.read_text("utf-8"))
    text = re.sub(r"(?m)^#settings_file = .*", "#settings_file = /dev/null", text)
    assert loaded(tmp_path, switched_on(text)).database_url == "postgresql+psycopg://books:hush@localhost/books"


@pytest.mark.parametrize(("section", "name"), OPTIONS)
def test_an_option_stands_in_the_sample_with_an_explanation_above(section, name):
    lines = SAMPLE.read_text("utf-8").splitlines()
    place = next(index for index, line in enumerate(lines) if re.match(rf"#?{name} =", line))
    assert lines[place - 1].startswith("# ")
    assert next(line for line in reversed(lines[:place]) if line.startswith("[")) == f"[{section}]"


@pytest.mark.parametrize(("section", "name"), NUMBERS)
def test_the_sample_shows_the_defaults(section, name):
    parser = configparser.RawConfigParser()
    parser.read_string(SAMPLE.read_text("utf-8"))
    assert parser[section][name] == {**settings.STORAGE_OPTIONS, **settings.AUTH_OPTIONS}[name]["value"]


@pytest.mark.parametrize(
    "text",
    [
        storage("database_url = sqlite:////tmp/x.db", "databse_url = sqlite:////tmp/x.db"),
        storage("database_url = sqlite:////tmp/x.db")
        + "[auth]\ntype = radicale_shared.auth_plugin\ntrusted_proxy = ::1\n",
        storage("database_url = sqlite:////tmp/x.db") + "[rights]\ntype = radicale_shared.auth_plugin\nfile_mode = 1\n",
        storage("database_url = sqlite:////tmp/x.db") + "[phones]\nport = 1\n",
        storage("database_url = sqlite:////tmp/x.db") + "[server]\nport = 1\n",
        storage("database_url = sqlite:////tmp/x.db", "threads = 0"),
        storage("database_url = sqlite:////tmp/x.db", "pool_size = many"),
        storage("database_url = sqlite:////tmp/x.db")
        + "[auth]\ntype = radicale_shared.auth_plugin\ntrusted_proxies = me\n",
        "database_url = sqlite:////tmp/x.db\n",
        storage(),
    ],
    ids=["typo", "auth", "rights", "section", "server", "zero", "word", "network", "no section", "no database"],
)
def test_what_is_unknown_or_wrong_is_refused(tmp_path, text):
    with pytest.raises(ConfigurationError):
        loaded(tmp_path, text)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigurationError):
        settings.load_configuration(str(tmp_path / "none.ini"))


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o400])
def test_the_database_url_is_read_from_a_file(tmp_path, url_file, mode):
    url_file.chmod(mode)
    found = loaded(tmp_path, storage(f"database_url_file = {url_file}"))
    assert found.database_url == "postgresql+psycopg://books:hush@localhost/books"


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o666])
def test_a_secret_that_everybody_may_read_is_refused(tmp_path, url_file, mode):
    url_file.chmod(mode)
    with pytest.raises(ConfigurationError, match="readable by everyone"):
        loaded(tmp_path, storage(f"database_url_file = {url_file}"))


def test_the_error_about_a_secret_does_not_tell_it(tmp_path, url_file):
    url_file.chmod(0o644)
    with pytest.raises(ConfigurationError) as caught:
        loaded(tmp_path, storage(f"database_url_file = {url_file}"))
    assert "hush" not in str(caught.value)


def test_a_secret_and_a_url_beside_it_are_refused(tmp_path, url_file):
    with pytest.raises(ConfigurationError, match="both"):
        loaded(tmp_path, storage("database_url = sqlite:////tmp/x.db", f"database_url_file = {url_file}"))


def test_a_missing_secret_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="can't be read"):
        loaded(tmp_path, storage(f"database_url_file = {tmp_path / 'none'}"))


def test_a_second_file_of_the_environment_wins(tmp_path, url_file, monkeypatch):
    first, second = tmp_path / "first.ini", tmp_path / "commands.ini"
    first.write_text(storage("database_url_file = /run/credentials/radicale-shared.service/database_url"), "utf-8")
    second.write_text(storage(f"database_url_file = {url_file}"), "utf-8")
    monkeypatch.setenv("RADICALE_CONFIG", f"{first}:{second}")
    found = settings.from_configuration(settings.load_configuration())
    assert found.database_url == "postgresql+psycopg://books:hush@localhost/books"


@pytest.mark.parametrize(("name", "passes"), [("nginx.conf", "server {};"), ("Caddyfile", "reverse_proxy {} {{")])
def test_a_proxy_s_sample_passes_on_to_the_address_of_the_sample_and_drops_forged_prefixes(name, passes):
    host, port = settings.from_configuration(settings.load_configuration(str(SAMPLE))).hosts[0]
    text = (CONFIG / name).read_text("utf-8")
    live = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    assert passes.format(f"{host}:{port}") in live
    assert re.search(r'proxy_set_header X-Script-Name "";|header_up -X-Script-Name', live)
    # WSGI can't tell X_Forwarded_For from X-Forwarded-For. nginx drops the former by itself, Caddy doesn't.
    assert "underscores_in_headers on" not in live
    assert name != "Caddyfile" or "header_up -*_*" in live


def test_nginx_logs_no_address_of_a_phone_and_says_whether_it_came_by_tls():
    text = (CONFIG / "nginx.conf").read_text("utf-8")
    live = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    not_logged = re.search(r'map \$request_uri \$is_logged \{\s*"~(.+)" 0;', live)
    assert not_logged
    assert re.match(not_logged[1], f"{paths.ROOT}PASSWORD/yealink.xml")
    assert re.match(not_logged[1], f"/contacts{paths.ROOT}PASSWORD/yealink.xml")
    assert not re.match(not_logged[1], "/ada/p.vcf")
    assert re.findall(r"access_log .*;", live) == ["access_log /var/log/nginx/access.log combined if=$is_logged;"]
    assert "proxy_set_header X-Forwarded-Proto $scheme;" in live

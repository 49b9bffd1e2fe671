"""[directory.mirror] of the settings file: what it may say, and what is refused."""

import pytest

from radicale_shared import settings_file
from radicale_shared.directory_settings import MirrorKind
from radicale_shared.errors import ConfigurationError

DIRECTORY = """
[[directory]]
name = "main"
kind = "openldap"
servers = ["ldaps://ldap.example.org"]
people_base = ["ou=people,dc=example,dc=org"]
[directory.mirror]
"""


@pytest.fixture
def mirror(tmp_path):
    """What a file with these lines in [directory.mirror] says of the mirror."""

    def read(lines):
        path = tmp_path / "settings.toml"
        path.write_text(DIRECTORY + lines)
        return settings_file.load(str(path)).directories[0].mirror

    return read


def test_what_is_said_is_read(mirror):
    found = mirror("""
book = "company/people"
name = "Company"
readers = ["everyone", "group:Sales", "domain:example.org", "user:ada"]
filter = "(!(employeeType=external))"
list = "search"
full_up_to = 100
photos = true
every_minutes = 15
map = { TEL-cell = ["mobile"], URL = [] }
kinds = [{ filter = "(objectClass=room)", kind = "location" }]
""")
    assert found.book == "company/people"
    assert found.readers == ("everyone", "group:Sales", "domain:example.org", "user:ada")
    assert dict(found.map) == {"TEL-cell": ("mobile",), "URL": ()}
    assert found.kinds == (MirrorKind("(objectClass=room)", "location"),)
    assert (found.list, found.full_up_to, found.photos, found.every_minutes) == ("search", 100, True, 15)


def test_a_directory_without_the_table_is_not_mirrored(mirror):
    assert not mirror("").book


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('name = "Company"', "book must be OWNER/SLUG"),
        ('book = "people"', "book must be OWNER/SLUG"),
        ('book = "Company/people"', "book must be OWNER/SLUG"),
        ('book = "company/.people"', "book must be OWNER/SLUG"),
        ('book = "c/p"\nlist = "all"', "list must be auto, full or search"),
        ('book = "c/p"\nfilter = "uid=a"', "filter is no LDAP filter"),
        ('book = "c/p"\nreaders = ["Sales"]', "readers has 'Sales'"),
        ('book = "c/p"\nmap = { BDAY = ["birthday"] }', "map has 'BDAY'"),
        ('book = "c/p"\nmap = { TITLE = ["a b"] }', "map.TITLE has 'a b'"),
        ('book = "c/p"\nmap = { TITLE = "title" }', "map.TITLE must be a list"),
        ('book = "c/p"\nkinds = [{ filter = "(a=b)", kind = "group" }]', "a kind is individual, org, location"),
        ('book = "c/p"\nkinds = [{ kind = "org" }]', "kinds is no LDAP filter"),
        ('book = "c/p"\nphoto = true', "there is no key 'photo'"),
        ('book = "c/p"\nevery_minutes = 0', "every_minutes must be 1 or more"),
    ],
)
def test_what_is_wrong_is_refused_by_the_name_of_its_key(mirror, lines, said):
    with pytest.raises(ConfigurationError) as refused:
        mirror(lines)
    assert said in str(refused.value)
    assert "'main'" in str(refused.value)
    assert "mirror" in str(refused.value)

"""A foreign client: a real Thunderbird, whose address book asks the LDAP view as an LDAP directory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import PROFILE, Organisation, card
from tests.ldap_view.conftest import Directory, serve
from tests.proofs.thunderbird import PROGRAM, Thunderbird

__all__ = ["serve"]

pytestmark = [
    pytest.mark.skipif(PROFILE != "nightly", reason="part of the nightly profile only: make nightly"),
    pytest.mark.skipif(PROGRAM is None, reason="Thunderbird is not installed: apt-get install thunderbird"),
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
]

# What its dialog for a new LDAP directory does, with the password as if it had been saved once.
_ADD = """
const [port, login, password] = given;
const path = "/dc=contacts??sub?(objectclass=*)";
const uri = `ldap://127.0.0.1:${port}${path}`;
MailServices.ab.newAddressBook("Company", uri, Ci.nsIAbManager.LDAP_DIRECTORY_TYPE);
const book = MailServices.ab.directories.find(one => one.dirName == "Company").QueryInterface(Ci.nsIAbLDAPDirectory);
book.authDn = login;
const spec = book.lDAPURL.spec;
const origin = `ldap://127.0.0.1:${port}`;
const saved = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
saved.init(origin, null, origin + Services.io.newURI(spec).pathQueryRef, "", password, "", "");
await Services.logins.addLoginAsync(saved);
Services.prefs.setBoolPref("ldap_2.autoComplete.useDirectory", true);
Services.prefs.setCharPref("ldap_2.autoComplete.directoryServer", book.dirPrefId);
return spec;
"""

# What typing into the search field of the address book does.
_SEARCH = """
const { getModelQuery, getSearchTokens, generateQueryURI } =
  ChromeUtils.importESModule("resource:///modules/ABQueryUtils.sys.mjs");
const book = MailServices.ab.directories.find(one => one.dirName == "Company");
const query = generateQueryURI(getModelQuery("mail.addr_book.quicksearchquery.format"), getSearchTokens(given[0]));
const found = [];
return new Promise((resolve, reject) => book.search(query.replace(/^\\?+/, ""), given[0], {
  onSearchFoundCard(card) {
    found.push([card.displayName, card.firstName, card.lastName, card.primaryEmail, card.getProperty("WorkPhone", ""),
      card.getProperty("CellularNumber", "")]);
  },
  onSearchFinished(status, isComplete) {
    status == 0 ? resolve(found) : reject(new Error(`the search ended with ${status.toString(16)}`));
  },
}));
"""

# What typing into the field of a new mail's recipients does.
_COMPLETE = """
const search = Cc["@mozilla.org/autocomplete/search;1?name=ldap"].createInstance(Ci.nsIAutoCompleteSearch);
return new Promise(resolve => search.startSearch(given[0], JSON.stringify({ type: "addr_to" }), null, {
  onSearchResult(_, result) {
    if (result.searchResult != Ci.nsIAutoCompleteResult.RESULT_NOMATCH_ONGOING
        && result.searchResult != Ci.nsIAutoCompleteResult.RESULT_SUCCESS_ONGOING) {
      resolve(Array.from({ length: result.matchCount }, (_, at) => result.getValueAt(at)));
    }
  },
}));
"""


@pytest.fixture
def company(organisation: Organisation, serve: Callable[..., Directory]) -> Directory:
    for uid, first, family, *lines in (
        ("1", "Jörg", "Weiß", "EMAIL:joerg@muster.example", "TEL;TYPE=work:+49 30 1234567", "NOTE:likes tea"),
        ("2", "Eva", "Schmidt", "EMAIL:eva@muster.example", "TEL;TYPE=cell:+49 171 7654321", "ORG:Muster GmbH"),
        ("3", "Jan", "Schmidt", "EMAIL:jan@muster.example"),
    ):
        data = (
            card(uid, f"{first} {family}", *lines).decode().replace(f"N:{first} {family};;;;", f"N:{family};{first};;;")
        )
        organisation.put("ada", "sales~leads", f"{uid}.vcf", data.encode())
    for number in range(150):
        data = card(f"m{number}", f"Meyer {number}", f"EMAIL:meyer{number}@muster.example")
        organisation.put("ada", "sales~leads", f"m{number}.vcf", data)
    return serve()


@pytest.fixture
def thunderbird(company: Directory, tmp_path: Path) -> Iterator[Thunderbird]:
    program = Thunderbird(tmp_path)
    try:
        program.start()
        program.run(_ADD, company.port, "ada", "adaada")
        yield program
    finally:
        program.stop()


def test_thunderbird_finds_people_by_ldap(thunderbird: Thunderbird) -> None:
    def names(text: str) -> list[str]:
        return sorted(one[0] for one in thunderbird.run(_SEARCH, text))

    assert thunderbird.run(_SEARCH, "weiß") == [
        ["Jörg Weiß", "Jörg", "Weiß", "joerg@muster.example", "+49301234567", ""],
    ]
    assert names("schmi") == ["Eva Schmidt", "Jan Schmidt"]
    assert names("SCHMIDT eva") == ["Eva Schmidt"]
    assert names("muster gmbh") == ["Eva Schmidt"]
    assert names("likes tea") == ["Jörg Weiß"]
    assert names("jorg") == ["Jörg Weiß"]
    assert names("nobody at all") == []
    assert len(names("meyer")) == 100


def test_thunderbird_completes_addresses_by_ldap(thunderbird: Thunderbird) -> None:
    assert thunderbird.run(_COMPLETE, "schmidt") == [
        "Eva Schmidt <eva@muster.example>",
        "Jan Schmidt <jan@muster.example>",
    ]
    assert thunderbird.run(_COMPLETE, "eva sch") == ["Eva Schmidt <eva@muster.example>"]

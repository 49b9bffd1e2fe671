"""Clients of every kind on one book: however they take turns, all end with what the server has, and nothing is lost."""

import re
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from radicale_shared import books, grants, people, reading
from radicale_shared.access import Role
from radicale_shared.models import Body, Change
from radicale_shared.vcard import Card, meaning
from tests.conftest import BY, card, examples
from tests.dav.conftest import CARDDAV, DAV, XMLNS, Client

HREFS = ("a.vcf", "b.vcf", "c.vcf")
NAMES = ("TITLE", "NOTE", "TEL", "NICKNAME")


@dataclass
class Device:
    """A program with its own copy of a book: what it holds, what it changed, the token it stands at.

    careful: names the state it edits (If-Match); else it writes blindly, as Thunderbird does
    version: of the vCards it asks for and sends
    """

    client: Client
    book: str
    version: str
    careful: bool
    held: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    token: str = ""
    acknowledged: list[str] = field(default_factory=list)

    def fetch(self, urls):
        listed = "".join(f"<href>{url}</href>" for url in urls)
        answer = self.client.request(
            "REPORT",
            self.book,
            f'<C:addressbook-multiget {XMLNS}><prop><getetag/><C:address-data version="{self.version}"/></prop>'
            f"{listed}</C:addressbook-multiget>",
        )
        for url in urls:
            if answer.status_of(url):
                self.held.pop(url, None)
            else:
                data = answer.text(url, f"{CARDDAV}address-data").encode()
                self.held[url] = (answer.text(url, f"{DAV}getetag"), data)

    def sync(self):
        answer = self.client.sync(self.book, self.token)
        assert answer.status == 207
        if not self.token:
            self.held = {url: one for url, one in self.held.items() if url in answer.hrefs}
        new = []
        for url in answer.hrefs:
            if answer.status_of(url):
                self.held.pop(url, None)
            # What is held with this very ETag is not fetched again: so do DAVx5, Thunderbird and KDE.
            elif self.held.get(url, ("",))[0] != answer.text(url, f"{DAV}getetag"):
                new.append(url)
        self.fetch(new)
        self.token = answer.token

    def write(self, url, data, value, *, new):
        conditions = {}
        if self.careful:
            conditions = {"If_None_Match": "*"} if new else {"If_Match": self.held[url][0]}
        answer = self.client.put(url, data, **conditions)
        assert answer.status in (201, 204, 403, 404, 409, 412), answer.body
        if answer.status in (201, 204):
            self.acknowledged.append(value)
            if "ETag" in answer.headers:
                self.held[url] = (answer.etag, data)
            else:
                self.fetch([url])
        else:
            # The program shows its own change until a sync has taken it back.
            self.held[url] = (self.held.get(url, ("",))[0], data)

    def edit(self, at, name, value):
        urls = sorted(self.held)
        if not urls:
            return
        url = urls[at % len(urls)]
        found = Card.parse(self.held[url][1])
        line = found.first(name)
        sent = found.replace_value(line, value) if line else found.append(f"{name}:{value}".encode())
        self.write(url, sent.serialise(), value, new=False)

    def create(self, at, value):
        url = self.book + HREFS[at % len(HREFS)]
        if url not in self.held:
            self.write(url, card(HREFS[at % len(HREFS)], value, version=self.version), value, new=True)

    def delete(self, at):
        urls = sorted(self.held)
        if not urls:
            return
        url = urls[at % len(urls)]
        etag, _ = self.held.pop(url)  # gone on the device, whatever the server says to it
        answer = self.client.delete(url, **({"If_Match": etag} if self.careful else {}))
        assert answer.status in (204, 403, 404, 412)

    def told(self):
        """{UID: what the card says} as this device has it."""
        cards = [Card.parse(data) for _, data in self.held.values()]
        assert len({one.uid for one in cards}) == len(cards)
        return {one.uid: meaning(one) for one in cards}


DEVICES = {
    "careful 3.0": ("ada", "CalDavSynchronizer/4.4.1", "/ada/sales~leads/", "3.0", True),
    "blind 4.0": ("ben", "Mozilla/5.0 Thunderbird/128.5.0", "/ben/sales~leads/", "4.0", False),
    "careful 4.0": ("ben", "DAVx5/4.4.1-ose Android/14", "/ben/sales~leads/", "4.0", True),
    "merged 3.0": ("ada", "macOS/14.4.1 (23E224) AddressBookCore/2668.400.13", "/ada/all/", "3.0", False),
    "reader 3.0": ("carla", "iOS/17.5 (21F79) dataaccessd/1.0", "/carla/sales~leads/", "3.0", True),
    "adder 4.0": ("dora", "Evolution/3.52.3", "/dora/sales~leads/", "4.0", True),
}
WHO = st.integers(0, len(DEVICES) - 1)
AT = st.integers(0, 2)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("edit"), WHO, AT, st.sampled_from(NAMES)),
        st.tuples(st.just("create"), WHO, AT),
        st.tuples(st.just("delete"), WHO, AT),
        st.tuples(st.just("sync"), WHO),
    ),
    max_size=30,
)


@pytest.fixture
def team(application, organisation):
    """Empties the shared book, and gives a fresh device of each kind."""
    with organisation.db.write() as session:
        leads = books.find(session, "sales/leads")
        people.add_user(session, "dora", password="doradora")
        grants.change(session, leads, "group:sales", Role.CURATOR, by=BY)
        grants.give(session, leads, "user:carla", Role.VIEWER, by=BY)
        grants.give(session, leads, "user:dora", Role.CONTRIBUTOR, by=BY)

    def make():
        for login, name in (("ben", "sales~leads"), ("ada", "contacts")):
            for page in list(reading.pages(organisation.db.read, organisation.access(login, name))):
                for href, *_ in page:
                    organisation.remove(login, name, href)
        return [
            Device(Client(application, login, user_agent=agent), book, version, careful)
            for login, agent, book, version, careful in DEVICES.values()
        ]

    return make


def kept(organisation):
    """All bytes that the database has of the books' cards, now or in the history."""
    with organisation.db.read() as session:
        texts = [data.decode().replace("\r\n ", "") for data in session.scalars(select(Body.data))]
        texts += [text for text in session.scalars(select(Change.conflicts)) if text]
    return "\n".join(texts)


@examples(15)
@given(steps=STEPS)
def test_all_devices_end_with_what_the_server_has_after_one_sync_and_nothing_acknowledged_is_lost(
    application, team, organisation, steps
):
    devices = team()
    for number, step in enumerate(steps):
        device = devices[step[1]]
        value = f"value{number}x"
        match step:
            case ("edit", _, at, name):
                device.edit(at, name, value)
            case ("create", _, at):
                device.create(at, value)
            case ("delete", _, at):
                device.delete(at)
            case ("sync", _):
                device.sync()

    for device in devices:
        device.sync()

    fresh = []
    for login, agent, book, version, careful in DEVICES.values():
        device = Device(Client(application, login, user_agent=agent + " fresh"), book, version, careful)
        device.sync()
        fresh.append(device)
    for device, expected in zip(devices, fresh, strict=True):
        assert device.told() == expected.told(), device.client.user_agent
    everything = kept(organisation)
    for device in devices:
        for value in device.acknowledged:
            assert re.search(rf"\b{value}\b", everything), f"{value} is lost"

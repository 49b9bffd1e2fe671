"""What requests cost, in SQL statements and in memory: the same few, whatever the size of the book."""

import tracemalloc

from tests.conftest import card
from tests.dav.conftest import XMLNS, Client, etags_of, token_of

BOOK = "/ada/contacts/"
SMALL, LARGE = 40, 400
# Statements of each kind of request: who asks, and what they may do, are two of them.
STATEMENTS = {
    "poll": 2,
    "sync, nothing new": 2,
    "sync, 10 changes": 3,
    "first sync": 2,
    "listing": 2,
    "listing after a change": 3,
    "multiget of 20": 3,
    "search": 4,
    "GET": 3,
    # Of an entry in directories: its row, keys that are gone, new keys.
    "PUT with If-Match": 13,
    "PUT of a new card": 12,
    "DELETE": 13,  # two of them are the guard's
}
# Bytes that may be held at a time, by whatever the request takes; some ten times what it does take.
HELD = 600_000


class Desk:
    """A book of some cards, and what is needed to ask about it."""

    def __init__(self, organisation, ada, number):
        self.organisation, self.ada = organisation, ada
        for one in range(number):
            self.put(one)
        self.number = number
        # The first card that a program writes has its vCard version noted.
        ada.put(f"{BOOK}0.vcf", card("uid-0", "First"))
        self.token = token_of(ada, BOOK)
        self.etags = etags_of(ada, BOOK)

    def put(self, one, name=""):
        self.organisation.put("ada", "contacts", f"{one}.vcf", card(f"uid-{one}", name or f"Person {one}"))

    def changed(self):
        for one in range(10):
            self.put(one, f"Changed {one}")

    def kinds(self):
        """{kind of request: (what has to happen before, the request)}."""
        ada, nothing = self.ada, lambda: None
        hrefs = [f"{BOOK}{one}.vcf" for one in range(20)]
        last = f"{BOOK}{self.number - 1}.vcf"
        wanted = (
            f'<C:addressbook-query {XMLNS}><prop><getetag/></prop><C:filter><C:prop-filter name="FN"><C:text-match>'
            f"person {self.number - 1}</C:text-match></C:prop-filter></C:filter></C:addressbook-query>"
        )
        return {
            "poll": (nothing, lambda: ada.propfind(BOOK, "CS:getctag", "sync-token")),
            "sync, nothing new": (nothing, lambda: ada.sync(BOOK, self.token)),
            "listing": (nothing, lambda: ada.propfind(BOOK, "getetag", depth="1")),
            "first sync": (nothing, lambda: ada.sync(BOOK)),
            "multiget of 20": (nothing, lambda: ada.multiget(BOOK, *hrefs)),
            "search": (nothing, lambda: ada.request("REPORT", BOOK, wanted)),
            "GET": (nothing, lambda: ada.get(last)),
            "PUT with If-Match": (
                nothing,
                lambda: ada.put(last, card(f"uid-{self.number - 1}", "New name"), If_Match=self.etags[last]),
            ),
            "sync, 10 changes": (self.changed, lambda: ada.sync(BOOK, self.token)),
            "listing after a change": (lambda: self.put(1, "Again"), lambda: ada.propfind(BOOK, "getetag", depth="1")),
            "PUT of a new card": (nothing, lambda: ada.put(f"{BOOK}new.vcf", card("new"))),
            "DELETE": (nothing, lambda: ada.delete(f"{BOOK}new.vcf")),
        }


def test_every_request_costs_its_number_of_statements_in_a_book_of_any_size(organisation, application, statements):
    ada = Client(application, "ada")
    found = []
    for number in (SMALL, LARGE):
        desk = Desk(organisation, ada, number)
        costs = {}
        for kind, (before, ask) in desk.kinds().items():
            before()
            statements.clear()
            answer = ask()
            costs[kind] = len(statements)
            assert answer.status in {200, 201, 204, 207}, (kind, answer.body)
        found.append(costs)

    assert found == [STATEMENTS, STATEMENTS]


def test_a_request_holds_no_more_memory_for_a_larger_book(organisation, application):
    ada = Client(application, "ada")
    peaks = {kind: [] for kind in STATEMENTS}
    for number in (SMALL, LARGE):
        desk = Desk(organisation, ada, number)
        for kind, (before, ask) in desk.kinds().items():
            before()
            tracemalloc.start()
            try:
                assert ask().status in {200, 201, 204, 207}
                peaks[kind].append(tracemalloc.get_traced_memory()[1])
            finally:
                tracemalloc.stop()

    assert {kind for kind, held in peaks.items() if max(held) > HELD} == set()
    # Those that tell of every card do so in pieces, which a book of this size doesn't fill.
    told_of_all = {"first sync", "listing", "listing after a change"}
    assert {kind for kind, (few, many) in peaks.items() if many > few * 1.5} <= told_of_all

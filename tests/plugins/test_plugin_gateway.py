"""A book that is searched only isn't there under a plain Radicale, whose core can't refuse to list one."""

from radicale_shared import cards, mirrored
from radicale_shared.mirrored import Shown, Written

PEOPLE = "/ada/company~people/"


def test_a_book_that_is_searched_only_is_not_there_until_it_is_listed_again(organisation, ada, a_card):
    db = organisation.db
    with db.write() as session:
        book = mirrored.make(session, "company/people", "main", name="", readers=["everyone"], search_only=True)
    shown = Shown("a", "a.vcf", "1", cards.check(a_card("a")))
    mirrored.write(db, book, [shown], written=Written())

    assert PEOPLE not in ada.propfind("/ada/", "D:displayname", depth="1").hrefs
    assert ada.propfind(PEOPLE, "D:displayname").status == 404
    assert ada.get(PEOPLE + "a.vcf").status == 404

    with db.write() as session:
        mirrored.set_search_only(session, book, search_only=False)
    assert PEOPLE in ada.propfind("/ada/", "D:displayname", depth="1").hrefs
    assert ada.get(PEOPLE + "a.vcf").body == a_card("a")
    assert ada.put(PEOPLE + "a.vcf", a_card("a", "Other")).status == 403

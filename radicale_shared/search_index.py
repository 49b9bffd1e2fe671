"""The index of searched texts, which finds what contains a text without looking at every card.

It knows each text by its trigrams, all runs of three characters. SQLite has them in ``card_texts``, a table of FTS5
with a row for each searched field of each live card: an edit touches the fields that it changed and no others. Triggers
of ``card_search`` write it, so that nobody can forget it, and no cascade passes by it; whoever makes ``card_search``
anew in a migration makes them anew. PostgreSQL has a GIN index of its extension pg_trgm on ``card_search``; without it
searches find the same, by looking at every card.

What is looked up is a superset, as what the index is made of is one (``vcard.search_fields``): texts of which it has
the trigrams that were asked for, in any order.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from sqlalchemy import Connection, select, text
from sqlalchemy.exc import DBAPIError

from . import vcard
from .models import CardSearch, table
from .vcard import Card

# In the order of their places in the keys of SQLite's index; never another one.
FIELDS = ("fn", "n", "nickname", "org", "title", "email", "tel", "adr", "note", "categories", "uid")
PLACES = {field: place for place, field in enumerate(FIELDS)}
# The key of a text in SQLite's index: the numbers of its book and of its card, and the place of its field.
BOOK_SHIFT, CARD_SHIFT = 39, 4
CARD_MASK = (1 << BOOK_SHIFT - CARD_SHIFT) - 1
PLACE_MASK = (1 << CARD_SHIFT) - 1

SHORTEST = 3  # characters of a text that is looked up
_END_OF_NUMBER = 9
_OTHER_VERSION = {"3.0": "4.0", "4.0": "3.0"}
EVERY_VERSION = "*"

# FTS5 reads what isn't a character as the one that stands for such.
_AS_READ = {0xFFFE: 0xFFFD, 0xFFFF: 0xFFFD}

# kB. PostgreSQL collects what is to go into its index, and sorts it in at once: the more, the cheaper are writes, and
# the dearer are searches, which look through what waits, and the write that comes last.
_MOST_PENDING = 1024
_POSTGRESQL_INDEX = "ix_card_search_trigrams"
MISSING = (
    "Searches look at every card, as PostgreSQL's extension pg_trgm is missing. Let its administrator run "
    "CREATE EXTENSION pg_trgm in this database; then: radicale-shared db upgrade"
)

_logger = logging.getLogger(__name__)


def more_in(card: Card, fields: dict[str, str]) -> str:
    """The vCard version in which ``card`` has other searched texts than its ``fields``; empty for none.

    EVERY_VERSION where a text was cut, or where there is no telling.
    """
    if any(len(found) >= vcard.MAX_FIELD_LENGTH for found in fields.values()):
        return EVERY_VERSION
    return "" if vcard.is_alike(card) else _OTHER_VERSION.get(card.version, EVERY_VERSION)


def expression(needles: Collection[tuple[str, str]]) -> str:
    """What SQLite's index is asked by MATCH for all texts that contain one of some needles: (field, folded text)."""
    each = (" AND ".join(map(_quoted, _trigrams(field, sought))) for field, sought in needles)
    return " OR ".join(f"({one})" for one in dict.fromkeys(each))


def _quoted(trigram: str) -> str:
    return '"' + trigram.replace('"', '""') + '"'


def _trigrams(field: str, sought: str) -> Iterator[str]:
    """Some trigrams of a needle, which few other texts have all of: from its beginning, middle and end.

    Domains and country codes are shared by most cards of an organisation, so they are left out where there is more.
    """
    if field == "email" and sought.find("@") >= SHORTEST:
        sought = sought.partition("@")[0]
    elif field == "tel":
        sought = sought[-_END_OF_NUMBER:]
    last = len(sought) - SHORTEST
    for start in sorted({0, last // 2, last}):
        yield sought[start : start + SHORTEST]


def keys_of(book_ids: Collection[int]) -> tuple[int, int]:
    """The lowest and the highest key that texts of these books, and perhaps of others, have in SQLite's index."""
    return min(book_ids) << BOOK_SHIFT, (max(book_ids) + 1 << BOOK_SHIFT) - 1


def places_of(fields: Collection[str]) -> int:
    """The places of some fields as bits."""
    return sum(1 << PLACES[field] for field in set(fields))


def is_missing(connection: Connection) -> bool:
    """Whether searches have to look at every card, as PostgreSQL has no index of trigrams."""
    found = text("SELECT to_regclass(:name)")
    return connection.dialect.name == "postgresql" and not connection.scalar(found, {"name": _POSTGRESQL_INDEX})


def build(connection: Connection) -> None:
    """Make PostgreSQL's index where it is missing and can be made: the extension is there, or may be added.

    SQLite's is made anew where it is damaged. Part of each upgrade, within its transaction.
    """
    if connection.dialect.name == "sqlite" and wrong_trigrams(connection):
        _refill(connection)
    if not is_missing(connection):
        return
    columns = ", ".join(f"{field} gin_trgm_ops" for field in FIELDS)
    try:
        with connection.begin_nested():
            connection.execute(text("CREATE EXTENSION IF NOT EXISTS pg_trgm"))
            connection.execute(
                text(
                    f"CREATE INDEX {_POSTGRESQL_INDEX} ON card_search USING gin ({columns})"
                    f" WITH (gin_pending_list_limit = {_MOST_PENDING})"
                )
            )
    except DBAPIError as error:
        _logger.warning("%s (%s)", MISSING, str(error.orig).strip())


def take_away(connection: Connection) -> list[str]:
    """Remove the index before everything is written anew; ``put_back`` gets what is returned, in the same transaction.

    Row by row it would take many times as long as made at once.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"DROP INDEX IF EXISTS {_POSTGRESQL_INDEX}")
        return []
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'card_search' ORDER BY name"
    triggers = connection.exec_driver_sql(query).all()
    for name, _ in triggers:
        connection.exec_driver_sql(f"DROP TRIGGER {name}")
    return [text for _, text in triggers]


def put_back(connection: Connection, taken: Iterable[str]) -> None:
    """Make the index of what there is. taken: by ``take_away``"""
    if connection.dialect.name == "postgresql":
        build(connection)
        return
    _refill(connection)
    for text_of_trigger in taken:
        connection.exec_driver_sql(text_of_trigger)


def _refill(connection: Connection) -> None:
    """Make SQLite's index of what there is, in the order of its keys: so it is made of few pieces."""
    connection.exec_driver_sql("INSERT INTO card_texts (card_texts) VALUES ('delete-all')")
    places = ", ".join(f"({place})" for place in PLACES.values())
    field = f"CASE place {' '.join(f'WHEN {place} THEN {field}' for field, place in PLACES.items())} END"
    connection.exec_driver_sql(
        f"WITH places (place) AS (VALUES {places}) INSERT INTO card_texts (rowid, text)"  # noqa: S608  # our own names
        f" SELECT (book_id << {BOOK_SHIFT}) + (card_id << {CARD_SHIFT}) + place, {field}"
        f" FROM card_search CROSS JOIN places WHERE {field} <> '' ORDER BY book_id, card_id, place"
    )


def wrong_trigrams(connection: Connection) -> int:
    """How many trigrams SQLite's index has for more texts than there are with them, or for fewer; 0 if it is whole."""
    connection.exec_driver_sql("CREATE VIRTUAL TABLE temp.trigrams USING fts5vocab(main, card_texts, row)")
    try:
        held: dict[str, int] = dict(connection.exec_driver_sql("SELECT term, doc FROM temp.trigrams").all())
    finally:
        connection.exec_driver_sql("DROP TABLE temp.trigrams")
    due: Counter[str] = Counter()
    columns = table(CardSearch).c
    texts = select(*(columns[field] for field in FIELDS))
    for row in connection.execute(texts, execution_options={"yield_per": 200}):
        for found in row:
            read = found.translate(_AS_READ)
            due.update({read[start : start + SHORTEST] for start in range(len(read) - SHORTEST + 1)})
    return sum(1 for trigram in due.keys() | held.keys() if due[trigram] != held.get(trigram, 0))

"""The tables. Queries stand in the module whose subject they are; migrations describe their own tables.

Names inside the database are SQLAlchemy's convention below, so that later migrations can drop a constraint by its name.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

# SQLite counts up by itself only in a column of the type INTEGER.
Id = BigInteger().with_variant(Integer(), "sqlite")


class UTCDateTime(TypeDecorator[datetime]):
    """Timezone-aware UTC in Python; SQLite keeps no zone, so it is dropped and given back here."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  # as given
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Base of all tables."""

    metadata = MetaData(naming_convention=NAMING)


class DatabaseState(Base):
    """One row about the whole database."""

    __tablename__ = "database_state"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    secret: Mapped[bytes] = mapped_column(LargeBinary, comment="Key of the ETags' hash; 32 random bytes.")
    rights_generation: Mapped[int] = mapped_column(
        BigInteger, comment="Counts changes of people, groups and grants; updating it is their lock."
    )
    moved_to: Mapped[str] = mapped_column(
        Text, server_default=text("''"), comment="Where everything was moved to; what is here is read-only then."
    )
    pruned_at: Mapped[datetime | None] = mapped_column(UTCDateTime, comment="What is too old was removed then.")
    region: Mapped[str] = mapped_column(
        String(2), server_default=text("''"), comment="Of numbers without a country code: ISO 3166, e.g. DE; or empty."
    )


class Principal(Base):
    """A user or a group (RFC 3744, section 2). Removed ones stay as rows: a slug is never used again."""

    __tablename__ = "principals"
    __table_args__ = (
        CheckConstraint("kind IN ('user', 'group')", name="kind"),
        CheckConstraint("state IN ('active', 'disabled', 'removed')", name="state"),
        Index("uq_principals_directory_directory_key", "directory", "directory_key", unique=True),
        Index("uq_principals_directory_directory_login", "directory", "directory_login", unique=True),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(8))
    slug: Mapped[str] = mapped_column(String(200), unique=True, comment="Name in URLs; never changes.")
    login: Mapped[str | None] = mapped_column(String(320), comment="As typed; users only, none once removed.")
    login_folded: Mapped[str | None] = mapped_column(String(640), unique=True, comment="NFC, casefolded.")
    name: Mapped[str] = mapped_column(String(500), comment="For people.")
    email: Mapped[str] = mapped_column(String(320))
    state: Mapped[str] = mapped_column(String(8))
    password: Mapped[str | None] = mapped_column(String(300), comment="argon2id, PHC string format.")
    auth_version: Mapped[int] = mapped_column(BigInteger, comment="Counts changes of password and state.")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    domain: Mapped[str] = mapped_column(
        String(255), server_default=text("''"), comment="Folded; of grants to a domain. A user's own, empty without."
    )
    directory: Mapped[str] = mapped_column(
        String(64),
        server_default=text("''"),
        index=True,
        comment="Name of the directory it comes from; empty: made here.",
    )
    directory_key: Mapped[str | None] = mapped_column(Text, comment="What it is told by there, whatever it is called.")
    directory_login: Mapped[str | None] = mapped_column(String(640), comment="Its login there, folded.")
    dn: Mapped[str | None] = mapped_column(Text, comment="Its name in the directory when it was read last.")
    disabled_by: Mapped[str] = mapped_column(
        String(13), server_default=text("''"), comment="Of a disabled one: 'administrator' or 'directory'."
    )
    seen_at: Mapped[datetime | None] = mapped_column(UTCDateTime, comment="Signed in last, within an hour.")
    groups_at: Mapped[datetime | None] = mapped_column(UTCDateTime, comment="Its groups were read then.")


class Membership(Base):
    """That a user or group belongs to a group; groups nest, and a circle of groups is legal."""

    __tablename__ = "memberships"

    group_id: Mapped[int] = mapped_column(ForeignKey("principals.id", ondelete="CASCADE"), primary_key=True)
    member_id: Mapped[int] = mapped_column(
        ForeignKey("principals.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class GroupOwner(Base):
    """That a user or group runs a group: makes books for it, and owns the books that it owns."""

    __tablename__ = "group_owners"

    group_id: Mapped[int] = mapped_column(ForeignKey("principals.id", ondelete="CASCADE"), primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("principals.id", ondelete="CASCADE"), primary_key=True, index=True)


class Book(Base):
    """An address book. Its address is home + slug, for ever; its owner may change."""

    __tablename__ = "books"
    __table_args__ = (
        # A book in the trash leaves its address to a new one.
        Index(
            "uq_books_home_id_slug",
            "home_id",
            "slug",
            unique=True,
            sqlite_where=text("deleted_at IS NULL"),
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index(
            "uq_books_mount",
            "mount",
            unique=True,
            sqlite_where=text("deleted_at IS NULL"),
            postgresql_where=text("deleted_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    uuid: Mapped[str] = mapped_column(String(32), unique=True, comment="Names the book in sync tokens.")
    home_id: Mapped[int] = mapped_column(ForeignKey("principals.id"), comment="Owner at creation: gives the address.")
    owner_id: Mapped[int] = mapped_column(ForeignKey("principals.id"), index=True)
    slug: Mapped[str] = mapped_column(String(200))
    mount: Mapped[str] = mapped_column(String(401), comment="home's slug ~ slug: its name in other people's homes.")
    name: Mapped[str] = mapped_column(String(500))
    description: Mapped[str] = mapped_column(Text)
    color: Mapped[str] = mapped_column(String(32))
    epoch: Mapped[str] = mapped_column(String(16), comment="Random, new after every restore; part of sync tokens.")
    revision: Mapped[int] = mapped_column(BigInteger, comment="Raised by every write; updating it is the write lock.")
    floor: Mapped[int] = mapped_column(BigInteger, comment="Tokens below start over: hrefs up to here were blanked.")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UTCDateTime, comment="In the trash since.")
    card_count: Mapped[int] = mapped_column(BigInteger, server_default=text("0"), comment="Live cards.")
    card_bytes: Mapped[int] = mapped_column(BigInteger, server_default=text("0"), comment="Of its live cards.")
    mirrored_from: Mapped[str] = mapped_column(
        String(64),
        server_default=text("''"),
        comment="Name of the directory whose people it shows; nobody else writes it.",
    )
    search_only: Mapped[bool] = mapped_column(
        server_default=false(), comment="Too large for devices: searched, and not listed."
    )
    history_days: Mapped[int | None] = mapped_column(
        Integer, comment="How long its history is kept; none: as the settings say."
    )
    trash_days: Mapped[int | None] = mapped_column(
        Integer, comment="How long it stays in the trash; none: as the settings say."
    )
    purged_at: Mapped[datetime | None] = mapped_column(
        UTCDateTime, comment="It is being erased since then, piece by piece; nobody brings it back."
    )
    forgotten_at: Mapped[datetime | None] = mapped_column(
        UTCDateTime, comment="The youngest deed whose change of a card was removed for its age."
    )
    region: Mapped[str] = mapped_column(
        String(2),
        server_default=text("''"),
        comment="As in database_state, which says it for a book where this is empty.",
    )
    entries_of: Mapped[str] = mapped_column(
        Text, server_default=text("''"), comment="The rules by which all of its entries were made; empty: none are."
    )
    hidden_from_phones: Mapped[bool] = mapped_column(server_default=false())


class DefaultBook(Base):
    """The book that a user's home lists first."""

    __tablename__ = "default_books"

    principal_id: Mapped[int] = mapped_column(ForeignKey("principals.id", ondelete="CASCADE"), primary_key=True)
    book_id: Mapped[int] = mapped_column(ForeignKey("books.id", ondelete="CASCADE"))


class LargeValue(Base):
    """A long line of cards of one book, a photo nearly always, kept once however many states of them have it."""

    __tablename__ = "large_values"
    __table_args__ = (UniqueConstraint("book_id", "digest"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    book_id: Mapped[int] = mapped_column(ForeignKey("books.id", ondelete="CASCADE"))
    digest: Mapped[bytes] = mapped_column(LargeBinary, comment="BLAKE2b of the bytes, 16 bytes of it.")
    data: Mapped[bytes] = mapped_column(LargeBinary)


class Body(Base):
    """The exact bytes of one state of one card; cards and changes point here, and nobody ever alters a row.

    The pointers are no foreign keys: each would need an index of its own, only for the day a book is purged. A body
    belongs to its book instead, and goes with it.
    """

    __tablename__ = "bodies"
    __table_args__ = (
        Index(
            "ix_bodies_large_id",
            "large_id",
            sqlite_where=text("large_id IS NOT NULL"),
            postgresql_where=text("large_id IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    book_id: Mapped[int] = mapped_column(ForeignKey("books.id", ondelete="CASCADE"), index=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)
    large_id: Mapped[int | None] = mapped_column(BigInteger, comment="In large_values: a part that stands there.")
    large_at: Mapped[int | None] = mapped_column(Integer, comment="Where in data that part belongs, in bytes.")


class Card(Base):
    """One row for every href ever used in a book; the deleted ones are what sync announces as removed."""

    __tablename__ = "cards"
    __table_args__ = (
        UniqueConstraint("book_id", "href"),
        Index("ix_cards_book_id_revision", "book_id", "revision"),
        Index(
            "uq_cards_book_id_uid",
            "book_id",
            "uid",
            unique=True,
            # SQLite uses a partial index only for the words of its condition: the ones SQLAlchemy writes for ~deleted.
            sqlite_where=text("deleted = 0"),
            postgresql_where=text("NOT deleted"),
        ),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    book_id: Mapped[int] = mapped_column(ForeignKey("books.id", ondelete="CASCADE"))
    href: Mapped[str] = mapped_column(Text, comment="Name inside the book, as the client chose it, decoded.")
    uid: Mapped[str] = mapped_column(Text)
    revision: Mapped[int] = mapped_column(BigInteger, comment="The book's, at this card's last change.")
    deleted: Mapped[bool] = mapped_column()
    etag: Mapped[str] = mapped_column(String(32), comment="Keyed hash of the stored bytes.")
    size: Mapped[int] = mapped_column(Integer, comment="Bytes.")
    version: Mapped[str] = mapped_column(String(3), comment="vCard version of the stored bytes.")
    body_id: Mapped[int | None] = mapped_column(BigInteger, comment="In bodies; none once deleted.")
    created_revision: Mapped[int] = mapped_column(
        BigInteger,
        server_default=text("0"),
        comment="The book's, when this href was first used; 0: before this was noted.",
    )
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    modified_at: Mapped[datetime] = mapped_column(UTCDateTime)
    hidden_from_phones: Mapped[bool] = mapped_column(server_default=false())


class GivenUpUid(Base):
    """The UID of a deleted card whose name was used again for another one, which sync has to tell of (``homes``)."""

    __tablename__ = "given_up_uids"
    __table_args__ = (Index("ix_given_up_uids_book_id_revision", "book_id", "revision"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    book_id: Mapped[int] = mapped_column(ForeignKey("books.id", ondelete="CASCADE"))
    uid: Mapped[str] = mapped_column(Text)
    revision: Mapped[int] = mapped_column(BigInteger, comment="The book's, when the card with this UID was deleted.")


class CardSearch(Base):
    """The searched fields of a live card, folded; they narrow a search, the card's bytes decide it.

    They are indexed beside the models (``search_index``).
    """

    __tablename__ = "card_search"
    __table_args__ = (
        Index(
            "ix_card_search_book_id_more_in",
            "book_id",
            "more_in",
            sqlite_where=text("more_in <> ''"),
            postgresql_where=text("more_in <> ''"),
        ),
    )

    card_id: Mapped[int] = mapped_column(ForeignKey("cards.id", ondelete="CASCADE"), primary_key=True)
    fn: Mapped[str] = mapped_column(Text)
    n: Mapped[str] = mapped_column(Text)
    nickname: Mapped[str] = mapped_column(Text)
    org: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    email: Mapped[str] = mapped_column(Text)
    tel: Mapped[str] = mapped_column(Text)
    adr: Mapped[str] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text)
    categories: Mapped[str] = mapped_column(Text)
    uid: Mapped[str] = mapped_column(Text, server_default=text("''"))
    book_id: Mapped[int] = mapped_column(Id, index=True, comment="The card's.")
    more_in: Mapped[str] = mapped_column(
        String(3),
        server_default=text("''"),
        comment="In which vCard version the card has other texts; '*': one was cut; empty: in none.",
    )


class Entry(Base):
    """What a directory tells of a live card: names, numbers, addresses (``entries``)."""

    __tablename__ = "entries"

    card_id: Mapped[int] = mapped_column(ForeignKey("cards.id", ondelete="CASCADE"), primary_key=True)
    book_id: Mapped[int] = mapped_column(Id, index=True, comment="The card's.")
    data: Mapped[str] = mapped_column(Text, comment="JSON; see entries.")


class EntryKey(Base):
    """A text by which a directory finds a card, or puts it in order (``entries``).

    Its card is no foreign key: that would need an index of its own, for the day the card's row goes, and with it its
    entry, which knows its keys.
    """

    __tablename__ = "entry_keys"
    __table_args__ = ({"sqlite_with_rowid": False},)

    book_id: Mapped[int] = mapped_column(ForeignKey("books.id", ondelete="CASCADE"), primary_key=True)
    # In the order of code points, whatever the database's own is: so what begins with a text lies together.
    key: Mapped[str] = mapped_column(Text().with_variant(Text(collation="C"), "postgresql"), primary_key=True)
    card_id: Mapped[int] = mapped_column(Id, primary_key=True)


class Grant(Base):
    """That a principal, everyone or a domain has a role on a book."""

    __tablename__ = "grants"
    __table_args__ = (
        CheckConstraint(
            "(principal_id IS NOT NULL) = (audience = 'principal') AND (domain <> '') = (audience = 'domain')",
            name="audience",
        ),
        CheckConstraint("role IN ('viewer', 'contributor', 'editor', 'curator', 'manager', 'owner')", name="role"),
        UniqueConstraint("book_id", "principal_id"),
        Index(
            "uq_grants_book_id_audience_domain",
            "book_id",
            "audience",
            "domain",
            unique=True,
            sqlite_where=text("principal_id IS NULL"),
            postgresql_where=text("principal_id IS NULL"),
        ),
        Index("ix_grants_principal_id_book_id", "principal_id", "book_id"),
        Index("ix_grants_audience_domain", "audience", "domain"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    book_id: Mapped[int] = mapped_column(ForeignKey("books.id", ondelete="CASCADE"))
    audience: Mapped[str] = mapped_column(String(9), comment="principal, everyone (signed in) or domain.")
    principal_id: Mapped[int | None] = mapped_column(ForeignKey("principals.id", ondelete="CASCADE"))
    domain: Mapped[str] = mapped_column(String(255), comment="Empty but for the audience 'domain'.")
    role: Mapped[str] = mapped_column(String(11))
    until_at: Mapped[datetime | None] = mapped_column(UTCDateTime, comment="Ends then.")
    hidden_fields: Mapped[str | None] = mapped_column(Text, comment="JSON array of fields, see vcard.fields.")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Act(Base):
    """One deed: a PUT, an import, a restore, a grant; with who did it, by what, when and why."""

    __tablename__ = "acts"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    book_id: Mapped[int | None] = mapped_column(ForeignKey("books.id", ondelete="SET NULL"), index=True)
    actor_id: Mapped[int | None] = mapped_column(ForeignKey("principals.id"))
    actor: Mapped[str] = mapped_column(String(320), comment="Who, as text of that day.")
    device: Mapped[str] = mapped_column(String(200), comment="Which client, as far as it can be told.")
    user_agent: Mapped[str] = mapped_column(String(500))
    address: Mapped[str] = mapped_column(String(45))
    reason: Mapped[str] = mapped_column(Text, comment="Why, or what else the deed was about.")
    at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)


class Change(Base):
    """What an act did to one card: the bytes before and after, none where it didn't exist."""

    __tablename__ = "changes"
    __table_args__ = (UniqueConstraint("book_id", "revision"), Index("ix_changes_card_id", "card_id"))

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    act_id: Mapped[int] = mapped_column(ForeignKey("acts.id"), index=True)
    book_id: Mapped[int] = mapped_column(ForeignKey("books.id", ondelete="CASCADE"))
    card_id: Mapped[int] = mapped_column(ForeignKey("cards.id", ondelete="CASCADE"))
    revision: Mapped[int] = mapped_column(BigInteger)
    before_id: Mapped[int | None] = mapped_column(BigInteger, comment="In bodies; none: the card was not there.")
    after_id: Mapped[int | None] = mapped_column(BigInteger, comment="In bodies; none: the card was deleted.")
    received_id: Mapped[int | None] = mapped_column(
        BigInteger, comment="In bodies: what was sent, where something else was stored."
    )
    conflicts: Mapped[str | None] = mapped_column(
        Text, comment="JSON array of {name, kept, lost}: what the sender overwrote."
    )


class Undo(Base):
    """What an act takes back, and how far it has come: it goes over many transactions, and on after a crash."""

    __tablename__ = "undos"

    act_id: Mapped[int] = mapped_column(ForeignKey("acts.id", ondelete="CASCADE"), primary_key=True)
    spec: Mapped[str] = mapped_column(Text, comment="JSON: which changes it takes back.")
    upto_card_id: Mapped[int] = mapped_column(BigInteger, comment="Cards up to here are done.")
    finished: Mapped[bool] = mapped_column()


class Destruction(Base):
    """A deletion or emptying of a card that the guard counts, as long as it may count."""

    __tablename__ = "destructions"
    __table_args__ = (Index("ix_destructions_book_id_at", "book_id", "at"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    book_id: Mapped[int] = mapped_column(ForeignKey("books.id", ondelete="CASCADE"))
    source: Mapped[str] = mapped_column(Text, comment="Who by which device, as the guard tells them apart.")
    person: Mapped[str | None] = mapped_column(Text, comment="Who, if only a User-Agent says by which device.")
    revision: Mapped[int] = mapped_column(BigInteger, comment="The book's: names the change.")
    deleted: Mapped[bool] = mapped_column(comment="Else it was emptied, and is still one of the book's cards.")
    at: Mapped[datetime] = mapped_column(UTCDateTime)


class Block(Base):
    """That the guard stopped a device of a person in a book; it ends by itself, or by a manager."""

    __tablename__ = "blocks"
    __table_args__ = (Index("ix_blocks_book_id_source", "book_id", "source"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    book_id: Mapped[int] = mapped_column(ForeignKey("books.id", ondelete="CASCADE"))
    source: Mapped[str] = mapped_column(Text, comment="As in destructions; or their person, for all such devices.")
    principal_id: Mapped[int | None] = mapped_column(ForeignKey("principals.id"))
    actor: Mapped[str] = mapped_column(String(320), comment="Who, as text of that day.")
    device: Mapped[str] = mapped_column(String(200))
    address: Mapped[str] = mapped_column(String(45))
    user_agent: Mapped[str] = mapped_column(String(500))
    first_revision: Mapped[int] = mapped_column(BigInteger, comment="The book's, of the first change that counted.")
    destroyed: Mapped[int] = mapped_column(Integer, comment="Cards that were deleted or emptied before it stepped in.")
    of_cards: Mapped[int] = mapped_column(Integer, comment="Cards that the book had before.")
    began_at: Mapped[datetime] = mapped_column(UTCDateTime, comment="Of the first change that counted.")
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    until_at: Mapped[datetime] = mapped_column(UTCDateTime, comment="Ends by itself then.")
    released_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    released_by: Mapped[str] = mapped_column(String(320), server_default=text("''"))
    reverted_act_id: Mapped[int | None] = mapped_column(BigInteger, comment="The act that brought the cards back.")


class GuardRule(Base):
    """How much the guard of one book lets through, for one role or for all."""

    __tablename__ = "guard_rules"
    __table_args__ = (UniqueConstraint("book_id", "role"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    book_id: Mapped[int] = mapped_column(ForeignKey("books.id", ondelete="CASCADE"))
    role: Mapped[str] = mapped_column(String(11), comment="Empty: all that have no rule of their own.")
    cards: Mapped[int | None] = mapped_column(Integer, comment="None: the guard is off.")
    percent: Mapped[int | None] = mapped_column(Integer)


class CleanUp(Base):
    """That somebody said beforehand that they will delete many cards of a book."""

    __tablename__ = "clean_ups"

    book_id: Mapped[int] = mapped_column(ForeignKey("books.id", ondelete="CASCADE"), primary_key=True)
    principal_id: Mapped[int] = mapped_column(
        ForeignKey("principals.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    until_at: Mapped[datetime] = mapped_column(UTCDateTime)
    said_by: Mapped[str] = mapped_column(String(320))


class ClientProperty(Base):
    """That a kind of program has sent a property at least once: then leaving it out means something."""

    __tablename__ = "client_properties"

    client: Mapped[str] = mapped_column(String(200), primary_key=True, comment="As ``changes.client_of`` names it.")
    name: Mapped[str] = mapped_column(String(100), primary_key=True)


class Notice(Base):
    """Something that somebody is to be told outside of here, until it is sent or was tried for long enough."""

    __tablename__ = "notices"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    channel: Mapped[str] = mapped_column(String(7), comment="mail or webhook.")
    recipient: Mapped[str] = mapped_column(Text, comment="An e-mail address; empty for the webhook.")
    content: Mapped[str] = mapped_column(Text, comment="JSON: subject, text, facts.")
    made_at: Mapped[datetime] = mapped_column(UTCDateTime)
    next_at: Mapped[datetime | None] = mapped_column(UTCDateTime, index=True, comment="Tried then; none: given up.")
    tries: Mapped[int] = mapped_column(Integer)
    failure: Mapped[str] = mapped_column(Text, comment="Why it could not be sent last.")


class Backup(Base):
    """A backup that was made or verified, so that somebody can be told how old the last good one is."""

    __tablename__ = "backups"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    file: Mapped[str] = mapped_column(Text, comment="Where it was, absolute.")
    digest: Mapped[str] = mapped_column(String(64), unique=True, comment="SHA-256 of the file, which names it.")
    size: Mapped[int] = mapped_column(BigInteger, comment="Bytes.")
    of_at: Mapped[datetime] = mapped_column(UTCDateTime, comment="The moment that it shows.")
    verified_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    problem: Mapped[str] = mapped_column(Text, comment="What verifying found; empty: nothing.")


class Refusal(Base):
    """A client's write that was refused and has to be taken back on it at its next sync.

    The row with the empty href stands for all older ones that were dropped to keep the list short.
    """

    __tablename__ = "refusals"
    __table_args__ = (UniqueConstraint("principal_id", "client", "book_id", "href"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    principal_id: Mapped[int] = mapped_column(ForeignKey("principals.id", ondelete="CASCADE"))
    client: Mapped[str] = mapped_column(String(200))
    book_id: Mapped[int] = mapped_column(ForeignKey("books.id", ondelete="CASCADE"), index=True)
    href: Mapped[str] = mapped_column(Text)
    serial: Mapped[int] = mapped_column(BigInteger, comment="Counts this person's refusals in this book.")
    at: Mapped[datetime] = mapped_column(UTCDateTime)


class Device(Base):
    """A client with a password of its own. The password is random and long: a keyed hash of it is enough."""

    __tablename__ = "devices"
    __table_args__ = (UniqueConstraint("principal_id", "label"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    principal_id: Mapped[int] = mapped_column(ForeignKey("principals.id", ondelete="CASCADE"))
    label: Mapped[str] = mapped_column(String(200), comment="What its owner calls it.")
    key_id: Mapped[str] = mapped_column(String(32), unique=True, comment="The part of the password that finds it.")
    digest: Mapped[bytes] = mapped_column(LargeBinary, comment="Keyed hash of the whole password.")
    read_only: Mapped[bool] = mapped_column()
    phones_only: Mapped[bool] = mapped_column(comment="Serves desk phones alone, not CardDAV.")
    all_books: Mapped[bool] = mapped_column(comment="Else those in device_books.")
    merged: Mapped[bool | None] = mapped_column(comment="Whether it gets the merged book; none: by its User-Agent.")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UTCDateTime, comment="Within an hour.")
    last_address: Mapped[str] = mapped_column(String(45))
    last_user_agent: Mapped[str] = mapped_column(String(500))


class DeviceBook(Base):
    """A book that a device may use, where it may not use all."""

    __tablename__ = "device_books"

    device_id: Mapped[int] = mapped_column(ForeignKey("devices.id", ondelete="CASCADE"), primary_key=True)
    book_id: Mapped[int] = mapped_column(ForeignKey("books.id", ondelete="CASCADE"), primary_key=True, index=True)


class PhoneProfile(Base):
    """How a device that serves desk phones shows the books: what its make wants, and what its owner allows."""

    __tablename__ = "phone_profiles"

    device_id: Mapped[int] = mapped_column(ForeignKey("devices.id", ondelete="CASCADE"), primary_key=True)
    make: Mapped[str] = mapped_column(String(32), comment="The name of a format.")
    sign_in: Mapped[str] = mapped_column(String(5), comment="url, basic or both: where its password is taken from.")
    networks: Mapped[str] = mapped_column(Text, comment="Those it may ask from, one a line; empty: all.")
    fields: Mapped[str] = mapped_column(Text, comment="What it shows beside names, one a line.")
    name_order: Mapped[str] = mapped_column(String(8), comment="family, given or written.")
    dial: Mapped[str] = mapped_column(String(8), comment="e164, 00 or national.")
    region: Mapped[str] = mapped_column(String(2), comment="Where it stands; empty: where the server does.")
    outside_prefix: Mapped[str] = mapped_column(String(8), comment="What is dialled before an outside number.")
    trunk: Mapped[str] = mapped_column(String(20), comment="E.164: what its own extensions stand behind.")
    max_entries: Mapped[int] = mapped_column(Integer)
    max_bytes: Mapped[int] = mapped_column(Integer)
    language: Mapped[str] = mapped_column(String(8))


class SignIn(Base):
    """What a directory said of a login and a password, so that it isn't asked the same again.

    login: as it was typed, folded, without the directory's domain
    digest: argon2id of the password, with a salt made of directory and login
    """

    __tablename__ = "sign_ins"
    __table_args__ = (
        CheckConstraint("verdict IN ('pending', 'right', 'wrong')", name="verdict"),
        UniqueConstraint("directory", "login", "digest"),
        Index("ix_sign_ins_directory_directory_key", "directory", "directory_key"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    directory: Mapped[str] = mapped_column(String(64))
    login: Mapped[str] = mapped_column(String(640))
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    directory_key: Mapped[str | None] = mapped_column(Text, comment="Whose password it was tried for, once known.")
    verdict: Mapped[str] = mapped_column(String(7))
    at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)


class Lease(Base):
    """That one process leads a task until a moment."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    holder: Mapped[str] = mapped_column(String(100))
    until_at: Mapped[datetime] = mapped_column(UTCDateTime)


class DirectoryState(Base):
    """How far the following of one directory has come."""

    __tablename__ = "directory_states"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    followed_at: Mapped[datetime | None] = mapped_column(UTCDateTime, comment="Groups and people were read then.")
    mirrored_at: Mapped[datetime | None] = mapped_column(UTCDateTime, comment="The mirrored book was brought up then.")
    mirrored_to: Mapped[str] = mapped_column(
        Text, server_default=text("''"), comment="The directory's own time of that."
    )
    failing_since: Mapped[datetime | None] = mapped_column(UTCDateTime)
    failure: Mapped[str] = mapped_column(Text, server_default=text("''"), comment="Why it can't be read, for people.")
    guard: Mapped[str] = mapped_column(
        Text,
        server_default=text("''"),
        comment="What was not believed, until an administrator accepts it; empty: nothing.",
    )


class MirroredEntry(Base):
    """Which card of a mirrored book shows which entry of its directory, and what it was made of."""

    __tablename__ = "mirrored_entries"
    __table_args__ = (UniqueConstraint("book_id", "href"),)

    book_id: Mapped[int] = mapped_column(ForeignKey("books.id", ondelete="CASCADE"), primary_key=True)
    directory_key: Mapped[str] = mapped_column(String(512), primary_key=True)
    href: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(String(32), comment="Of the mapped values, and of how they are mapped.")


class ClientVersion(Base):
    """The vCard version that a client wrote last: what it is given where it asks for none (``changes.client_of``)."""

    __tablename__ = "client_versions"

    principal_id: Mapped[int] = mapped_column(ForeignKey("principals.id", ondelete="CASCADE"), primary_key=True)
    client: Mapped[str] = mapped_column(String(200), primary_key=True)
    version: Mapped[str] = mapped_column(String(3), comment="vCard version it wrote last.")


class DeadProperty(Base):
    """A property that a client set and this server only keeps (RFC 4918, section 4), of a home, a book or a card."""

    __tablename__ = "dead_properties"
    __table_args__ = (
        CheckConstraint(
            "(principal_id IS NOT NULL AND book_id IS NULL AND card_id IS NULL)"
            " OR (principal_id IS NULL AND book_id IS NOT NULL AND card_id IS NULL)"
            " OR (principal_id IS NULL AND book_id IS NULL AND card_id IS NOT NULL)",
            name="one_subject",
        ),
        UniqueConstraint("principal_id", "name"),
        UniqueConstraint("book_id", "name"),
        UniqueConstraint("card_id", "name"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    principal_id: Mapped[int | None] = mapped_column(
        ForeignKey("principals.id", ondelete="CASCADE"), comment="Of this user's home."
    )
    book_id: Mapped[int | None] = mapped_column(ForeignKey("books.id", ondelete="CASCADE"), comment="Of this book.")
    card_id: Mapped[int | None] = mapped_column(ForeignKey("cards.id", ondelete="CASCADE"), comment="Of this card.")
    name: Mapped[str] = mapped_column(Text, comment="{namespace}local")
    xml: Mapped[str] = mapped_column(Text, comment="The whole element.")


# A row of a query, whatever its columns are.
AnyRow = Row[*tuple[Any, ...]]


def now() -> datetime:
    """This moment, timezone-aware UTC."""
    return datetime.now(UTC)


def table(model: type[Base]) -> Any:
    """The Table of a model: for statements that write, where the ORM's bookkeeping would only cost."""
    return model.__table__

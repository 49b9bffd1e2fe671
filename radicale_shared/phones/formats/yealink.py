"""Yealink: a flat phone book and one with groups, whole or searched.

Checked against the description of remote XML phone books in the Matrix SPARSH VP110 User Guide (a Yealink with another
name on it), p. 342: any root that ends with ``IPPhoneDirectory``, an entry with one name and one or more numbers, five
books a phone; the groups against a Yealink's own export. The phone puts what was typed in place of ``#SEARCH`` in the
URL; it asks with the word itself, or with nothing, where it wants everyone.
"""

from __future__ import annotations

from collections.abc import Iterable

from .. import files, xml
from ..asking import Asked, Document, Format, Setup
from ..contacts import Contact
from ..words import words

_SEARCHED = 100  # contacts of one search: more is no answer to somebody who types on a phone
_NUMBERS = 3  # of a contact in a book with groups


def flat(asked: Asked) -> Document:
    """``YealinkIPPhoneDirectory``."""
    kinds = words(asked.profile.language).kinds

    def entry(contact: Contact) -> list[str]:
        numbers = [
            xml.element("Telephone", line.number, label=kinds[line.kind]) for line in files.dialled(asked, contact)
        ]
        name = xml.element("Name", files.name(contact))
        return [xml.parent("DirectoryEntry", [name, *numbers]) + "\n"] if numbers else []

    head, tail = xml.DECLARATION + "<YealinkIPPhoneDirectory>\n", "</YealinkIPPhoneDirectory>\n"
    return files.document(asked, _asked_for(asked), entry, head, tail)


def grouped(asked: Asked) -> Document:
    """``YealinkIPPhoneBook``: a menu for each book; who has more than three numbers stands in it several times."""

    def units(contact: Contact) -> list[str]:
        numbers = [line.number for line in files.dialled(asked, contact)]
        return [
            xml.empty(
                "Unit", Name=files.name(contact), **_phones(numbers[at : at + _NUMBERS]), default_photo="Resource:"
            )
            + "\n"
            for at in range(0, len(numbers), _NUMBERS)
        ]

    contacts = list(_asked_for(asked))
    menus = {contact.group: _menu(contact.group, []) for contact in contacts}
    head = xml.DECLARATION + f"<YealinkIPPhoneBook>\n{xml.element('Title', words(asked.profile.language).contacts)}\n"
    tail = "</YealinkIPPhoneBook>\n"
    around = sum(len(text.encode()) for text in (head, tail, *menus.values()))
    of_group: dict[str, list[str]] = {}
    for one in files.fitting(asked, contacts, units, around=around):
        of_group.setdefault(one.contact.group, []).extend(one.entries)
    return Document("".join([head, *(_menu(group, of_group[group]) for group in sorted(of_group)), tail]).encode())


def _asked_for(asked: Asked) -> Iterable[Contact]:
    text = asked.text("q")
    if text in ("", "#SEARCH"):
        return asked.everyone()
    return asked.search(text, 0, _SEARCHED).contacts


def _phones(numbers: list[str]) -> dict[str, str]:
    return {f"Phone{at + 1}": numbers[at] if at < len(numbers) else "" for at in range(_NUMBERS)}


def _menu(group: str, units: list[str]) -> str:
    return xml.parent("Menu", ["\n", *units], Name=xml.plain(group, files.MOST_NAME_BYTES)) + "\n"


def setup(told: Setup) -> str:
    """Lines for the phone's or the common configuration file."""
    name = words(told.profile.language).contacts
    return f"""\
# The phone asks this server while somebody types. Under Directory, Remote Phone Book.
remote_phonebook.data.1.url = {told.url}yealink.xml?q=#SEARCH
remote_phonebook.data.1.name = {name}
{_login(told)}# Or: the whole phone book, which the phone keeps and looks callers up in.
# remote_phonebook.data.1.url = {told.url}yealink.xml
# Or: the same with a menu for each book.
# remote_phonebook.data.1.url = {told.url}yealink-book.xml
# The name of who calls, and of who is called, is taken from it; it is fetched anew every 6 hours.
features.remote_phonebook.enable = 1
features.remote_phonebook.flash_time = 21600
"""


def _login(told: Setup) -> str:
    if not told.login:
        return ""
    return f"remote_phonebook.data.1.username = {told.login}\nremote_phonebook.data.1.password = {told.password}\n"


FORMAT = Format(
    name="yealink",
    title="Yealink, and phones with its format: Matrix SPARSH VP, Flyingvoice",
    answers={"yealink.xml": flat, "yealink-book.xml": grouped},
    preview=("yealink.xml", {}),
    setup=setup,
    most_entries=0,
    most_bytes=0,
    source="Matrix SPARSH VP110 User Guide, p. 342 (remote XML phone book)",
)

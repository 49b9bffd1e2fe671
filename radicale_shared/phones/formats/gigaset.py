"""Gigaset: the online directory of its DECT bases, and the central phone book as a file.

The online directory is one URL that is asked for a part of a list, or who has a number (*Gigaset Phonebook Search
Protocol*, version 1.4.02). Its three kinds of pages, public, private and yellow, all show what this phone may see; it
can't be written to. The protocol has a name for towns, streets and more, none of which is searched here.

The file is that of N610, N670 and N870 (Gigaset's wiki, *Central phonebook*: 2000 entries or 2 MB). The example there
has no element around its entries, which no parser of XML could read; ``list`` is what public implementations write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ... import entry_keys
from ...entries import Kind
from .. import files, xml
from ..asking import Asked, Document, Format, Setup
from ..contacts import Contact, Line

_MOST_ENTRIES = 2000
_MOST_BYTES = 2_000_000

_PAGES = frozenset({"pb", "pr", "yp"})
_ANY = "*"
_NUMBERS = ("hm", "mb", "of", "fx", "sip")
_NOT_SEARCHED = ("nn", "ct", "st", "nr", "zc", "em", "in", "bp", "cat")
_NAMES = ("ln", "fn")

_COUNT = 10  # entries, where a phone doesn't say how many
_MOST_COUNT = 100
# How far behind a page others are counted: up to there ``total`` is exact, and behind it tells that there are more.
_AHEAD = 500
_MOST_SEARCHED = 2000
_LONGEST_NUMBER = 40
_MOST_NAME_BYTES = 64
_MOST_ID_BYTES = 32
# Answers are cut to what a phone says it can take; less than one entry can't be meant.
_SMALLEST_LIMIT = 1024

_NOT_ALLOWED = (1, "not allowed")
_SYNTAX_ERROR = (2, "syntax error")
_INVALID = (4, "invalid")

# In the order in which numbers of other kinds take what is left.
_OF_LIST = {"hm": Kind.HOME, "of": Kind.WORK, "mb": Kind.MOBILE}
_OF_FILE = {
    "home1": Kind.HOME,
    "home2": Kind.HOME,
    "office1": Kind.WORK,
    "office2": Kind.WORK,
    "mobile1": Kind.MOBILE,
    "mobile2": Kind.MOBILE,
}
_WRITTEN = ("office1", "office2", "mobile1", "mobile2", "home1", "home2")


def directory(asked: Asked) -> Document:
    """A part of the directory, or who has a number."""
    command, kind = asked.text("command"), asked.text("type")
    if command != "get_list":
        return _error(asked, _NOT_ALLOWED if command else _SYNTAX_ERROR)
    if kind not in _PAGES:
        return _error(asked, _INVALID)
    if key := _sought(asked, "id"):
        found = asked.contact(key)
        return _list(asked, [found] if found else [], 1, 1 if found else 0, "id")
    if name := next((name for name in _NOT_SEARCHED if _sought(asked, name)), ""):
        return _list(asked, [], 1, 0, name)
    if name := next((name for name in _NUMBERS if _sought(asked, name)), ""):
        number = _sought(asked, name)[:_LONGEST_NUMBER]
        if asked.text(name).endswith(_ANY):
            return _part(asked, number, name)
        called = asked.called(number)
        return _list(asked, called[: _count(asked)], 1, len(called), name)
    name = next((name for name in _NAMES if _sought(asked, name)), _NAMES[0])
    return _part(asked, " ".join(filter(None, (_sought(asked, one) for one in _NAMES))), name)


def _part(asked: Asked, text: str, name: str) -> Document:
    """The part that is asked for of all who are found by a text, which stood in the field of this name.

    It begins at ``first``, ends at ``last``, or begins with the first name that doesn't come before ``set_first``.
    """
    first, last, count = asked.number("first"), asked.number("last"), _count(asked)
    letters = _sought(asked, "set_first")
    is_end = asked.text("last") == "-1"
    if first:
        start = first - 1
        count = min(count, last - start) if last >= first else count
    else:
        start, count = max(last - count, 0), min(count, last or count)
    if not letters and not is_end:
        found = asked.search(text, start, count + _AHEAD)
        if found.contacts or not start:
            total = start + len(found.contacts) + found.has_more
            return _list(asked, found.contacts[:count], start + 1, total, name)
        # It asks for what is behind the end of a list that has become shorter: that has to be counted.
    every = asked.search(text, 0, _MOST_SEARCHED).contacts if text else asked.everyone()
    if letters:
        start = _first_from(every, letters)
    elif is_end:
        start = len(every)
    if start >= len(every):
        start = max(len(every) - count, 0)
    return _list(asked, every[start : start + count], start + 1, len(every), name)


def _first_from(contacts: Sequence[Contact], letters: str) -> int:
    """Which of them is the first that doesn't come before some letters."""
    wanted = entry_keys.plain(letters)
    return next((at for at, one in enumerate(contacts) if entry_keys.plain(one.name) >= wanted), len(contacts))


def _sought(asked: Asked, name: str) -> str:
    """What is sought in a field; empty for anything."""
    return asked.text(name).rstrip(_ANY).strip()


def _count(asked: Asked) -> int:
    return min(asked.number("count", _COUNT) or _COUNT, _MOST_COUNT)


def _list(asked: Asked, contacts: Sequence[Contact], first: int, total: int, sought: str) -> Document:
    """A part of a list. first: which of ``total`` its first one is, from 1; sought: by which field, if there is none"""
    told = {"response": "get_list", "type": asked.text("type")}
    asked_by = {"reqid": xml.plain(asked.text("reqid"), _MOST_ID_BYTES)} if asked.text("reqid") else {}
    if not contacts:
        return _document(xml.empty("list", **told, **asked_by, notfound=sought, total="0"))
    entries = [_entry(asked, contact) for contact in contacts]
    limit = asked.number("limit")
    while True:
        last = first + len(entries) - 1
        answer = xml.parent("list", entries, **told, total=str(total), first=str(first), last=str(last), **asked_by)
        if len(entries) == 1 or limit < _SMALLEST_LIMIT or len(answer.encode()) + len(xml.DECLARATION) <= limit:
            return _document(answer)
        entries.pop()


def _entry(asked: Asked, contact: Contact) -> str:
    numbers, *others = _placed(files.dialled(asked, contact), _OF_LIST) or [{}]
    if others:
        asked.left_out.add(f"they have more than {len(_OF_LIST)} numbers, and are shown with the first", contact.name)
    family, given = files.family_and_given(contact, _MOST_NAME_BYTES)
    fields = {
        "ln": family,
        "fn": given,
        **{name: numbers.get(name, "") for name in ("hm", "mb", "of")},
        "em": xml.plain(contact.email, _MOST_NAME_BYTES),
    }
    return xml.parent("entry", [xml.element(name, value) for name, value in fields.items() if value], id=contact.key)


def _error(asked: Asked, error: tuple[int, str]) -> Document:
    number, message = error
    kind = asked.text("type")
    return _document(
        xml.parent(
            "error",
            [xml.element("errorid", str(number)), xml.element("message", message)],
            response="get_list",
            type=kind if kind in _PAGES else "pb",
        )
    )


def _document(answer: str) -> Document:
    return Document(f"{xml.DECLARATION}{answer}\n".encode())


_HEAD = f"{xml.DECLARATION}<!DOCTYPE LocalDirectory>\n<list>\n"
_FOOT = "</list>\n"


def book(asked: Asked) -> Document:
    """The central phone book."""
    return files.document(
        asked,
        asked.everyone(),
        lambda contact: _book_entries(asked, contact),
        _HEAD,
        _FOOT,
        most_entries=_MOST_ENTRIES,
        most_bytes=_MOST_BYTES,
    )


def _book_entries(asked: Asked, contact: Contact) -> list[str]:
    """A contact; once more for the numbers that have no place in the entry before."""
    family, given = files.family_and_given(contact)
    return [
        f"{xml.empty('entry', surname=family, name=given, **{place: numbers.get(place, '') for place in _WRITTEN})}\n"
        for numbers in _placed(files.dialled(asked, contact), _OF_FILE)
    ]


def _placed(lines: Sequence[Line], places: Mapping[str, Kind]) -> list[dict[str, str]]:
    """{place: number} of as many entries as it takes: each in a place for its kind, else in one that is left."""
    entries = []
    while lines:
        numbers: dict[str, str] = {}
        others = []
        for line in lines:
            place = next((place for place, kind in places.items() if kind is line.kind and place not in numbers), None)
            if place is None:
                others.append(line)
            else:
                numbers[place] = line.number
        left = [place for place in places if place not in numbers]
        numbers.update((place, line.number) for place, line in zip(left, others, strict=False))
        entries.append(numbers)
        lines = others[len(left) :]
    return entries


def setup(told: Setup) -> str:
    """For provisioning, and for the pages of the bases."""
    url, book_url = (xml.escaped(f"{told.url}{path}") for path in ("gigaset?", "gigaset/book.xml"))
    login, password = xml.escaped(told.login), xml.escaped(told.password)
    provider = "BS_XML_Netdirs.astNetdirProvider[0]"
    lines = [
        "# N510 and N720: Settings > Directories > Online Directory > additional provider, or in its provisioning:",
        f"""<SYMB_ITEM ID="{provider}.aucProviderName[0]" class="symb_item" value='"Contacts"'/>""",
        f"""<SYMB_ITEM ID="{provider}.aucWhitePagesDirName[0]" class="symb_item" value='"Contacts"'/>""",
        f"""<SYMB_ITEM ID="{provider}.aucServerURL[0]" class="symb_item" value='"{url}"'/>""",
        *(
            f"""<SYMB_ITEM ID="{provider}.{name}[0]" class="symb_item" value='"{value}"'/>"""
            for name, value in (("aucUsername", login), ("aucPassword", password))
            if value
        ),
        f"""<SYMB_ITEM ID="{provider}.bitfldCap.bSearchPeopleCap" class="symb_item" value="1"/>""",
        f"""<SYMB_ITEM ID="{provider}.bitfldCap.bReverseSearchCap" class="symb_item" value="1"/>""",
        f"""<SYMB_ITEM ID="{provider}.bitfldCap.bAutolookupCap" class="symb_item" value="1"/>""",
        "# Which directories the handsets show (0x28: white pages of this provider):",
        """<SYMB_ITEM ID="BS_XML_Netdirs.aucActivatedNetdirs[0]" class="symb_item" value="0x28"/>""",
        "",
        "# N610, N670 and N870: Settings > Online Directories > XML, or in its provisioning:",
        '<param name="Netdir.1.Activated" value="1"/>',
        f'<param name="XMLDir.1.ServerURL" value="{url}"/>',
        "",
        "# The same bases with the whole book: Settings > Online Directories > Central Phonebook, or",
        '<param name="Netdir.21.Activated" value="1"/>',
        '<param name="CentralBook.0.Name" value="Contacts"/>',
        f'<param name="CentralBook.0.ServerURL" value="{book_url}"/>',
        '<param name="CentralBook.0.DownloadTime" value="05:00"/>',
        '<param name="CentralBook.0.StartWithList" value="1"/>',
        '<param name="CentralBook.0.SearchAnywhereInName" value="1"/>',
    ]
    if told.login:
        lines.append("# There the login and password are entered on the page Settings > System > Security.")
    return "\n".join(lines) + "\n"


FORMAT = Format(
    name="gigaset",
    title="Gigaset N510, N720, N610, N670, N870",
    answers={"gigaset": directory, "gigaset/book.xml": book},
    preview=("gigaset", {"command": "get_list", "type": "pb", "first": "1", "count": "20"}),
    setup=setup,
    most_entries=_MOST_ENTRIES,
    most_bytes=_MOST_BYTES,
    source="Gigaset Phonebook Search Protocol Specification 1.4.02; Gigaset wiki, Central phonebook (N610/N670/N870)",
)

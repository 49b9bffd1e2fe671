"""The surface for desk phones: directories in the formats of their makes, and who is calling, below ``/p/``.

application   who asks, by which password and from where; what is answered, and with which headers
signing_in    the phone of a request, by the password in its URL or by HTTP Basic
answering     one request: the books that this phone shows, and what its make answers
directory     the contacts of these books, as this phone shows them
contacts      what a phone shows of a person
lookup        whose number it is that calls
cache         answers that were made, kept for the next phone that asks
turns         how many whole lists are made at a time
asking        what the formats have in common, and what each tells of itself
formats       one module for each make
files         whole phone books: as many contacts as fit, and who is left out
paging        lists on a phone's screen, page by page
setups        what the lines for phones' configurations have in common
words         the words that phones show, by language
xml           XML as phones read it
paths         which requests are the phones'
"""

from .paths import is_phones

__all__ = ["is_phones"]

"""Request bodies as XML: what is parsed in the fast way means the same, and is refused the same, as with all care."""

import xml.etree.ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from radicale_shared.dav import xml
from radicale_shared.dav.http import BadRequestError, ForbiddenError
from tests.conftest import examples
from tests.dav.fuzz_xml import BODIES

DECLARATIONS = [
    "",
    '<?xml version="1.0"?>',
    '<?xml version="1.0" encoding="UTF-8"?>\r\n',
    "<?xml version='1.0' encoding='utf-8' ?>",
    '<?xml version="1.0" encoding="utf8"?>',
    '<?xml version="1.0" encoding="iso-8859-1"?>',
    '<?xml version="1.0" encoding="utf-16"?>',
    '<?xml version="1.1"?>',
    '<?xml encoding="utf-8"?>',
    "<?xml?>",
]
# Pieces that nobody sends in this order, and that an XML parser has something to say about.
PIECES = st.sampled_from(
    [
        *("<a>", "</a>", "<b/>", "<D:c xmlns:D='DAV:'>", "</D:c>", "<d x='1' y=\"2\"/>", "<d x='1' x='2'/>", "<D:e/>"),
        *(
            "text",
            " ",
            "\r\n",
            "\t",
            "&amp;",
            "&lt;",
            "&#13;",
            "&#0;",
            "&x;",
            "&",
            "<",
            ">",
            "]]>",
            "\u00e9",
            "\U0001f600",
        ),
        *("<?x y?>", "<?xml version='1.0'?>", "<!-- c -->", "<![CDATA[<&]]>", "\x00", "\x01", "\ufffe", "<a xmlns=''>"),
        *("<xml:a xml:lang='de'/>", "<a xmlns:x=''/>", "<a b='<'/>", "<a b='\n&#10;\t'/>", "<1/>", "</ a>", "<a", "/>"),
    ]
)
documents = st.builds(
    lambda declaration, pieces, charset: f"{declaration}{''.join(pieces)}".encode(charset, "replace"),
    st.sampled_from(DECLARATIONS),
    st.lists(PIECES, max_size=8) | st.lists(PIECES, max_size=6).map(lambda inner: ["<r>", *inner, "</r>"]),
    st.sampled_from(["utf-8"] * 6 + ["latin-1", "utf-16", "utf-16-le", "utf-8-sig"]),
)


def shape(one):
    return one.tag, one.attrib, one.text, one.tail, [shape(inner) for inner in one]


def outcome(body):
    """The tree that a body is, or which error refuses it."""
    try:
        root = xml.parse(body)
    except (BadRequestError, ForbiddenError) as error:
        return type(error)
    return root if root is None else shape(root)


def assert_same_with_a_comment_behind(body):
    """A comment changes nothing, but is parsed with all care."""
    if body.strip():
        assert outcome(body) == outcome(body + "<!---->".encode("utf-16-le" if b"<\x00" in body else "utf-8"))


@examples(400)
@given(body=documents)
@example(body=b"<a>x<?x y?>z</a>")
@example(body=b'<?xml version="1.0" encoding="utf-8"?><a>\xff</a>')
@example(body=b"\xff\xfe<\x00a\x00/\x00>\x00")
def test_both_parsers_give_the_same_tree_or_the_same_refusal(body):
    assert_same_with_a_comment_behind(body)


@pytest.mark.parametrize("kind", BODIES)
def test_both_parsers_agree_on_what_clients_send_and_on_what_is_misspelt_of_it(kind):
    @examples(100)
    @given(body=BODIES[kind])
    def agree(body):
        if not body.startswith((b"\xff\xfe", b"\xfe\xff")):
            assert_same_with_a_comment_behind(body)

    agree()


@given(body=st.binary(max_size=40) | st.binary(max_size=20).map(lambda inner: b"<a>" + inner + b"</a>"))
def test_no_bytes_whatever_are_anything_but_a_tree_or_a_refusal(body):
    outcome(body)


IN_FRONT = ["", "\n", "<?x y?>", "<!-- x -->", *DECLARATIONS[1:5]]
PLACES = [*((front, charset) for front in IN_FRONT for charset in ("utf-8", "utf-8-sig"))]
PLACES += [("", "utf-16"), ("", "utf-16-le"), ("", "utf-16-be"), (DECLARATIONS[6], "utf-16")]


@pytest.mark.parametrize(("front", "charset"), PLACES)
def test_a_document_type_is_refused_in_every_encoding_and_wherever_it_may_stand(front, charset):
    body = f'{front}<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'.encode(charset)

    assert outcome(body) is ForbiddenError


@pytest.mark.parametrize("behind", ["", "<!---->"], ids=["fast", "careful"])
@pytest.mark.parametrize(("depth", "refused"), [(xml.MOST_DEPTH, False), (xml.MOST_DEPTH + 1, True), (200_000, True)])
def test_elements_may_be_so_deep_and_no_deeper(behind, depth, refused):
    body = f"{'<a>' * depth}{'</a>' * depth}{behind}".encode()

    assert (outcome(body) is BadRequestError) == refused


@pytest.mark.parametrize("behind", ["", "<!---->"], ids=["fast", "careful"])
@pytest.mark.parametrize("end", ["/>", "></b>"])
def test_elements_may_be_so_many_and_no_more(monkeypatch, behind, end):
    monkeypatch.setattr(xml, "MOST_ELEMENTS", 1000)

    for more, refused in ((0, False), (1, True)):
        body = f"<a>{f'<b{end}' * (999 + more)}</a>{behind}".encode()
        assert (outcome(body) is BadRequestError) == refused


def test_the_elements_that_are_given_are_those_of_the_standard_library():
    for body in (b"<a><b/></a>", b"<a><!----><b/></a>"):
        assert isinstance(xml.parse(body), ET.Element)


def test_an_empty_body_is_no_element():
    assert [xml.parse(body) for body in (b"", b" \r\n")] == [None, None]

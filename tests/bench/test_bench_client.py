"""The benchmark's HTTP client: every way an answer may end, and what is read out of a multistatus."""

import pytest
from cdbench.client import Client, Response, Target, name_of

MULTISTATUS = b"""<?xml version="1.0"?>
<D:multistatus xmlns:D="DAV:"><D:response><D:href>/alice/book/</D:href><D:propstat><D:prop/></D:propstat></D:response>
<D:response><D:href>/alice/book/a%20&amp;b.vcf</D:href><D:propstat><D:prop>
<D:getetag>&quot;one&quot;</D:getetag></D:prop></D:propstat></D:response>
<D:response><D:href>/alice/book/gone.vcf</D:href><D:status>HTTP/1.1 404 Not Found</D:status></D:response>
<D:responsedescription>all of it</D:responsedescription>
<D:sync-token>http://x/?a=1&amp;b=2</D:sync-token></D:multistatus>"""


def ok(body: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", *headers, b"", body])


def get(client: Client) -> bytes:
    return client.request("GET", "/alice/book/a.vcf").body


def test_a_body_of_known_length_leaves_the_connection_open(scripted):
    server = scripted(ok(b"first", b"Content-Length: 5"), ok(b"second", b"Content-Length: 6"))
    client = Client(Target(server.url))

    assert [get(client), get(client)] == [b"first", b"second"]
    assert server.connections == 1


def test_chunks_and_their_trailers_are_put_together(scripted):
    chunks = b"5;name=x\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n"
    server = scripted(ok(chunks, b"Transfer-Encoding: Chunked"), ok(b"next", b"Content-Length: 4"))
    client = Client(Target(server.url))

    assert [get(client), get(client)] == [b"hello world", b"next"]
    assert server.connections == 1


def test_a_body_without_a_length_ends_with_the_connection(scripted):
    server = scripted((ok(b"till the end"), True), ok(b"next", b"Content-Length: 4"))
    client = Client(Target(server.url))

    assert [get(client), get(client)] == [b"till the end", b"next"]
    assert client.connects == 2


def test_http_1_0_closes_unless_it_says_keep_alive(scripted):
    server = scripted(
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na",
        (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nb", True),
        ok(b"c", b"Content-Length: 1"),
    )
    client = Client(Target(server.url))

    assert [get(client), get(client), get(client)] == [b"a", b"b", b"c"]
    assert client.connects == 2


def test_interim_answers_are_passed_over(scripted):
    server = scripted(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok(b"done", b"Content-Length: 4")
    )

    answer = Client(Target(server.url)).request("PUT", "/alice/book/a.vcf", b"card")

    assert (answer.status, answer.body) == (200, b"done")


def test_an_answer_without_content_has_no_body_to_wait_for(scripted):
    server = scripted(b"HTTP/1.1 204 No Content\r\n\r\n", ok(b"next", b"Content-Length: 4"))
    client = Client(Target(server.url))

    assert client.request("DELETE", "/alice/book/a.vcf").status == 204
    assert get(client) == b"next"


def test_a_connection_the_server_had_closed_is_opened_again_once(scripted):
    server = scripted((ok(b"first", b"Content-Length: 5"), True), ok(b"again", b"Content-Length: 5"))
    client = Client(Target(server.url))

    assert [get(client), get(client)] == [b"first", b"again"]
    assert client.connects == 2


def test_a_broken_answer_on_a_fresh_connection_is_an_error(scripted):
    server = scripted((b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", True))

    with pytest.raises(EOFError):
        get(Client(Target(server.url)))


def test_a_request_carries_its_credentials_its_length_and_headers_with_hyphens(scripted):
    server = scripted(ok(b"", b"Content-Length: 0"))
    target = Target(server.url, "alice", "s:ecret", extra_headers=("X-Own: 1",))

    Client(target).request("PUT", target.path + "a.vcf", b"card", If_Match='"e"')

    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[0] == b"PUT /alice/book/a.vcf HTTP/1.1"
    assert {b"Authorization: Basic YWxpY2U6czplY3JldA==", b'If-Match: "e"', b"Content-Length: 4", b"X-Own: 1"} <= set(
        head.split(b"\r\n")
    )
    assert body == b"card"


def test_tls_is_refused_because_it_would_measure_the_tls_library():
    with pytest.raises(ValueError, match="plain http"):
        Client(Target("https://example.org/book/"))


def test_members_are_counted_whatever_the_prefix_and_descriptions_are_not():
    unprefixed = MULTISTATUS.replace(b"D:", b"").replace(b"xmlns:D", b"xmlns")

    assert Response(207, {}, MULTISTATUS).count() == 3
    assert Response(207, {}, unprefixed).count() == 3


def test_entities_in_tokens_and_etags_are_resolved_and_members_without_etag_left_out():
    answer = Response(207, {}, MULTISTATUS)

    assert answer.token() == "http://x/?a=1&b=2"
    assert answer.etags() == {"/alice/book/a%20&b.vcf": '"one"'}
    assert Response(207, {}, b"<multistatus><sync-token/></multistatus>").token() is None


@pytest.mark.parametrize("href", ["/alice/b%C3%B6ok/a%20%26%40b.vcf", "http://h/alice/x/a &%40b.vcf", "a%20&@b.vcf/"])
def test_two_spellings_of_one_href_have_the_same_name(href):
    assert name_of(href) == "a &@b.vcf"

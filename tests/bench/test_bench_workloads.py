"""How the harness times, repeats, checks and loads; the servers are scripted or functions."""

import os

import pytest
from cdbench import vcards
from cdbench.asking import Refused, multiget_body, query_body, sync_body
from cdbench.client import Response, Target
from cdbench.harness import FAST_FACTOR, Effort, Timed
from cdbench.workloads import Bench, Workload

ANSWER = Response(207, {}, b"<multistatus/>")


def bench(url: str = "http://127.0.0.1:9/alice/book/", n: int = 10, **effort: float) -> Bench:
    return Bench(Target(url), n, Effort(**effort))


def answer(status: bytes, body: bytes = b"") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


def members(*names: str) -> bytes:
    parts = [f"<response><href>/alice/book/{name}</href><getetag>&quot;1&quot;</getetag></response>" for name in names]
    return answer(b"207 Multi-Status", f"<multistatus>{''.join(parts)}</multistatus>".encode())


def test_a_fast_workload_is_repeated_more_often_and_counts_on():
    seen = []

    result = bench().timed(5, lambda k: seen.append(k) or ANSWER)

    assert seen == list(range(5 * FAST_FACTOR))
    assert result.repeats == 5 * FAST_FACTOR
    assert result.capped is None


def test_a_workload_of_fixed_length_is_repeated_as_often_as_said_whatever_the_effort():
    assert bench(repeats=0.1).timed(5, lambda _: ANSWER, fixed=True).repeats == 5


def test_a_workload_over_its_cap_is_ended_and_says_so():
    result = bench(cap=0).timed(5, lambda _: ANSWER)

    assert result.repeats == 1
    assert result.capped


def test_a_warm_up_counts_as_the_first_request_only():
    seen = []

    result = bench().timed(2, lambda k: seen.append(k) or ANSWER, fixed=True, warm_up=True)

    assert seen == [0, 0, 1]
    assert result.repeats == 2
    assert result.first_ms is not None


def test_what_is_prepared_comes_before_each_request_and_checks_after_it():
    order = []

    bench(repeats=0.4).timed(
        5,
        lambda k: order.append(("once", k)) or ANSWER,
        prepare=lambda k: order.append(("prepare", k)),
        verify=lambda k, _: order.append(("verify", k)),
        fixed=True,
    )

    assert order[:6] == [(step, k) for k in range(2) for step in ("prepare", "once", "verify")]


def test_a_wrong_answer_is_a_note_and_not_an_error():
    result = bench().timed(3, lambda _: ANSWER, verify=lambda k, _: "odd" if k == 1 else None)

    assert result.notes == ["odd"]


def test_cpu_time_is_known_only_with_the_servers_process_ids():
    measured = Bench(Target("http://127.0.0.1:9/"), 10, Effort(), [os.getpid()])

    assert bench().timed(1, lambda _: ANSWER).server_cpu_ms is None
    assert measured.timed(1, lambda _: ANSWER).server_cpu_ms is not None


def test_a_refusal_is_a_result_with_the_beginning_of_its_answer(scripted):
    server = scripted(answer(b"507 Insufficient Storage", b"full"))

    result = bench(server.url).run(Workload("b", "listing", "propfind_etags"))

    assert (result.unsupported, result.answer) == (507, "full")


def test_a_broken_connection_fails_one_workload_only():
    result = bench().run(Workload("b", "listing", "propfind_etags"))

    assert result.failed is not None
    assert result.failed.startswith("ConnectionRefusedError")


def test_what_clients_got_before_one_of_them_stopped_is_kept():
    def worker(client, rng, deadline, done):
        done.append(Timed("get", 0.5))
        raise EOFError("server closed the connection")

    result = bench().concurrently(3, worker, 1)

    assert result.requests == 3
    assert result.notes == ["3 client(s) stopped: EOFError: server closed the connection"]


def test_clients_that_all_got_nothing_are_a_refusal():
    def worker(client, rng, deadline, done):
        raise EOFError("nothing")

    with pytest.raises(Refused):
        bench().concurrently(2, worker, 1)


def test_a_missing_book_is_made_and_an_existing_one_left_alone(scripted):
    missing = scripted(answer(b"404 Not Found"), answer(b"201 Created"))
    existing = scripted(members())

    bench(missing.url).ensure_collection()
    bench(existing.url).ensure_collection()

    assert [request.split(b" ")[0] for request in missing.requests] == [b"PROPFIND", b"MKCOL"]
    assert [request.split(b" ")[0] for request in existing.requests] == [b"PROPFIND"]


def test_leftovers_of_the_benchmark_are_deleted_and_other_peoples_cards_are_not(scripted):
    names = [f"{vcards.uid(index)}.vcf" for index in (0, 9, 10)]
    server = scripted(members("", "ada.vcf", *names), answer(b"204 No Content"))

    assert bench(server.url, n=10).present() == {0, 9}
    assert [request.split(b" ")[:2] for request in server.requests[1:]] == [
        [b"DELETE", f"/alice/book/{names[2]}".encode()]
    ]


def test_a_full_book_is_not_loaded_again(scripted):
    full = members(*(f"{vcards.uid(index)}.vcf" for index in range(2)))
    server = scripted(full, full)

    assert bench(server.url, n=2).load(sequential=10) is None
    assert bench(server.url, n=2).load_bulk() is None


def test_hrefs_tokens_and_needles_are_written_as_xml_text():
    assert b"<D:href>/a%20&amp;b.vcf</D:href>" in multiget_body(["/a%20&b.vcf"])
    assert b"<D:sync-token>x?a&amp;b</D:sync-token>" in sync_body("x?a&b")
    assert b"<D:sync-token></D:sync-token>" in sync_body(None)
    assert b">o'brien &lt;x&gt;</C:text-match>" in query_body("FN", "o'brien <x>")

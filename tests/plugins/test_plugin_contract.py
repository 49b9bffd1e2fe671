"""What Radicale's own store answers, ours answers too, wherever the design has no other wish."""

import pytest

BOOK = "/ada/contacts/"


class Contract:
    """Run against each store by a class below; ``ada`` and ``carla`` are people, each with the book ``contacts``."""

    def test_a_new_card_is_created_and_an_old_one_replaced(self, ada, a_card):
        assert ada.put(BOOK + "x.vcf", a_card("x")).status == 201
        assert ada.put(BOOK + "x.vcf", a_card("x", "Xenia")).status == 204

        assert b"FN:Xenia" in ada.get(BOOK + "x.vcf").body

    def test_put_get_and_propfind_name_the_same_etag(self, ada, a_card):
        etag = ada.put(BOOK + "x.vcf", a_card("x")).etag

        assert etag == ada.get(BOOK + "x.vcf").etag
        assert etag == ada.propfind(BOOK + "x.vcf", "D:getetag").text(BOOK + "x.vcf", "D:getetag")
        assert etag == ada.multiget(BOOK, BOOK + "x.vcf").text(BOOK + "x.vcf", "D:getetag")

    def test_a_card_has_its_type_and_date(self, ada, a_card):
        ada.put(BOOK + "x.vcf", a_card("x"))
        answer = ada.get(BOOK + "x.vcf")

        assert answer.headers["Content-Type"] == "text/vcard; charset=utf-8"
        assert answer.headers["Last-Modified"].endswith(" GMT")
        listed = ada.propfind(BOOK + "x.vcf", "D:getcontenttype", "D:getlastmodified", "D:getcontentlength")
        assert listed.text(BOOK + "x.vcf", "D:getcontenttype") == "text/vcard;charset=utf-8"
        assert listed.text(BOOK + "x.vcf", "D:getlastmodified") == answer.headers["Last-Modified"]
        assert listed.text(BOOK + "x.vcf", "D:getcontentlength") == str(len(answer.body))

    def test_head_is_get_without_a_body(self, ada, a_card):
        ada.put(BOOK + "x.vcf", a_card("x"))
        head = ada.request("HEAD", BOOK + "x.vcf")

        assert head.status == 200
        assert head.body == b""
        assert head.etag == ada.get(BOOK + "x.vcf").etag

    def test_a_card_that_isn_t_there_is_not_found(self, ada):
        assert ada.get(BOOK + "x.vcf").status == 404
        assert ada.delete(BOOK + "x.vcf").status == 404
        assert ada.propfind(BOOK + "x.vcf", "D:getetag").status == 404

    def test_a_deleted_card_is_gone(self, ada, a_card):
        ada.put(BOOK + "x.vcf", a_card("x"))

        assert ada.delete(BOOK + "x.vcf").status == 200
        assert ada.get(BOOK + "x.vcf").status == 404

    def test_an_edit_of_another_state_fails(self, ada, a_card):
        etag = ada.put(BOOK + "x.vcf", a_card("x")).etag
        assert ada.put(BOOK + "x.vcf", a_card("x", "Xenia"), if_match=etag).status == 204

        assert ada.put(BOOK + "x.vcf", a_card("x", "Old"), if_match=etag).status == 412
        assert ada.delete(BOOK + "x.vcf", if_match=etag).status == 412
        assert ada.put(BOOK + "y.vcf", a_card("y"), if_match=etag).status == 412
        assert b"FN:Xenia" in ada.get(BOOK + "x.vcf").body

    def test_a_card_that_must_be_new_doesn_t_replace_one(self, ada, a_card):
        assert ada.put(BOOK + "x.vcf", a_card("x"), if_none_match="*").status == 201
        assert ada.put(BOOK + "x.vcf", a_card("x", "Xenia"), if_none_match="*").status == 412

    def test_a_uid_is_used_once_a_book(self, ada, a_card):
        ada.put(BOOK + "x.vcf", a_card("x"))

        answer = ada.put(BOOK + "y.vcf", a_card("x"))
        assert answer.status == 409
        assert b"no-uid-conflict" in answer.body
        assert ada.put(BOOK + "x.vcf", a_card("other")).status == 409

    def test_what_is_no_card_is_refused(self, ada, a_card):
        without_uid = a_card("x").replace(b"UID:x\r\n", b"")

        for data in (b"", b"hello", without_uid, a_card("x") + a_card("y"), a_card("x")[:40]):
            assert ada.put(BOOK + "x.vcf", data).status == 400
        assert ada.propfind(BOOK, "D:getetag", depth="1").hrefs == [BOOK]

    def test_a_card_needs_a_book(self, ada, a_card):
        assert ada.put("/ada/missing/x.vcf", a_card("x")).status == 409

    def test_a_book_lists_its_cards(self, ada, a_card):
        ada.put(BOOK + "x.vcf", a_card("x"))
        ada.put(BOOK + "y.vcf", a_card("y"))

        assert ada.propfind(BOOK, "D:getetag", depth="0").hrefs == [BOOK]
        assert ada.propfind(BOOK, "D:getetag", depth="1").hrefs == [BOOK, BOOK + "x.vcf", BOOK + "y.vcf"]

    def test_every_property_can_be_asked_for(self, ada, a_card):
        ada.put(BOOK + "x.vcf", a_card("x"))
        ada.proppatch(BOOK, D__displayname="Friends")

        for path in ("/", "/ada/", BOOK, BOOK + "x.vcf"):
            assert ada.propfind(path, depth="1").status == 207
            assert ada.request("PROPFIND", path, '<propfind xmlns="DAV:"><propname/></propfind>').status == 207
        assert ada.propfind(BOOK).text(BOOK, "D:displayname") == "Friends"

    def test_the_principal_leads_to_the_home_and_the_home_to_the_book(self, ada):
        assert ada.propfind("/", "D:current-user-principal").text("/", "D:current-user-principal") == "/ada/"
        assert ada.propfind("/ada/", "C:addressbook-home-set").text("/ada/", "C:addressbook-home-set") == "/ada/"
        assert BOOK in ada.propfind("/ada/", "D:resourcetype", depth="1").hrefs
        kinds = ada.propfind(BOOK, "D:resourcetype").responses[BOOK].iter()
        assert "{urn:ietf:params:xml:ns:carddav}addressbook" in [one.tag for one in kinds]

    def test_multiget_gives_the_cards_asked_for_and_404_for_the_others(self, ada, a_card):
        for name in ("x", "y", "ä ö"):
            ada.put(f"{BOOK}{name}.vcf", a_card(name))

        answer = ada.multiget(BOOK, BOOK + "x.vcf", BOOK + "ä ö.vcf", BOOK + "none.vcf", "/carla/contacts/x.vcf")
        assert answer.missing == [BOOK + "none.vcf", "/carla/contacts/x.vcf"]
        assert "FN:X" in answer.text(BOOK + "x.vcf", "C:address-data")
        assert len(answer.hrefs) == 4

    @pytest.mark.parametrize(
        ("filters", "test", "found"),
        [
            ([("FN", "lovelace", {})], "anyof", "ada"),
            ([("FN", "Ada Lovelace", {"match_type": "equals"})], "anyof", "ada"),
            ([("FN", "grace", {"match_type": "starts-with"})], "anyof", "grace"),
            ([("FN", "per", {"match_type": "ends-with"})], "anyof", "grace"),
            ([("FN", "a", {"negate_condition": "yes"})], "anyof", "bob"),
            ([("FN", "Lovelace", {"collation": "i;octet"})], "anyof", "ada"),
            ([("FN", "lovelace", {"collation": "i;octet"})], "anyof", ""),
            ([("FN", "bob", {}), ("NOTE", "compiler", {})], "anyof", "bob grace"),
            ([("FN", "grace", {}), ("NOTE", "compiler", {})], "allof", "grace"),
            ([("FN", "bob", {}), ("NOTE", "compiler", {})], "allof", ""),
            ([("FN", "bob", {}), ("X-HOBBY", "chess", {})], "anyof", "ada bob"),
            ([("N", "lovelace", {})], "anyof", "ada"),
            ([("N", "Ada  Lovelace", {})], "anyof", "ada"),  # in spoken order, with a space for each empty part
            ([("EMAIL", "@NAVY.example", {})], "anyof", "grace"),
            ([("CATEGORIES", "work", {})], "anyof", "bob"),
            ([("ORG", "navy", {})], "anyof", "grace"),
        ],
    )
    def test_a_query_finds_what_its_filter_says(self, ada, a_card, tools, filters, test, found):
        cards = {
            "ada": a_card("ada", "Ada Lovelace", "X-HOBBY:chess").replace(b"N:Ada Lovelace;", b"N:Lovelace;Ada"),
            "bob": a_card("bob", "Bob", "CATEGORIES:home,work"),
            "grace": a_card("grace", "Grace Hopper", "NOTE:Compilers", "EMAIL:grace@navy.example", "ORG:US Navy;Yard"),
        }
        for name, data in cards.items():
            ada.put(f"{BOOK}{name}.vcf", data)

        answer = ada.query(BOOK, "".join(tools.prop_match(*one[:2], **one[2]) for one in filters), test)
        assert answer.hrefs == [f"{BOOK}{name}.vcf" for name in found.split()]

    def test_a_query_can_ask_whether_a_property_is_there(self, ada, a_card):
        ada.put(BOOK + "x.vcf", a_card("x", "X", "TEL;TYPE=CELL:1"))
        ada.put(BOOK + "y.vcf", a_card("y"))

        there = '<C:prop-filter name="TEL"/>'
        missing = '<C:prop-filter name="TEL"><C:is-not-defined/></C:prop-filter>'
        with_cell = '<C:prop-filter name="TEL"><C:param-filter name="TYPE"/></C:prop-filter>'
        assert ada.query(BOOK, there).hrefs == [BOOK + "x.vcf"]
        assert ada.query(BOOK, missing).hrefs == [BOOK + "y.vcf"]
        assert ada.query(BOOK, with_cell).hrefs == [BOOK + "x.vcf"]

    def test_a_sync_without_token_lists_all_cards(self, ada, a_card):
        ada.put(BOOK + "x.vcf", a_card("x"))
        ada.put(BOOK + "y.vcf", a_card("y"))

        assert ada.sync(BOOK).hrefs == [BOOK + "x.vcf", BOOK + "y.vcf"]

    def test_a_sync_reports_what_was_written_and_deleted_since(self, ada, a_card):
        ada.put(BOOK + "x.vcf", a_card("x"))
        ada.put(BOOK + "y.vcf", a_card("y"))
        token = ada.sync(BOOK).token
        assert ada.sync(BOOK, token).hrefs == []

        ada.put(BOOK + "x.vcf", a_card("x", "Xenia"))
        ada.put(BOOK + "z.vcf", a_card("z"))
        ada.delete(BOOK + "y.vcf")
        answer = ada.sync(BOOK, token)
        assert answer.hrefs == [BOOK + "x.vcf", BOOK + "y.vcf", BOOK + "z.vcf"]
        assert answer.missing == [BOOK + "y.vcf"]
        assert ada.sync(BOOK, answer.token).hrefs == []

    def test_a_foreign_sync_token_is_refused_so_that_the_client_starts_over(self, ada):
        for token in ("http://radicale.org/ns/sync/0123", "nonsense", "data:,1"):
            answer = ada.sync(BOOK, token)
            assert answer.status == 403
            assert b"valid-sync-token" in answer.body

    def test_token_and_ctag_are_those_of_the_report_and_change_with_the_book_only(self, ada, a_card):
        names = ("CS:getctag", "D:sync-token", "D:getetag")
        before = ada.propfind(BOOK, *names)
        assert before.text(BOOK, "D:sync-token") == ada.sync(BOOK).token
        assert [before.text(BOOK, name) for name in names] == [ada.propfind(BOOK, *names).text(BOOK, n) for n in names]

        ada.put(BOOK + "x.vcf", a_card("x"))
        after = ada.propfind(BOOK, *names)
        assert all(before.text(BOOK, name) != after.text(BOOK, name) for name in names)

    def test_a_book_can_be_made_once(self, ada, a_card):
        assert ada.mkcol("/ada/friends/", more="<D:displayname>Friends</D:displayname>").status == 201
        assert ada.mkcol("/ada/friends/").status == 405

        assert ada.propfind("/ada/friends/", "D:displayname").text("/ada/friends/", "D:displayname") == "Friends"
        assert ada.put("/ada/friends/x.vcf", a_card("x")).status == 201

    def test_a_book_is_made_in_the_home_only(self, ada):
        assert ada.mkcol("/ada/contacts/deeper/").status == 403
        assert ada.mkcol("/carla/friends/").status == 403
        assert ada.mkcol("/friends/").status == 403

    def test_name_description_and_colour_are_kept(self, ada):
        more = {"C__addressbook_description": "All of them", "I__addressbook_color": "#f00"}
        assert ada.proppatch(BOOK, D__displayname="Friends", **more).status == 207

        answer = ada.propfind(BOOK, "D:displayname", "C:addressbook-description", "I:addressbook-color")
        assert answer.text(BOOK, "D:displayname") == "Friends"
        assert answer.text(BOOK, "C:addressbook-description") == "All of them"
        assert answer.text(BOOK, "I:addressbook-color") == "#f00"

    def test_a_book_can_be_deleted(self, ada, a_card):
        ada.put(BOOK + "x.vcf", a_card("x"))

        assert ada.delete(BOOK).status == 200
        assert ada.propfind(BOOK, "D:getetag").status == 404
        assert ada.get(BOOK + "x.vcf").status == 404
        assert ada.mkcol(BOOK).status == 201
        assert ada.propfind(BOOK, "D:getetag", depth="1").hrefs == [BOOK]

    def test_a_card_can_be_moved_within_and_between_books(self, ada, a_card):
        ada.mkcol("/ada/friends/")
        ada.put(BOOK + "x.vcf", a_card("x"))
        body = ada.get(BOOK + "x.vcf").body

        assert ada.move(BOOK + "x.vcf", BOOK + "y.vcf").status == 201
        assert ada.move(BOOK + "y.vcf", "/ada/friends/z.vcf").status == 201
        assert ada.get(BOOK + "x.vcf").status == ada.get(BOOK + "y.vcf").status == 404
        assert ada.get("/ada/friends/z.vcf").body == body

    def test_a_moved_card_replaces_another_only_if_it_may(self, ada, a_card):
        ada.mkcol("/ada/friends/")
        ada.put(BOOK + "x.vcf", a_card("x", "New"))
        ada.put("/ada/friends/x.vcf", a_card("x", "Old"))

        assert ada.move(BOOK + "x.vcf", "/ada/friends/y.vcf").status == 409
        assert ada.move(BOOK + "x.vcf", "/ada/friends/x.vcf").status == 412
        assert ada.move(BOOK + "x.vcf", "/ada/friends/x.vcf", overwrite="T").status == 204
        assert b"FN:New" in ada.get("/ada/friends/x.vcf").body

    def test_a_move_needs_a_card_and_a_book(self, ada, a_card):
        ada.put(BOOK + "x.vcf", a_card("x"))

        assert ada.move(BOOK + "none.vcf", BOOK + "y.vcf").status == 404
        assert ada.move(BOOK + "x.vcf", "/ada/missing/x.vcf").status == 409
        assert ada.move(BOOK + "x.vcf", "/carla/contacts/x.vcf").status == 403
        assert ada.get(BOOK + "x.vcf").status == 200

    def test_a_moved_card_is_removed_and_new_in_a_sync(self, ada, a_card):
        ada.put(BOOK + "x.vcf", a_card("x"))
        token = ada.sync(BOOK).token
        ada.move(BOOK + "x.vcf", BOOK + "y.vcf")

        answer = ada.sync(BOOK, token)
        assert answer.hrefs == [BOOK + "x.vcf", BOOK + "y.vcf"]
        assert answer.missing == [BOOK + "x.vcf"]

    def test_a_whole_book_is_all_its_cards(self, ada, a_card):
        ada.put(BOOK + "x.vcf", a_card("x"))
        ada.put(BOOK + "y.vcf", a_card("y"))

        answer = ada.get(BOOK)
        assert answer.status == 200
        assert answer.body.count(b"BEGIN:VCARD\r\n") == 2
        assert answer.headers["Content-Type"].startswith("text/vcard")

    def test_another_home_is_closed(self, ada, carla, a_card):
        carla.put("/carla/contacts/x.vcf", a_card("x"))

        assert ada.get("/carla/contacts/x.vcf").status == 403
        assert ada.put("/carla/contacts/x.vcf", a_card("x")).status == 403
        assert ada.delete("/carla/contacts/x.vcf").status == 403
        assert ada.propfind("/carla/", "D:resourcetype", depth="1").status == 403
        assert "/carla/" not in ada.propfind("/", "D:resourcetype", depth="1").hrefs

    def test_who_doesn_t_sign_in_rightly_is_asked_to(self, ada, tools):
        for client in (tools.client(ada.application), tools.client(ada.application, "ada", "wrong")):
            for method, path in (("PROPFIND", "/"), ("PROPFIND", "/ada/"), ("GET", BOOK + "x.vcf"), ("DELETE", BOOK)):
                answer = client.request(method, path)
                assert answer.status == 401
                assert answer.headers["WWW-Authenticate"].startswith("Basic ")

    def test_options_need_no_login(self, ada, tools):
        assert tools.client(ada.application).request("OPTIONS", "/").status == 200


class TestRadicalesOwnStore(Contract):
    @pytest.fixture
    def ada(self, stock_radicale, tools):
        return tools.client(stock_radicale, "ada")

    @pytest.fixture
    def carla(self, stock_radicale, tools):
        return tools.client(stock_radicale, "carla")


class TestOurStore(Contract):
    pass

"""CardDAV over the core: one RFC a module.

    application     the dispatcher: Radicale's Application with its own ``__call__``
    http            requests and answers (RFC 9110)
    conditions      conditional headers of reads, and dates in all of them (RFC 9110, section 13)
    prefer          what a client would rather have (RFC 7240, RFC 8144)
    xml             reading request bodies, writing multistatus (RFC 4918, section 14)
    preconditions   the one table from the core's errors to answers (RFC 4918, section 16)
    resources       what a URL stands for, for whom
    properties      the registry of properties, and PROPFIND's propstat
    webdav          OPTIONS, PROPFIND (RFC 4918)
    content         GET, HEAD, DELETE (RFC 9110, section 9.3; RFC 4918, section 9.6)
    mkcol           extended MKCOL (RFC 5689)
    acl             privileges, and who has them (RFC 3744, RFC 5397)
    principals      people and groups (RFC 3744, section 4)
    principal_reports  the reports that find them (RFC 3744, section 9)
    expand          expand-property (RFC 3253, section 3.8)
    carddav         PUT, addressbook-multiget and the properties of address books (RFC 6352)
    add_member      POST of a card to its book (RFC 5995)
    quota           how much room is left (RFC 4331)
    address_data    in which version cards are given, and what of them (RFC 6352, section 10.4)
    query           addressbook-query (RFC 6352, section 8.6)
    gateway         books that are searched and never listed (draft-daboo-carddav-directory-gateway)
    filters         what a query looks for, and whether a card is it (RFC 6352, section 10.5)
    collations      how texts are compared (RFC 6352, section 8.3; RFC 4790; RFC 5051)
    sync            sync-collection (RFC 6578)
    reports         REPORT (RFC 3253, section 3.6)

Discovery (RFC 6764) is in ``resources``: ``/.well-known/carddav`` is the root by another name, answered in place.
"""

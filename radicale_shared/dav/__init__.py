"""CardDAV over the core: one RFC a module.

    application     the dispatcher: Radicale's Application with its own ``__call__``
    http            requests, answers, conditional headers (RFC 9110)
    xml             reading request bodies, writing multistatus (RFC 4918, section 14)
    preconditions   the one table from the core's errors to answers (RFC 4918, section 16)
    resources       what a URL stands for, for whom
    properties      the registry of properties, and PROPFIND's propstat
    webdav          OPTIONS, GET, DELETE, PROPFIND, PROPPATCH (RFC 4918)
    mkcol           extended MKCOL (RFC 5689)
    acl             privileges and principals (RFC 3744, RFC 5397)
    carddav         PUT, addressbook-multiget and the properties of address books (RFC 6352)
    sync            sync-collection (RFC 6578)
    reports         REPORT (RFC 3253, section 3.6)

Discovery (RFC 6764) is in ``resources``: ``/.well-known/carddav`` is the root by another name, answered in place.
"""

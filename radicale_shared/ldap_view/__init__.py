"""The LDAP view: a read-only LDAPv3 server (RFC 4511) through which phones and mail programs find people.

ber         BER as LDAP has it, with hard limits          messages    what comes in and goes out, in bytes
filters     a filter, as a tree                           controls    paging, sorting
requests    what the search core is asked                 results     result codes, and errors that carry one
schema      attribute types, classes, the subschema       root        what can be read without signing in
stream      one client's octets, from first to last       connection  what it asks for, and is answered
operations  what is done for it, in threads               threads     these threads
server      sockets, and an event loop in a thread        limits      how many connections
search      ``answer(db, identity, search)`` gives what of the tree a person finds: an iterator of ``requests.Found``,
            taken piece by piece, each in any thread; between two pieces it holds nothing, no connection above all.
            It ends, or raises ``ResultError`` (also behind entries that it gave), ``CannotSortError`` before the first
            one, or what the core raises
matching    whether an entry matches a filter             attributes  what an entry has, and how it is compared
dn          names of entries                              ldif        a book for a server of somebody else
"""

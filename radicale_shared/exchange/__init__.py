"""Import and export: files and folders of vCards, and the folders of a stock Radicale.

    vcards            vCard files in and out
    radicale_folders  what Radicale's own storage left on disk
    slices            writing many cards as one act in short transactions
    report            what came of an import

An import never stops at a bad card: it is listed with its place and the reason, the rest goes in.
"""

"""The public status page: whether the bus and the public services work. Open to everybody, if MANTRA_STATUS_PAGE is on.

It shows nothing internal: no host, no error text, no caller. Its work does not grow with its readers: a thread reads
the registry every few seconds while there are readers, and all of them get the same bytes.
"""

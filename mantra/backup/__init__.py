"""Backups of an installation by ``manage.py backup``, and their return by ``manage.py restore``: docs/backup.md.

A backup is a folder: the database, the journal, uploads, agreement files and file sources, a signed head of the
journal, and a manifest with their sums. Keys are not among them; the manifest has the fingerprints of those that it
needs.
"""

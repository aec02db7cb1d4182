"""Comparing the host of MANTRA 1.99x with this one: both get the same requests, and their responses are compared.

``access_logs`` and ``first_rows`` are where requests come from, ``questions`` picks some for each operation, ``asking``
sends them, ``differences`` names what differs, ``comparison`` does all of it, and ``results`` counts.

Requests and responses have personal data: they are in memory only, and in no result, message or log.
"""

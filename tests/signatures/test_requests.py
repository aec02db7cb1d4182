"""Signed requests, on every wire, through the WSGI door."""

from __future__ import annotations

from tests.cast import Cast, call, ends_of
from tests.signing import Signer, signing_key


def test_it_works(cast: Cast) -> None:
    row, plain = signing_key(cast.application)
    reply = Signer(plain).call("/rest/prov/data/satu.json?id=7")
    assert (reply.status, reply.json()["data"][0]["nama"]) == (200, "Orang 7")
    (end,) = ends_of(reply.headers["x-request-id"])
    assert end["by"] == ["kons", "app", row.public, row.pk]
    assert plain not in str(end)

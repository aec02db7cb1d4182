"""Lists of rows that replace stored ones: which row is which, and whose secret is whose."""

from __future__ import annotations

from typing import Any

import pytest

from proxyservices.models import Backend, BackendServer
from registry.child_rows import replacement
from registry.models import Agency


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("stored", "wanted", "secrets"),
    [
        (["/lama"], ["/baru"], ["rahasia /lama"]),
        (["/satu", "/dua"], ["/v2/dua", "/v2/satu"], ["", ""]),
        (["/satu", "/dua"], ["/lain"], [""]),
        (["/satu", "/dua"], ["/dua", "/v2/satu"], ["rahasia /dua", "rahasia /satu"]),
    ],
)
def test_a_secret_follows_an_edited_address_only_if_it_is_the_only_one(
    stored: list[str], wanted: list[str], secrets: list[str]
) -> None:
    agency = Agency.objects.create(code="prov", name="Penyedia")
    backend = Backend.objects.create(agency=agency, code="data")
    for path in stored:
        values: dict[str, Any] = {"url": f"https://gerbang{path}", "credential": f"rahasia {path}"}
        BackendServer.objects.create(backend=backend, own_settings=True, credential_kind="bearer", **values)
    found = replacement(
        BackendServer, backend, ("url",),
        [{"url": f"https://gerbang{path}", "credential_kind": "bearer"} for path in wanted],
        ["url", "credential_kind", "credential"],
        keep_if_absent=frozenset({"credential"}),
        near=BackendServer.server,
        owned_by="backend",
    )  # fmt: skip
    assert [str(row.credential) for row in found.rows] == secrets

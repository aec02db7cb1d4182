"""Numbers in the addresses and forms of pages: what is none leads nowhere, and to no error of the server."""

from __future__ import annotations

import pytest
from django.urls import reverse

from proxyservices.models import ProxyOperation
from registry.admin.numbers import number_of
from tests.admin.conftest import MarkedAgency, SignIn

pytestmark = pytest.mark.django_db

#: No numbers, though the first two are digits to Python, and ones that neither Python nor a column takes.
WRONG = ("²", "٣", "9" * 5000, "9" * 19, "-1", "1.0", "")


def test_only_ascii_digits_that_a_column_can_hold_are_numbers() -> None:
    assert [number_of(text) for text in WRONG] == [0] * len(WRONG)
    assert number_of("0012") == 12


@pytest.mark.parametrize("text", WRONG[:4])
def test_pages_refuse_them(marked: MarkedAgency, sign_in: SignIn, text: str) -> None:
    client = sign_in("Administrator")
    ProxyOperation.objects.filter(pk=marked.proxy.pk).update(state="published")
    backend = marked.proxy.backend
    assert backend is not None
    for address, data in (
        (reverse("admin:proxyservices_backend_test", args=(backend.pk,)), {"server": text}),
        (reverse("admin:proxyservices_proxyoperation_samples", args=(marked.proxy.pk,)),
         {"action": "forget", "sample": text}),
        (reverse("compare_answers", args=(marked.operation.pk,)), {"action": "forget", "sample": text}),
    ):  # fmt: skip
        assert client.post(address, data).status_code == 404, address
    for address in (
        reverse("admin:dataservices_dataoperation_versions", args=(marked.operation.pk,)) + "?before=" + text[:2000],
        reverse("admin:proxyservices_proxyoperation_add") + "?backend=" + text[:2000],
    ):
        assert client.get(address).status_code == 200, address

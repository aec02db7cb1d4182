"""The search of the catalogue, in each kind of database."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import Client

from mantra.catalogue import search
from mantra.catalogue.reader import Reader
from mantra.catalogue.search import SearchForm
from proxyservices.models import ProxyOperation
from registry.models import Agency, Field, Service
from tests.cast import Cast


def find(**terms: str) -> list[str]:
    form = SearchForm(terms)
    assert form.is_valid(), form.errors
    return [row.code for row in search.page_of(form.found(Reader(AnonymousUser())), 1).operations]


@pytest.fixture
def offered(cast: Cast) -> Cast:
    """Three operations for everybody; those of the cast are for people who are signed in."""
    everybody = {"listing": "public"}
    people = cast.define("warga_by_nik", "SELECT nama FROM orang", title="Data warga", **everybody)
    Field.objects.create(operation=people, name="nama_lengkap", description="Sesuai kartu keluarga")
    cast.define("jumlah", "SELECT 1 AS n", title="Jumlah", description="Berapa warga di tiap kecamatan", **everybody)
    cast.define("lama", "SELECT 1 AS n", title="Warga lama", state="retired", **everybody)
    other = Agency.objects.create(code="bmkg", name="Badan Cuaca Contoh")
    service = Service.objects.create(
        agency=other, code="cuaca", title="Prakiraan", tags="cuaca, gempa bumi", classification="open"
    )
    proxied = {"service": service, "state": "published", **everybody}
    ProxyOperation.objects.create(code="harian", style="rest", **proxied)
    ProxyOperation.objects.create(code="langsung", style="pass-through", **proxied)
    return cast


#: What is searched for → what is found, in its order.
FOUND: list[tuple[dict[str, str], list[str]]] = [
    ({"q": "warga"}, ["warga_by_nik", "jumlah"]),  # in a name before in another text
    ({"q": "WARGA kecamatan"}, ["jumlah"]),
    ({"q": "nik"}, ["warga_by_nik"]),
    ({"q": "kartu"}, ["warga_by_nik"]),  # a column's description
    ({"q": "penyedia jumlah"}, ["jumlah"]),  # the agency's name and the operation's
    ({"q": "Cuaca"}, ["harian", "langsung"]),
    ({"q": "warga", "retired": "on"}, ["lama", "warga_by_nik", "jumlah"]),
    ({"q": "sama sekali tidak ada"}, []),
    ({"q": "%"}, ["harian", "langsung", "jumlah", "warga_by_nik"]),  # no word: no restriction
    ({"tag": "Gempa Bumi"}, ["harian", "langsung"]),
    ({"tag": "gempa"}, []),
    ({"agency": "BMKG"}, ["harian", "langsung"]),
    ({"agency": "cuaca"}, ["harian", "langsung"]),
    ({"column": "lengkap"}, ["warga_by_nik"]),
    ({"column": "kartu"}, []),
    ({"classification": "open"}, ["harian", "langsung"]),
    ({"classification": "limited", "format": "csv"}, ["jumlah", "warga_by_nik"]),
    ({"format": "json"}, ["harian", "jumlah", "warga_by_nik"]),
    ({"format": "csv"}, ["jumlah", "warga_by_nik"]),
]


def test_it_finds(offered: Cast) -> None:
    assert [(terms, find(**terms)) for terms, _found in FOUND] == FOUND
    # The rows of a document, where it is known which of its parts they are.
    harian = ProxyOperation.objects.get(code="harian")
    Field.objects.create(operation=harian, name="suhu")
    assert find(format="csv", agency="bmkg") == ["harian"]
    harian.fields.all().delete()
    ProxyOperation.objects.filter(pk=harian.pk).update(records_path="data")
    assert find(format="xlsx", agency="bmkg") == ["harian"]


def test_words_that_are_too_many_are_named(db: None) -> None:
    page = Client().get("/catalog/", {"q": "satu dua tiga empat lima enam tujuh"}).content.decode()
    assert "enam, tujuh" in page


def test_what_cannot_be_searched_for_is_said_at_its_field(db: None) -> None:
    for terms in ({"classification": "rahasia"}, {"format": "pdf"}, {"q": "x" * 101}, {"q": "a\0b"}):
        response = Client().get("/catalog/", terms)
        assert response.status_code == 200
        assert 'class="error"' in response.content.decode()


def test_pages_are_bounded(offered: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "PAGE_SIZE", 2)
    monkeypatch.setattr(search, "MOST", 3)
    first, last = (Client().get("/catalog/", {"page": page}).context["found"] for page in ("", "99"))
    assert (len(first.operations), first.next, first.previous, first.more) == (2, 2, None, True)
    assert (len(last.operations), last.next, last.previous, last.page) == (1, None, 1, 2)
    assert Client().get("/catalog/", {"page": "-1"}).context["found"].page == 1

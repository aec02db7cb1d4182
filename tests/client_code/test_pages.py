"""The page with an operation's code: whom it is for, and what of the operation it says."""

from __future__ import annotations

import re
from html import unescape

import pytest
from django.test import Client

from mantra.client_code.languages import LANGUAGES
from registry.models import Application, Field, Operation
from tests.admin.conftest import make_user
from tests.cast import Cast
from tests.proxy.publishing import publish_proxy

PAGE = "/catalog/prov/data/warga/code"


@pytest.fixture
def offered(cast: Cast) -> Cast:
    made = cast.define("warga", "SELECT nama, unit FROM orang WHERE unit = :unit", parameters=({"name": "unit"},))
    for name in ("nama", "unit"):
        Field.objects.create(operation=made, name=name)
    return cast


def member(cast: Cast) -> Client:
    client = Client()
    client.force_login(make_user("Requester", cast.consumer, "pemanfaat"))
    return client


def codes(client: Client, page: str = PAGE) -> dict[str, str]:
    found = re.findall(r'<code id="text-(\w+)">(.*?)</code>', client.get(page).content.decode(), re.S)
    return {language: unescape(text) for language, text in found}


def test_it_is_filled_in_for_the_readers_application(offered: Cast) -> None:
    client = member(offered)
    found = codes(client)
    assert list(found) == [language.code for language in LANGUAGES]
    assert all("Aplikasi: Aplikasi uji (kons/app)" in text for language, text in found.items() if language != "curl")
    assert 'Columns = { "nama", "unit" }' in found["power_query"]
    offered.grants["warga"].fields = "nama"
    offered.grants["warga"].save()
    assert 'Columns = { "nama" }' in codes(client)["power_query"]
    # With two applications it is for the one that is chosen, and never for another agency's.
    Application.objects.create(agency=offered.consumer, code="dua", title="Kedua")
    other = Application.objects.create(agency=offered.stranger, code="lain", title="Lain")
    assert "Aplikasi:" not in codes(client)["php"]
    page = client.get(PAGE).content.decode()
    assert set(re.findall(r'<option value="([^"]+)"', page)) == {"kons/app", "kons/dua"}
    assert "Aplikasi: Kedua (kons/dua)" in codes(client, f"{PAGE}?application=kons/dua")["php"]
    assert "Aplikasi:" not in codes(client, f"{PAGE}?application={other}")["php"]


def test_the_code_is_text_of_the_page_and_no_part_of_it(offered: Cast) -> None:
    nasty = "</code></pre><script>alert(1)</script> & \"'"
    Operation.objects.filter(code="warga").update(title=nasty, description=nasty)
    offered.operations["warga"].parameters.update(default=nasty)
    client = member(offered)
    for page in (PAGE, PAGE.removesuffix("/code")):
        text = client.get(page).content.decode()
        assert "<script>alert" not in text and "<?php" not in text
    text = client.get(PAGE).content.decode()
    assert text.count("<pre ") == text.count("</pre>") == len(LANGUAGES) + 1
    assert "&lt;?php\n" in text
    provider = Client()
    provider.force_login(make_user("Provider", offered.provider))
    text = provider.get(f"/admin/try/{offered.operations['warga'].pk}/").content.decode()
    assert "&lt;?php\n" in text and "<script>alert" not in text


def test_who_finds_it(offered: Cast) -> None:
    assert Client().get(PAGE).status_code == 404
    Operation.objects.filter(code="warga").update(listing="public")
    assert Client().get(PAGE).status_code == 200
    Operation.objects.filter(code="warga").update(listing="hidden")
    foreign = Client()
    foreign.force_login(make_user("Requester", offered.stranger, "asing"))
    assert foreign.get(PAGE).status_code == 404
    assert member(offered).get(PAGE).status_code == 200  # its application has a grant


def test_it_can_be_read_without_a_script(offered: Cast) -> None:
    text = member(offered).get(PAGE).content.decode()
    parts = re.findall(r"<details[^>]*>", text)
    assert len(parts) == len(LANGUAGES)
    assert [" open" in part for part in parts] == [True] + [False] * (len(parts) - 1)
    assert all('name="client-code"' in part for part in parts)
    assert text.count(" hidden>Salin</button>") == len(parts)
    assert 'href="/catalog/unduh/adapter.php"' in text


def test_a_pass_through_operation_is_not_called_by_soap_or_the_legacy_wire(offered: Cast) -> None:
    publish_proxy(offered, "http://127.0.0.1:9/", code="terusan")
    client = member(offered)
    found = codes(client, "/catalog/prov/data/terusan/code")
    assert not {"php_soap", "php_legacy"} & set(found)
    assert "/rest/prov/data/terusan'" in found["curl"]
    page = client.get("/catalog/prov/data/terusan").content.decode()
    assert "#code-go" in page and "#code-php_soap" not in page


def test_the_operations_page_leads_to_each_language(offered: Cast) -> None:
    page = member(offered).get("/catalog/prov/data/warga").content.decode()
    for language in LANGUAGES:
        assert f'href="{PAGE}?application=kons/app#code-{language.code}"' in page

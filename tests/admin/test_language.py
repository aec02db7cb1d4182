"""Indonesian first, English by switch, and no message without its translation."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polib
import pytest
from django.conf import settings
from django.template.defaultfilters import filesizeformat
from django.test import Client
from django.urls import reverse
from django.utils.translation import gettext, override

from tests.admin.conftest import SignIn
from tests.admin.visible import texts
from tests.test_words import english

CATALOGUE = Path(settings.LOCALE_PATHS[0]) / "id/LC_MESSAGES/django.po"


def test_indonesian_is_first_whatever_the_browser_prefers(db: None) -> None:
    page = Client(headers={"Accept-Language": "en-US,en;q=0.9"}).get("/account/login/")
    text = page.content.decode()
    assert page["Content-Language"] == "id"
    assert '<html lang="id"' in text
    assert "Nama pengguna" in text
    assert "Masuk ke MANTRA" in text


def test_english_by_switch(sign_in: SignIn) -> None:
    client = sign_in("Administrator")
    assert "Sumber data" in client.get("/admin/").content.decode()
    client.post(reverse("set_language"), {"language": "en", "next": "/admin/"})
    text = client.get("/admin/").content.decode()
    assert "Data sources" in text
    assert "Sumber data" not in text
    client.post(reverse("set_language"), {"language": "id", "next": "/admin/"})
    assert "Sumber data" in client.get("/admin/").content.decode()


@pytest.mark.parametrize("cookie", ["fr", "xx-yy", "../..", ""])
def test_a_language_that_there_is_not_falls_back(db: None, cookie: str) -> None:
    client = Client()
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = cookie
    assert client.get("/account/login/")["Content-Language"] == "id"


def test_every_message_is_translated() -> None:
    catalogue = polib.pofile(str(CATALOGUE))
    assert len(catalogue) > 300
    assert [entry.msgid for entry in catalogue if not entry.translated() or entry.fuzzy] == []


def test_messages_of_django_use_our_words() -> None:
    with override("id"):
        assert gettext("%(model_name)s with this %(field_labels)s already exists.").endswith("sudah ada.")
        assert gettext("Password") == "Kata sandi"
        assert filesizeformat(12) == "12\N{NO-BREAK SPACE}byte"


FORMS = (
    "registry_user", "registry_accesskey", "registry_grant", "dataservices_datasource", "dataservices_dataoperation",
    "proxyservices_proxyoperation", "proxyservices_backend",
)  # fmt: skip


def test_errors_of_forms_are_indonesian(sign_in: SignIn) -> None:
    client = sign_in("Administrator", username="pengurus")
    for name in FORMS:
        sent = {"engine": "postgresql", "port": "x", "servers-TOTAL_FORMS": "-1", "valid_from": "kemarin"}
        response = client.post(reverse(f"admin:{name}_add"), sent)
        assert response.status_code == 200, name
        assert "Wajib diisi." in response.content.decode(), name
        found = [(word, text) for text in texts(response.content.decode()) for word in english(text)]
        assert not found, (name, found)


def test_a_source_without_an_engine_is_led_to_the_choice(sign_in: SignIn) -> None:
    page = sign_in("Administrator").post(reverse("admin:dataservices_datasource_add"), {"code": "x"})
    assert "Pilih mesin database" in page.content.decode()


def test_errors_of_the_management_api_are_indonesian(sign_in: SignIn) -> None:
    client = sign_in("Administrator")
    services = "/manage/api/v1/services/"
    answers = [
        Client().get(services),
        client.get(f"{services}999999/"),
        client.get(services, {"page": "salah"}),
        client.delete(services),
        client.get(services, headers={"Accept": "text/css"}),
        client.post(services, "{", content_type="application/json"),
        client.post(services, "x", content_type="text/plain"),
        client.post(services, {"code": "", "title": ["x"], "agency": "tidak ada"}, content_type="application/json"),
        client.post(services, [], content_type="application/json"),
    ]
    for answer in answers:
        assert answer.status_code >= 400, answer.request["PATH_INFO"]
        assert not english(" ".join(_sentences(answer.json()))), answer.content.decode()


def _sentences(found: Any) -> Iterator[str]:
    """Yield the texts of a response, without the names of fields."""
    if isinstance(found, str):
        yield found
    for each in found.values() if isinstance(found, dict) else found if isinstance(found, list) else ():
        yield from _sentences(each)


def test_the_compiled_catalogue_is_the_sources() -> None:
    def content(entries: polib.POFile | polib.MOFile) -> dict[tuple[str, str | None], object]:
        return {(e.msgid, e.msgctxt): e.msgstr_plural.get(0) if e.msgid_plural else e.msgstr for e in entries}

    assert content(polib.pofile(str(CATALOGUE))) == content(polib.mofile(str(CATALOGUE.with_suffix(".mo"))))


def test_the_catalogue_has_what_the_sources_say_and_nothing_else() -> None:
    assert shutil.which("xgettext"), "GNU gettext is missing: apt-get install gettext"
    script = Path(settings.LOCALE_PATHS[0]) / "update.py"
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")

"""Indonesian first, English by switch, and no message without its translation."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import polib
import pytest
from django.conf import settings
from django.template.defaultfilters import filesizeformat
from django.test import Client
from django.urls import reverse
from django.utils.translation import gettext, override

from tests.admin.conftest import SignIn

CATALOGUE = Path(settings.LOCALE_PATHS[0]) / "id/LC_MESSAGES/django.po"


def test_indonesian_is_first_whatever_the_browser_prefers(db: None) -> None:
    page = Client(headers={"Accept-Language": "en-US,en;q=0.9"}).get("/admin/login/")
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
    assert client.get("/admin/login/")["Content-Language"] == "id"


def test_every_message_is_translated() -> None:
    catalogue = polib.pofile(str(CATALOGUE))
    assert len(catalogue) > 300
    assert [entry.msgid for entry in catalogue if not entry.translated() or entry.fuzzy] == []


def test_messages_of_django_use_our_words() -> None:
    with override("id"):
        assert gettext("%(model_name)s with this %(field_labels)s already exists.").endswith("sudah ada.")
        assert gettext("Password") == "Kata sandi"
        assert filesizeformat(12) == "12\N{NO-BREAK SPACE}byte"


def test_the_compiled_catalogue_is_the_sources() -> None:
    def content(entries: polib.POFile | polib.MOFile) -> dict[tuple[str, str | None], object]:
        return {(e.msgid, e.msgctxt): e.msgstr_plural.get(0) if e.msgid_plural else e.msgstr for e in entries}

    assert content(polib.pofile(str(CATALOGUE))) == content(polib.mofile(str(CATALOGUE.with_suffix(".mo"))))


def test_the_catalogue_has_what_the_sources_say_and_nothing_else() -> None:
    assert shutil.which("xgettext"), "GNU gettext is missing: apt-get install gettext"
    script = Path(settings.LOCALE_PATHS[0]) / "update.py"
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")

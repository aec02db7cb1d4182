"""The guides of docs/id/: what they name exists, and each page leads to the section that explains it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import django
import polib
import pytest
import unfold
from django.conf import settings
from django.contrib import admin
from django.contrib.staticfiles import finders
from django.test import Client, RequestFactory
from django.urls import get_resolver, resolve, reverse

from mantra.help import topics
from mantra.help.guides import FOLDER, GUIDES, guide
from mantra.help.views import page as help_page
from registry import roles
from registry.models import Agency
from tests.admin.conftest import SignIn, make_agency, make_user
from tests.admin.pages import pages

ROOT = Path(settings.BASE_DIR)
#: Bold words that are names, not words of a page.
NAMES = {"MANTRA", "WSDL", "PHP", "Python"}
#: The pages outside the lists, forms and rows of models, by the names of their addresses.
FURTHER = (
    "index", "server", "health_board", "statistics", "statistics_live", "why_refused", "wizard", "notifications",
    "notification_choices", "jobs", "job_choice", "job_new", "job", "test_mail", "message_templates",
    "account_login", "account_reset_password", "account_change_password", "invitation",
    "own_sessions", "mfa_index", "mfa_activate_totp", "mfa_add_webauthn", "catalogue", "catalogue_agency",
    "catalogue_service", "catalogue_operation", "client_code", "request_access", "try_as_application",
    "reconciliations", "reconciliation_new", "reconciliation_columns",
    "moving_in", "moving_in_run", "moving_in_comparison", "contract_docs", "try_operation", "explain_operation",
    "compare_answers", "proxyservices_proxyoperation_import",
)  # fmt: skip


# ----------------------------------------------------------------------------------------- the guides


def test_every_file_is_a_guide() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.md")) == sorted(GUIDES)


@pytest.mark.parametrize("name", GUIDES)
def test_each_section_is_a_task_with_steps(name: str) -> None:
    found = guide(name)
    assert len(found.summary) > 60
    assert len(found.sections) >= 7
    assert len({section.anchor for section in found.sections}) == len(found.sections)
    for section, text in zip(found.sections, found.html.split("<h2 ")[1:], strict=True):
        assert text.startswith(f'id="{section.anchor}"')
        assert "<ol>" in text, section.title


@pytest.mark.parametrize("name", GUIDES)
def test_links_and_pictures_of_a_guide_exist(name: str) -> None:
    html = guide(name).html
    for address in re.findall(r'href="([^"]+)"', html):
        path, _hash, section = address.partition("#")
        other = resolve(path).kwargs["name"] if path else name
        assert not section or section in anchors(other), address
    for source, words in re.findall(r'<img src="([^"]+)" alt="([^"]*)"', html):
        picture = source.removeprefix(settings.STATIC_URL)
        assert source.startswith(settings.STATIC_URL), source
        assert words
        assert finders.find(picture), f"{picture}: make it with SCREENSHOTS=docs/img"


def anchors(name: str) -> set[str]:
    return {section.anchor for section in guide(name).sections}


@cache
def _words_of_pages() -> tuple[set[str], re.Pattern[str]]:
    """The Indonesian texts of our pages, of the admin and of its theme: plain ones, and those with values in them."""
    plain: set[str] = set()
    patterns: set[str] = set()
    for text in _translations():
        words = re.escape(" ".join(text.split()).lower())
        pattern = re.sub(r"%\\\(\w+\\\)[sd]|\\\{\w*\\\}|%s|%d", ".+", words)
        (plain if pattern == words else patterns).add(words if pattern == words else pattern)
    # A pattern of few letters would match anything.
    return plain, re.compile("|".join(sorted(each for each in patterns if len(re.sub(r"[^a-z]", "", each)) > 5)))


def _translations() -> Iterator[str]:
    files = [
        path
        for package in (django, unfold)
        for path in Path(package.__path__[0]).rglob("locale/id/LC_MESSAGES/*.po")
    ]  # fmt: skip
    for path in (ROOT / "locale/id/LC_MESSAGES/django.po", *files):
        for entry in polib.pofile(str(path)):
            yield from (text for text in (entry.msgstr, *entry.msgstr_plural.values()) if text)


def _is_on_a_page(words: str) -> bool:
    plain, patterns = _words_of_pages()
    return re.escape(words.lower()) in plain or patterns.fullmatch(words.lower()) is not None


def test_words_that_no_page_has_are_found() -> None:
    assert _is_on_a_page("Kirim permohonan")
    assert _is_on_a_page("Terbitkan v2")
    assert not _is_on_a_page("Kirimkan permohonannya")


@pytest.mark.parametrize("name", GUIDES)
def test_bold_words_are_words_of_the_pages(name: str) -> None:
    bold = [
        " ".join(words.split()) for words in re.findall(r"\*\*(.+?)\*\*", (FOLDER / f"{name}.md").read_text(), re.S)
    ]
    # What ends with a stop or a comma begins a paragraph.
    named = [words for words in bold if words[-1] not in ".," and words not in NAMES]
    assert [words for words in named if not _is_on_a_page(words)] == []


# ------------------------------------------------------------------------------------------ the topics


def names_of_addresses() -> set[str]:
    """The names of all addresses of the bus."""
    found, waiting = set(), [get_resolver()]
    while waiting:
        for each in waiting.pop().url_patterns:
            if hasattr(each, "url_patterns"):
                waiting.append(each)
            elif each.name:
                found.add(each.name)
    return found


def test_every_topic_is_a_page_and_a_section() -> None:
    names = names_of_addresses()
    for topic, sections in topics.TOPICS.items():
        assert any(name.startswith(topic) for name in names), topic
        for section in sections:
            name, _hash, anchor = section.partition("#")
            assert anchor in anchors(name), f"{topic}: {section}"


def test_every_page_has_a_topic() -> None:
    lists = [
        f"{model._meta.app_label}_{model._meta.model_name}_{view}"
        for model in admin.site._registry
        for view in ("changelist", "add", "change", "history", "delete")
    ]
    names = names_of_addresses()
    assert set(FURTHER) <= names
    assert [name for name in (*FURTHER, *lists) if not topics.sections(name)] == []


@pytest.mark.django_db
def test_the_pages_that_people_open_most_have_a_topic() -> None:
    make_agency("akik")
    addresses = [address.partition("?")[0] for address in pages().values()]
    names = {resolve(address).url_name for address in addresses} - {"autocomplete"}
    assert len(names) > 40
    assert [name for name in names if not topics.sections(name)] == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("role", "page", "expected"),
    [
        (roles.PROVIDER, "admin:index", "penyedia/#lihat-yang-perlu-dikerjakan-di-beranda"),
        (roles.REQUESTER, "admin:registry_accessrequest_changelist", "pemanfaat/#ikuti-permohonan-akses"),
        (roles.HEAD, "admin:registry_accessrequest_changelist", "kepala/#putuskan-permohonan-akses"),
        (roles.SUPERVISOR, "admin:registry_callrecord_changelist", "kepala/#baca-riwayat-panggilan"),
        (roles.ADMINISTRATOR, "admin:registry_user_add", "administrator/#undang-pengguna"),
        # What a reader's own guide does not explain is explained by the first that does.
        (roles.ADMINISTRATOR, "wizard", "penyedia/#terbitkan-data-tanpa-sql"),
        (roles.PUBLISHER, "own_sessions", "akun/#periksa-sesi-anda"),
    ],
)
def test_the_help_link_is_for_the_role_and_the_page(sign_in: SignIn, role: str, page: str, expected: str) -> None:
    agency = None if role in roles.WITHOUT_AGENCY else Agency.objects.create(code="akik", name="Akik")
    html = sign_in(role, agency).get(reverse(page)).content.decode()
    assert f'href="/help/{expected}"' in html


# ------------------------------------------------------------------------------------------- the pages


@pytest.mark.django_db
def test_anybody_reads_the_guides(client: Client) -> None:
    html = client.get(reverse("help")).content.decode()
    assert all(f'href="{reverse("help_guide", args=[name])}"' in html for name in GUIDES)
    for name in GUIDES:
        html = client.get(reverse("help_guide", args=[name])).content.decode()
        assert f"<h1>{guide(name).title}</h1>" in html
        assert "<script" not in html
        assert not re.search(r'(?:src|href)="(?:https?:)?//', html)
    assert client.get("/help/lain/").status_code == 404
    for page in ("account_login", "account_reset_password"):
        assert 'href="/help/akun/#' in client.get(reverse(page)).content.decode()
    assert f'href="{reverse("help")}"' in client.get("/catalog/tidak/ada/sama").content.decode()


@pytest.mark.django_db
def test_the_own_guide_comes_first(sign_in: SignIn) -> None:
    html = sign_in(roles.ADMINISTRATOR).get(reverse("help")).content.decode()
    listed = re.findall(r'class="name" href="/help/([a-z0-9.-]+)/"', html)
    assert listed[0] == "administrator"
    assert sorted(listed) == sorted(GUIDES)


@pytest.mark.django_db
def test_html_in_a_guide_is_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "akun.md").write_text("# Judul\n\nSebuah <b onclick=x>teks</b>.\n")
    monkeypatch.setattr("mantra.help.guides.FOLDER", tmp_path)
    guide.cache_clear()
    try:
        request = RequestFactory().get("/help/akun/")
        request.user = make_user(roles.ADMINISTRATOR)
        html = help_page(request, "akun").content.decode()
    finally:
        guide.cache_clear()
    assert "&lt;b onclick=x&gt;" in html

"""Checks of the configuration at start, with advice."""

from __future__ import annotations

import os
import re
from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.core import checks
from django.utils.translation import gettext as _

from registry import logs

#: First segments of addresses that no folder of MANTRA 1.99x can have here.
OWN_SEGMENTS = frozenset(
    {"rest", "soap", "api", "json", "xml", "admin", "account", "manage", "static", "i18n"}
    | {"healthz", "readyz", "metrics", "status", "fast-lane"}
)

#: The fewest days after which content is erased: until then its lines must have been shipped.
CONTENT_DAYS = 7


@checks.register()
def field_keys(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    for key in settings.FIELD_KEYS:
        try:
            Fernet(key)
        except ValueError:
            return [
                checks.Error(
                    _("MANTRA_FIELD_KEYS contains a value that is not a Fernet key."),
                    hint=_("Create a key with: %(command)s")
                    % {
                        "command": "python -c 'from cryptography.fernet import Fernet; "
                        "print(Fernet.generate_key().decode())'"
                    },
                    id="mantra.E001",
                )
            ]
    return []


@checks.register()
def second_person(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    chosen = {
        "MANTRA_SECOND_PERSON": settings.SECOND_PERSON,
        "MANTRA_SECOND_PERSON_GRANTS": settings.SECOND_PERSON_GRANTS,
    }
    return [
        checks.Error(
            _("%(name)s must be available, required or off.") % {"name": name},
            hint=_("available: a second person approves, in an agency that has a second person."),
            id="mantra.E005",
        )
        for name, value in chosen.items()
        if value not in ("available", "required", "off")
    ]


@checks.register()
def form_of_the_log(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    if settings.LOG_FORMAT in logs.FORMS:
        return []
    return [checks.Error(f"MANTRA_LOG_FORMAT must be {' or '.join(logs.FORMS)}.", id="mantra.E008")]


@checks.register()
def share_of_traces(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    if 0 <= settings.TRACING_RATIO <= 1:
        return []
    return [checks.Error("MANTRA_TRACING_RATIO must be between 0 and 1.", id="mantra.E009")]


@checks.register()
def metrics_token(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    if not settings.METRICS_TOKEN or len(settings.METRICS_TOKEN) >= 16:
        return []
    hint = "Create one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
    return [checks.Error("MANTRA_METRICS_TOKEN has fewer than 16 characters.", hint=hint, id="mantra.E007")]


@checks.register()
def head_keys(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    if all(re.fullmatch(r"[0-9a-fA-F]{64}", key) for key in settings.HEAD_KEYS):
        return []
    hint = "Create one with: python -c 'import secrets; print(secrets.token_hex(32))'"
    return [checks.Error("MANTRA_HEAD_KEYS must have keys of 64 hex characters.", hint=hint, id="mantra.E021")]


@checks.register()
def content_days(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    if settings.CONTENT_DAYS == 0 or settings.CONTENT_DAYS >= CONTENT_DAYS:
        return []
    return [checks.Error(f"MANTRA_CONTENT_DAYS must be 0, or {CONTENT_DAYS} at least.", id="mantra.E022")]


@checks.register()
def nginx_secret(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    if not settings.NGINX_SECRET or re.fullmatch(r"[A-Za-z0-9_-]{16,200}", settings.NGINX_SECRET):
        return []
    hint = "Create one with: python -c 'import secrets; print(secrets.token_hex(24))'"
    return [
        checks.Error("MANTRA_NGINX_SECRET must have 16 letters, digits, - and _ at least.", hint=hint, id="mantra.E010")
    ]


@checks.register()
def mail_server(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    if settings.SMTP_TLS not in ("starttls", "tls", "off"):
        hint = _("starttls is usual for port 587, tls for 465.")
        return [checks.Error(_("MANTRA_SMTP_TLS must be starttls, tls or off."), hint=hint, id="mantra.E006")]
    messages: list[checks.CheckMessage] = []
    if settings.SMTP_HOST and not settings.BASE_URL:
        hint = _("Set MANTRA_BASE_URL to the address of the bus.")
        text = _("The links in e-mails have no host, and no password can be reset by e-mail.")
        messages.append(checks.Warning(text, hint=hint, id="mantra.W003"))
    if settings.SMTP_HOST and settings.SMTP_USER and settings.SMTP_TLS == "off":
        hint = _("Set MANTRA_SMTP_TLS to starttls or tls.")
        text = _("The mail server's password is sent without encryption.")
        messages.append(checks.Warning(text, hint=hint, id="mantra.W004"))
    return messages


@checks.register()
def quota_store(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    messages: list[checks.CheckMessage] = []
    if settings.QUOTA_STORE_DOWN not in ("allow", "refuse"):
        messages.append(
            checks.Error(
                _("MANTRA_QUOTA_STORE_DOWN must be allow or refuse."),
                hint=_("While the quota store is down, allow admits calls and refuse rejects them with 503."),
                id="mantra.E002",
            )
        )
    if settings.QUOTA_STORE.startswith("memory") and int(os.environ.get("WEB_CONCURRENCY", "1")) > 1:
        messages.append(
            checks.Warning(
                _("Quotas are counted in the memory of each worker process."),
                hint=_("Set MANTRA_QUOTA_STORE=redis://…, or WEB_CONCURRENCY=1."),
                id="mantra.W001",
            )
        )
    return messages


@checks.register()
def legacy_folders(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    for folder in settings.LEGACY_FOLDERS:
        segments = folder.strip("/ ").lower().split("/")
        if segments[0] in OWN_SEGMENTS or not all(re.fullmatch(r"[a-z0-9_.-]+", segment) for segment in segments):
            return [
                checks.Error(
                    _("MANTRA_LEGACY_FOLDERS contains %(folder)s, which cannot be a folder of MANTRA 1.99x.")
                    % {"folder": folder},
                    hint=_(
                        "Write the part of its addresses before /json/, such as mantra or layanan/gsb, in letters, "
                        "digits, - . and _. The bus itself uses %(segments)s."
                    )
                    % {"segments": ", ".join(sorted(OWN_SEGMENTS))},
                    id="mantra.E003",
                )
            ]
    return []


@checks.register()
def https_redirect(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    if settings.SECURE_SSL_REDIRECT and not settings.TRUSTED_PROXIES:
        return [
            checks.Error(
                _("MANTRA_HTTPS_REDIRECT without MANTRA_TRUSTED_PROXIES redirects every page to itself."),
                hint=_(
                    "The bus learns of https from its proxy: set MANTRA_TRUSTED_PROXIES, or let the proxy redirect."
                ),
                id="mantra.E004",
            )
        ]
    return []


@checks.register()
def journal_folder(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    folder = settings.JOURNAL_DIR
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        return [
            checks.Warning(
                _("The journal's folder %(folder)s is missing or cannot be written: every call will fail with 503.")
                % {"folder": folder},
                hint=_("Create it, owned by the bus's user, or set MANTRA_JOURNAL_DIR."),
                id="mantra.W002",
            )
        ]
    return []

"""The forms: what is read, where the hosts of definitions are, and what is imported."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from django import forms
from django.conf import settings
from django.core.validators import RegexValidator
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mantra.legacy_import.models import ImportInput, LegacyImport
from mantra.legacy_import.running import PARTS
from registry.admin.theme import checkbox, file_input, password_input, text_area, text_input

#: The most hosts that are written otherwise, characters of one, and of their list.
MOST_HOSTS, HOST, _HOSTS = 100, 255, 20_000
_HOST = re.compile(r"[A-Za-z0-9._:\\\[\]-]+")
_SERVER = re.compile(r"[A-Za-z0-9._-]+")
_check_host = RegexValidator(
    re.compile(rf"\A{_HOST.pattern}\Z"), gettext_lazy("Enter a host name or an IP address, such as 10.1.1.5.")
)
#: Part → its name for people.
_LABELS: dict[str, Any] = {
    "agencies": gettext_lazy("Agencies"),
    "users": gettext_lazy("Users"),
    "services": gettext_lazy("Services"),
    "operations": gettext_lazy("Operations with their data sources and backends"),
    "orders": gettext_lazy("Keys, with their applications and grants"),
    "calls": gettext_lazy("The number of calls by day"),
}


class RunForm(forms.Form):
    """Where the hosts of definitions are, what is imported, and whether it is a dry run."""

    localhost = forms.CharField(
        label=gettext_lazy("Address of the old server"), required=False, max_length=HOST, validators=[_check_host],
        widget=text_input(autocomplete="off", spellcheck="false"),
        help_text=gettext_lazy(
            "Definitions say “localhost” for databases on the old server itself. Enter its address as this MANTRA "
            "reaches it, such as 10.1.1.5. If you do not know it yet, keep it empty: the report says whether it is "
            "needed."
        ),
    )  # fmt: skip
    hosts = forms.CharField(
        label=gettext_lazy("Other hosts that have moved"), required=False, max_length=_HOSTS, widget=text_area(2),
        help_text=gettext_lazy("One per line, as OLD=NEW: 192.168.1.7=10.1.1.7"),
    )  # fmt: skip
    parts = forms.MultipleChoiceField(
        label=gettext_lazy("What is imported"), choices=list(_LABELS.items()), initial=list(PARTS),
        widget=forms.CheckboxSelectMultiple, help_text=gettext_lazy("What a part needs is imported with it."),
    )  # fmt: skip

    wrapped = forms.BooleanField(
        label=gettext_lazy("Callers have APP_ENC: wrap the responses to all keys"), required=False, widget=checkbox(),
        help_text=gettext_lazy(
            "Only if callers were set up so in MANTRA 1.99x. You can change it on the page of a key."
        ),
    )  # fmt: skip

    def clean_hosts(self) -> dict[str, str]:
        """Return the hosts, in lower case, with what to write instead."""
        found: dict[str, str] = {}
        for line in filter(None, map(str.strip, self.cleaned_data["hosts"].splitlines())):
            old, equals, new = (part.strip() for part in line.partition("="))
            if not equals or not all(_HOST.fullmatch(each) and len(each) <= HOST for each in (old, new)):
                raise forms.ValidationError(
                    _("Write each line as OLD=NEW, such as 192.168.1.7=10.1.1.7. Wrong: %(line)s") % {"line": line[:80]}
                )
            found[old.lower()] = new
        if len(found) > MOST_HOSTS:
            raise forms.ValidationError(_("Enter at most %(most)d hosts.") % {"most": MOST_HOSTS})
        return found

    @property
    def chosen_hosts(self) -> dict[str, str]:
        """All hosts with what to write instead."""
        local = self.cleaned_data.get("localhost", "")
        return {**({"localhost": local} if local else {}), **self.cleaned_data["hosts"]}


def is_ipv6(text: str) -> bool:
    """Return True for an address of IPv6, without brackets."""
    try:
        return ip_address(text).version == 6
    except ValueError:
        return False


class FileForm(RunForm):
    """A dump, and how it is imported."""

    dump = forms.FileField(label=gettext_lazy("Dump of the old database"), widget=file_input(".sql,.gz", many=False))
    field_order = ("dump", "localhost", "hosts", "parts", "wrapped")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["dump"].help_text = _(
            "Made with mysqldump, phpMyAdmin or HeidiSQL; plain (.sql) or packed with gzip (.sql.gz); at most "
            "%(size)s. It is stored encrypted and deleted after the import, at the latest after 24 hours."
        ) % {"size": filesizeformat(settings.MAX_LEGACY_DUMP_BYTES)}  # fmt: skip

    def clean_dump(self) -> Any:
        file = self.cleaned_data["dump"]
        if file.size > settings.MAX_LEGACY_DUMP_BYTES:
            raise forms.ValidationError(too_large())
        return file


def too_large() -> str:
    """Return what to do about a dump that is too large."""
    return _(
        "The dump is larger than %(size)s. Pack it with gzip, or make it without the history: mysqldump "
        "--ignore-table=DATABASE.tracks. The connection to the running server has no such limit."
    ) % {"size": filesizeformat(settings.MAX_LEGACY_DUMP_BYTES)}


class ServerForm(RunForm):
    """A running server, and how it is imported."""

    host = forms.CharField(
        label=gettext_lazy("Host"), max_length=HOST, validators=[_check_host],
        widget=text_input(autocomplete="off", spellcheck="false", placeholder="10.1.1.5"),
    )  # fmt: skip
    port = forms.IntegerField(
        label=gettext_lazy("Port"), min_value=1, max_value=65_535, initial=3306,
        widget=text_input(inputmode="numeric", size="5"),
    )  # fmt: skip
    database = forms.CharField(
        label=gettext_lazy("Database"), max_length=64, widget=text_input(autocomplete="off", placeholder="mantra")
    )
    user = forms.CharField(
        label=gettext_lazy("User"), max_length=128, widget=text_input(autocomplete="off"),
        help_text=gettext_lazy("An account that can only read is enough. Nothing is changed on the old server."),
    )  # fmt: skip
    password = forms.CharField(
        label=gettext_lazy("Password"), max_length=1_000, required=False, strip=False, widget=password_input(),
        help_text=gettext_lazy("It is stored encrypted until the end of the run, and then deleted."),
    )  # fmt: skip
    field_order = ("host", "port", "database", "user", "password", "localhost", "hosts", "parts", "wrapped")

    def clean_host(self) -> str:
        """Return a host name or an IP address, without a port."""
        host: str = self.cleaned_data["host"].strip("[]")
        if not _SERVER.fullmatch(host) and not is_ipv6(host):
            raise forms.ValidationError(_check_host.message)
        return host

    @property
    def made(self) -> ImportInput:
        """The connection, not stored yet."""
        values = {name: self.cleaned_data[name] for name in ("host", "port", "database", "user", "password")}
        return ImportInput(name=f"{values['host']}/{values['database']}", **values)

    def clean(self) -> dict[str, Any]:
        super().clean()
        if any(not text.isprintable() for text in self.cleaned_data.values() if isinstance(text, str)):
            raise forms.ValidationError(_("Remove the characters that cannot be seen."))
        return self.cleaned_data


class AgainForm(RunForm):
    """The same input once more: with other hosts, or for good. Of a server only its password is entered again."""

    password = ServerForm.base_fields["password"]
    field_order = ("password", "localhost", "hosts", "parts", "wrapped")

    def __init__(self, run: LegacyImport, *args: Any, **kwargs: Any) -> None:
        hosts: Mapping[str, str] = run.hosts
        others = "\n".join(f"{old}={new}" for old, new in hosts.items() if old != "localhost")
        kwargs["initial"] = {"localhost": hosts.get("localhost", ""), "hosts": others, "parts": run.parts}
        kwargs["initial"]["wrapped"] = run.wrapped
        super().__init__(*args, **kwargs)
        if run.input is None or run.input.is_file:
            del self.fields["password"]

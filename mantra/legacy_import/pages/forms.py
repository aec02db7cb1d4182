"""The forms: what is read, where the hosts of definitions are, and what is imported; and what is compared."""

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

from mantra.legacy_import.comparing_hosts import comparison, hosts
from mantra.legacy_import.comparing_hosts.asking import HostInvalid
from mantra.legacy_import.models import ALIAS, ALIASES, URL, ComparisonInput, HostComparison, ImportInput, LegacyImport
from mantra.legacy_import.running import PARTS
from proxyservices.models.validators import validate_url
from registry.admin.theme import checkbox, file_input, password_input, select, text_area, text_input

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


class LogForm(forms.Form):
    """An access log of the old server. ``stored_log``: the name of one that is there already."""

    log = forms.FileField(
        label=gettext_lazy("Access log of the old server"),
        required=False,
        widget=file_input(".log,.gz,.txt", many=False),
    )
    stored_log = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["log"].help_text = self.about_log()

    def about_log(self) -> str:
        """Return what the field is for."""
        text = _(
            "Of Apache or nginx, plain or packed with gzip; at most %(size)s. It is stored encrypted, deleted after 24 "
            "hours at the latest, and read again when you compare both servers."
        ) % {"size": filesizeformat(settings.MAX_LEGACY_DUMP_BYTES)}  # fmt: skip
        return f"{text} {self.about_stored_log()}".strip()

    def about_stored_log(self) -> str:
        """Return what is there already."""
        return _("Without a new file, %(name)s is read.") % {"name": self.stored_log} if self.stored_log else ""

    def clean_log(self) -> Any:
        file = self.cleaned_data["log"]
        if file and file.size > settings.MAX_LEGACY_DUMP_BYTES:
            raise forms.ValidationError(log_too_large())
        return file


def log_too_large() -> str:
    """Return what to do about a log that is too large."""
    return _("The access log is larger than %(size)s. Pack it with gzip, or upload that of fewer days.") % {
        "size": filesizeformat(settings.MAX_LEGACY_DUMP_BYTES)
    }


class RunForm(LogForm):
    """Where the hosts of definitions are, what is imported, what old programs need, and whether it is a dry run."""

    #: The fields that the page has in parts of its own.
    apart = ("hosts", "parts", "keys_in_path", "log", "wrapped")

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

    keys_in_path = forms.ChoiceField(
        label=gettext_lazy("Keys that may be in the address (URL)"), required=False,
        choices=LegacyImport.KeysInPath.choices, widget=select(LegacyImport.KeysInPath.choices),
        help_text=gettext_lazy(
            "Some old programs write their key into the address. An access log shows which. You can change it on the "
            "page of a key."
        ),
    )  # fmt: skip
    wrapped = forms.BooleanField(
        label=gettext_lazy("Callers have APP_ENC: wrap the responses to all keys"), required=False, widget=checkbox(),
        help_text=gettext_lazy(
            "Only if callers were set up so in MANTRA 1.99x. You can change it on the page of a key."
        ),
    )  # fmt: skip

    def clean(self) -> dict[str, Any]:
        super().clean()
        needs_log = self.cleaned_data.get("keys_in_path") == LegacyImport.KeysInPath.LOG
        if needs_log and "log" not in self.errors and not (self.cleaned_data.get("log") or self.stored_log):
            self.add_error("log", _("Upload the access log in which the keys are looked for."))
        return self.cleaned_data

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
    field_order = ("dump", "localhost", "hosts", "parts")

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
    field_order = ("host", "port", "database", "user", "password", "localhost", "hosts", "parts")

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
    field_order = ("password", "localhost", "hosts", "parts")

    def __init__(self, run: LegacyImport, *args: Any, **kwargs: Any) -> None:
        hosts: Mapping[str, str] = run.hosts
        others = "\n".join(f"{old}={new}" for old, new in hosts.items() if old != "localhost")
        kwargs["initial"] = {"localhost": hosts.get("localhost", ""), "hosts": others, "parts": run.parts}
        kwargs["initial"] |= {"wrapped": run.wrapped, "keys_in_path": run.keys_in_path}
        self.stored_log = run.input.log_name if run.input is not None and run.input.log_stored else ""
        super().__init__(*args, **kwargs)
        if run.input is None or run.input.is_file:
            del self.fields["password"]


class ComparisonForm(LogForm):
    """The old host, and which requests it and this MANTRA get."""

    old_url = forms.CharField(
        label=gettext_lazy("Address of the old server"), max_length=URL, validators=[validate_url],
        widget=text_input(autocomplete="off", spellcheck="false", placeholder="http://10.1.1.5/mantra"),
        help_text=gettext_lazy("As its callers write it, with the folder before /json/."),
    )  # fmt: skip
    use_log = forms.BooleanField(required=False, initial=True, widget=checkbox())
    requests = forms.IntegerField(
        label=gettext_lazy("Requests for each operation"), min_value=1, max_value=comparison.MAX_REQUESTS,
        initial=comparison.REQUESTS, widget=text_input(inputmode="numeric", size="5"),
        help_text=gettext_lazy("Each is sent in json, xml and api."),
    )  # fmt: skip
    operations = forms.CharField(
        label=gettext_lazy("Only these operations"), required=False, max_length=ALIASES // 2, widget=text_area(3),
        help_text=gettext_lazy(
            "One per line, as agency/service/operation. Empty: all that only read. A proxy operation that may change "
            "data at its upstream is compared only if it is named here: both servers then call the upstream."
        ),
    )  # fmt: skip
    field_order = ("old_url", "use_log", "log", "requests", "operations")

    def __init__(self, input: ComparisonInput, last: HostComparison | None, *args: Any, **kwargs: Any) -> None:
        if last is not None:
            initial = {"old_url": last.old_url, "requests": last.requests, "operations": "\n".join(last.only)}
            kwargs["initial"] = initial | {"use_log": bool(last.log_name)}
        super().__init__(*args, **kwargs)
        if input.log_stored:
            self.fields["use_log"].label = _("Take the requests from the access log %(name)s") % {
                "name": input.log_name
            }
        else:
            del self.fields["use_log"]

    def about_stored_log(self) -> str:
        """Return what a comparison without a log takes."""
        return _("For operations that no log has, requests are made from the first rows of their tables.")

    def clean_old_url(self) -> str:
        url: str = self.cleaned_data["old_url"]
        try:
            hosts.old_host(url)
        except HostInvalid as error:
            raise forms.ValidationError(
                _("This MANTRA does not have that folder. Ask its administrator to add it to MANTRA_LEGACY_FOLDERS.")
                if str(error) == "folder"
                else _("Enter the address without what follows “?”, such as http://10.1.1.5/mantra.")
            ) from None
        return url

    def clean_operations(self) -> list[str]:
        """Return aliases in lower case, each once."""
        found = dict.fromkeys(filter(None, (line.strip().strip("/").lower() for line in self._lines())))
        for alias in found:
            if len(alias.split("/")) != 3 or len(alias) > ALIAS or not alias.isprintable():
                raise forms.ValidationError(
                    _("Write each line as agency/service/operation. Wrong: %(line)s") % {"line": alias[:80]}
                )
        return list(found)

    def _lines(self) -> list[str]:
        text: str = self.cleaned_data["operations"]
        return text.splitlines()

"""The forms of a synchronisation: what is read and where it goes, then the columns, the deletions and the times."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.utils.text import slugify
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from mantra.synchronization import choices
from mantra.synchronization.models import LEAST_MINUTES, MOST_MINUTES, Sync
from registry import tenancy
from registry.admin.theme import capitalise_labels, checkbox, select, text_input
from registry.models import Agency, Application, Operation

#: Between schema and table in the value of a box.
_BETWEEN = "\x1f"


class ChoiceForm(forms.Form):
    """The first step: which operation as which application, and which data source and table."""

    agency: Any = forms.ChoiceField(label=_("agency"))
    operation: Any = forms.ChoiceField(
        label=_("operation"),
        help_text=_("Your agency's own operations, and those that one of its applications may call."),
    )
    application: Any = forms.ChoiceField(
        label=_("application"),
        help_text=_("The operation is called as this application: its grant, its quota and its history count."),
    )
    source: Any = forms.ChoiceField(
        label=_("data source"), help_text=_("Its account needs the rights SELECT, INSERT and UPDATE on the table.")
    )
    table: Any = forms.ChoiceField(label=_("table"), required=False)

    def __init__(
        self, user: Any, data: Any = None, initial: dict[str, Any] | None = None, kept: Operation | None = None
    ) -> None:
        super().__init__(data, initial=initial)
        #: The operation of a synchronisation that is there already: it can stay, also without a grant.
        self._kept = kept
        agencies = tenancy.referable(Sync, "agency", user)
        if not tenancy.is_administrator(user):
            agencies = agencies.filter(pk=user.agency_id)
        self._offer("agency", agencies)
        self.agency = self._chosen("agency", agencies)
        if agencies.count() == 1:
            self.fields["agency"].widget = forms.HiddenInput()
            self.agency = self.agency or agencies.get()
            self.initial["agency"] = str(self.agency.pk)
        self.operation: Operation | None = None
        self.application: Application | None = None
        self.source: Any = None
        self.trouble = ""
        if self.agency is None:
            for name in ("operation", "application", "source", "table"):
                del self.fields[name]
        else:
            self._offer_all(self.agency)
        capitalise_labels(self)

    def _offer_all(self, agency: Agency) -> None:
        operations = choices.operations(agency)
        if self._kept is not None and self._kept not in operations:
            operations.append(self._kept)
        offered = [(str(row.pk), f"{row.address}{f' – {row.title}' if row.title else ''}") for row in operations]
        self._set("operation", offered)
        applications, sources = choices.applications(agency), choices.sources(agency)
        self._offer("application", applications)
        self._offer("source", sources)
        self.operation = next((row for row in operations if str(row.pk) == self._value("operation")), None)
        self.application = self._chosen("application", applications)
        self.source = self._chosen("source", sources)
        if self.source is None:
            del self.fields["table"]
            return
        try:
            names = choices.tables(self.source)
        except choices.BrowseError as error:
            self.trouble = str(error)
            names = []
        offered = [(_BETWEEN.join(name), f"{name[0]}.{name[1]}") for name in names]
        self._set("table", offered)

    def _offer(self, name: str, rows: Any) -> None:
        self._set(name, [(str(row.pk), str(row)) for row in rows])

    def _set(self, name: str, offered: list[tuple[str, str]]) -> None:
        shown = [("", gettext("Choose …")), *offered] if len(offered) != 1 else offered
        self.fields[name].choices = shown  # type: ignore[attr-defined]
        self.fields[name].widget = select(shown)

    def _value(self, name: str) -> str:
        """Return what was chosen; the only choice where there is one and nothing was."""
        given = str(self.data.get(name) or self.initial.get(name) or "")
        offered = [value for value, _label in self.fields[name].choices if value]  # type: ignore[attr-defined]
        if not given and len(offered) == 1:
            return offered[0]
        return given if given in offered else ""

    def _chosen(self, name: str, rows: Any) -> Any:
        value = self._value(name)
        found: Model | None = rows.filter(pk=value).first() if value else None
        return found

    @property
    def place(self) -> tuple[str, str]:
        """The schema and the table; two empty texts before they are chosen."""
        value = self._value("table") if "table" in self.fields else ""
        schema, _between, table = value.partition(_BETWEEN)
        return schema, table

    @property
    def is_complete(self) -> bool:
        return bool(self.operation and self.application and self.source and self.place[1])


def table_value(sync: Sync) -> str:
    """Return the value that the box of tables has for the table of a synchronisation."""
    return _BETWEEN.join((sync.schema, sync.table))


class SyncForm(forms.ModelForm):  # type: ignore[type-arg]
    """The second step: names, columns, deletions, times."""

    class Meta:
        model = Sync
        fields = (
            "title", "code", "deletions", "deleted_column", "schedule", "every_minutes", "at_hour",
            "max_change_percent", "full_days", "enabled",
        )  # fmt: skip

    def __init__(
        self, sync: Sync, names: list[str], table: choices.TableColumns, data: Any = None, gives_changes: bool = False
    ) -> None:
        super().__init__(data, instance=sync)
        self._names, self._table = names, table
        assert sync.operation is not None
        columns = [column.name for column in table.columns]
        pairs = {pair.source: pair for pair in sync.pairs} or {
            pair.source: pair for pair in choices.proposed(names, table)
        }
        for number, name in enumerate(names):
            pair = pairs.get(name)
            offered = [("", gettext("– not filled –")), *((column, column) for column in columns)]
            self.fields[f"to-{number}"] = forms.ChoiceField(
                label=name, choices=offered, required=False, widget=select(offered),
                initial=pair.target if pair and pair.target in columns else "",
            )  # fmt: skip
            self.fields[f"key-{number}"] = forms.BooleanField(
                required=False, widget=checkbox(), initial=bool(pair and pair.key)
            )  # fmt: skip
            # What heads its column is no label of it.
            self.fields[f"key-{number}"].widget.attrs["aria-label"] = gettext("Part of the key: %(name)s") % {
                "name": name
            }
        self._parameters = choices.parameters(sync.operation)
        for number, parameter in enumerate(self._parameters):
            self.fields[f"value-{number}"] = forms.CharField(
                label=parameter.name, max_length=1_000, widget=text_input(), initial=sync.arguments.get(parameter.name),
                required=parameter.required and not parameter.default, help_text=parameter.description,
            )  # fmt: skip
        marks = [("", gettext("Choose …")), *((column, column) for column in columns)]
        self.fields["deleted_column"] = forms.ChoiceField(
            label=_("column for the mark"), choices=marks, required=False, widget=select(marks),
            help_text=_("The column of the table that says that a row is deleted."),
        )  # fmt: skip
        self.fields["code"].required = False
        self.fields["code"].help_text = _("Keep empty: it is made from the title.")
        for name in ("title", "code"):
            self.fields[name].widget = text_input()
        for name in ("every_minutes", "at_hour", "max_change_percent", "full_days"):
            self.fields[name].widget = text_input(inputmode="numeric")
        for name in ("deletions", "schedule"):
            self.fields[name].widget = select(self.fields[name].choices)  # type: ignore[attr-defined]
        self.fields["enabled"].widget = checkbox()
        self.fields["every_minutes"].help_text = _("From %(least)d to %(most)d.") % {
            "least": LEAST_MINUTES, "most": MOST_MINUTES,
        }  # fmt: skip
        self.fields["at_hour"].help_text = _("From 0 to 23, by the server's time.")
        if not gives_changes:
            del self.fields["full_days"]
        capitalise_labels(self)
        for number, name in enumerate(names):
            self.fields[f"to-{number}"].label = name
        for number, parameter in enumerate(self._parameters):
            self.fields[f"value-{number}"].label = parameter.name

    # ------------------------------------------------------------------------------ for the template

    def lines(self) -> list[dict[str, Any]]:
        """Return the columns: the operation's name, the box of the table's columns, and the tick for the key."""
        return [
            {"name": name, "to": self[f"to-{number}"], "key": self[f"key-{number}"]}
            for number, name in enumerate(self._names)
        ]

    def parameter_fields(self) -> list[Any]:
        return [self[f"value-{number}"] for number in range(len(self._parameters))]

    def head(self) -> list[Any]:
        return [self[name] for name in ("title", "code")]

    def how(self) -> list[Any]:
        names = (
            "deletions", "deleted_column", "schedule", "every_minutes", "at_hour", "max_change_percent", "full_days",
            "enabled",
        )  # fmt: skip
        return [self[name] for name in names if name in self.fields]

    # ------------------------------------------------------------------------------------- cleaning

    def clean_code(self) -> str:
        code = str(self.cleaned_data.get("code") or "")
        if not code:
            code = re.sub(r"[^a-z0-9-]+", "-", slugify(self.data.get("title") or ""))[:60].strip("-")
            others = Sync.objects.filter(agency=self.instance.agency_id, code__iexact=code).exclude(pk=self.instance.pk)
            if others.exists():
                code = f"{code}-{Sync.objects.filter(agency=self.instance.agency_id).count() + 1}"
        if not code:
            raise ValidationError(_("Enter a code."))
        return code

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        # Before the model's own check, which reads them.
        self.instance.columns = [
            [name, cleaned[f"to-{number}"], bool(cleaned.get(f"key-{number}"))]
            for number, name in enumerate(self._names)
            if cleaned.get(f"to-{number}")
        ]
        values = {parameter.name: cleaned.get(f"value-{number}") for number, parameter in enumerate(self._parameters)}
        self.instance.arguments = {name: value for name, value in values.items() if value}
        return cleaned

    def add_error(self, field: str | None, error: Any) -> None:
        """Report what the model says of what is no field here, such as its list of columns, above the form."""
        if isinstance(error, ValidationError) and hasattr(error, "error_dict"):
            for name in [name for name in error.error_dict if name not in self.fields and name != "__all__"]:
                error.error_dict.setdefault("__all__", []).extend(error.error_dict.pop(name))
        super().add_error(field, error)

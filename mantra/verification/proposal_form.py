"""The form that makes a verification of an operation: its names and limits, and a line for each column."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from mantra.verification import proposals
from mantra.verification.models import LOWEST_THRESHOLD, VerificationOperation, VerifiedField
from mantra.verification.proposals import Proposal
from registry.admin.theme import select, text_area, text_input
from registry.models import Operation

#: Lines for columns that are typed by hand, where nobody knows the columns.
BLANK_LINES = 6

_COLUMNS = ("title", "code", "description", "listing", "min_fields", "tries", "tries_of_all", "lock_minutes")


class ProposalForm(forms.ModelForm):  # type: ignore[type-arg]
    """What a verification is called, and what protects it against guessing."""

    reason = forms.CharField(
        label=_("Reason"), required=False, max_length=1000, widget=text_area(2),
        help_text=_("Needed if a second person must approve it."),
    )  # fmt: skip

    class Meta:
        model = VerificationOperation
        fields = (*_COLUMNS, "hides_existence")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.label = capfirst(str(field.label))
            if name == "hides_existence":
                field.widget = forms.CheckboxInput()
            elif name == "listing":
                field.widget = select(field.choices)  # type: ignore[attr-defined]
            elif name == "description":
                field.widget = text_area(2)
            elif name != "reason":
                numeric = {"inputmode": "numeric"} if isinstance(field, forms.IntegerField) else {}
                field.widget = text_input(autocomplete="off", **numeric)
        self.fields["title"].required = True

    def named(self) -> list[forms.BoundField]:
        return [self[name] for name in ("title", "code", "description", "listing")]

    def limits(self) -> list[forms.BoundField]:
        return [self[name] for name in ("min_fields", "tries", "tries_of_all", "lock_minutes")]

    def add_problems(self, error: ValidationError) -> None:
        """Show what the models' rules say, at the fields where there are such."""
        found = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
        for name, texts in found.items():
            for text in texts:
                self.add_error(name if name in self.fields else None, text)


class LineForm(forms.Form):
    """A column that may be verified."""

    chosen = forms.BooleanField(required=False)
    column = forms.CharField(required=False, max_length=127, widget=text_input(autocomplete="off"))
    name = forms.CharField(required=False, max_length=50, widget=text_input(autocomplete="off"))
    rule = forms.ChoiceField(choices=VerifiedField.Rule.choices, widget=select(VerifiedField.Rule.choices))
    threshold = forms.IntegerField(
        required=False, validators=[MinValueValidator(LOWEST_THRESHOLD), MaxValueValidator(100)],
        widget=text_input(inputmode="numeric", autocomplete="off"),
    )  # fmt: skip

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        if cleaned.get("chosen") and not cleaned.get("column"):
            self.add_error("column", _("Enter the name of the column."))
        return cleaned

    def field(self, position: int) -> VerifiedField:
        """Return the verified field of a valid line, not saved."""
        cleaned = self.cleaned_data
        name = cleaned["name"] or proposals.name_of(cleaned["column"], set())
        threshold = cleaned["threshold"] if cleaned["rule"] in VerifiedField.DEGREES else None
        column = "" if cleaned["column"] == name else cleaned["column"]
        return VerifiedField(position=position, name=name, column=column, rule=cleaned["rule"], threshold=threshold)


class _Lines(forms.BaseFormSet):  # type: ignore[type-arg]
    def clean(self) -> None:
        if not any(self.errors) and not self.chosen():
            raise ValidationError(_("Tick at least one column that callers may verify."))

    def chosen(self) -> list[LineForm]:
        return [form for form in self.forms if form.cleaned_data.get("chosen")]

    def fields(self) -> list[VerifiedField]:
        """Return the verified fields of valid lines, not saved."""
        return [form.field(position) for position, form in enumerate(self.chosen())]


LineFormSet = forms.formset_factory(
    LineForm, formset=_Lines, extra=0, max_num=proposals.MAX_COLUMNS, absolute_max=proposals.MAX_COLUMNS
)


def lines_of(base: Operation, data: Any = None) -> Any:
    """Return the lines of an operation's columns; blank ones where nobody knows them."""
    known = proposals.propose(base)
    initial = [_line(each) for each in known] or [{"rule": VerifiedField.Rule.TEXT} for _number in range(BLANK_LINES)]
    return LineFormSet(data, initial=initial, prefix="lines")


def _line(each: Proposal) -> dict[str, Any]:
    return {"chosen": each.chosen, "column": each.column, "name": each.name, "rule": each.rule}

"""The forms: the two lists, the pairs of their columns with the values of parameters, and the schedule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.forms import BaseFormSet, formset_factory
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mantra.comparing import DEFAULT_THRESHOLDS
from mantra.reconciliation import pairs, sides
from mantra.reconciliation.models import MOST_PAIRS, Reconciliation, Side
from mantra.reconciliation.pairs import Column, Pair
from registry.admin.theme import checkbox, file_input, select, text_input
from registry.models import Parameter, User

ACCEPTED = ".xlsx,.xlsb,.xls,.ods,.csv,.tsv,.txt"
#: Lines for further pairs that the form has beside those that are filled in.
_FURTHER = 3
#: Rule → its name for people.
RULES: dict[str, Any] = {
    "exact": gettext_lazy("exactly equal"),
    "text": gettext_lazy("equal text, whatever its capitals, blanks and marks"),
    "name": gettext_lazy("similar name of a person"),
    "date": gettext_lazy("the same date, however it is written"),
    "number": gettext_lazy("the same number, however it is written"),
    "phone": gettext_lazy("the same phone number"),
    "address": gettext_lazy("similar address"),
}
PLACES = {Side.Place.LEFT: gettext_lazy("List A"), Side.Place.RIGHT: gettext_lazy("List B")}


class ListsForm(forms.Form):
    """The title, and for each list an operation or a file."""

    title = forms.CharField(label=gettext_lazy("Title"), max_length=200, widget=text_input())

    def __init__(self, user: User, row: Reconciliation | None, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offered = [("", "---------"), (sides.FILE, _("a file that I upload"))]
        offered += [(choice.value, choice.label) for choice in sides.choices(user)]
        before = {side.place: side for side in row.sides.all()} if row is not None else {}
        self._files = {place: side.file_name for place, side in before.items() if side.kind == Side.Kind.FILE}
        for place, name in PLACES.items():
            self.fields[place] = forms.ChoiceField(label=name, choices=offered, widget=select(offered))
            self.fields[f"{place}_file"] = forms.FileField(
                label=_("File of %(list)s") % {"list": name}, required=False, widget=file_input(ACCEPTED, many=False),
                help_text=_("Excel, OpenDocument or CSV; only if you choose a file above. It is stored encrypted."),
            )  # fmt: skip
            if place in before:
                self.initial.setdefault(place, sides.choice_of(before[place]))
        if row is not None:
            self.initial.setdefault("title", row.title)

    def clean(self) -> dict[str, Any]:
        super().clean()
        for place in PLACES:
            wants = self.cleaned_data.get(place) == sides.FILE
            if wants and not self.cleaned_data.get(f"{place}_file") and place not in self._files:
                self.add_error(f"{place}_file", _("Choose the file."))
        return self.cleaned_data


class PairForm(forms.Form):
    """A column of each list, and how they are compared."""

    def __init__(self, *args: Any, left: Sequence[Column], right: Sequence[Column], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        labels = {"left": _("Column of list A"), "right": _("Column of list B"), "rule": _("Rule")}
        rules = list(RULES.items())
        for name, columns in (("left", left), ("right", right)):
            offered = [("", "---------"), *((column.name, column.name) for column in columns)]
            self.fields[name] = forms.ChoiceField(choices=offered, required=False, widget=select(offered))
        self.fields["key"] = forms.BooleanField(required=False, widget=checkbox())
        self.fields["rule"] = forms.ChoiceField(choices=rules, widget=select(rules), initial="text", required=False)
        self.fields["threshold"] = forms.IntegerField(
            min_value=1, max_value=100, required=False, widget=text_input(inputmode="numeric", size="3")
        )
        labels |= {"key": _("This pair is part of the key"), "threshold": _("Least similarity in percent")}
        number = int(self.prefix.rpartition("-")[2]) + 1 if self.prefix and self.prefix[-1].isdigit() else 0
        for name, field in self.fields.items():
            field.label = labels[name]
            field.widget.attrs["aria-label"] = f"{labels[name]}, {number}"

    def clean(self) -> dict[str, Any]:
        super().clean()
        left, right = self.cleaned_data.get("left"), self.cleaned_data.get("right")
        if bool(left) != bool(right):
            self.add_error("right" if left else "left", _("Choose the column that belongs to it, or none."))
        rule = self.cleaned_data.get("rule") or "text"
        if self.cleaned_data.get("key") and rule in DEFAULT_THRESHOLDS:
            self.add_error("rule", _("A key needs a rule without a similarity, such as “exactly equal”."))
        return self.cleaned_data

    @property
    def pair(self) -> Pair | None:
        """The pair; None for an empty line."""
        values = self.cleaned_data
        if not values.get("left") or not values.get("right"):
            return None
        rule = values["rule"] or "text"
        threshold = values["threshold"] if rule in DEFAULT_THRESHOLDS else None
        return Pair(values["left"], values["right"], values["key"], rule, threshold)


class _Pairs(BaseFormSet):  # type: ignore[type-arg]
    """The pairs of a reconciliation: one of them at least is a key, and none occurs twice."""

    def clean(self) -> None:
        if any(self.errors):
            return
        found = self.pairs
        if not any(pair.key for pair in found):
            raise forms.ValidationError(_("Tick at least one pair as key: rows with the same key belong together."))
        if len({(pair.left, pair.right) for pair in found}) < len(found):
            raise forms.ValidationError(_("A pair of columns occurs twice."))

    @property
    def pairs(self) -> list[Pair]:
        return [form.pair for form in self.forms if form.pair is not None]


PairFormSet = formset_factory(PairForm, formset=_Pairs, extra=_FURTHER, max_num=MOST_PAIRS, validate_max=True,
                              absolute_max=MOST_PAIRS + _FURTHER)  # fmt: skip


def pair_forms(row: Reconciliation, data: Any = None) -> Any:
    """Return the lines of the pairs: those that were saved, or those that the names of the columns suggest."""
    left, right = (sides.columns(row.side(place)) for place in PLACES)
    names = {column.name for column in left}, {column.name for column in right}
    shown = [pair for pair in pairs.of(row.pairs) if pair.left in names[0] and pair.right in names[1]]
    shown = shown or pairs.propose(left, right)
    initial = [pair.stored() for pair in shown[:MOST_PAIRS]]
    # A proposed pair counts although nobody has changed it.
    shared = {"left": left, "right": right, "empty_permitted": False, "use_required_attribute": False}
    return PairFormSet(data, initial=initial, prefix="pairs", form_kwargs=shared)


class ParametersForm(forms.Form):
    """The values of the parameters of a side's operation. The bus checks them when it is called."""

    def __init__(self, side: Side, *args: Any, **kwargs: Any) -> None:
        kwargs["prefix"] = side.place
        super().__init__(*args, **kwargs)
        found = Parameter.objects.filter(operation=side.operation_id) if side.operation_id is not None else ()
        for parameter in found:
            needed = parameter.required and not parameter.default
            self.fields[parameter.name] = forms.CharField(
                label=parameter.name, required=needed, max_length=500, strip=False,
                initial=side.arguments.get(parameter.name, ""), widget=text_input(autocomplete="off"),
            )  # fmt: skip


class ScheduleForm(forms.ModelForm):  # type: ignore[type-arg]
    """When it runs by itself."""

    class Meta:
        model = Reconciliation
        fields = ("schedule", "hour", "notify")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["schedule"].widget = select(Reconciliation.Schedule.choices)
        hours = [(str(hour), f"{hour:02d}.00") for hour in range(24)]
        self.fields["hour"].widget = select(hours)
        self.fields["notify"].widget = checkbox()
        for name, label in (
            ("schedule", _("Schedule")),
            ("hour", _("At")),
            ("notify", _("Notify me when a scheduled run has ended")),
        ):
            self.fields[name].label = label

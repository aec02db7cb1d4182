"""Filters of the lists."""

from __future__ import annotations

from datetime import MAXYEAR, MINYEAR, datetime, time
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from registry import moments, tenancy
from registry.admin.numbers import number_of
from registry.admin.theme import RangeDateTimeFilter, RelatedDropdownFilter

#: A list filter offers at most so many rows. Where there are more, the list is searched, or opened from the row's page.
MOST = 200


class ScopedFilter(RelatedDropdownFilter):
    """A list filter over a foreign key that offers only rows which the user may read, if there are not too many."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        rows = tenancy.visible(field.related_model._default_manager.all(), request.user)
        if field.name == "agency" and not tenancy.sees_all_agencies(request.user):
            rows = rows.filter(pk=request.user.agency_id)  # type: ignore[union-attr]
        admin = model_admin.admin_site._registry.get(field.related_model)
        if admin is not None:
            rows = rows.select_related(*admin.list_select_related)
        offered = list(rows[: MOST + 1])
        if len(offered) > MOST:
            chosen = request.GET.get(self.lookup_kwarg, "")
            offered = list(rows.filter(pk=number_of(chosen)))
        return [(row.pk, str(row)) for row in offered]


#: The ends of a period, the time of day of a date without one, and their lookups.
_ENDS = (("from", time.min, "gte"), ("to", time.max, "lte"))


class MomentFilter(RangeDateTimeFilter):
    """A list filter by a period. A day without a time is from its beginning, or to its end.

    An address can give the period also as ``…__gte`` and ``…__lte``, in ISO 8601: the fields then show it.
    """

    def __init__(
        self, field: Any, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any, field_path: str
    ) -> None:
        super().__init__(field, request, params, model, model_admin, field_path)
        #: The exact moments of the address, by lookup.
        self.given: dict[str, datetime] = {}
        for end, hour, lookup in _ENDS:
            self._take(params, end, hour, lookup)

    def _take(self, params: dict[str, Any], end: str, hour: time, lookup: str) -> None:
        name = f"{self.field_path}__{lookup}"
        if name not in params:
            return
        value = self.used_parameters[name] = params.pop(name)[-1]
        moment = _read(value, hour)
        if moment is not None and not self.used_parameters.get(f"{self.field_path}_{end}_0"):
            self.given[lookup] = moment
            self.used_parameters[f"{self.field_path}_{end}_0"] = moments.day(moment)
            self.used_parameters[f"{self.field_path}_{end}_1"] = moments.clock(moment)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        for end, hour, lookup in _ENDS:
            moment = self.given.get(lookup) or self._moment(end, hour)
            if moment is not None:
                queryset = queryset.filter(**{f"{self.parameter_name}__{lookup}": moment})
        return queryset

    @property
    def in_words(self) -> str:
        """The period as the page shows it, "" if none is set."""
        ends = [" ".join(self._entered(end)).strip() for end, _hour, _lookup in _ENDS]
        return f"{ends[0] or '…'} – {ends[1] or '…'}" if any(ends) else ""

    def _entered(self, end: str) -> tuple[str, str]:
        day, clock = (self.used_parameters.get(f"{self.field_path}_{end}_{part}") or "" for part in (0, 1))
        return day, clock

    def _moment(self, end: str, hour: time) -> datetime | None:
        day, clock = self._entered(end)
        try:
            date = forms.DateField(localize=True).clean(day)
            time_of_day = forms.TimeField(localize=True).clean(clock) if clock else hour
            # A time is entered to the second, of which the period has the whole.
            time_of_day = time_of_day.replace(microsecond=hour.microsecond)
        except forms.ValidationError:
            return None
        return _in_calendar(timezone.make_aware(datetime.combine(date, time_of_day)))


def _in_calendar(moment: datetime) -> datetime | None:
    """Return a moment, None for one that other time zones may not have: those of the first and the last year."""
    return moment if MINYEAR < moment.year < MAXYEAR else None


def _read(text: str, hour: time) -> datetime | None:
    """Return a moment in ISO 8601, in the bus's time zone if it names none; None if it is none.

    ``hour``: the time of day of a date without one.
    """
    try:
        date = parse_date(text)
        moment = datetime.combine(date, hour) if date is not None else parse_datetime(text)
    except ValueError:  # such as the 32nd
        return None
    if moment is None:
        return None
    return _in_calendar(timezone.make_aware(moment) if timezone.is_naive(moment) else moment)

"""Filters of the lists."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from registry import tenancy
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


class MomentFilter(RangeDateTimeFilter):
    """A list filter by a period. A day without a time is from its beginning, or to its end."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        for end, hour, lookup in (("from", time.min, "gte"), ("to", time.max, "lte")):
            moment = self._moment(end, hour)
            if moment is not None:
                queryset = queryset.filter(**{f"{self.parameter_name}__{lookup}": moment})
        return queryset

    def _moment(self, end: str, hour: time) -> datetime | None:
        day, clock = (self.used_parameters.get(f"{self.field_path}_{end}_{part}") or "" for part in (0, 1))
        try:
            date = forms.DateField(localize=True).clean(day)
            time_of_day = forms.TimeField(localize=True).clean(clock) if clock else hour
        except forms.ValidationError:
            return None
        return timezone.make_aware(datetime.combine(date, time_of_day))

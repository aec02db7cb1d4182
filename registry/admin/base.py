"""The base of every admin page: it limits the page to the rows that its user may see and change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.admin import ShowFacets
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.contrib.messages import ERROR
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, connection, transaction
from django.db.models import Field, ForeignKey, Model, ProtectedError, QuerySet
from django.forms import BaseInlineFormSet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.utils.translation import override

from registry import deletion, tenancy
from registry.admin import stops, theme
from registry.locking import lock
from registry.models import RegistryModel, SnapshotVersion
from registry.models.base import RegistryQuerySet
from registry.secrets import EncryptedField

#: Columns that no page shows.
HIDDEN_COLUMNS = frozenset({"digest", "password", "wallet_password", "credential"})

Fieldsets = Sequence[tuple[Any, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A list that a row's page leads to: its label, its filter, and the rows to count, None if that would cost."""

    label: Any
    model: type[Model]
    query: dict[str, Any]
    rows: QuerySet[Any] | None = None


def listed(model: type[Model], **query: Any) -> str:
    """Return the address of a model's list with a filter."""
    return f"{reverse(f'admin:{model._meta.app_label}_{model._meta.model_name}_changelist')}?{urlencode(query)}"


# -------------------------------------------------------------------------------------- the user's rows


def _without(fieldsets: Fieldsets, hidden: frozenset[str]) -> Fieldsets:
    """Return the fieldsets without some fields."""
    result = []
    for name, options in fieldsets:
        fields = [
            line if isinstance(line, str) else tuple(field for field in line if field not in hidden)
            for line in options["fields"]
            if line not in hidden
        ]
        result.append((name, {**options, "fields": [line for line in fields if line]}))
    return result


def rows_after(formset: Any) -> list[Any]:
    """Return the rows of a valid inline formset as they will be, those that were not posted included."""
    forms = [form for form in formset.forms if form not in formset.deleted_forms]
    posted = {form.instance.pk for form in formset.forms}
    rows = [form.instance for form in forms if form.instance.pk is not None or form.has_changed()]
    return rows + [row for row in formset.get_queryset() if row.pk not in posted]


#: A select box has at most so many rows; where there are more, they are searched for.
FEW = 50


class _Scoped:
    """The common part of pages and their inlines."""

    model: type[Model]
    autocomplete_fields: Sequence[str] = ()

    def formfield_for_foreignkey(self, db_field: ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any) -> Any:
        """Return a choice among the rows to which the user may refer, with the user's own agency as default."""
        kwargs["queryset"] = offered = self.offered(db_field.name, request)
        if self._fit_a_box(db_field.name, offered):
            kwargs.setdefault("widget", theme.select())
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)  # type: ignore[misc]
        if field is not None and self._own_agency_only(db_field.name, request):
            field.initial, field.empty_label = request.user.agency_id, None  # type: ignore[union-attr]
        return field

    def offered(self, field: str, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows that a foreign key offers, in a box or in a search."""
        rows = tenancy.referable(self.model, field, request.user)
        if self._own_agency_only(field, request):
            rows = rows.filter(pk=request.user.agency_id)  # type: ignore[union-attr]
        admin = self.admin_site._registry.get(rows.model)  # type: ignore[attr-defined]
        if admin is not None and admin.list_select_related:
            rows = rows.select_related(*admin.list_select_related)
        return self.choices(field, rows, request)

    @staticmethod
    def _own_agency_only(field: str, request: HttpRequest) -> bool:
        return field == "agency" and not tenancy.sees_all_agencies(request.user)

    def _fit_a_box(self, field: str, rows: QuerySet[Any]) -> bool:
        """Return True if a field that can be searched has few rows. A box would list the rows of other agencies."""
        if field not in self.autocomplete_fields:
            return False
        across = (self.model._meta.label_lower, field) in tenancy.CROSS_AGENCY_REFERENCES
        return not across and len(rows.order_by().values_list("pk")[: FEW + 1]) <= FEW

    def choices(self, field: str, rows: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
        """Return the rows that a foreign key offers. Pages may restrict them further."""
        return rows

    def formfield_for_dbfield(self, db_field: Field[Any, Any], request: HttpRequest, **kwargs: Any) -> Any:
        form_field = super().formfield_for_dbfield(db_field, request, **kwargs)  # type: ignore[misc]
        if form_field is not None and isinstance(form_field.widget, RelatedFieldWidgetWrapper):
            # Each model has its own page. Pop-up windows only lose unsaved input.
            for action in ("add", "change", "delete", "view"):
                setattr(form_field.widget, f"can_{action}_related", False)
        return form_field

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Fieldsets:
        """Return the fieldsets, without secrets for users who only read: their page shows plain values."""
        fieldsets: Fieldsets = super().get_fieldsets(request, obj)  # type: ignore[misc]
        if self.has_change_permission(request, obj):  # type: ignore[attr-defined]
            return fieldsets
        secrets = (field.name for field in self.model._meta.get_fields() if isinstance(field, EncryptedField))
        return _without(fieldsets, frozenset(secrets))


class RowList(theme.ChangeList):
    """A list that offers to show all rows only if it does not."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not (self.query or self.has_active_filters):
            self.full_result_count = self.result_count


class ScopedAdmin(_Scoped, theme.ModelAdmin):
    """A page that shows, offers and changes only the rows that tenancy.py permits."""

    list_filter_submit = True
    list_fullwidth = True
    list_per_page = 50
    warn_unsaved_form = True
    change_form_before_template = "mantra/confirm.html"
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_select_related: tuple[str, ...] = ()
    change_form_outer_before_template = "mantra/row_buttons.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[theme.ChangeList]:
        return RowList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        return tenancy.visible(rows.listed() if isinstance(rows, RegistryQuerySet) else rows, request.user)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(super().has_view_permission(request, obj))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or tenancy.may_change(request.user, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or tenancy.may_change(request.user, obj))

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """Return a row, or None. One that is to be changed is locked: others that change it wait."""
        row = super().get_object(request, object_id, from_field)
        if row is None or request.method != "POST" or not connection.in_atomic_block:
            return row
        lock(type(row), row.pk)
        return super().get_object(request, object_id, from_field)

    def _changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if request.method == "POST":
            SnapshotVersion.lock()  # rows are counted: nobody else adds one meanwhile
        return super()._changeform_view(request, *args, **kwargs)

    # ---------------------------------------------------------------------------------- deleting

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Return Django's lists of what a deletion concerns, with what registry/deletion.py does not allow."""
        names, counts, missing_rights, protected = super().get_deleted_objects(objs, request)
        try:
            rows = deletion.taken_along(objs)
        except ProtectedError:  # Django has found it too
            return names, counts, missing_rights, protected
        others = [row for row in rows if row not in objs]
        kept = deletion.kept(rows)
        # Django takes what stays for a missing right, and its page would not say what to do about it.
        # It does the same for parts, which nobody deletes alone.
        missing_rights -= {str(row._meta.verbose_name) for row in (*kept, *filter(deletion.is_part, others))}
        missing_rights |= {str(row._meta.verbose_name) for row in deletion.refused(request.user, others)}
        protected += [f"{row}: {reason}" for row, reason in kept.items()]
        return names, counts, missing_rights, protected

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        try:
            return super().delete_view(request, object_id, extra_context)
        except (deletion.InUse, ProtectedError, IntegrityError):
            self.message_user(request, _("Another definition depends on it, or changed at the same time."), ERROR)
            return redirect(request.path)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        deletion.delete(request.user, obj)  # type: ignore[arg-type]

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        try:
            with transaction.atomic():
                for row in queryset:
                    self.delete_model(request, row)
        except (deletion.InUse, ProtectedError, IntegrityError):
            raise PermissionDenied from None

    def log_deletions(self, request: HttpRequest, queryset: Any) -> list[Any]:
        """Log nothing: registry/deletion.py logs each row that it deletes."""
        return []

    # ---------------------------------------------------------------------------------- saving

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        # The form offers no rows of other agencies. This refuses forged requests.
        if not tenancy.may_change(request.user, obj):
            raise PermissionDenied
        super().save_model(request, obj, form, change)

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        """Return the log message with untranslated names of fields: it is translated when it is shown."""
        message = super().construct_change_message(request, form, formsets, add)
        with override(None):
            names = {
                capfirst(str(field.verbose_name)): str(field.verbose_name)
                for model in (self.model, *(formset.model for formset in formsets or ()))
                for field in model._meta.fields
            }
        for entry in message:
            for change in entry.values():
                if "fields" in change:
                    change["fields"] = [names.get(name, name) for name in change["fields"]]
        return message

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], term: str
    ) -> tuple[QuerySet[Any], bool]:
        page, name = self._autocomplete_source(request)
        if page is not None:
            # What may be referred to differs from what the list has: it may be of another agency, or of one kind only.
            queryset = page.offered(name, request)
        # An address is searched for by its parts.
        return super().get_search_results(request, queryset, term.replace("/", " "))

    def _autocomplete_source(self, request: HttpRequest) -> tuple[ScopedAdmin | None, str]:
        """Return the page and the foreign key of an autocomplete request; (None, "") for other requests."""
        match = request.resolver_match
        if match is None or match.url_name != "autocomplete":
            return None, ""
        model_name = (request.GET.get("app_label"), request.GET.get("model_name"))
        for model, page in self.admin_site._registry.items():
            if (model._meta.app_label, model._meta.model_name) != model_name:
                continue
            assert isinstance(page, ScopedAdmin)
            if page.has_add_permission(request) or page.has_change_permission(request):
                return page, request.GET.get("field_name", "")
        raise PermissionDenied

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        # Filters in a URL must not reveal hidden columns letter by letter, nor keep a processor busy for hours.
        parts = lookup.split("__")
        if parts[0] in HIDDEN_COLUMNS or parts[-1] in ("regex", "iregex"):
            return False
        return super().lookup_allowed(lookup, value, request)

    def changeable(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """Return the selected rows of an action that the user may change."""
        return [row for row in queryset if self.has_change_permission(request, row)]

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> NoReturn:
        # A missing row and another agency's row give the same response.
        raise Http404

    def get_or_404(self, request: HttpRequest, object_id: str) -> Any:
        """Return the row of a further view. Raises Http404."""
        row = self.get_object(request, object_id)
        if row is None or not self.has_view_permission(request, row):
            raise Http404
        return row

    def get_urls(self) -> list[URLPattern]:
        info = (self.opts.app_label, self.opts.model_name)
        row_urls = [
            path(
                f"<path:object_id>/{word}/", self.admin_site.admin_view(view), name=f"{'_'.join(map(str, info))}_{word}"
            )
            for word, view in self.row_views().items()
        ]
        return row_urls + super().get_urls()

    def row_views(self) -> dict[str, Callable[..., HttpResponse]]:
        """Return further views of a row: the last segment of their path → view(request, object_id)."""
        return {}

    #: The action on a row that most users want next; its button stands out.
    next_step = ""

    def row_actions(self, request: HttpRequest, obj: Any) -> list[tuple[str, Any, Any]]:
        """Return the actions on a row, beside saving: (segment of row_views(), label, confirmation question or "")."""
        return []

    def neighbours(self, request: HttpRequest, obj: Any) -> list[Neighbour]:
        """Return the lists to which a row's page leads."""
        return []

    #: The name of the page with the statistics of a row.
    statistics_page = ""

    def statistics_address(self, request: HttpRequest, obj: Any) -> str:
        """Return the address of the statistics of a row, "" if there are none for the user."""
        return reverse(self.statistics_page, args=(obj.pk,)) if self.statistics_page else ""

    def _linked(self, request: HttpRequest, obj: Any) -> Iterator[dict[str, Any]]:
        """Yield the label, address and count of each list that the user may open."""
        for neighbour in self.neighbours(request, obj):
            page = self.admin_site.get_model_admin(neighbour.model)
            if page.has_view_permission(request):
                rows = neighbour.rows
                count = None if rows is None else tenancy.visible(rows, request.user).count()
                yield {"label": neighbour.label, "address": listed(neighbour.model, **neighbour.query), "count": count}
        if request.user.has_perm("registry.view_callrecord") and (address := self.statistics_address(request, obj)):
            yield {"label": _("Statistics"), "address": address, "count": None}

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        obj = kwargs.get("obj")
        if obj is not None:
            context |= stops.context_of(request, obj)
            name = f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_"
            context["neighbours"] = list(self._linked(request, obj))
            context["row_buttons"] = [
                {
                    "address": reverse(name + word, args=(obj.pk,)),
                    "word": word,
                    "label": label,
                    "question": question,
                    "primary": word == self.next_step,
                }
                for word, label, question in self.row_actions(request, obj)
            ]
        response: HttpResponse = super().render_change_form(request, context, *args, **kwargs)
        return response

    def redirect_to(self, request: HttpRequest, obj: Any) -> HttpResponse:
        """Return a redirect to the row's page."""
        return redirect(f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_change", obj.pk)

    def render_page(self, request: HttpRequest, template: str, title: Any, **context: Any) -> TemplateResponse:
        """Return a page in the admin's frame, which no cache may store."""
        request.current_app = self.admin_site.name  # type: ignore[attr-defined]
        response = TemplateResponse(
            request, template, {**self.admin_site.each_context(request), "opts": self.opts, "title": title, **context}
        )
        response["Cache-Control"] = "no-store"
        return response


class ListFormSet(BaseInlineFormSet):  # type: ignore[type-arg]
    """The rows of a list, checked as a whole by the model's own rule. A list that is not changed stays as it is."""

    def clean(self) -> None:
        super().clean()
        if self.has_changed() and not any(self.errors):
            assert self.model is not None
            assert issubclass(self.model, RegistryModel)
            self.model.check_list(self.instance, rows_after(self))

    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        if "DELETE" in form.fields:  # the theme shows an icon in place of a label
            form.fields["DELETE"].widget.attrs["aria-label"] = _("Remove")


class _BoundedInline(_Scoped):
    """The rows of a list, at most as many as the model's own rule allows."""

    formset = ListFormSet

    def get_max_num(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> int:
        assert issubclass(self.model, RegistryModel)
        most: int = settings.ROW_LIMITS[self.model.listed]
        return most

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        return super().get_formset(request, obj, **{"validate_max": True, **kwargs})  # type: ignore[misc]


class TabularInline(_BoundedInline, theme.TabularInline):
    extra = 0
    hide_title = True
    show_change_link = False

    def formfield_for_dbfield(self, db_field: Field[Any, Any], request: HttpRequest, **kwargs: Any) -> Any:
        """Return a form field with a name of its own: what heads its column is no label of it."""
        form_field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if form_field is not None:
            form_field.widget.attrs["aria-label"] = capfirst(str(form_field.label))
        return form_field


class StackedInline(_BoundedInline, theme.StackedInline):
    extra = 0
    show_change_link = False

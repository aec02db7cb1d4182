"""The base of every admin page: which rows its user may see and change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from django.contrib.admin import ShowFacets
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.core.exceptions import PermissionDenied
from django.db.models import Field, ForeignKey, Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.text import capfirst
from django.utils.translation import override

from registry import tenancy
from registry.admin import theme
from registry.secrets import EncryptedField

#: Columns that no page shows.
UNSEEN = frozenset({"digest", "password", "wallet_password", "credential"})

Fieldsets = Sequence[tuple[Any, dict[str, Any]]]


# -------------------------------------------------------------------------------------- whose rows


def _without(fieldsets: Fieldsets, hidden: frozenset[str]) -> Fieldsets:
    """The fieldsets less some fields."""
    kept = []
    for name, options in fieldsets:
        fields = [
            line if isinstance(line, str) else tuple(field for field in line if field not in hidden)
            for line in options["fields"]
            if line not in hidden
        ]
        kept.append((name, {**options, "fields": [line for line in fields if line]}))
    return kept


class _Scoped:
    """What pages and the tables inside them have in common."""

    model: type[Model]

    def formfield_for_foreignkey(self, db_field: ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any) -> Any:
        """A choice among the rows that the user may refer to; the user's own agency is chosen beforehand."""
        rows = tenancy.referable(self.model, db_field.name, request.user)
        admin = self.admin_site._registry.get(rows.model)  # type: ignore[attr-defined]
        if admin is not None and admin.list_select_related:
            rows = rows.select_related(*admin.list_select_related)
        kwargs["queryset"] = self.choices(db_field.name, rows, request)
        found = super().formfield_for_foreignkey(db_field, request, **kwargs)  # type: ignore[misc]
        if found is not None and db_field.name == "agency" and not tenancy.sees_all_agencies(request.user):
            found.queryset = found.queryset.filter(pk=request.user.agency_id)  # type: ignore[union-attr]
            found.initial, found.empty_label = request.user.agency_id, None  # type: ignore[union-attr]
        return found

    def choices(self, field: str, rows: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
        """A page's own narrowing of what a foreign key offers."""
        return rows

    def formfield_for_dbfield(self, db_field: Field[Any, Any], request: HttpRequest, **kwargs: Any) -> Any:
        found = super().formfield_for_dbfield(db_field, request, **kwargs)  # type: ignore[misc]
        if found is not None and isinstance(found.widget, RelatedFieldWidgetWrapper):
            # Each thing has its own page; windows in windows only lose what was typed.
            for way in ("add", "change", "delete", "view"):
                setattr(found.widget, f"can_{way}_related", False)
        return found

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Fieldsets:
        """Without what is secret for whoever only reads: a page without a form prints plain values."""
        found: Fieldsets = super().get_fieldsets(request, obj)  # type: ignore[misc]
        if self.has_change_permission(request, obj):  # type: ignore[attr-defined]
            return found
        return _without(
            found, frozenset(f.name for f in self.model._meta.get_fields() if isinstance(f, EncryptedField))
        )


class ScopedAdmin(_Scoped, theme.ModelAdmin):
    """A page that shows, offers and changes only what tenancy.py leaves to its user."""

    list_filter_submit = True
    list_fullwidth = True
    list_per_page = 50
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_select_related: tuple[str, ...] = ()
    change_form_outer_before_template = "mantra/row_buttons.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return tenancy.visible(super().get_queryset(request), request.user)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(super().has_view_permission(request, obj))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or tenancy.may_change(request.user, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or tenancy.may_change(request.user, obj))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        # The form offers no other agency's rows; what came past it stops here.
        if not tenancy.may_change(request.user, obj):
            raise PermissionDenied
        super().save_model(request, obj, form, change)

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        """What the history keeps: it is translated when it is shown, and only as it was written for translating."""
        told = super().construct_change_message(request, form, formsets, add)
        with override(None):
            names = {
                capfirst(str(each.verbose_name)): str(each.verbose_name)
                for model in (self.model, *(formset.model for formset in formsets or ()))
                for each in model._meta.fields
            }
        for each in told:
            for change in each.values():
                if "fields" in change:
                    change["fields"] = [names.get(name, name) for name in change["fields"]]
        return told

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], term: str
    ) -> tuple[QuerySet[Any], bool]:
        asking, name = self._asked_by(request)
        if asking is not None:
            # Beyond what the user sees in the list only where rows of other agencies may be meant.
            if (asking.opts.label_lower, name) in tenancy.FOREIGN:
                rows = tenancy.referable(asking.model, name, request.user)
                queryset = rows.select_related(*self.list_select_related)
            queryset = asking.choices(name, queryset, request)
        return super().get_search_results(request, queryset, term)

    def _asked_by(self, request: HttpRequest) -> tuple[ScopedAdmin | None, str]:
        """The page and the foreign key for which the autocomplete is asked; (None, "") for other requests."""
        match = request.resolver_match
        if match is None or match.url_name != "autocomplete":
            return None, ""
        wanted = (request.GET.get("app_label"), request.GET.get("model_name"))
        for model, page in self.admin_site._registry.items():
            if (model._meta.app_label, model._meta.model_name) != wanted:
                continue
            assert isinstance(page, ScopedAdmin)
            if page.has_add_permission(request) or page.has_change_permission(request):
                return page, request.GET.get("field_name", "")
        raise PermissionDenied

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        # Filters typed into an address must not let anybody feel out, letter by letter, what no page shows.
        return lookup.partition("__")[0] not in UNSEEN and super().lookup_allowed(lookup, value, request)

    def changeable(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """The rows of an action's choice that the user may change."""
        return [row for row in queryset if self.has_change_permission(request, row)]

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> NoReturn:
        # Not there and not yours look the same from outside.
        raise Http404

    def one(self, request: HttpRequest, object_id: str) -> Any:
        """The row of a page of our own. Raises Http404."""
        found = self.get_object(request, object_id)
        if found is None or not self.has_view_permission(request, found):
            raise Http404
        return found

    def get_urls(self) -> list[URLPattern]:
        info = (self.opts.app_label, self.opts.model_name)
        own = [
            path(
                f"<path:object_id>/{word}/", self.admin_site.admin_view(view), name=f"{'_'.join(map(str, info))}_{word}"
            )
            for word, view in self.row_views().items()
        ]
        return own + super().get_urls()

    def row_views(self) -> dict[str, Callable[..., HttpResponse]]:
        """Further views of one row: the last word of their address → view(request, object_id)."""
        return {}

    def buttons(self, request: HttpRequest, obj: Any) -> list[tuple[str, Any, Any]]:
        """What can be done with a row beside saving it: (word of row_views(), label, question or "")."""
        return []

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        obj = kwargs.get("obj")
        if obj is not None:
            name = f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_"
            context["row_buttons"] = [
                {"address": reverse(name + word, args=(obj.pk,)), "word": word, "label": label, "question": question}
                for word, label, question in self.buttons(request, obj)
            ]
        found: HttpResponse = super().render_change_form(request, context, *args, **kwargs)
        return found

    def back(self, request: HttpRequest, obj: Any) -> HttpResponse:
        """To the row's page, after a button."""
        return redirect(f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_change", obj.pk)

    def page(self, request: HttpRequest, template: str, title: Any, **context: Any) -> TemplateResponse:
        """A page of our own in the admin's frame, which no cache may keep."""
        request.current_app = self.admin_site.name  # type: ignore[attr-defined]
        found = TemplateResponse(
            request, template, {**self.admin_site.each_context(request), "opts": self.opts, "title": title, **context}
        )
        found["Cache-Control"] = "no-store"
        return found


class TabularInline(_Scoped, theme.TabularInline):
    extra = 0
    hide_title = True
    show_change_link = False


class StackedInline(_Scoped, theme.StackedInline):
    extra = 0
    show_change_link = False

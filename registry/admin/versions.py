"""The versions of an operation on its page: saving goes into a draft; comparing, publishing, discarding, going back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from typing import Any

from django.contrib import messages
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from registry import approvals, versions
from registry.admin.base import ScopedAdmin
from registry.admin.numbers import number_of
from registry.admin.posted_rows import carried_over
from registry.models import Operation, OperationVersion, PublishRequest, bounds
from registry.models.versions import MAX_REASON
from registry.secrets import EncryptedField

#: Entries of the log, and changed values, that the second of two editors is shown.
MAX_SHOWN = 20
#: Characters of a stored value that she is shown.
MAX_VALUE = 2_000
DRAFT = "draft"
Origin = OperationVersion.Origin


@dataclass(frozen=True, slots=True)
class Side:
    """A definition that can be compared: a version, or the draft."""

    #: Number of a version, or DRAFT.
    word: str
    title: str
    found: versions.Definition


@dataclass(slots=True)
class FormState:
    """What one run of an operation's form has found out so far. It may be run again (within_lookups)."""

    #: As the browser sent it.
    posted: Any
    #: The published operation; None: there is none yet.
    published: Any = None
    #: Somebody else has saved since the form was opened.
    conflict: bool = False
    #: State and sunset date that were entered for an operation which is still a draft.
    to_publish: tuple[str, Any] | None = None


def _state(request: HttpRequest) -> FormState | None:
    """Return the state of the form that a request is for, None for other pages."""
    found: FormState | None = getattr(request, "form_state", None)
    return found


class VersionedPage(ScopedAdmin):
    """The common part of the pages of operations: what is saved of a published operation goes into its draft."""

    change_form_before_template = "mantra/version_seen.html"

    def within_lookups(self, change: Callable[[], Any]) -> Any:
        """Run a change that validates an operation. Pages whose rules ask other servers repeat it outside of it."""
        return change()

    # ------------------------------------------------------------------------------- the form's row

    def changeform_view(self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any) -> Any:
        before = _state(request)
        if before is not None:
            request.POST = before.posted
        request.form_state = FormState(request.POST)  # type: ignore[attr-defined]
        return super().changeform_view(request, object_id, *args, **kwargs)

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """Return an operation; for its form the draft beside it, with what is not versioned as it is published."""
        row = super().get_object(request, object_id, from_field)
        state = _state(request)
        if row is None or state is None or not self.has_change_permission(request, row):
            return row
        draft = versions.draft_of(row) if row.state != Operation.State.DRAFT else None
        state.published = row
        if request.method == "POST":
            draft = self._row_to_save(request, state, draft)
        return row if draft is None else _shown_as(draft, row)

    def _row_to_save(self, request: HttpRequest, state: FormState, draft: Any) -> Any:
        """Return the draft to save into, None for the row itself: nothing may be saved over another's change unseen."""
        row = state.published
        now = stamp(draft or row)
        seen = _without_log(request.POST.get("version_seen", "") or now)
        if seen != now and request.POST.get("save_over") != now:
            state.conflict = True
        elif row.state != Operation.State.DRAFT and draft is None:
            draft = versions.open_draft(row, request.user)  # type: ignore[arg-type]
            row.refresh_from_db()  # it may have got its first version by this
        if draft is not None or seen != now:
            request.POST = carried_over(request.POST, row, draft or row)  # type: ignore[assignment]
        return draft

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form_class = super().get_form(request, obj, change, **kwargs)
        state = _state(request)
        if state is None or not state.conflict:
            return form_class

        class Conflicting(form_class):  # type: ignore[misc, valid-type]
            def clean(self) -> Any:
                cleaned = super().clean()
                self.add_error(None, CHANGED_BY_OTHERS)
                return cleaned

        return Conflicting

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Return Django's lists. It finds a draft as a row of all operations, where nobody deletes any."""
        names, counts, missing_rights, protected = super().get_deleted_objects(objs, request)
        return names, counts, set(missing_rights) - {Operation._meta.verbose_name}, protected

    # ---------------------------------------------------------------------------------------- saving

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save a draft, and apply what is not versioned to the published row. Publishing comes after the lists."""
        state = _state(request)
        assert state is not None
        if obj.draft_of_id is not None:
            self._check_return(request, obj, state.published)
            _apply_unversioned(obj, state.published)
            obj.state, obj.sunset = Operation.State.DRAFT, None
        elif obj.state != Operation.State.DRAFT:
            state.to_publish = (obj.state, obj.sunset)
            obj.state, obj.sunset = Operation.State.DRAFT, None
        super().save_model(request, obj, form, change)

    def _check_return(self, request: HttpRequest, obj: Any, published: Any) -> None:
        """Keep a retired operation retired if it may not be published again as it is."""
        if published.is_callable or not obj.is_callable:
            return
        found = versions.definition(published)
        try:
            approvals.check(versions.Change(published, published, None, found, request.user, "", Origin.ADMIN))  # type: ignore[arg-type]
        except ValidationError as error:
            obj.state, obj.sunset = published.state, published.sunset
            self._say(request, _("Not published again. Set the state to draft and publish the draft:"), error)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        state = _state(request)
        is_draft = state is not None and getattr(obj, "draft_of_id", None) is not None
        return super().log_change(request, state.published if state is not None and is_draft else obj, message)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        self._publish_saved(request, obj)
        return super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        if obj.draft_of_id is not None:
            state = _state(request)
            assert state is not None
            warn_of_state(request, state.published)
            return self._draft_saved(request, state.published, obj)
        self._publish_saved(request, obj)
        return super().response_change(request, obj)

    def _publish_saved(self, request: HttpRequest, obj: Any) -> None:
        """Publish an operation that was saved with another state than draft. If that is refused, it stays a draft."""
        state = _state(request)
        if state is None or state.to_publish is None:
            return
        try:
            with transaction.atomic():
                version = versions.publish(obj, request.user)  # type: ignore[arg-type]
                obj.refresh_from_db()
                obj.state, obj.sunset = state.to_publish
                obj.save()
        except ValidationError as error:
            obj.state, obj.sunset = Operation.State.DRAFT, None
            self._say(request, _("Saved as a draft, not published:"), error)
        else:
            self.message_user(request, gettext("Published as v%(new)d.") % {"new": version.number}, messages.SUCCESS)

    def _draft_saved(self, request: HttpRequest, published: Any, draft: Any) -> HttpResponse:
        words = {"draft": versions.next_number(published), "published": published.revision}
        if published.state == Operation.State.DRAFT:
            versions.absorb(draft)
            text = gettext("Saved. Callers no longer get this operation.")
        elif versions.is_same(versions.definition(draft), versions.definition(published)):
            versions.discard(draft)
            text = gettext("Saved. The definition is the same as v%(published)d.") % words
        else:
            text = gettext("Draft v%(draft)d saved; callers still get v%(published)d.") % words
        self.message_user(request, text, messages.SUCCESS)
        return redirect(request.path)

    def _say(self, request: HttpRequest, what: Any, error: ValidationError) -> None:
        self.message_user(request, f"{what} {' '.join(error.messages)}", messages.ERROR)

    # --------------------------------------------------------------------------------------- the bar

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        state = _state(request)
        row = kwargs.get("obj") if state is None or state.published is None else state.published
        if row is not None:
            kwargs["obj"] = context["original"] = row
            context["version_bar"] = bar = self._bar(request, row)
            context["version_seen"] = f"{bar['stamp']}~{_last_entry(row)}"
            if state is not None and state.conflict:
                context["version_seen"] = seen = request.POST.get("version_seen", "")
                context["conflict"] = {
                    "save_over": bar["stamp"],
                    "entries": _entries_since(row, seen),
                    "values": list(_stored_values(context))[:MAX_SHOWN],
                }
        return super().render_change_form(request, context, *args, **kwargs)

    def _bar(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """Return the context of the bar over the form."""
        draft = versions.draft_of(row) if row.state != Operation.State.DRAFT else None
        waiting = approvals.waiting_request(row)
        return {
            "published": row.revision if row.state != Operation.State.DRAFT else None,
            "state": row.get_state_display(),
            "draft": draft,
            "number": versions.next_number(row) if draft is not None or row.state == Operation.State.DRAFT else None,
            "outdated": draft is not None and draft.revision != row.revision,
            "base": draft.revision if draft is not None else None,
            "own_draft": row.state == Operation.State.DRAFT,
            "count": row.versions.count(),
            "request": waiting,
            "may_decide": waiting is not None and approvals.may_decide(request.user, waiting),
            "deciders": approvals.deciders(waiting) if waiting is not None else [],
            "may_change": self.has_change_permission(request, row),
            "stamp": stamp(draft or row),
            "max_reason": MAX_REASON,
            "max_change_note": bounds.CHANGE_NOTE,
            "addresses": {word: self._address(row, word) for word in self.version_views()},
        }

    def _address(self, row: Model, word: str) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_{word}", args=(row.pk,))

    # ------------------------------------------------------------------------------------- the views

    def row_views(self) -> dict[str, Callable[..., HttpResponse]]:
        return {**super().row_views(), **self.version_views()}

    def version_views(self) -> dict[str, Callable[..., HttpResponse]]:
        return {
            "versions": self.versions_view,
            "compare": self.compare_view,
            "publish": self.publish_view,
            "discard": self.discard_view,
            "revert": self.revert_view,
        }

    def versions_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The versions of an operation: who published each of them, when, why, and what changed."""
        row = self._to_read(request, object_id)
        below = number_of(request.GET.get("before", "")) or NO_NUMBER
        found = list(row.versions.filter(number__lt=below)[: MAX_VERSIONS + 1])
        shown = [
            {"version": each, "sections": _differences(row, earlier, each)}
            for each, earlier in zip_longest(found, found[1:])
        ][:MAX_VERSIONS]
        older = found[MAX_VERSIONS - 1].number if len(found) > MAX_VERSIONS else None
        requests = row.publish_requests.select_related("requested_by", "decided_by")[:MAX_VERSIONS]
        context = {"versions": shown, "older": older, "requests": requests}
        return self._page(request, row, "mantra/versions.html", _("Versions"), **context)

    def compare_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Two definitions side by side: GET parameters old and new, each a number or "draft"."""
        row = self._to_read(request, object_id)
        last = str(row.revision)
        new = self._side(row, request.GET.get("new") or (DRAFT if versions.draft_of(row) is not None else last))
        old = self._side(row, request.GET.get("old") or last)
        sections = versions.compare(versions.kind_of(row), old.found, new.found)
        choices = [str(number) for number in row.versions.values_list("number", flat=True)]
        return self._page(
            request, row, "mantra/version_compare.html", _("Compare"), old=old, new=new, sections=sections,
            choices=choices,
        )  # fmt: skip

    def _to_read(self, request: HttpRequest, object_id: str) -> Any:
        row = self.get_or_404(request, object_id)
        if request.method != "GET":
            raise PermissionDenied
        return row

    def _side(self, row: Any, word: str) -> Side:
        if word == DRAFT:
            draft = row if row.state == Operation.State.DRAFT else versions.draft_of(row)
            if draft is None:
                raise Http404
            title = gettext("draft v%(number)d") % {"number": versions.next_number(row)}
            return Side(DRAFT, title, versions.definition(draft))
        version = self._version(row, word)
        return Side(word, f"v{version.number}", version.definition)

    def _version(self, row: Any, word: str) -> OperationVersion:
        version = row.versions.filter(number=number_of(word)).first()
        if version is None:
            raise Http404
        found: OperationVersion = version
        return found

    def _page(self, request: HttpRequest, row: Any, template: str, title: Any, **context: Any) -> HttpResponse:
        bar = self._bar(request, row)
        own = str(self.redirect_to(request, row)["Location"])
        return self.render_page(request, template, title, operation=row, version_bar=bar, own=own, **context)

    # ----------------------------------------------------------------------------------- the actions

    def publish_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Publish the draft, if it is the one that the user has seen."""
        return self.within_lookups(lambda: self._acted(request, object_id, self._publish))  # type: ignore[no-any-return]

    def discard_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._acted(request, object_id, self._discard)

    def revert_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Publish an earlier version again (POST parameter version), or make it the draft (action "draft")."""
        return self.within_lookups(lambda: self._acted(request, object_id, self._revert))  # type: ignore[no-any-return]

    def _acted(
        self, request: HttpRequest, object_id: str, act: Callable[[HttpRequest, Any], HttpResponse]
    ) -> HttpResponse:
        with transaction.atomic():
            row = self.get_or_404(request, object_id)
            if request.method != "POST" or not self.has_change_permission(request, row):
                raise PermissionDenied
            return act(request, row)

    def _publish(self, request: HttpRequest, row: Any) -> HttpResponse:
        draft = row if row.state == Operation.State.DRAFT else versions.draft_of(row)
        if draft is None or request.POST.get("stamp") != stamp(draft):
            self.message_user(request, _("The draft has changed since you saw it. Look at it again."), messages.ERROR)
        elif draft.revision != row.revision and not request.POST.get("over"):
            text = _("Confirm that this draft replaces the changes that were published meanwhile.")
            self.message_user(request, text, messages.ERROR)
        else:
            note = request.POST.get("change_note", "")
            publish = partial(approvals.submit, draft, request.user, change_note=note)  # type: ignore[arg-type]
            self._try(request, _("Not published:"), lambda reason: publish(reason))
        return self.redirect_to(request, row)

    def _discard(self, request: HttpRequest, row: Any) -> HttpResponse:
        draft = versions.draft_of(row)
        if draft is None or request.POST.get("stamp") != stamp(draft):
            self.message_user(request, _("The draft has changed since you saw it. Look at it again."), messages.ERROR)
        else:
            versions.discard(draft)
            self.log_change(request, row, gettext("Draft discarded."))
            self.message_user(request, _("The draft was discarded."), messages.SUCCESS)
        return self.redirect_to(request, row)

    def _revert(self, request: HttpRequest, row: Any) -> HttpResponse:
        version = self._version(row, request.POST.get("version", ""))
        if request.POST.get("action") == DRAFT:
            self._try_draft(request, row, version)
        else:
            self._try(request, _("Not published:"), lambda reason: approvals.revert(version, request.user, reason))  # type: ignore[arg-type]
        return self.redirect_to(request, row)

    def _try(
        self, request: HttpRequest, failed: Any, publish: Callable[[str], OperationVersion | PublishRequest]
    ) -> None:
        try:
            made = publish(request.POST.get("reason", "").strip())
        except ValidationError as error:
            self._say(request, failed, error)
        else:
            if isinstance(made, PublishRequest):
                text = gettext("Requested. It is published when a second person of the agency approves it.")
            else:
                text = gettext("Published as v%(new)d. Callers get it within a second.") % {"new": made.number}
            self.message_user(request, text, messages.SUCCESS)

    def _try_draft(self, request: HttpRequest, row: Any, version: OperationVersion) -> None:
        try:
            versions.open_draft(row, request.user, version)  # type: ignore[arg-type]
        except ValidationError as error:
            self._say(request, _("No draft was made:"), error)
        else:
            text = gettext("The draft is as v%(number)d was.") % {"number": version.number}
            self.message_user(request, text, messages.SUCCESS)


#: Versions on one page, and a number that none has.
MAX_VERSIONS, NO_NUMBER = 20, 2**31 - 1
CHANGED_BY_OTHERS = _("Not saved yet: read above what others changed, then decide.")


def warn_of_state(request: HttpRequest, row: Operation) -> None:
    """Tell what else stops working with an operation in its present state."""
    for warnings in versions.STATE_WARNINGS:
        for text in warnings(row):
            messages.warning(request, text)


def stamp(row: Operation) -> str:
    """Return a text that differs after each save of an operation, or of another draft."""
    return f"{row.pk}@{row.updated_at.isoformat()}"


def _without_log(seen: str) -> str:
    return seen.partition("~")[0]


def _entries(row: Model) -> QuerySet[LogEntry]:
    content_type = ContentType.objects.get_for_model(row)
    return LogEntry.objects.filter(content_type=content_type, object_id=str(row.pk)).select_related("user")


def _last_entry(row: Model) -> int:
    return _entries(row).order_by("-pk").values_list("pk", flat=True).first() or 0


def _entries_since(row: Model, seen: str) -> list[LogEntry]:
    """Return what the log says of an operation since somebody saw it, the newest first."""
    after = number_of(seen.partition("~")[2])
    return list(_entries(row).filter(pk__gt=after).order_by("-pk")[:MAX_SHOWN])


def _shown_as(draft: Any, published: Any) -> Any:
    """Return a draft with the values of what is not versioned: its form shows them, and changes them."""
    for name in versions.UNVERSIONED:
        setattr(draft, name, getattr(published, name))
    return draft


def _apply_unversioned(draft: Any, published: Any) -> None:
    changed = [name for name in versions.UNVERSIONED if getattr(draft, name) != getattr(published, name)]
    for name in changed:
        setattr(published, name, getattr(draft, name))
    if changed:
        published.save()


def _stored_values(context: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield label and stored value of what a form would change."""
    yield from _changed_of(context["adminform"].form, "")
    for inline in context["inline_admin_formsets"]:
        for form in inline.formset.initial_forms:
            yield from _changed_of(form, f"{form.instance} · ")


def _changed_of(form: Any, prefix: str) -> Iterator[tuple[str, str]]:
    secrets = {column.name for column in form._meta.model._meta.get_fields() if isinstance(column, EncryptedField)}
    for name in form.changed_data:
        if name in form.fields and name not in secrets:
            yield f"{prefix}{form.fields[name].label}", str(form.initial.get(name, ""))[:MAX_VALUE]


def _differences(row: Operation, old: OperationVersion | None, new: OperationVersion) -> list[versions.Section]:
    if old is None:  # there is nothing before, or it is no longer kept
        return []
    return versions.compare(versions.kind_of(row), old.definition, new.definition)

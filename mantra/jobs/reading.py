"""Who reads the pages of jobs, which jobs they have, and as which application a user may start one."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from django.utils import timezone

from mantra.jobs import service
from mantra.jobs.models import Job
from registry import catalogue
from registry.models import Application, Grant, Operation, User
from registry.tenancy import AnyUser

#: The rights of which a reader has one: to see applications that call, or operations that are called.
CALLERS, PROVIDERS = "registry.view_application", "registry.view_operation"
#: The right to start jobs of the agency's applications: who may issue their keys can call as they do anyway.
STARTING = "registry.add_accesskey"
#: What the pages name of a job.
RELATED = ("application__agency", "operation__service__agency", "user")
#: Applications that are offered for one operation.
MOST = 100


def may_open(user: AnyUser) -> bool:
    """Return True if the user may open the list of jobs."""
    return user.has_perm(CALLERS) or user.has_perm(PROVIDERS)


def may_start(user: AnyUser) -> bool:
    """Return True if the user may start jobs of those of the agency's applications that have a grant."""
    return isinstance(user, User) and user.agency_id is not None and user.has_perm(STARTING)


def reader(request: HttpRequest) -> User:
    """Return the user, who may open the list of jobs. Raises PermissionDenied."""
    if not isinstance(request.user, User) or not may_open(request.user):
        raise PermissionDenied
    return request.user


def starter(request: HttpRequest) -> User:
    """Return the user, who may start jobs. Raises PermissionDenied."""
    user = reader(request)
    if not may_start(user):
        raise PermissionDenied
    return user


def job_of(user: User, number: str) -> Job:
    """Return a job that the user may see. Raises Http404."""
    job: Job | None = service.visible(user).select_related(*RELATED).filter(request_id=number).first()
    if job is None:
        raise Http404
    return job


def offered(user: User) -> QuerySet[Job]:
    """Return other agencies' jobs on operations of the user's agency, of which pages show the numbers only."""
    if user.agency_id is None or not user.has_perm(PROVIDERS):
        return Job.objects.none()
    rows = Job.objects.filter(operation__service__agency=user.agency_id).exclude(application__agency=user.agency_id)
    found: QuerySet[Job] = rows.select_related(*RELATED)
    return found


def grants(user: AnyUser) -> QuerySet[Grant]:
    """Return the grants in force of the applications as which the user may start jobs."""
    if not may_start(user):
        return Grant.objects.none()
    assert isinstance(user, User)
    rows = Grant.objects.filter(application__agency=user.agency_id, application__active=True)
    rows = rows.filter(operation__draft_of=None, operation__state__in=CALLABLE)
    found: QuerySet[Grant] = catalogue.in_force(rows, timezone.localdate()).select_related(
        "application__agency", "operation__service__agency"
    )
    return found.order_by("operation__title", "operation__code", "application__code", "pk")


CALLABLE = (Operation.State.PUBLISHED, Operation.State.DEPRECATED)


def applications(user: AnyUser, operation: Operation) -> list[Application]:
    """Return the applications as which the user may start a job on an operation."""
    if not may_start(user):
        return []
    assert isinstance(user, User)
    found = [grant.application for grant in grants(user).filter(operation=operation.pk)[:MOST]]
    return [application for application in found if service.may_create(user, application, operation)]

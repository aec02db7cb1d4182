"""Publishing the draft operations of a backend together, and why an operation cannot be called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from proxyservices.models import ProxyOperation
from proxyservices.styles import style_of
from registry import approvals
from registry.approvals import ReasonNeeded
from registry.models import OperationVersion, PublishRequest, SnapshotVersion, User

#: A word with which style_of() refuses an operation → what its author can do.
BROKEN: dict[str, Any] = {
    "path": _(
        "The operation cannot be called yet: a {parameter} in the path has no value, a mapping names a {parameter} "
        "that is not in the path, or the path does not fit this style."
    ),
    "parameter": _("The operation cannot be called yet: a mapping names a parameter that is not declared."),
    "form and JSON": _(
        "The operation cannot be called yet: mappings write into a form and into a JSON body. Choose one of the two."
    ),
    "header": _("The operation cannot be called yet: a mapping names a header that the bus itself sets."),
}


def problem_of(operation: ProxyOperation) -> str:
    """Return why nobody can call the operation as it is saved, "" if callers could."""
    names = operation.parameters.order_by("position", "id").values_list("name", flat=True)
    try:
        style_of(operation, list(operation.mappings.all()), list(names))
    except ValueError as error:
        return str(BROKEN.get(str(error), BROKEN["path"]))
    if operation.backend is None:
        return gettext("The operation cannot be called yet: it has no backend.")
    if not operation.backend.servers.filter(active=True).exists():
        return gettext("The operation cannot be called yet: none of its backend's servers is in use.")
    return ""


@transaction.atomic
def publish_together(
    operations: Sequence[ProxyOperation], user: User, reason: str = ""
) -> list[OperationVersion | PublishRequest]:
    """Publish drafts, or request it where a second person must approve: all of them, or none.

    Return the versions and the requests. Raises ReasonNeeded if nothing but a reason is missing, ValidationError with
    a sentence for each that cannot be published.
    """
    SnapshotVersion.lock()
    made, problems, questions = [], [], []
    for operation in operations:
        try:
            made.append(_publish(operation, user, reason))
        except ReasonNeeded as needed:
            questions.append(f"{operation.code}: {' '.join(needed.messages)}")
        except ValidationError as error:
            problems.append(f"{operation.code}: {' '.join(error.messages)}")
    if problems:
        raise ValidationError(problems)
    if questions:
        raise ReasonNeeded(questions)
    return made


@transaction.atomic
def _publish(operation: ProxyOperation, user: User, reason: str) -> OperationVersion | PublishRequest:
    if problem := problem_of(operation):
        raise ValidationError(problem)
    return approvals.submit(operation, user, reason)

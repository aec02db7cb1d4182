"""Filters of the call history that a person keeps under a name."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry.models import bounds
from registry.models.agencies import User

#: Characters of a filter's name, and of its query string.
NAME, QUERY = 80, 2_000


class SavedFilter(models.Model):
    """A filter of the call history. Nobody but its user sees it."""

    user = models.ForeignKey(User, models.CASCADE, related_name="saved_filters", editable=False)
    name = models.CharField(_("name"), max_length=NAME)
    query = models.CharField(max_length=QUERY, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("saved filter")
        verbose_name_plural = _("saved filters")
        ordering = ("name",)
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["user", "name"], name="saved_filter_once")]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Check the query, and that the person may have a further filter. Raises ValidationError."""
        super().clean()
        if not 0 < len(self.name) <= NAME:
            raise ValidationError(_("Enter a name of at most %(length)d characters."), params={"length": NAME})
        if not self.query:
            raise ValidationError(_("Filter the list first. Then save the filter."))
        if self._state.adding:
            bounds.check_number(SavedFilter.objects.filter(user=self.user_id), "saved_filters")

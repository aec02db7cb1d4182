"""Forms that ask before they save: what a change means for others is said first, and confirmed with a tick."""

from __future__ import annotations

import hashlib
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

#: The field of the tick. Its value stands for the questions, so that another question is asked again.
CONFIRMED = "_confirmed"


class ConfirmedForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form with questions, which templates/mantra/confirm.html shows."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.questions: list[str] = []

    def asked(self) -> list[str]:
        """Return what must be confirmed about the valid form. Subclasses add to it."""
        return []

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if self.errors:
            return
        self.questions = self.asked()
        if self.questions and self.data.get(CONFIRMED) != self.token:
            self.add_error(None, _("Nothing was saved yet. Confirm below, and save again."))

    @property
    def token(self) -> str:
        """The value of the tick that confirms these questions."""
        return hashlib.sha256("\n".join(self.questions).encode()).hexdigest()[:16]


class CodeForm(ConfirmedForm):
    """The form of a row with a code in the addresses of operations: callers know them."""

    def asked(self) -> list[str]:
        questions = super().asked()
        if self.instance.pk and "code" in self.changed_data and (count := self._addresses()):
            text = _(
                "The code is in the addresses of %(count)d operations. Callers that use the old addresses are refused "
                "from now on: give them the new ones."
            )
            questions.append(str(text % {"count": count}))
        return questions

    def _addresses(self) -> int:
        """Return the number of operations with the code in their address."""
        raise NotImplementedError

"""Create an administrator."""

from __future__ import annotations

import secrets
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from registry.models import User
from registry.roles import ADMINISTRATOR


class Command(BaseCommand):
    help = "Create an administrator. Without --password-file, a random password is printed once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--email", default="")
        parser.add_argument("--password-file", metavar="FILE", help="file with the password in its first line")

    def handle(self, *args: Any, **options: Any) -> None:
        username, password_file = options["username"], options["password_file"]
        if User.objects.filter(username=username).exists():
            raise CommandError(f"A user named {username} already exists.")
        password = _first_line(password_file) if password_file else secrets.token_urlsafe(18)
        user = User(username=username, email=options["email"], is_staff=True, is_superuser=True)
        user.set_password(password)
        try:
            user.full_clean()
            validate_password(password, user)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        with transaction.atomic():
            user.save()
            user.groups.add(Group.objects.get_or_create(name=ADMINISTRATOR)[0])
        if options["verbosity"] or not password_file:
            self.stderr.write(
                f"Administrator {username} created." + ("" if password_file else " The password, shown only once:")
            )
        if not password_file:
            self.stdout.write(password)


def _first_line(name: str) -> str:
    try:
        lines = Path(name).read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        raise CommandError(f"The file {name} cannot be read.") from None
    if not lines or not lines[0]:
        raise CommandError(f"The file {name} contains no password.")
    return lines[0]

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class RegistryConfig(AppConfig):
    name = "registry"
    verbose_name = _("Registry")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from registry import (  # models must be loaded first; checks register themselves
            approvals,
            change_journal,
            checks,
            roles,
            versions,
        )
        from registry.harvest import defaults
        from registry.models.changes import OBSERVERS
        from registry.models.services import state_changed
        from registry.notifications import changes
        from registry.people import second_factor

        assert checks
        OBSERVERS.append(change_journal.record)
        change_journal.watch()
        state_changed.connect(changes.state_changed, dispatch_uid="registry.notifications")
        versions.CHECKS.append(approvals.check)
        post_migrate.connect(roles.sync_groups, dispatch_uid="registry.roles")
        post_migrate.connect(defaults.create_rules, sender=self, dispatch_uid="registry.harvest")
        post_migrate.connect(second_factor.create_rules, sender=self, dispatch_uid="registry.rules")

import django.core.validators
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

#: ProxyOperation's bound when this migration was written.
LARGEST = 1_000_000_000


def lower(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Lower each size limit beyond the bound, and raise one that lets nothing through."""
    operations = apps.get_model("proxyservices", "ProxyOperation").objects
    operations.filter(max_body_bytes__gt=LARGEST).update(max_body_bytes=LARGEST)
    operations.filter(max_body_bytes__lt=1).update(max_body_bytes=1)


class Migration(migrations.Migration):
    dependencies = [
        ("proxyservices", "0006_records_path"),
    ]

    operations = [
        migrations.AlterField(
            model_name="proxyoperation",
            name="max_body_bytes",
            field=models.PositiveIntegerField(
                default=10000000,
                help_text="For responses, and for request bodies that are forwarded.",
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(1000000000),
                ],
                verbose_name="size limit (bytes)",
            ),
        ),
        migrations.RunPython(lower, migrations.RunPython.noop),
    ]

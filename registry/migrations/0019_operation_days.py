from django.db import migrations, models

import registry.models.bounds


class Migration(migrations.Migration):
    dependencies = [("registry", "0018_catalogue_search")]
    operations = [
        migrations.CreateModel(
            name="OperationDay",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("operation_ref", models.BigIntegerField()),
                ("day", models.DateField()),
                ("answered", models.PositiveBigIntegerField(default=0)),
                ("failed", models.PositiveBigIntegerField(default=0)),
                (
                    "durations",
                    models.JSONField(default=dict, validators=[registry.models.bounds.MaxJsonLength(10000)]),
                ),
            ],
            options={
                "verbose_name": "day of an operation",
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(fields=("operation_ref", "day"), name="operation_day_once")
                ],
            },
        ),
    ]

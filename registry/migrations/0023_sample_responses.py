import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import registry.models.bounds


class Migration(migrations.Migration):
    dependencies = [("registry", "0022_outbox_codes")]
    operations = [
        migrations.CreateModel(
            name="SampleResponse",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("content", registry.models.bounds.BoundedTextField(max_length=20000, verbose_name="content")),
                (
                    "saved_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now, editable=False, verbose_name="saved at"
                    ),
                ),
                (
                    "operation",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="sample_response",
                        to="registry.operation", verbose_name="operation",
                    ),
                ),
            ],
            options={
                "verbose_name": "sample response",
                "verbose_name_plural": "sample responses",
                "default_permissions": (),
            },
        ),
    ]

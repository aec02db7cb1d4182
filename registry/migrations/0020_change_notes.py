from django.db import migrations

import registry.models.bounds


class Migration(migrations.Migration):
    dependencies = [("registry", "0019_operation_days")]
    operations = [
        migrations.AddField(
            model_name=model,
            name="change_note",
            field=registry.models.bounds.BoundedTextField(
                blank=True, default="", max_length=1000, verbose_name="note for callers"
            ),
            preserve_default=False,
        )
        for model in ("operationversion", "publishrequest")
    ]

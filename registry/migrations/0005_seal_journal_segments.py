from django.db import migrations, models

from registry.journal import sealing


def seal_rows(apps, schema_editor):
    """Number the rows of before in their order, and seal them as they are: what was done to them cannot be told."""
    segments = apps.get_model("registry", "JournalSegment")
    for serial, row in enumerate(segments.objects.order_by("id"), start=1):
        row.serial, row.adopted = serial, True
        row.closed_at = row.updated_at if row.closed else None
        row.seal = sealing.seal(row)
        row.save()


class Migration(migrations.Migration):
    dependencies = [("registry", "0004_change_log")]

    operations = [
        migrations.AddField("journalsegment", "serial", models.BigIntegerField(null=True, unique=True)),
        migrations.AddField("journalsegment", "closed_at", models.DateTimeField(null=True)),
        migrations.AddField("journalsegment", "adopted", models.BooleanField(default=False)),
        migrations.AddField("journalsegment", "pruned", models.BooleanField(default=False)),
        migrations.AddField("journalsegment", "first", models.BooleanField(default=False)),
        migrations.AddField("journalsegment", "seal", models.CharField(blank=True, max_length=64)),
        migrations.RunPython(seal_rows, migrations.RunPython.noop),
        migrations.RemoveField("journalsegment", "updated_at"),
    ]

"""Roll-ups of calls take the place of the days of operations, and records name where their responses came from."""

from django.db import migrations, models
from django.db.models import deletion


def group():
    return models.ForeignKey(
        to="registry.callgroup", db_constraint=False, db_index=False, on_delete=deletion.DO_NOTHING, related_name="+"
    )


def key(*columns):
    return models.CompositePrimaryKey("group_id", *columns, blank=True, editable=False, primary_key=True, serialize=False)


def facts(model, name, *columns):
    """Create a model with what is counted of a group; ``columns`` make its key."""
    hour = [("hour", models.PositiveSmallIntegerField())] if "hour" in columns else []
    return migrations.CreateModel(
        name=model,
        fields=[
            ("group", group()),
            ("day", models.DateField()),
            ("calls", models.PositiveBigIntegerField(default=0)),
            ("rows", models.PositiveBigIntegerField(default=0)),
            ("bytes", models.PositiveBigIntegerField(default=0)),
            ("duration_us", models.PositiveBigIntegerField(default=0)),
            *((f"d{number}", models.IntegerField(null=True)) for number in range(28)),
            ("pk", key(*columns)),
            *hour,
        ],
        options={"verbose_name": f"{name} of calls", "default_permissions": ()},
    )


def by_day(model, name):
    return migrations.AddIndex(model_name=model, index=models.Index(fields=["day"], name=name))


class Migration(migrations.Migration):
    dependencies = [("registry", "0026_event_request_confirm")]

    operations = [
        migrations.CreateModel(
            name="CallGroup",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("call", "Call"), ("bus", "Bus"), ("provider", "Provider"), ("consumer", "Consumer"),
                            ("pair", "Pair"), ("operation", "Operation"), ("application", "Application"),
                        ],
                        max_length=11,
                    ),
                ),
                ("agency", models.CharField(blank=True, max_length=63)),
                ("service", models.CharField(blank=True, max_length=63)),
                ("operation", models.CharField(blank=True, max_length=127)),
                ("operation_ref", models.BigIntegerField(default=0)),
                ("consumer_agency", models.CharField(blank=True, max_length=63)),
                ("application", models.CharField(blank=True, max_length=63)),
                ("protocol", models.CharField(blank=True, max_length=10)),
                ("classification", models.CharField(blank=True, max_length=10)),
                ("origin_kind", models.CharField(blank=True, max_length=7)),
                ("origin_ref", models.BigIntegerField(default=0)),
                ("outcome", models.IntegerField(default=0)),
                ("ended", models.CharField(blank=True, max_length=8)),
            ],
            options={
                "verbose_name": "group of calls",
                "default_permissions": (),
                "indexes": [
                    models.Index(fields=["kind", "agency"], name="call_group_agency"),
                    models.Index(fields=["kind", "consumer_agency"], name="call_group_consumer"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=(
                            "kind", "operation_ref", "agency", "consumer_agency", "application", "service",
                            "operation", "protocol", "classification", "origin_kind", "origin_ref", "outcome", "ended",
                        ),
                        name="call_group_once",
                    )
                ],
            },
        ),
        facts("CallHour", "hour", "day", "hour"),
        facts("CallDay", "day", "day"),
        facts("CallMonth", "month", "day"),
        migrations.CreateModel(
            name="SubjectDay",
            fields=[
                ("group", group()),
                ("day", models.DateField()),
                ("sketch", models.BinaryField(max_length=4096)),
                ("pk", key("day")),
            ],
            options={"verbose_name": "day of subjects", "default_permissions": ()},
        ),
        by_day("callhour", "call_hour_day"),
        by_day("callday", "call_day_day"),
        by_day("callmonth", "call_month_day"),
        by_day("subjectday", "subject_day_day"),
        migrations.DeleteModel(name="OperationDay"),
        migrations.AddField(
            "callrecord", "classification",
            models.CharField(blank=True, default="", max_length=10, verbose_name="classification"), preserve_default=False,
        ),
        migrations.AddField("callrecord", "grant_ref", models.BigIntegerField(blank=True, null=True)),
        migrations.AddField(
            "callrecord", "origin",
            models.CharField(blank=True, default="", max_length=127, verbose_name="source or backend"),
            preserve_default=False,
        ),
        migrations.AddField(
            "callrecord", "origin_kind", models.CharField(blank=True, default="", max_length=7), preserve_default=False
        ),
        migrations.AddField("callrecord", "origin_ref", models.BigIntegerField(blank=True, null=True)),
        migrations.AddField("callrecord", "server_ref", models.BigIntegerField(blank=True, null=True)),
        migrations.AlterField(
            "callrecord", "request_id", models.CharField(max_length=32, verbose_name="request id")
        ),
        migrations.AddConstraint(
            "callrecord", models.UniqueConstraint(fields=("request_id", "started_at"), name="call_once")
        ),
    ]  # fmt: skip

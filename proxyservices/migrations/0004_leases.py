from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("proxyservices", "0003_rehearsals"),
    ]

    operations = [
        migrations.CreateModel(
            name="Lease",
            fields=[
                ("name", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("holder", models.CharField(blank=True, max_length=100)),
                ("beat", models.BigIntegerField(default=0)),
            ],
            options={"verbose_name": "lease", "default_permissions": ()},
        ),
    ]

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("proxyservices", "0011_group_upstreams")]

    operations = [
        migrations.RemoveField("addresschange", "operation_ref"),
        migrations.RemoveField("backendserver", "operation"),
        migrations.AlterField(
            "backendserver",
            "backend",
            models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="servers", to="proxyservices.backend",
                verbose_name="backend",
            ),
        ),
    ]  # fmt: skip

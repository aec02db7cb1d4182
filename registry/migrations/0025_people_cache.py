from django.core.management import call_command
from django.db import migrations


def create_table(apps, schema_editor):
    call_command("createcachetable", "people_cache", database=schema_editor.connection.alias, verbosity=0)


class Migration(migrations.Migration):

    dependencies = [
        ("registry", "0024_people"),
    ]

    operations = [
        migrations.RunPython(create_table, migrations.RunPython.noop),
    ]

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('registry', '0012_network_help'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='callrecord',
            index=models.Index(fields=['-duration_us'], name='call_duration'),
        ),
    ]

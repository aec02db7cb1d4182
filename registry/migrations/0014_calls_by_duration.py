from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('registry', '0013_sample_requests'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='callrecord',
            index=models.Index(fields=['-duration_us'], name='call_duration'),
        ),
    ]

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('registry', '0010_first_versions'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='callrecord',
            index=models.Index(fields=['operation_ref', '-started_at'], name='call_operation'),
        ),
    ]

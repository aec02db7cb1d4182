

import django.core.validators
import django.db.models.deletion
import registry.models.bounds
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('dataservices', '0008_uploaded_tables'),
        ('registry', '0010_first_versions'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='WizardDraft',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('step', models.PositiveSmallIntegerField(default=1, validators=[django.core.validators.MaxValueValidator(4)])),
                ('data', models.JSONField(blank=True, default=dict, validators=[registry.models.bounds.MaxJsonLength(400000)])),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('agency', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='wizard_drafts', to='registry.agency')),
                ('operation', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='wizard_drafts', to='dataservices.dataoperation')),
                ('owner', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='wizard_drafts', to=settings.AUTH_USER_MODEL)),
                ('source', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='wizard_drafts', to='dataservices.datasource')),
            ],
            options={
                'verbose_name': 'unfinished publication',
                'verbose_name_plural': 'unfinished publications',
                'ordering': ('-updated_at',),
                'default_permissions': (),
            },
        ),
    ]

"""Samples belong to operations of all kinds: they are in the registry. Going back keeps those of proxy operations."""

from django.db import migrations


def copy(apps, schema_editor):
    old, new = apps.get_model('proxyservices', 'SampleRequest'), apps.get_model('registry', 'SampleRequest')
    for row in old.objects.iterator(100):
        new.objects.create(
            operation_id=row.operation_id, name=row.name, request=row.request, created_at=row.created_at
        )


def copy_back(apps, schema_editor):
    old, new = apps.get_model('proxyservices', 'SampleRequest'), apps.get_model('registry', 'SampleRequest')
    for row in new.objects.filter(operation__kind='proxy').iterator(100):
        old.objects.create(
            operation_id=row.operation_id, name=row.name, request=row.request, created_at=row.created_at
        )


class Migration(migrations.Migration):

    dependencies = [
        ('proxyservices', '0008_bounds'),
        ('registry', '0013_sample_requests'),
    ]

    operations = [
        migrations.RunPython(copy, copy_back),
        migrations.DeleteModel(name='SampleRequest'),
    ]

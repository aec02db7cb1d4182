"""Each operation that has callers gets its first version, with the number that it had as revision."""

import hashlib
import json
from urllib.parse import urlsplit

from django.db import migrations
from django.db.models import ForeignKey

from registry import secrets
from registry.secrets import EncryptedField, Sealed

KINDS = {
    'data': ('dataservices', 'DataOperation', ()),
    'proxy': ('proxyservices', 'ProxyOperation', ('Upstream', 'ParameterMapping', 'ServiceDescription')),
}
LISTS = {
    'Parameter': 'parameters', 'Field': 'fields', 'Upstream': 'upstreams', 'ParameterMapping': 'mappings',
    'ServiceDescription': 'descriptions',
}
LEFT_OUT = {
    'id', 'operation_ptr', 'kind', 'draft_of', 'revision', 'updated_at', 'service', 'code', 'legacy_name', 'state', 'sunset',
}
LARGE_TEXT = 100_000


def first_versions(apps, schema_editor):
    operation_model = apps.get_model('registry', 'Operation')
    for operation in operation_model.objects.exclude(state='draft').filter(draft_of=None, versions=None).iterator(100):
        if operation.kind in KINDS:
            _keep(apps, operation)


def _keep(apps, operation):
    app, name, more = KINDS[operation.kind]
    row = apps.get_model(app, name).objects.filter(pk=operation.pk).first()
    if row is None:
        return
    models = [apps.get_model('registry', 'Parameter'), apps.get_model('registry', 'Field')]
    models += [apps.get_model(app, each) for each in more]
    lists = {LISTS[model.__name__]: list(model.objects.filter(operation_id=row.pk)) for model in models}
    texts = {}
    columns = [column for column in row._meta.concrete_fields if column.name not in LEFT_OUT]
    definition = {
        'columns': {column.name: _encoded(row, column, texts) for column in columns if column.editable},
        'derived': {column.name: _encoded(row, column, texts) for column in columns if not column.editable},
        'lists': {
            label: [_child(label, child, lists, texts) for child in children] for label, children in lists.items()
        },
    }
    number = max(operation.revision, 1)
    apps.get_model('registry', 'OperationVersion').objects.create(
        operation_id=row.pk, number=number, definition=definition, origin='existing'
    )
    text_model = apps.get_model('registry', 'VersionText')
    text_model.objects.bulk_create(
        [text_model(operation_id=row.pk, digest=digest, content=text) for digest, text in texts.items()]
    )
    apps.get_model('registry', 'Operation').objects.filter(pk=row.pk).update(revision=number)


def _child(label, child, lists, texts):
    values = {
        column.name: _encoded(child, column, texts)
        for column in child._meta.concrete_fields
        if column.name not in ('id', 'operation', 'position')
    }
    for value in values.values():
        if isinstance(value, dict) and 'secret' in value:
            value['for'] = sorted(_destinations(label, child, lists))
    return values


def _destinations(label, child, lists):
    if label == 'upstreams':
        return {json.dumps([_server(child.url), child.token_url, child.credential_kind])}
    readers = set() if child.secret else {json.dumps('everyone')}
    return readers | {json.dumps(_server(upstream.url)) for upstream in lists['upstreams']}


def _server(url):
    try:
        parts = urlsplit(url)
        usual = {'http': 80, 'https': 443}.get(parts.scheme)
        return [parts.scheme, (parts.hostname or '').lower(), parts.port or usual]
    except ValueError:
        return ['', url, None]


def _encoded(row, column, texts):
    value = getattr(row, column.attname)
    if isinstance(column, EncryptedField):
        return {'secret': value.token if isinstance(value, Sealed) else secrets.encrypt(str(value))} if value else ''
    if (column.max_length or 0) > LARGE_TEXT:
        digest = hashlib.sha256(value.encode('utf-8', 'surrogatepass')).hexdigest()
        texts[digest] = value
        return {'sha256': digest}
    if isinstance(column, ForeignKey):
        return None if value is None else {'id': value, 'label': _label(getattr(row, column.name))}
    return value if isinstance(value, str | int | float | bool | list | dict | None) else column.value_to_string(row)


def _label(row):
    return f'{row.agency.code}/{row.code}'


class Migration(migrations.Migration):

    dependencies = [
        ('registry', '0009_versions'),
        ('dataservices', '0006_bounds'),
        ('proxyservices', '0008_bounds'),
    ]

    operations = [migrations.RunPython(first_versions, migrations.RunPython.noop)]

"""Who changed, who looked: changes of definitions, terms of grants, persons of calls, networks of keys.

What the call history already has is put into the new tables: on a large history this takes minutes.
"""

from datetime import timedelta
from ipaddress import ip_network

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Count, Max, Min, Sum
from django.utils import timezone

CHUNK = 5000
#: As registry/journal/key_networks.py.
DAYS, MOST = 90, 100


def adopt_terms(apps, schema_editor):
    """What a grant says now is all that is known of what it said before."""
    GrantTerms = apps.get_model("registry", "GrantTerms")
    rows = apps.get_model("registry", "Grant").objects.values_list(
        "pk", "created_at", "purpose", "legal_basis", "agreement"
    )
    GrantTerms.objects.bulk_create(
        (
            GrantTerms(
                grant_ref=pk, since=since, purpose=purpose, legal_basis=basis, agreement=agreement, adopted=True
            )
            for pk, since, purpose, basis, agreement in rows.iterator(CHUNK)
        ),
        batch_size=CHUNK,
    )


def index_subjects(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            "INSERT INTO registry_callsubject (hash, started_at, request_id)"
            " SELECT DISTINCT unnest(string_to_array(subjects, ', ')), started_at, request_id"
            " FROM registry_callrecord WHERE subjects <> ''"
        )
        schema_editor.execute(
            "INSERT INTO registry_callsubject (hash, started_at, request_id)"
            " SELECT unnest(string_to_array(hashes, ' ')), started_at, request_id FROM registry_subjectsofjob"
        )
        return
    CallSubject = apps.get_model("registry", "CallSubject")
    calls = apps.get_model("registry", "CallRecord").objects.exclude(subjects="").order_by("pk")
    jobs = apps.get_model("registry", "SubjectsOfJob").objects.order_by("pk")
    for rows, column, between in ((calls, "subjects", ", "), (jobs, "hashes", " ")):
        found = rows.values_list(column, "started_at", "request_id").iterator(CHUNK)
        batch = []
        for hashes, at, id in found:
            batch += [CallSubject(hash=each, started_at=at, request_id=id) for each in set(hashes.split(between))]
            if len(batch) > CHUNK:
                CallSubject.objects.bulk_create(batch, batch_size=CHUNK)
                batch = []
        CallSubject.objects.bulk_create(batch, batch_size=CHUNK)


def adopt_networks(apps, schema_editor):
    """The networks of the last days are known: nobody is notified of them."""
    KeyNetwork = apps.get_model("registry", "KeyNetwork")
    keys = set(apps.get_model("registry", "AccessKey").objects.values_list("pk", flat=True))
    calls = apps.get_model("registry", "CallRecord").objects.filter(
        key_ref__isnull=False, client_ip__isnull=False, started_at__gte=timezone.now() - timedelta(days=DAYS)
    )
    seen = {}
    found = calls.order_by().values_list("key_ref", "client_ip").annotate(
        Min("started_at"), Max("started_at"), Count("pk"), Sum("rows")
    )
    for key, address, first, last, number, rows in found.iterator(CHUNK):
        if key not in keys:
            continue
        network = str(ip_network(f"{address}/{48 if ':' in address else 24}", strict=False))
        networks = seen.setdefault(key, {})
        old = networks.get(network, (first, last, 0, 0))
        networks[network] = min(old[0], first), max(old[1], last), old[2] + number, old[3] + (rows or 0)
        if len(networks) > 2 * MOST:
            seen[key] = _latest(networks)
    made = [
        KeyNetwork(key_id=key, network=network, first_at=first, last_at=last, calls=number, rows=rows)
        for key, networks in seen.items()
        for network, (first, last, number, rows) in _latest(networks).items()
    ]
    KeyNetwork.objects.bulk_create(made, batch_size=CHUNK)


def _latest(networks):
    return dict(sorted(networks.items(), key=lambda item: item[1][1])[-MOST:])


class Migration(migrations.Migration):

    dependencies = [
        ('registry', '0040_callers'),
    ]

    operations = [
        migrations.CreateModel(
            name='CallSubject',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('hash', models.CharField(max_length=32)),
                ('started_at', models.DateTimeField()),
                ('request_id', models.CharField(max_length=32)),
            ],
            options={
                'verbose_name': 'subject of a call',
                'verbose_name_plural': 'subjects of calls',
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='ChangeRecord',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('change_id', models.CharField(max_length=32, unique=True)),
                ('at', models.DateTimeField(verbose_name='time')),
                ('user', models.CharField(blank=True, max_length=150, verbose_name='user')),
                ('origin', models.CharField(max_length=40, verbose_name='by way of')),
                ('client_ip', models.GenericIPAddressField(blank=True, null=True, verbose_name='address')),
                ('action', models.CharField(choices=[('added', 'added'), ('changed', 'changed'), ('deleted', 'deleted')], max_length=7, verbose_name='change')),
                ('kind', models.CharField(max_length=80, verbose_name='kind')),
                ('ref', models.BigIntegerField(blank=True, null=True)),
                ('name', models.CharField(blank=True, max_length=200, verbose_name='row')),
                ('agency', models.CharField(blank=True, max_length=63, verbose_name='agency')),
                ('other_agency', models.CharField(blank=True, max_length=63)),
                ('fields', models.CharField(blank=True, max_length=2000, verbose_name='fields')),
                ('rows', models.BigIntegerField(default=1, verbose_name='rows')),
                ('version', models.BigIntegerField(blank=True, null=True)),
                ('revision', models.IntegerField(blank=True, null=True, verbose_name='revision')),
                ('committed', models.BooleanField(default=False, verbose_name='committed')),
                ('segment', models.CharField(blank=True, max_length=120)),
            ],
            options={
                'verbose_name': 'change of a definition',
                'verbose_name_plural': 'changes of definitions',
                'ordering': ('-at', '-id'),
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='GrantTerms',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('grant_ref', models.BigIntegerField(editable=False)),
                ('since', models.DateTimeField()),
                ('purpose', models.CharField(max_length=300, verbose_name='purpose')),
                ('legal_basis', models.CharField(blank=True, max_length=300, verbose_name='legal basis')),
                ('agreement', models.CharField(blank=True, max_length=100, verbose_name='agreement number')),
                ('adopted', models.BooleanField(default=False)),
            ],
            options={
                'verbose_name': 'terms of a grant',
                'verbose_name_plural': 'terms of grants',
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='KeyNetwork',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('network', models.CharField(max_length=50, verbose_name='network')),
                ('first_at', models.DateTimeField(verbose_name='first call')),
                ('last_at', models.DateTimeField(verbose_name='last call')),
                ('calls', models.BigIntegerField(default=0, verbose_name='calls')),
                ('rows', models.BigIntegerField(default=0, verbose_name='rows')),
                ('is_new', models.BooleanField(default=False)),
                ('confirmed_at', models.DateTimeField(blank=True, null=True, verbose_name='confirmed at')),
            ],
            options={
                'verbose_name': 'network of a key',
                'verbose_name_plural': 'networks of keys',
                'ordering': ('-last_at', '-id'),
                'default_permissions': (),
            },
        ),
        migrations.AlterField(
            model_name='messagetemplate',
            name='event',
            field=models.CharField(choices=[('request_submitted', 'access was requested'), ('request_question', 'an access request was returned with a question'), ('request_answered', 'the question of an access request was answered'), ('request_confirm', 'an approval of an access request must be confirmed'), ('request_approved', 'an access request was approved'), ('request_rejected', 'an access request was rejected'), ('request_withdrawn', 'an access request was withdrawn'), ('grant_revoked', 'a grant was revoked'), ('grant_changed', 'a grant was changed'), ('grant_ending', 'a grant is about to end'), ('key_ending', 'an access key is about to expire'), ('key_new_network', 'an access key was used from a new network'), ('key_leaked', 'an access key was reported as leaked'), ('publish_requested', 'approval to publish was requested'), ('publish_decided', 'a publish request was decided'), ('operation_changed', 'an operation was changed'), ('operation_deprecated', 'an operation was deprecated'), ('operation_retired', 'an operation was retired'), ('backend_ill', 'a backend has a problem'), ('backend_well', 'a backend works again'), ('source_ill', 'a source cannot be reached'), ('source_well', 'a source works again'), ('server_ill', 'the bus itself needs attention'), ('server_well', 'the bus itself is in order again'), ('quota_alarm', 'a quota is nearly used up'), ('harvest_alarm', 'an application fetches unusually much data'), ('verification_locked', 'an application guesses values of a verification'), ('job_ended', 'a job has ended'), ('monthly_report', 'the monthly report of your agency is ready'), ('reconciled', 'a scheduled reconciliation has ended'), ('sync_failed', 'a synchronisation has failed'), ('invitation', 'invitation'), ('password_reset', 'a new password was requested'), ('password_changed', 'your password was changed')], max_length=30, verbose_name='event'),
        ),
        migrations.AlterField(
            model_name='notification',
            name='event',
            field=models.CharField(choices=[('request_submitted', 'access was requested'), ('request_question', 'an access request was returned with a question'), ('request_answered', 'the question of an access request was answered'), ('request_confirm', 'an approval of an access request must be confirmed'), ('request_approved', 'an access request was approved'), ('request_rejected', 'an access request was rejected'), ('request_withdrawn', 'an access request was withdrawn'), ('grant_revoked', 'a grant was revoked'), ('grant_changed', 'a grant was changed'), ('grant_ending', 'a grant is about to end'), ('key_ending', 'an access key is about to expire'), ('key_new_network', 'an access key was used from a new network'), ('key_leaked', 'an access key was reported as leaked'), ('publish_requested', 'approval to publish was requested'), ('publish_decided', 'a publish request was decided'), ('operation_changed', 'an operation was changed'), ('operation_deprecated', 'an operation was deprecated'), ('operation_retired', 'an operation was retired'), ('backend_ill', 'a backend has a problem'), ('backend_well', 'a backend works again'), ('source_ill', 'a source cannot be reached'), ('source_well', 'a source works again'), ('server_ill', 'the bus itself needs attention'), ('server_well', 'the bus itself is in order again'), ('quota_alarm', 'a quota is nearly used up'), ('harvest_alarm', 'an application fetches unusually much data'), ('verification_locked', 'an application guesses values of a verification'), ('job_ended', 'a job has ended'), ('monthly_report', 'the monthly report of your agency is ready'), ('reconciled', 'a scheduled reconciliation has ended'), ('sync_failed', 'a synchronisation has failed'), ('invitation', 'invitation'), ('password_reset', 'a new password was requested'), ('password_changed', 'your password was changed')], editable=False, max_length=30, verbose_name='event'),
        ),
        migrations.AlterField(
            model_name='notificationchoice',
            name='event',
            field=models.CharField(choices=[('request_submitted', 'access was requested'), ('request_question', 'an access request was returned with a question'), ('request_answered', 'the question of an access request was answered'), ('request_confirm', 'an approval of an access request must be confirmed'), ('request_approved', 'an access request was approved'), ('request_rejected', 'an access request was rejected'), ('request_withdrawn', 'an access request was withdrawn'), ('grant_revoked', 'a grant was revoked'), ('grant_changed', 'a grant was changed'), ('grant_ending', 'a grant is about to end'), ('key_ending', 'an access key is about to expire'), ('key_new_network', 'an access key was used from a new network'), ('key_leaked', 'an access key was reported as leaked'), ('publish_requested', 'approval to publish was requested'), ('publish_decided', 'a publish request was decided'), ('operation_changed', 'an operation was changed'), ('operation_deprecated', 'an operation was deprecated'), ('operation_retired', 'an operation was retired'), ('backend_ill', 'a backend has a problem'), ('backend_well', 'a backend works again'), ('source_ill', 'a source cannot be reached'), ('source_well', 'a source works again'), ('server_ill', 'the bus itself needs attention'), ('server_well', 'the bus itself is in order again'), ('quota_alarm', 'a quota is nearly used up'), ('harvest_alarm', 'an application fetches unusually much data'), ('verification_locked', 'an application guesses values of a verification'), ('job_ended', 'a job has ended'), ('monthly_report', 'the monthly report of your agency is ready'), ('reconciled', 'a scheduled reconciliation has ended'), ('sync_failed', 'a synchronisation has failed'), ('invitation', 'invitation'), ('password_reset', 'a new password was requested'), ('password_changed', 'your password was changed')], max_length=30, verbose_name='event'),
        ),
        migrations.AlterField(
            model_name='outboxmessage',
            name='event',
            field=models.CharField(choices=[('request_submitted', 'access was requested'), ('request_question', 'an access request was returned with a question'), ('request_answered', 'the question of an access request was answered'), ('request_confirm', 'an approval of an access request must be confirmed'), ('request_approved', 'an access request was approved'), ('request_rejected', 'an access request was rejected'), ('request_withdrawn', 'an access request was withdrawn'), ('grant_revoked', 'a grant was revoked'), ('grant_changed', 'a grant was changed'), ('grant_ending', 'a grant is about to end'), ('key_ending', 'an access key is about to expire'), ('key_new_network', 'an access key was used from a new network'), ('key_leaked', 'an access key was reported as leaked'), ('publish_requested', 'approval to publish was requested'), ('publish_decided', 'a publish request was decided'), ('operation_changed', 'an operation was changed'), ('operation_deprecated', 'an operation was deprecated'), ('operation_retired', 'an operation was retired'), ('backend_ill', 'a backend has a problem'), ('backend_well', 'a backend works again'), ('source_ill', 'a source cannot be reached'), ('source_well', 'a source works again'), ('server_ill', 'the bus itself needs attention'), ('server_well', 'the bus itself is in order again'), ('quota_alarm', 'a quota is nearly used up'), ('harvest_alarm', 'an application fetches unusually much data'), ('verification_locked', 'an application guesses values of a verification'), ('job_ended', 'a job has ended'), ('monthly_report', 'the monthly report of your agency is ready'), ('reconciled', 'a scheduled reconciliation has ended'), ('sync_failed', 'a synchronisation has failed'), ('invitation', 'invitation'), ('password_reset', 'a new password was requested'), ('password_changed', 'your password was changed')], editable=False, max_length=30, verbose_name='event'),
        ),
        migrations.AddIndex(
            model_name='callrecord',
            index=models.Index(fields=['key_ref', '-started_at'], name='call_key'),
        ),
        migrations.AddIndex(
            model_name='callsubject',
            index=models.Index(fields=['hash', '-started_at'], name='call_subject'),
        ),
        migrations.AddIndex(
            model_name='callsubject',
            index=models.Index(fields=['started_at'], name='call_subject_time'),
        ),
        migrations.AddIndex(
            model_name='changerecord',
            index=models.Index(fields=['-at', '-id'], name='change_time'),
        ),
        migrations.AddIndex(
            model_name='changerecord',
            index=models.Index(fields=['agency', '-at'], name='change_agency'),
        ),
        migrations.AddIndex(
            model_name='changerecord',
            index=models.Index(fields=['other_agency', '-at'], name='change_other_agency'),
        ),
        migrations.AddIndex(
            model_name='changerecord',
            index=models.Index(fields=['user', '-at'], name='change_user'),
        ),
        migrations.AddIndex(
            model_name='changerecord',
            index=models.Index(fields=['kind', 'ref', '-at'], name='change_row'),
        ),
        migrations.AddIndex(
            model_name='grantterms',
            index=models.Index(fields=['grant_ref', '-since'], name='grant_terms_since'),
        ),
        migrations.AddField(
            model_name='keynetwork',
            name='confirmed_by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='keynetwork',
            name='key',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='seen_networks', to='registry.accesskey', verbose_name='access key'),
        ),
        migrations.AddIndex(
            model_name='keynetwork',
            index=models.Index(fields=['is_new', 'first_at'], name='key_network_new'),
        ),
        migrations.AddConstraint(
            model_name='keynetwork',
            constraint=models.UniqueConstraint(fields=('key', 'network'), name='key_network_once'),
        ),
        migrations.RunPython(adopt_terms, migrations.RunPython.noop),
        migrations.RunPython(index_subjects, migrations.RunPython.noop),
        migrations.RunPython(adopt_networks, migrations.RunPython.noop),
    ]

import django.core.validators
import django.db.models.deletion
import registry.models.base
from django.db import migrations, models


def rename_values(apps, schema_editor):
    apps.get_model("registry", "CallRecord").objects.filter(protocol="console").update(protocol="tryout")


class Migration(migrations.Migration):
    dependencies = [("registry", "0001_registry")]

    operations = [
        migrations.RenameField("callrecord", "face", "protocol"),
        migrations.RenameField("callrecord", "address", "client_ip"),
        migrations.CreateModel(
            name="LeaderLock",
            fields=[
                ("name", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("holder", models.CharField(blank=True, max_length=100)),
                ("beat", models.BigIntegerField(default=0)),
            ],
            options={"verbose_name": "leader lock", "default_permissions": ()},
        ),
        migrations.AlterModelOptions(
            name='callrecord',
            options={'default_permissions': ('view',), 'ordering': ('-started_at', '-id'), 'verbose_name': 'call', 'verbose_name_plural': 'call history'},
        ),
        migrations.AlterField(
            model_name='accesskey',
            name='in_path',
            field=models.BooleanField(default=False, help_text='For old clients that cannot send a header. Logs will contain a key that is in a URL.', verbose_name='allowed in URL'),
        ),
        migrations.AlterField(
            model_name='accesskey',
            name='networks',
            field=models.TextField(blank=True, help_text='Networks from which the key may be used, one per line: 10.1.0.0/16 or 10.1.2.3. Empty: any network.', validators=[registry.models.base.validate_networks], verbose_name='networks'),
        ),
        migrations.AlterField(
            model_name='accesskey',
            name='operation',
            field=models.ForeignKey(blank=True, help_text='A key of MANTRA 1.99x can call one operation only.', null=True, on_delete=django.db.models.deletion.CASCADE, related_name='legacy_keys', to='registry.operation', verbose_name='only for operation'),
        ),
        migrations.AlterField(
            model_name='agency',
            name='code',
            field=models.CharField(max_length=63, validators=[django.core.validators.RegexValidator('^[A-Za-z0-9][A-Za-z0-9_\\-]{0,62}$', 'Use letters, digits, - and _ only, starting with a letter or a digit: it becomes part of an alias.')], verbose_name='code'),
        ),
        migrations.AlterField(
            model_name='agency',
            name='email',
            field=models.EmailField(blank=True, max_length=254, verbose_name='email'),
        ),
        migrations.AlterField(
            model_name='application',
            name='code',
            field=models.CharField(max_length=63, validators=[django.core.validators.RegexValidator('^[A-Za-z0-9][A-Za-z0-9_\\-]{0,62}$', 'Use letters, digits, - and _ only, starting with a letter or a digit: it becomes part of an alias.')], verbose_name='code'),
        ),
        migrations.AlterField(
            model_name='callrecord',
            name='broken',
            field=models.BooleanField(default=False, verbose_name='aborted'),
        ),
        migrations.AlterField(
            model_name='callrecord',
            name='consumer_agency',
            field=models.CharField(blank=True, max_length=63, verbose_name="caller's agency"),
        ),
        migrations.AlterField(
            model_name='callrecord',
            name='outcome',
            field=models.IntegerField(default=0, help_text="200 or the fault's code. 0: in progress.", verbose_name='outcome'),
        ),
        migrations.AlterField(
            model_name='callrecord',
            name='protocol',
            field=models.CharField(max_length=10, verbose_name='protocol'),
        ),
        migrations.AlterField(
            model_name='grant',
            name='fields',
            field=models.TextField(blank=True, help_text='Field names, one per line. Empty: all fields.', verbose_name='allowed fields'),
        ),
        migrations.AlterField(
            model_name='grant',
            name='networks',
            field=models.TextField(blank=True, help_text='Networks from which the grant is valid, one per line: 10.1.0.0/16 or 10.1.2.3. Empty: any network.', validators=[registry.models.base.validate_networks], verbose_name='networks'),
        ),
        migrations.AlterField(
            model_name='grant',
            name='quota',
            field=models.CharField(blank=True, help_text='For example 1000/day, or several: 10/second; 1000/day. Empty: no limit.', max_length=100, validators=[registry.models.base.validate_quota], verbose_name='quota'),
        ),
        migrations.AlterField(
            model_name='operation',
            name='access',
            field=models.CharField(choices=[('restricted', 'restricted: requires a key and a grant'), ('open', 'open: any caller, without a key')], default='restricted', max_length=10, verbose_name='access'),
        ),
        migrations.AlterField(
            model_name='operation',
            name='cache_seconds',
            field=models.PositiveIntegerField(default=0, help_text='How long callers may reuse a response. 0: no reuse. From 1 second on, responses have an ETag.', verbose_name='cache (seconds)'),
        ),
        migrations.AlterField(
            model_name='operation',
            name='code',
            field=models.CharField(max_length=127, validators=[django.core.validators.RegexValidator('^[A-Za-z0-9][A-Za-z0-9_\\-.: ]{0,126}$', 'Use letters, digits, - and _ only, starting with a letter or a digit: it becomes part of an alias.')], verbose_name='code'),
        ),
        migrations.AlterField(
            model_name='operation',
            name='sunset',
            field=models.DateField(blank=True, help_text='The day on which a deprecated operation will be retired.', null=True, verbose_name='sunset date'),
        ),
        migrations.AlterField(
            model_name='parameter',
            name='choices',
            field=models.TextField(blank=True, help_text='One per line.', verbose_name='choices'),
        ),
        migrations.AlterField(
            model_name='parameter',
            name='name',
            field=models.CharField(max_length=63, validators=[django.core.validators.RegexValidator('^[A-Za-z_][A-Za-z0-9_]{0,62}$', 'Use letters, digits and _ only, starting with a letter: it is the :name in the SQL and the name in the URL.')], verbose_name='name'),
        ),
        migrations.AlterField(
            model_name='service',
            name='code',
            field=models.CharField(max_length=63, validators=[django.core.validators.RegexValidator('^[A-Za-z0-9][A-Za-z0-9_\\-]{0,62}$', 'Use letters, digits, - and _ only, starting with a letter or a digit: it becomes part of an alias.')], verbose_name='code'),
        ),
        migrations.AlterField(
            model_name='service',
            name='tags',
            field=models.CharField(blank=True, help_text='Separate words with commas.', max_length=200, verbose_name='tags'),
        ),
        migrations.AlterField(
            model_name='user',
            name='agency',
            field=models.ForeignKey(blank=True, help_text='Choose an agency: only administrators and supervisors work without one.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='users', to='registry.agency', verbose_name='agency'),
        ),
        migrations.RunPython(rename_values, migrations.RunPython.noop),
    ]

"""Backends, beside the upstreams of each operation. 0011 fills them; 0012 removes what is of no use then."""

import django.core.validators
import django.db.models.deletion
import django.db.models.functions.text
import proxyservices.models.validators
import registry.models.bounds
import registry.secrets
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("proxyservices", "0009_samples_in_registry"), ("registry", "0010_first_versions")]

    operations = [
        migrations.RemoveConstraint("upstreamstate", "upstream_state_once"),
        migrations.RenameModel("Upstream", "BackendServer"),
        migrations.RenameModel("UpstreamState", "ServerState"),
        migrations.RenameField("serverstate", "upstream", "server"),
        migrations.RenameField("addresschange", "upstream", "server"),
        migrations.AlterField(
            "backendserver",
            "operation",
            models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.CASCADE, related_name="upstreams",
                to="proxyservices.proxyoperation", verbose_name="operation",
            ),
        ),
        migrations.AddField(
            "addresschange", "backend", models.CharField(default="", max_length=300, verbose_name="backend"),
            preserve_default=False,
        ),
        migrations.AddField("addresschange", "backend_ref", models.BigIntegerField(null=True)),
        migrations.CreateModel(
            name='Backend',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('credential_kind', models.CharField(choices=[('none', 'none'), ('access-key', 'access key of MANTRA'), ('header', 'custom header'), ('basic', 'user and password (basic)'), ('bearer', 'bearer token'), ('oauth2', 'OAuth2 client credentials')], default='access-key', max_length=20, verbose_name='credential')),
                ('credential_name', models.CharField(blank=True, help_text='The name that belongs to the secret.', max_length=200, verbose_name='user, client id or header name')),
                ('credential', registry.secrets.EncryptedField(blank=True, default='', max_length=10000, verbose_name='key, password or token')),
                ('token_url', models.CharField(blank=True, help_text='OAuth2 only.', max_length=500, validators=[proxyservices.models.validators.validate_url], verbose_name='token URL')),
                ('scope', models.CharField(blank=True, help_text='OAuth2 only.', max_length=300, verbose_name='scope')),
                ('client_certificate', registry.secrets.EncryptedField(blank=True, default='', help_text='PEM: the private key and the certificate, one after the other.', max_length=65536, verbose_name='client certificate')),
                ('ca_certificate', registry.models.bounds.BoundedTextField(blank=True, help_text="PEM, if the upstream's certificate is not from a public authority.", max_length=65536, verbose_name='CA certificate')),
                ('probe_interval_seconds', models.PositiveIntegerField(default=0, help_text='0: no probes.', validators=[django.core.validators.MaxValueValidator(86400)], verbose_name='probe interval (seconds)')),
                ('probe_method', models.CharField(choices=[('GET', 'GET'), ('HEAD', 'HEAD'), ('POST', 'POST'), ('PUT', 'PUT'), ('PATCH', 'PATCH'), ('DELETE', 'DELETE')], default='GET', max_length=10, verbose_name='probe method')),
                ('probe_path', models.CharField(blank=True, help_text="With a leading slash: from the host's root (/healthz). Without: below the address. ?wsdl: the description of a SOAP service. Empty: the address itself.", max_length=500, verbose_name='probe path')),
                ('probe_expected_statuses', models.CharField(default='200-399', max_length=100, validators=[django.core.validators.RegexValidator('^\\s*[1-5]\\d\\d(-[1-5]\\d\\d)?(\\s*[,\\s]\\s*[1-5]\\d\\d(-[1-5]\\d\\d)?)*\\s*$', 'Enter status codes like 200 or 200-399, separated by commas.')], verbose_name='healthy statuses')),
                ('probe_expected_text', models.CharField(blank=True, help_text='Text that the response must contain. Empty: any response.', max_length=200, verbose_name='healthy text')),
                ('code', models.CharField(help_text='A short name within the agency, such as simpeg.', max_length=63, validators=[django.core.validators.RegexValidator('^[A-Za-z0-9][A-Za-z0-9_\\-]{0,62}$', 'Use letters, digits, - and _ only, starting with a letter or a digit: it becomes part of an alias.')], verbose_name='code')),
                ('title', models.CharField(blank=True, max_length=200, verbose_name='title')),
                ('contact', models.CharField(blank=True, help_text='Whom to contact when the servers fail.', max_length=200, verbose_name='contact')),
                ('max_concurrent_calls', models.PositiveSmallIntegerField(default=0, help_text='Calls of all its operations together, in each worker process. 0: no limit of its own.', validators=[django.core.validators.MaxValueValidator(1000)], verbose_name='calls at once (limit)')),
                ('agency', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='backends', to='registry.agency', verbose_name='agency')),
            ],
            options={
                'verbose_name': 'backend',
                'verbose_name_plural': 'backends',
                'ordering': ('agency__code', 'code'),
            },
        ),
        migrations.AlterModelOptions(
            name='backendserver',
            options={'ordering': ('priority', 'id'), 'verbose_name': 'server', 'verbose_name_plural': 'servers'},
        ),
        migrations.AlterModelOptions(
            name='serverstate',
            options={'default_permissions': (), 'verbose_name': 'server state', 'verbose_name_plural': 'server states'},
        ),
        migrations.AddField(
            model_name='backendserver',
            name='own_settings',
            field=models.BooleanField(default=False, help_text="This server has its own credential, certificates and probe instead of the backend's.", verbose_name='settings of its own'),
        ),
        migrations.AddField(
            model_name='serverstate',
            name='since',
            field=models.DateTimeField(blank=True, null=True, verbose_name='since'),
        ),
        migrations.AlterField(
            model_name='addresschange',
            name='operation',
            field=models.CharField(blank=True, max_length=300, verbose_name='operation'),
        ),
        migrations.AlterField(
            model_name='backendserver',
            name='probe_path',
            field=models.CharField(blank=True, help_text="With a leading slash: from the host's root (/healthz). Without: below the address. ?wsdl: the description of a SOAP service. Empty: the address itself.", max_length=500, verbose_name='probe path'),
        ),
        migrations.AlterField(
            model_name='backendserver',
            name='weight',
            field=models.PositiveSmallIntegerField(default=1, help_text='Share of the calls among servers with the same priority.', validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(1000)], verbose_name='weight'),
        ),
        migrations.AddConstraint(
            model_name='serverstate',
            constraint=models.UniqueConstraint(fields=('server', 'observer'), name='server_state_once'),
        ),
        migrations.AddField(
            model_name='backendserver',
            name='backend',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='servers', to='proxyservices.backend', verbose_name='backend'),
        ),
        migrations.AddField(
            model_name='proxyoperation',
            name='backend',
            field=models.ForeignKey(blank=True, help_text='The servers that respond to its calls.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='operations', to='proxyservices.backend', verbose_name='backend'),
        ),
        migrations.AddConstraint(
            model_name='backend',
            constraint=models.UniqueConstraint(models.F('agency'), django.db.models.functions.text.Lower('code'), name='backend_code_once'),
        ),
    ]  # fmt: skip

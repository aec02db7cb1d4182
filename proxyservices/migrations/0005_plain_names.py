import django.core.validators
import django.db.models.deletion
import django.utils.timezone
import proxyservices.models.validators
import registry.secrets
from django.db import migrations, models


def rename_values(apps, schema_editor):
    apps.get_model("proxyservices", "ProxyOperation").objects.filter(style="as-is").update(style="pass-through")
    apps.get_model("proxyservices", "AddressChange").objects.filter(kind="back").update(kind="roll-back")


class Migration(migrations.Migration):
    dependencies = [("proxyservices", "0004_leases"), ("registry", "0002_plain_names")]

    operations = [
        migrations.DeleteModel("Lease"),
        migrations.RenameModel("Mapping", "ParameterMapping"),
        migrations.RenameModel("Contract", "ServiceDescription"),
        migrations.RenameModel("Sample", "SampleRequest"),
        migrations.RenameField("parametermapping", "place", "location"),
        migrations.RenameField("samplerequest", "question", "request"),
        migrations.RenameField("upstream", "position", "priority"),
        migrations.RenameField("upstream", "authority", "ca_certificate"),
        migrations.RenameField("upstream", "probe_seconds", "probe_interval_seconds"),
        migrations.RenameField("upstream", "probe_text", "probe_expected_text"),
        migrations.RenameField("upstream", "probe_statuses", "probe_expected_statuses"),
        migrations.RenameField("proxyoperation", "methods", "allowed_methods"),
        migrations.RenameField("proxyoperation", "request_headers", "forwarded_request_headers"),
        migrations.RenameField("proxyoperation", "response_headers", "returned_response_headers"),
        migrations.RenameField("proxyoperation", "pass_credentials", "forward_credentials"),
        migrations.RenameField("proxyoperation", "time_cap_ms", "timeout_ms"),
        migrations.RenameField("proxyoperation", "connect_cap_ms", "connect_timeout_ms"),
        migrations.RenameField("proxyoperation", "read_cap_ms", "read_timeout_ms"),
        migrations.RenameField("proxyoperation", "size_cap", "max_body_bytes"),
        migrations.RenameField("proxyoperation", "concurrency", "max_concurrent_calls"),
        migrations.RenameField("proxyoperation", "stale_seconds", "stale_if_error_seconds"),
        migrations.RenameField("proxyoperation", "ignored", "ignored_paths"),
        migrations.AlterModelOptions(
            name='addresschange',
            options={'default_permissions': ('view',), 'ordering': ('-at', '-id'), 'verbose_name': 'address change', 'verbose_name_plural': 'address changes'},
        ),
        migrations.AlterModelOptions(
            name='parametermapping',
            options={'ordering': ('position', 'id'), 'verbose_name': 'parameter mapping', 'verbose_name_plural': 'parameter mappings'},
        ),
        migrations.AlterModelOptions(
            name='servicedescription',
            options={'ordering': ('-main', 'id'), 'verbose_name': 'description document', 'verbose_name_plural': 'description documents'},
        ),
        migrations.AlterModelOptions(
            name='upstream',
            options={'ordering': ('priority', 'id'), 'verbose_name': 'upstream', 'verbose_name_plural': 'upstreams'},
        ),
        migrations.AlterModelOptions(
            name='upstreamstate',
            options={'default_permissions': (), 'verbose_name': 'upstream state', 'verbose_name_plural': 'upstream states'},
        ),
        migrations.RemoveConstraint(
            model_name='servicedescription',
            name='contract_once',
        ),
        migrations.AlterField(
            model_name='addresschange',
            name='kind',
            field=models.CharField(choices=[('rehearse', 'rehearsed'), ('switch', 'switched'), ('roll-back', 'rolled back')], max_length=10, verbose_name='kind'),
        ),
        migrations.AlterField(
            model_name='parametermapping',
            name='location',
            field=models.CharField(choices=[('path', 'path'), ('query', 'query string'), ('header', 'header'), ('form', 'form'), ('json', 'JSON body')], default='query', max_length=10, verbose_name='location'),
        ),
        migrations.AlterField(
            model_name='parametermapping',
            name='name',
            field=models.CharField(help_text='In a JSON body, a dot starts a nested level: pegawai.nip.', max_length=200, verbose_name='upstream name'),
        ),
        migrations.AlterField(
            model_name='parametermapping',
            name='parameter',
            field=models.CharField(blank=True, help_text='The parameter that gives the value; empty for a fixed value.', max_length=63, verbose_name='parameter'),
        ),
        migrations.AlterField(
            model_name='parametermapping',
            name='secret',
            field=models.BooleanField(default=False, help_text='The fixed value is never shown again and is not exported.', verbose_name='secret'),
        ),
        migrations.AlterField(
            model_name='proxyoperation',
            name='allowed_methods',
            field=models.CharField(default='GET, HEAD, POST, PUT, PATCH, DELETE', help_text='Only for the pass-through style.', max_length=100, validators=[proxyservices.models.validators.validate_methods], verbose_name='allowed methods'),
        ),
        migrations.AlterField(
            model_name='proxyoperation',
            name='connect_timeout_ms',
            field=models.PositiveIntegerField(default=3000, validators=[django.core.validators.MinValueValidator(50), django.core.validators.MaxValueValidator(60000)], verbose_name='connect timeout (ms)'),
        ),
        migrations.AlterField(
            model_name='proxyoperation',
            name='forward_credentials',
            field=models.BooleanField(default=False, help_text="Forwards the caller's AccessKey, Authorization and Cookie headers to the upstream.", verbose_name='forward caller credentials'),
        ),
        migrations.AlterField(
            model_name='proxyoperation',
            name='forwarded_request_headers',
            field=models.TextField(blank=True, default='Accept, Accept-Language, Content-Type, If-Match, If-Modified-Since, If-None-Match, If-Unmodified-Since, Prefer, Range, SOAPAction', help_text='Names, one per line. Only for the pass-through style.', validators=[proxyservices.models.validators.validate_headers], verbose_name='forwarded request headers'),
        ),
        migrations.AlterField(
            model_name='proxyoperation',
            name='ignored_paths',
            field=models.TextField(blank=True, help_text='Parts that differ in every response and are ignored in rehearsals, one path per line: meta.time, data.*.id, header:Vary. * matches any name.', verbose_name='not compared'),
        ),
        migrations.AlterField(
            model_name='proxyoperation',
            name='max_body_bytes',
            field=models.PositiveIntegerField(default=10000000, help_text='For responses, and for request bodies that are forwarded.', verbose_name='size limit (bytes)'),
        ),
        migrations.AlterField(
            model_name='proxyoperation',
            name='max_concurrent_calls',
            field=models.PositiveSmallIntegerField(default=0, help_text='In each worker process. 0: half of its threads, which is also the maximum.', verbose_name='calls at once (limit)'),
        ),
        migrations.AlterField(
            model_name='proxyoperation',
            name='method',
            field=models.CharField(choices=[('GET', 'GET'), ('POST', 'POST'), ('PUT', 'PUT'), ('PATCH', 'PATCH'), ('DELETE', 'DELETE')], default='GET', help_text='HTTP method of the request to the upstream. Only for the REST style.', max_length=10, verbose_name='HTTP method'),
        ),
        migrations.AlterField(
            model_name='proxyoperation',
            name='path',
            field=models.CharField(blank=True, help_text="Appended to the upstream's address. REST: may contain {parameter}. SOAP: the operation's name. MANTRA 1.99x: the operation's name there; for soap also name#depth#block.", max_length=500, verbose_name='path'),
        ),
        migrations.AlterField(
            model_name='proxyoperation',
            name='read_timeout_ms',
            field=models.PositiveIntegerField(default=10000, validators=[django.core.validators.MinValueValidator(50), django.core.validators.MaxValueValidator(600000)], verbose_name='read timeout (ms)'),
        ),
        migrations.AlterField(
            model_name='proxyoperation',
            name='retries',
            field=models.PositiveSmallIntegerField(default=1, help_text='Only requests that are safe to repeat: reads, and requests that were not sent.', validators=[django.core.validators.MaxValueValidator(5)], verbose_name='retries'),
        ),
        migrations.AlterField(
            model_name='proxyoperation',
            name='returned_response_headers',
            field=models.TextField(blank=True, default='Accept-Ranges, Cache-Control, Content-Disposition, Content-Encoding, Content-Language, Content-Range, ETag, Expires, Last-Modified, Location, Retry-After, Vary', help_text='Names, one per line. Content-Type is always returned. Only for the pass-through style.', validators=[proxyservices.models.validators.validate_headers], verbose_name='returned response headers'),
        ),
        migrations.AlterField(
            model_name='proxyoperation',
            name='stale_if_error_seconds',
            field=models.PositiveIntegerField(default=0, help_text='Serve the last good response for up to this many seconds when all upstreams are down. 0 disables it.', verbose_name='serve stale for (seconds)'),
        ),
        migrations.AlterField(
            model_name='proxyoperation',
            name='style',
            field=models.CharField(choices=[('pass-through', 'pass-through: requests below the alias are forwarded unchanged'), ('rest', 'REST: declared parameters become path, query, header, form or JSON body'), ('soap', "SOAP: an operation of an upstream's WSDL"), ('legacy-rest', 'MANTRA 1.99x: rest'), ('legacy-restfull', 'MANTRA 1.99x: restfull'), ('legacy-restfullpar', 'MANTRA 1.99x: restfullpar'), ('legacy-get', 'MANTRA 1.99x: get'), ('legacy-post', 'MANTRA 1.99x: post'), ('legacy-soap', 'MANTRA 1.99x: soap')], default='rest', max_length=20, verbose_name='style'),
        ),
        migrations.AlterField(
            model_name='proxyoperation',
            name='timeout_ms',
            field=models.PositiveIntegerField(default=10000, help_text='For the whole call: all attempts, until the last byte.', validators=[django.core.validators.MinValueValidator(50), django.core.validators.MaxValueValidator(3600000)], verbose_name='time limit (ms)'),
        ),
        migrations.AlterField(
            model_name='samplerequest',
            name='request',
            field=registry.secrets.EncryptedField(verbose_name='request'),
        ),
        migrations.AlterField(
            model_name='servicedescription',
            name='operation',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='descriptions', to='proxyservices.proxyoperation', verbose_name='operation'),
        ),
        migrations.AlterField(
            model_name='upstream',
            name='ca_certificate',
            field=models.TextField(blank=True, help_text="PEM, if the upstream's certificate is not from a public authority.", verbose_name='CA certificate'),
        ),
        migrations.AlterField(
            model_name='upstream',
            name='credential_kind',
            field=models.CharField(choices=[('none', 'none'), ('access-key', 'access key of MANTRA'), ('header', 'custom header'), ('basic', 'user and password (basic)'), ('bearer', 'bearer token'), ('oauth2', 'OAuth2 client credentials')], default='access-key', max_length=20, verbose_name='credential'),
        ),
        migrations.AlterField(
            model_name='upstream',
            name='credential_name',
            field=models.CharField(blank=True, help_text='The name that belongs to the secret.', max_length=200, verbose_name='user, client id or header name'),
        ),
        migrations.AlterField(
            model_name='upstream',
            name='priority',
            field=models.PositiveSmallIntegerField(default=0, help_text='The lowest number is tried first.', verbose_name='priority'),
        ),
        migrations.AlterField(
            model_name='upstream',
            name='probe_expected_statuses',
            field=models.CharField(default='200-399', max_length=100, validators=[django.core.validators.RegexValidator('^\\s*[1-5]\\d\\d(-[1-5]\\d\\d)?(\\s*[,\\s]\\s*[1-5]\\d\\d(-[1-5]\\d\\d)?)*\\s*$', 'Enter status codes like 200 or 200-399, separated by commas.')], verbose_name='healthy statuses'),
        ),
        migrations.AlterField(
            model_name='upstream',
            name='probe_expected_text',
            field=models.CharField(blank=True, help_text='Text that the response must contain. Empty: any response.', max_length=200, verbose_name='healthy text'),
        ),
        migrations.AlterField(
            model_name='upstream',
            name='probe_interval_seconds',
            field=models.PositiveIntegerField(default=0, help_text='0: no probes.', validators=[django.core.validators.MaxValueValidator(86400)], verbose_name='probe interval (seconds)'),
        ),
        migrations.AlterField(
            model_name='upstream',
            name='probe_path',
            field=models.CharField(blank=True, help_text="With a leading slash: from the host's root (/healthz). Without: below the address. Empty: the address itself.", max_length=500, verbose_name='probe path'),
        ),
        migrations.AlterField(
            model_name='upstream',
            name='token_url',
            field=models.CharField(blank=True, help_text='OAuth2 only.', max_length=500, validators=[proxyservices.models.validators.validate_url], verbose_name='token URL'),
        ),
        migrations.AlterField(
            model_name='upstream',
            name='weight',
            field=models.PositiveSmallIntegerField(default=1, help_text='Share of the calls among upstreams with the same priority.', validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(1000)], verbose_name='weight'),
        ),
        migrations.AlterField(
            model_name='upstreamstate',
            name='breaker',
            field=models.CharField(default='closed', max_length=10, verbose_name='circuit breaker'),
        ),
        migrations.AlterField(
            model_name='upstreamstate',
            name='failed_at',
            field=models.DateTimeField(blank=True, null=True, verbose_name='last failure at'),
        ),
        migrations.AlterField(
            model_name='upstreamstate',
            name='observer',
            field=models.CharField(max_length=100, verbose_name='observed by'),
        ),
        migrations.AlterField(
            model_name='upstreamstate',
            name='phase',
            field=models.CharField(blank=True, max_length=20, verbose_name='failed phase'),
        ),
        migrations.AlterField(
            model_name='upstreamstate',
            name='seen_at',
            field=models.DateTimeField(default=django.utils.timezone.now, verbose_name='observed at'),
        ),
        migrations.AddConstraint(
            model_name='servicedescription',
            constraint=models.UniqueConstraint(fields=('operation', 'url'), name='description_once'),
        ),
        migrations.RunPython(rename_values, migrations.RunPython.noop),
    ]

import django.core.validators
import registry.secrets
from django.db import migrations
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("dataservices", "0002_wallet_password")]

    operations = [
        migrations.RenameField("dataoperation", "row_cap", "max_rows"),
        migrations.RenameField("dataoperation", "time_cap_ms", "timeout_ms"),
        migrations.AlterField(
            model_name='dataoperation',
            name='max_rows',
            field=models.PositiveIntegerField(default=10000, validators=[django.core.validators.MinValueValidator(1)], verbose_name='row limit'),
        ),
        migrations.AlterField(
            model_name='dataoperation',
            name='page_size',
            field=models.PositiveIntegerField(default=0, help_text='0: no pages. Otherwise the SQL must end with LIMIT :limit OFFSET :offset.', validators=[django.core.validators.MaxValueValidator(10000)], verbose_name='rows per page'),
        ),
        migrations.AlterField(
            model_name='dataoperation',
            name='sql',
            field=models.TextField(help_text="One statement. Write :name for a parameter's value, and [[ … ]] around the part that belongs to an optional parameter. The block is dropped if the parameter is not given.", verbose_name='SQL'),
        ),
        migrations.AlterField(
            model_name='dataoperation',
            name='timeout_ms',
            field=models.PositiveIntegerField(default=10000, validators=[django.core.validators.MinValueValidator(50), django.core.validators.MaxValueValidator(3600000)], verbose_name='time limit (ms)'),
        ),
        migrations.AlterField(
            model_name='dataoperation',
            name='writes',
            field=models.BooleanField(default=False, help_text='INSERT, UPDATE, DELETE or CALL, in one transaction; callers must use POST.', verbose_name='changes data'),
        ),
        migrations.AlterField(
            model_name='datasource',
            name='code',
            field=models.CharField(max_length=63, validators=[django.core.validators.RegexValidator('^[A-Za-z0-9][A-Za-z0-9_\\-]{0,62}$', 'Use letters, digits, - and _ only, starting with a letter or a digit: it becomes part of an alias.')], verbose_name='code'),
        ),
        migrations.AlterField(
            model_name='datasource',
            name='database',
            field=models.CharField(blank=True, help_text="Name of the database. For SQLite: path of the file in the agency's folder on the server.", max_length=500, verbose_name='database'),
        ),
        migrations.AlterField(
            model_name='datasource',
            name='options',
            field=models.JSONField(blank=True, default=dict, help_text='More settings of the engine, for example {"sslmode": "require"}.', verbose_name='options'),
        ),
        migrations.AlterField(
            model_name='datasource',
            name='pool_size',
            field=models.PositiveSmallIntegerField(default=5, help_text='Maximum number of connections from each worker process.', validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(100)], verbose_name='connections'),
        ),
        migrations.AlterField(
            model_name='datasource',
            name='wallet_password',
            field=registry.secrets.EncryptedField(blank=True, default='', help_text='Oracle only: the password of ewallet.pem in the wallet folder.', verbose_name='wallet password'),
        ),
    ]

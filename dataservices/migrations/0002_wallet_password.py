from django.db import migrations

import registry.secrets


class Migration(migrations.Migration):

    dependencies = [
        ('dataservices', '0001_data_services'),
    ]

    operations = [
        migrations.AddField(
            model_name='datasource',
            name='wallet_password',
            field=registry.secrets.EncryptedField(blank=True, default='', help_text="Oracle's only: what ewallet.pem in the wallet's folder is encrypted with.", verbose_name='wallet password'),
        ),
    ]

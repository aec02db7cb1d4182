import registry.models.base
import registry.models.bounds
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('registry', '0011_calls_of_operation'),
    ]

    operations = [
        migrations.AlterField(
            model_name='accesskey',
            name='networks',
            field=registry.models.bounds.BoundedTextField(blank=True, help_text="Addresses from which the key may be used, one per line: 10.1.2.3 is one computer, 10.1.0.0/16 all that begin with 10.1. Ask the application's administrator for its server's address. Empty: any address.", max_length=5000, validators=[registry.models.base.validate_networks], verbose_name='networks'),
        ),
        migrations.AlterField(
            model_name='grant',
            name='networks',
            field=registry.models.bounds.BoundedTextField(blank=True, help_text="Addresses from which the grant is valid, one per line: 10.1.2.3 is one computer, 10.1.0.0/16 all that begin with 10.1. Ask the application's administrator for its server's address. Empty: any address.", max_length=5000, validators=[registry.models.base.validate_networks], verbose_name='networks'),
        ),
    ]

"""Names of a server's own, for the adapters and for the check of an author's SQL. Imports no driver."""

from __future__ import annotations

_ORACLE = """
    anonymous appqossys audsys ctxsys dbsfwuser dbsnmp dip dvf dvsys exfsys ggsys gsmadmin_internal gsmcatuser
    gsmrootuser gsmuser lbacsys mddata mdsys mgmt_view ojvmsys olapsys oracle_ocm orddata ordplugins ordsys outln owbsys
    owbsys_audit public remote_scheduler_agent si_informtn_schema spatial_csw_admin_usr spatial_wfs_admin_usr sys
    sys$umf sysbackup sysdg syskm sysman sysrac system tsmsys vecsys wk_test wkproxy wksys wmsys xdb xs$null
"""

#: Schemas of accounts that Oracle itself creates, in lower case.
ORACLE_SCHEMAS = frozenset(_ORACLE.split())
_BEGINNINGS = ("apex_", "flows_", "ords_metadata", "ords_public_user")


def is_oracle_schema(name: str) -> bool:
    """Return True for a schema that Oracle or its own additions have made, whatever the case of the name."""
    return name.lower() in ORACLE_SCHEMAS or name.lower().startswith(_BEGINNINGS)

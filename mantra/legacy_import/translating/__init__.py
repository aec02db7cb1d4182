"""A definition of MANTRA 1.99x as a part of a bundle, with remarks on what a person must know.

Pure functions: what they return depends on their arguments only. ``translate`` is the entrance.

* ``sourcecode``: the text of a definition as texts by name.
* ``data``, ``proxies``, ``programs``: a definition of each kind; ``connections`` and ``conditions`` for the first,
  ``requests`` for the others.
* ``names``, ``passwords``: codes, parameters' names and passwords.
* ``remarks``: the kinds of remarks, and the refusal.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mantra.legacy_import.old import OldOperation
from mantra.legacy_import.translating import sourcecode
from mantra.legacy_import.translating.conditions import OldParameter
from mantra.legacy_import.translating.connections import Connection
from mantra.legacy_import.translating.data import DataDefinition, data_definition
from mantra.legacy_import.translating.definitions import Definition
from mantra.legacy_import.translating.names import CODE, OPERATION, code_of, codes_of, legacy_name_of
from mantra.legacy_import.translating.passwords import OldPassword, PasswordKind, password_of
from mantra.legacy_import.translating.programs import ProgramDefinition, placeholder_source, program_definition
from mantra.legacy_import.translating.proxies import ProxyDefinition, Upstream, proxy_definition
from mantra.legacy_import.translating.remarks import Kind, Refused, Remark, Severity, remark

__all__ = (
    "CODE", "OPERATION", "Connection", "DataDefinition", "Definition", "Kind", "OldParameter", "OldPassword",
    "PasswordKind", "ProgramDefinition", "ProxyDefinition", "Refused", "Remark", "Severity", "Upstream", "code_of",
    "codes_of", "legacy_name_of", "password_of", "placeholder_source", "remark", "translate",
)  # fmt: skip

_NO_HOSTS: Mapping[str, str] = MappingProxyType({})


def translate(
    operation: OldOperation, hosts: Mapping[str, str] = _NO_HOSTS
) -> DataDefinition | ProxyDefinition | ProgramDefinition:
    """Return what an operation's definition is here. Raises Refused, with a remark, if nothing can be made of it.

    ``hosts``: hosts of the old definitions, in lower case, → where they really are, such as localhost → 10.1.1.5.
    """
    match operation.kind:
        case "database":
            return data_definition(operation, sourcecode.read(operation.source, "database"), hosts)
        case "services":
            return proxy_definition(operation, sourcecode.read(operation.source, "services"), hosts)
    return program_definition(operation, sourcecode.read(operation.source, "program"))

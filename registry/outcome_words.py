"""How calls end, in words: a short sentence for each outcome, and the party that must act.

The texts of registry/faults.py are for callers, and have the details of one call. These name an outcome in lists,
filters and charts, where many calls share it.
"""

from __future__ import annotations

from typing import Any

from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from registry import faults

#: The outcomes of calls that have not ended, and that succeeded.
IN_PROGRESS, SUCCEEDED = 0, 200

#: Party → what its outcomes are called together.
PARTIES: dict[str, Any] = {
    "caller": _("The caller must act"),
    "provider": _("The providing agency must act"),
    "bus": _("The operator of MANTRA must act"),
}

#: Code of a fault → the sentence that names it, without details and without its first capital letter.
SENTENCES: dict[int, Any] = {
    10001: _("the access key was missing"),
    10002: _("there is no such operation"),
    10003: _("the address names no service"),
    10004: _("the address names no operation"),
    10005: _("parameters were missing"),
    10006: _("the upstream's WSDL cannot be read"),
    10007: _("the upstream's WSDL lacks the operation"),
    10008: _("the upstream refused the SOAP request"),
    10009: _("the upstream returned nothing"),
    10012: _("the upstream returned no data"),
    10018: _("a column's name cannot be an XML tag"),
    11001: _("the access key is unknown or revoked"),
    11002: _("the access key had expired"),
    11003: _("the access key may not be used from this address"),
    11004: _("the access key is for another operation"),
    11005: _("the application has no grant"),
    11006: _("the grant had ended"),
    11007: _("the grant was not valid yet"),
    11008: _("the grant is not valid from this address"),
    11009: _("the access key was in the URL"),
    11010: _("the operation is retired"),
    11011: _("the quota was used up"),
    11012: _("quotas could not be counted"),
    11101: _("a required parameter was missing"),
    11102: _("a parameter's value was invalid"),
    11103: _("a parameter is unknown"),
    11104: _("a parameter was given more than once"),
    11105: _("the request's body could not be read"),
    11106: _("the request's body was too large"),
    11107: _("the type of the request's body is not supported"),
    11108: _("the HTTP method is not allowed"),
    11109: _("the requested format is not available"),
    11110: _("the URL could not be read"),
    11111: _("the result cannot be written in this format"),
    11114: _("the SOAP envelope could not be read"),
    11115: _("the SOAP envelope had a DOCTYPE"),
    11116: _("SOAP attachments are not supported"),
    11117: _("a column's value was not of its declared type"),
    11118: _("a mandatory SOAP header is unknown"),
    11119: _("the SOAP version is unknown"),
    11120: _("a parameter that belongs to another one was missing"),
    11121: _("the request's body arrived too slowly"),
    11122: _("the caller took the response too slowly"),
    11123: _("too many large responses were being sent"),
    11124: _("the compression of the request's body is not supported"),
    11125: _("too many tries at a record did not agree: it is locked"),
    11126: _("too few fields were sent to be verified"),
    11201: _("the provider's database could not be reached"),
    11202: _("the provider's database rejected the query"),
    11203: _("the provider's database did not respond in time"),
    11204: _("all connections to the provider's database were in use"),
    11205: _("the upstream could not be reached"),
    11206: _("the upstream did not respond in time"),
    11207: _("the upstream's response could not be read"),
    11208: _("the operation's definition cannot be run"),
    11209: _("the upstream refused the request"),
    11210: _("the provider's database was failing, so calls to it were paused"),
    11211: _("a declared column was missing in the query's result"),
    11212: _("the call went round in a loop of buses"),
    11213: _("too many calls to the upstream were in progress"),
    11214: _("the response cannot be limited to the columns of the grant"),
    11215: _("a row of the provider's database was too large"),
    11216: _("the provider's data was locked by another transaction"),
    11220: _("the upstream was failing, so calls to it were paused"),
    11221: _("the upstream's response was too large"),
    11222: _("the upstream aborted its response"),
    11223: _("the upstream's address is not allowed"),
    11224: _("the upstream's certificate cannot be trusted"),
    11225: _("the upstream rejected MANTRA's credential"),
    11226: _("the request could not be converted for the upstream"),
    11227: _("the upstream responded with an error status"),
    11228: _("the upstream responded with a SOAP fault"),
    11229: _("the upstream's WSDL does not fit the operation"),
    11230: _("the operation with the verified data was retired, or lacked a column"),
    11301: _("there is no such job of this application"),
    11302: _("the operation cannot be run as a job"),
    11303: _("the rows of a job were in another format"),
    11304: _("the application had too many unfinished jobs"),
    11305: _("the files of the agency's jobs took too much room"),
    11306: _("the job was in another state"),
    11307: _("the results of the job were not ready"),
    11308: _("the files of the job were deleted"),
    11309: _("the files of jobs could not be stored or read"),
    11310: _("a job stopped before its end"),
    11401: _("the access was stopped to protect data"),
    11402: _("the quota of rows did not suffice"),
    11403: _("the quota of persons was used up"),
    11404: _("the access key was slowed down"),
    11405: _("the grant lacks a value or a legal basis"),
    11406: _("the response had personal data that nobody declared"),
    11411: _("the application may send signed requests only"),
    11412: _("the request's signature was not valid"),
    11413: _("a signed request was sent a second time"),
    11414: _("the signature was made at another time"),
    11421: _("the access token is unknown, expired or revoked"),
    11422: _("the access token is not for this operation"),
    11423: _("the client certificate was missing"),
    11424: _("the client certificate is not the application's, or has ended"),
    11901: _("MANTRA could not record the call"),
    11902: _("MANTRA was not ready"),
    11903: _("MANTRA stopped during the call"),
    11999: _("an error occurred in MANTRA"),
}


def sentence(code: int) -> str:
    """Return the short sentence about an outcome, or its number if it is none of this version."""
    if code == SUCCEEDED:
        return gettext("succeeded")
    if code == IN_PROGRESS:
        return gettext("in progress")
    return str(SENTENCES.get(code, code))


def title(code: int) -> str:
    """Return the short sentence about an outcome as a line of its own."""
    return str(capfirst(sentence(code)))


def codes_of(party: str) -> list[int]:
    """Return the faults on which a party must act."""
    return [code for code, kind in faults.TABLE.items() if kind.party == party]

"""SOAP 1.1 and 1.2, document/literal wrapped: /soap/{agency}/{service}, and ?wsdl.

spyne builds a WSDL for one binding only and keeps each for ever, and lxml keeps every name that a caller ever made
up: so the WSDL is written here, and envelopes are read with expat, which ends at a DOCTYPE.
"""

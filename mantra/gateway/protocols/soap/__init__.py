"""SOAP 1.1 and 1.2, document/literal wrapped: /soap/{agency}/{service}, and ?wsdl.

spyne builds a WSDL for one binding only and never frees it, and lxml never frees an XML name that a caller sent.
Therefore the WSDL is written here, and envelopes are parsed with expat, which stops at a DOCTYPE.
"""

"""Contracts: what callers and their tools need to call an operation, written from its definition.

OpenAPI and Postman documents of REST, and the page that shows them; gateway/protocols/soap has WSDLs and XML schemas.
All of it is written from the operations of the snapshot, which the call path uses too.
"""

"""The egress guard: finds personal data in responses where nobody declared it.

``text`` makes texts plain (encodings, digits of other scripts), ``scanner`` finds numbers and addresses in a text,
``prefilter`` tells quickly that there are none, ``bodies`` reads bytes as they come; these know no Django. ``guard`` applies
an operation's rule to results, ``findings`` counts for people what was found. docs/egress-guard.md says what it promises.
"""

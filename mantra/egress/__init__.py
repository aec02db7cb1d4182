"""The egress guard: finds personal data in responses where nobody declared it.

``text`` makes texts plain (escapes, digits of other scripts), ``scanner`` finds numbers and addresses in a text,
``prefilter`` tells quickly that there are none, ``bodies`` reads bytes as they come, ``values`` rows and documents, and
``guard`` applies an operation's rule to results. docs/egress-guard.md says what it promises.
"""

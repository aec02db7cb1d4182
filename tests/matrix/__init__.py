"""Exact values, a matrix: every type of every engine, and what each format shows of its values.

Each engine's table (``postgresql.py``, …) is written by hand: the type as the engine's SQL says it, the value as a
literal, and what JSON, XML, CSV and PHP show. The tests bring each through the real adapter and the real renderers;
``python -m tests.matrix --write`` makes docs/types.md of the same tables.
"""

"""Figures of papers, run again: what was published, what this library gets, how long it took.

One file a paper: its first line says what it is, `arguments` adds its options, `run` measures and prints.
"""

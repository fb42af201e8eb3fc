"""Reproductions of papers: the published figures, this library's figures, and the time they took.

One file for each paper. `arguments` adds its options to a parser, `run` measures and prints.
"""

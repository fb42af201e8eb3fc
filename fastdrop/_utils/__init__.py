"""Helpers for all folders: validation, buffers, atomic file writes, strict JSON, plots, progress.

This package imports nothing else of fastdrop.
"""

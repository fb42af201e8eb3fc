"""Shared by all folders: validation, buffers, atomic file writes, progress, plotting. Imports nothing of fastdrop but its core."""

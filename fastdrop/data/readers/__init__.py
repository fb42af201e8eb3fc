"""Readers of files: CSV, JSON lines, .npy and .npz, in blocks of rows."""

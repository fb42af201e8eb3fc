"""Readers of data files: bytes and lines, rows of text, tables (CSV, JSON lines), .npy and .npz."""

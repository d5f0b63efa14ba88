"""Findings in, a document out: one module a format."""

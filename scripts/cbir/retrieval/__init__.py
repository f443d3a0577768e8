"""Exact search, indexes, example queries and the vote of neighbours."""

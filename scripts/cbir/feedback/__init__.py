"""Relevance feedback: refine a query's ranking by images that were judged relevant or irrelevant."""

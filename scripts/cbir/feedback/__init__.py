"""Relevance feedback: a query's ranking is refined by images judged relevant or irrelevant."""

"""The report: its data, pictures and HTML."""

"""The search page: search in the results of a run, judge results round by round, and save that as a refinement."""

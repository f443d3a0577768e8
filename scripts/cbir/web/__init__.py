"""The search page: look for images in the results of a run, judge them round by round, save that as a refinement."""

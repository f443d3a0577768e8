"""The page: look for images in the results of a run, judge them round by round, and save that as a refinement."""

"""Metrics, the evaluation of a method, significance, comparison and doubtful labels."""

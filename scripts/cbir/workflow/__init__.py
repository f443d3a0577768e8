"""What only the DAG needs: the checked configuration, the code hash, jobs and the lock of a run."""

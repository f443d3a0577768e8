"""The configuration and its checks, the code hash, and what jobs and runs need around their work."""

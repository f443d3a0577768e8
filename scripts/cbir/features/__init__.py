"""Encoded shards, feature stores, and features derived from other methods' features."""

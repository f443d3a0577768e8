"""Images from a source: which are usable, their perceptual hashes, near-duplicates and splits."""

"""WorldBench: edits of procedural worlds, measured against the same worlds rendered as asked."""

"""Programs that print a table: parity, speed, memory. None of them is a test."""

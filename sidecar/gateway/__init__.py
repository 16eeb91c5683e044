"""The ten steps of an inquiry, as functions and as the one handler behind every door; no Flask, no SQL (P1–P3, P8)."""

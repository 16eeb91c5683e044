"""The by-pass watch: what a legacy system's own audit tells of reads that no inquiry of ours made (A1d)."""

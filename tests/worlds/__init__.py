"""Two worlds that differ in sealed records only: nobody who is not entitled can tell them apart (Q13, P3)."""

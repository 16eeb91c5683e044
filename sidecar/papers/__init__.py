"""Unit letters, applications, undertakings, uses and the seal register (Q5–Q8, R13, R17)."""

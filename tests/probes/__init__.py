"""An attacker with a budget asks four systems about persons, and guesses who has a sealed record."""

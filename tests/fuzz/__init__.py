"""Fuzzers of everything that reads bytes of others, each with an oracle; ``make fuzz`` runs them under atheris."""

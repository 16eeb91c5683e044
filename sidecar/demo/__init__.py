"""The demonstration: everything a deployment has, with synthetic persons, on one machine."""

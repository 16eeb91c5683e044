"""A policy-as-code authorization sidecar that keeps sealed juvenile criminal records sealed."""

__version__ = "0.1.0"

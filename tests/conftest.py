"""Fixtures that every test may ask for by name, and how properties are tried."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.support.mariadb", "tests.support.postgres", "tests.support.worlds"]

# A test's result must not depend on how busy the machine is: speed is measured in tests/benchmarks.
settings.register_profile("sidecar", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("sidecar")

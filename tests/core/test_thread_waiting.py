"""How OpenMP's threads wait: set before torch is loaded, never over the user's own setting."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, {"GOMP_SPINCOUNT": "1000"}),
        ({"GOMP_SPINCOUNT": "7"}, {"GOMP_SPINCOUNT": "7"}),
        ({"OMP_WAIT_POLICY": "active"}, {"OMP_WAIT_POLICY": "active"}),
    ],
)
def test_the_users_setting_wins(given, found):
    code = (
        "import os, sys, nas\n"
        "assert 'torch' not in sys.modules\n"
        "print({k: v for k, v in os.environ.items() if k in ('GOMP_SPINCOUNT', 'OMP_WAIT_POLICY')})"
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    run = subprocess.run([sys.executable, "-c", code], env={**environment, **given}, capture_output=True, text=True)
    assert run.stdout.strip() == str(found), run.stderr

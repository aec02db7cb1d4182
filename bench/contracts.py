"""Hold a running bus against the contract of one of its services, with requests that schemathesis makes from it.

    python -m bench.contracts http://127.0.0.1:8000 bkn/simpeg --key mtr_…

The key must have grants for the service's operations, which everybody must be able to find in the catalogue. Each
request is a real call: point it at a bus on which that does no harm.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).parent
#: Requests of each operation that are made at random, after those for each rule of the contract.
EXAMPLES = 200


def command(base: str, service: str, key: str, *options: str) -> list[str]:
    """Return the words that run schemathesis for a service of the bus at ``base``."""
    return [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml"), "run",
        f"{base}/catalog/{service}/openapi.json", "--header", f"AccessKey: {key}", "--no-color", *options,
    ]  # fmt: skip


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which schemathesis knows the rules that no schema has."""
    return {**own, "PYTHONPATH": str(HERE), "SCHEMATHESIS_HOOKS": "contract_rules"}


def main() -> int:
    """Run it for the service that the command line names. Return schemathesis's own exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.contracts", description="Hold a bus against a contract.")
    parser.add_argument("base", help="the URL of the bus, such as http://127.0.0.1:8000")
    parser.add_argument("service", help="the service, as agency/service")
    parser.add_argument("--key", required=True, help="an access key with grants for the service's operations")
    parser.add_argument("--examples", type=int, default=EXAMPLES, help="random requests of each operation")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    options = ("--max-examples", str(given.examples), "--seed", str(given.seed), "--continue-on-failure")
    words = command(given.base.rstrip("/"), given.service, given.key, *options)
    with tempfile.TemporaryDirectory() as folder:  # schemathesis keeps failed requests in the current folder
        return subprocess.run(words, env=environment(os.environ), cwd=folder, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())

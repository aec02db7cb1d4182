"""What settings read from the environment, for the tests. Loaded before Django is."""

import atexit
import base64
import os
import shutil
import tempfile
from pathlib import Path

from tests.servers import real

var = Path(tempfile.mkdtemp(prefix="mantra-test-"))
atexit.register(shutil.rmtree, var, ignore_errors=True)
(var / "journal").mkdir()
(var / "sources").mkdir()
(var / "static").mkdir()

real.check_names()
# The settings' own variables: those that name real servers are for the tests.
for name in [name for name in os.environ if name.startswith(("MANTRA_", "AUDIT_"))]:
    if name not in real.VARIABLES.values():
        del os.environ[name]
os.environ.update(
    MANTRA_VAR_DIR=str(var),
    MANTRA_SECRET_KEY=os.urandom(32).hex(),
    MANTRA_FIELD_KEYS=base64.urlsafe_b64encode(os.urandom(32)).decode(),
    MANTRA_KEY_PEPPERS="1:" + os.urandom(16).hex(),
    MANTRA_JOURNAL_KEY=os.urandom(16).hex(),
    MANTRA_RESPONSE_KEYS=os.urandom(32).hex(),
    MANTRA_HEAD_KEYS=os.urandom(32).hex(),
    MANTRA_SNAPSHOT_SECONDS="0",
    MANTRA_UPSTREAM_NETWORKS="127.0.0.0/8,::1/128,0.0.0.0/0,::/0",
)

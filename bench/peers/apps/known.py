"""What the environment says to every peer."""

from __future__ import annotations

import os

#: What psycopg2.connect takes.
DATABASE = {
    "host": "127.0.0.1",
    "port": int(os.environ.get("PEERS_PORT", "0")),
    "dbname": os.environ.get("PEERS_DATABASE", ""),
    "user": os.environ.get("PEERS_USER", ""),
    "password": os.environ.get("PEERS_PASSWORD", ""),
}
COLUMNS = os.environ["PEERS_COLUMNS"].split(",")
#: The SHA-256 of the one key.
DIGEST = os.environ.get("PEERS_DIGEST", "")
UPSTREAM = os.environ.get("PEERS_UPSTREAM", "")
SQLITE = os.environ.get("PEERS_SQLITE", "")
FETCH = 2000

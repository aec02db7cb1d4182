"""What the worker container runs: all that goes on beside the calls, until SIGTERM. HUP starts it again."""

import signal
import threading

from children import Children

stop = threading.Event()
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: stop.set())
children = Children()
# As gunicorn's HUP: new processes read secrets that are in files.
signal.signal(signal.SIGHUP, lambda *_: children.renew())
children.start()
stop.wait()
children.end()

"""What the worker container runs: all that goes on beside the calls, until SIGTERM."""

import signal
import threading

from children import Children

stop = threading.Event()
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: stop.set())
children = Children()
children.start()
stop.wait()
children.end()

"""The bus's HTTP server: a worker class for gunicorn, whose master starts, watches, reloads and stops the processes.

Threads share one epoll. The thread that learns of a connection's bytes reads the request, runs the application and
sends the response, so that a call passes from no thread to another. What a caller has not sent or not read yet waits
in the connection, and holds no thread.
"""

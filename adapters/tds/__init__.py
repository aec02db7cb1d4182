"""SQL Server and Sybase: pyodbc over FreeTDS, and the workarounds that both need.

FreeTDS as Debian 12 ships it (1.3.17), by experiment:

* Its time-out sends an attention and then waits as long again for the server (twice the cap), a log-in
  in TDS 5.0 has no time-out at all, and a closed socket ends any wait at once. So each connection has a twin of
  its socket here, through which ``socket_watch.watchdog`` cuts it at the cap and half a second.
* ``{call sp_executesql (…)}`` costs one round trip where a prepared statement costs two: any new value makes it
  prepare anew. Texts beyond 4,000 characters are cut without an error unless they are bound as LONG types.
* pyodbc cuts fractions of a second at six digits and refuses datetimeoffset: output converters read the bytes.
* SET ROWCOUNT would also limit the rows inside functions and views. The row cap is kept by not fetching more
  rows; an attention then ends the statement.
"""

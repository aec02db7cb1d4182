# The bus as one image: web, worker and migrate run it with different commands.

FROM python:3.11-slim-bookworm AS build
# mysqlclient comes as source only.
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev pkg-config default-libmysqlclient-dev
RUN python -m venv /opt/venv
COPY requirements.txt requirements-tracing.txt /tmp/
# 1: with what sends traces (MANTRA_TRACING).
ARG TRACING=0
RUN /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /tmp/requirements.txt \
        $([ "$TRACING" != 1 ] || echo "-r /tmp/requirements-tracing.txt") \
    && /opt/venv/bin/pip uninstall --yes --quiet setuptools pip


FROM python:3.11-slim-bookworm AS bus
# What the drivers of MySQL, SQL Server and Sybase load at run time.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libmariadb3 unixodbc tdsodbc \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/dpkg.log /var/log/apt
RUN groupadd --gid 10001 mantra \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin mantra \
    && install -d -o 10001 -g 10001 /var/lib/mantra /var/lib/mantra/journal /var/lib/mantra/sources \
        /var/lib/mantra/journal-archive /var/lib/mantra/fast-lane /var/lib/mantra/uploads /var/lib/mantra/files \
        /var/lib/mantra/metrics /var/lib/mantra/exports /var/lib/mantra/jobs

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOST=0.0.0.0 \
    PORT=8000 \
    MANTRA_VAR_DIR=/var/lib/mantra \
    MANTRA_STATIC_FROM_PACKAGES=0

COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY . .
# The values serve this one command only, and open nothing.
RUN python -m compileall -q . \
    && MANTRA_SECRET_KEY=build MANTRA_FIELD_KEYS=build MANTRA_KEY_PEPPERS=1:build-build-build MANTRA_JOURNAL_KEY=build \
       python manage.py collectstatic --noinput

USER 10001:10001
EXPOSE 8000
CMD ["python", "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "mantra.wsgi:application"]


# Only "docker compose run backup" builds and runs it: pg_dump must not be older than the server, and Debian's is.
FROM bus AS backup
USER 0:0
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates postgresql-common \
    && /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y \
    && apt-get install -y --no-install-recommends postgresql-client-17 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/dpkg.log /var/log/apt
USER 10001:10001
ENTRYPOINT ["python", "manage.py"]
CMD ["backup", "/backup"]

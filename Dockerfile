# syntax=docker/dockerfile:1
# Two images: the service (without torch; it also migrates and backs up the database) and the worker.
#
#   docker build --target service --tag schedule-tuner-service .
#   docker build --target worker --tag schedule-tuner-worker .
#
# The worker's torch is the one that the package index serves: for Linux that is the one with CUDA, which works without
# a GPU too. Another index, of builds for the CPU alone say, is named with --build-arg PIP_EXTRA_INDEX_URL=...

#
# Name a digest to pin what both are built from: --build-arg PYTHON_IMAGE=python@sha256:...
ARG PYTHON_IMAGE=python:3.11-slim-trixie

FROM ${PYTHON_IMAGE} AS build
ARG PIP_EXTRA_INDEX_URL
ENV PATH=/opt/tuner/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/tuner
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
# Empty packages, so that a change in the code does not install everything anew.
RUN mkdir --parents tuner service/tuner_service worker/tuner_worker migrations/tuner_migrations && touch tuner/__init__.py

FROM build AS build-service
RUN pip install --constraint constraints.txt ".[service,postgres]"
COPY tuner tuner
COPY service service
COPY worker worker
COPY migrations migrations
RUN pip install --no-deps --force-reinstall .

FROM build AS build-worker
RUN pip install --constraint constraints.txt ".[worker,postgres]"
COPY tuner tuner
COPY service service
COPY worker worker
COPY migrations migrations
RUN pip install --no-deps --force-reinstall .

FROM ${PYTHON_IMAGE} AS base
RUN useradd --system --uid 10001 --user-group --home-dir /data --shell /usr/sbin/nologin tuner \
    && install --directory --owner=tuner --group=tuner --mode=0750 /data
COPY --chmod=755 deploy/entrypoint.sh /usr/local/bin/tuner-entrypoint
ENV PATH=/opt/tuner/bin:$PATH PYTHONUNBUFFERED=1 MPLCONFIGDIR=/tmp/matplotlib TUNER_DATA_DIR=/data
WORKDIR /data
ENTRYPOINT ["tuner-entrypoint"]

FROM base AS service
# pg_dump, pg_restore and psql, for `tuner db backup` and `restore`: of the same release as the server in
# docker-compose.yml, or a newer one.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends postgresql-client \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build-service /opt/tuner /opt/tuner
VOLUME /data
USER tuner
ENV TUNER_HOST=0.0.0.0 TUNER_PORT=8642
EXPOSE 8642
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import http.client, sys; there = http.client.HTTPConnection('127.0.0.1', 8642, timeout=4); there.request('GET', '/readyz'); sys.exit(there.getresponse().status != 200)"]
CMD ["python", "-m", "tuner_service"]

FROM base AS worker
# Training code runs as a user of its own; the worker is in that user's group, by which it deletes snapshots.
RUN useradd --system --uid 10002 --user-group --home-dir /data/runner --shell /usr/sbin/nologin tuner-runner \
    && usermod --append --groups tuner-runner tuner \
    && install --directory --owner=tuner-runner --group=tuner-runner --mode=0700 /data/runner
COPY --from=build-worker /opt/tuner /opt/tuner
VOLUME /data
# As root: the entrypoint becomes the user tuner, who may become tuner-runner.
USER root
ENV TUNER_METRICS_HOST=0.0.0.0 TUNER_METRICS_PORT=9464
EXPOSE 9464
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import http.client, sys; there = http.client.HTTPConnection('127.0.0.1', 9464, timeout=4); there.request('GET', '/metrics'); sys.exit(there.getresponse().status != 200)"]
CMD ["python", "-m", "tuner_worker"]

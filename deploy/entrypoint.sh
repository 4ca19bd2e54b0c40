#!/bin/sh
# Starts the command of a container. The database's password comes as a file (PGPASSWORD_FILE, a secret of the
# container engine's), which PostgreSQL's client library does not read by itself.
set -eu
if [ -n "${PGPASSWORD_FILE:-}" ]; then
    PGPASSWORD=$(cat "$PGPASSWORD_FILE")
    export PGPASSWORD
    unset PGPASSWORD_FILE
fi
exec "$@"

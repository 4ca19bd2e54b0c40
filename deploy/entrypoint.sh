#!/bin/sh
# Starts the command of a container. The database's password comes as a file (PGPASSWORD_FILE, a secret of the
# container engine's), which PostgreSQL's client library does not read by itself.
set -eu
if [ -n "${PGPASSWORD_FILE:-}" ]; then
    PGPASSWORD=$(cat "$PGPASSWORD_FILE")
    export PGPASSWORD
    unset PGPASSWORD_FILE
fi
# In the worker's image, started as root: the worker becomes a user with no right but to start and to end processes of
# the user that training code runs as. Started as another user, the container runs training code as that one too.
if [ "$(id -u)" = 0 ] && id tuner-runner > /dev/null 2>&1; then
    export HOME=/data TUNER_RUNNER_USER="${TUNER_RUNNER_USER:-tuner-runner}"
    rights=-all,+setuid,+setgid,+kill
    exec setpriv --reuid=tuner --regid=tuner --init-groups --no-new-privs \
        --inh-caps="$rights" --ambient-caps="$rights" "$@"
fi
exec "$@"

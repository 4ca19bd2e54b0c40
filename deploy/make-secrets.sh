#!/bin/sh
# Creates the secrets that docker-compose.yml needs, where they do not exist. Keep a copy of them with the backups.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
for name in postgres_password secret_key; do
    if [ ! -e "secrets/$name" ]; then
        head -c 32 /dev/urandom | od -A n -t x1 | tr -d ' \n' > "secrets/$name"
        # The containers read it as another user; on this machine the folder's mode protects it.
        chmod 444 "secrets/$name"
        echo "made deploy/secrets/$name"
    fi
done

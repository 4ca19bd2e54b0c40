#!/bin/sh
# Creates the secrets that docker-compose.yml needs, where they do not exist. Keep a copy of them with the backups.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
for name in superuser_password owner_password service_password worker_password secret_key; do
    if [ ! -e "secrets/$name" ]; then
        head -c 32 /dev/urandom | od -A n -t x1 | tr -d ' \n' > "secrets/$name"
        # The containers read it as another user; on this machine the folder's mode protects it. Beside the workers'
        # password runs training code: only root may read it there.
        case $name in worker_password) chmod 400 "secrets/$name" ;; *) chmod 444 "secrets/$name" ;; esac
        echo "made deploy/secrets/$name"
    fi
done

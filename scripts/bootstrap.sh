#!/usr/bin/env sh
# Prepares .venv for running and testing the project. Safe to call again: it does nothing when nothing changed.
#
#   sh scripts/bootstrap.sh            # uses python3
#   PYTHON=python3.12 sh scripts/bootstrap.sh
#   VENV=.venv-all EXTRAS=dev,lightning sh scripts/bootstrap.sh    # another folder, other extras
#
# uv installs it in seconds; where uv cannot, pip does the same. uv reads none of pip's settings, so the folders
# in which pip is set to find wheels are passed on: an offline or CPU-only machine provides its own build of torch that
# way. On any other machine the same pin resolves to the build of its package index. uv trusts the certificates of the
# system, as pip does.
set -eu
cd "$(dirname "$0")/.."
python="${PYTHON:-python3}"
venv="${VENV:-.venv}"
extras="${EXTRAS:-dev}"
ready="$venv/.ready"

stamp=$(echo "$extras" | cat - pyproject.toml constraints.txt scripts/bootstrap.sh | cksum)
if [ -f "$ready" ] && [ "$(cat "$ready")" = "$stamp" ]; then
    exit 0
fi

"$python" - <<'PY' || exit 1
import sys
if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    sys.exit(f"Schedule Tuner needs Python 3.11 to 3.13, this is {sys.version.split()[0]}: set PYTHON=python3.12, say")
PY
if [ ! -x "$venv/bin/python" ]; then
    echo "bootstrap: making $venv"
    "$python" -m venv "$venv" || {
        echo "bootstrap: $python cannot make virtual environments (on Debian and Ubuntu: apt-get install python3-venv)" >&2
        exit 1
    }
fi

pip="$venv/bin/python -m pip"
find_links=$(
    {
        printf '%s\n' "${UV_FIND_LINKS:-}" | tr ',' '\n'
        printf '%s\n' "${PIP_FIND_LINKS:-}" | tr ' ' '\n'
        $pip config get global.find-links 2>/dev/null | tr ' ' '\n' || true
    } | sed '/^$/d' | sort -u | paste -s -d ',' -
)

echo "bootstrap: installing the project and what it needs (first time: a minute or two)"
$pip install --quiet --disable-pip-version-check -c constraints.txt uv 2>/dev/null || true
if ! { [ -x "$venv/bin/uv" ] && UV_FIND_LINKS="$find_links" UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-1}" VIRTUAL_ENV="$PWD/$venv" \
       "$venv/bin/uv" pip install --quiet -c constraints.txt -e ".[$extras]"; }; then
    echo "bootstrap: uv could not do it, trying pip"
    $pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$extras]"
fi

# uv writes no byte code; without it every start of a torch process costs ten seconds. torch loads its larger half only
# when the first optimizer is built.
echo "bootstrap: warming the byte code"
env -u PYTHONDONTWRITEBYTECODE "$venv/bin/python" - <<'PY' || true
import alembic, fastapi, httpx2, matplotlib.figure, optuna, psycopg, rich, schemathesis, scipy.stats, sklearn.datasets
import sqlalchemy, torch, transformers, typer, uvicorn

torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
PY
printf '%s' "$stamp" > "$ready"
echo "bootstrap: ready"

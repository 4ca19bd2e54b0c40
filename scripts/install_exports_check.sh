#!/usr/bin/env sh
# Installs into .venv the libraries that exported schedules are checked in, beside the torch that is there.
#
# timm comes without what it depends on: its schedulers need torch alone, and the torchvision that it asks for would
# have to fit this build of torch. `rm -r .venv && make bootstrap` brings the
# old state back.
set -eu
cd "$(dirname "$0")/.."
pip="env VIRTUAL_ENV=$PWD/.venv UV_SYSTEM_CERTS=${UV_SYSTEM_CERTS:-1} .venv/bin/uv pip install --quiet -c constraints.txt"
torch=$(.venv/bin/python -c "import torch; print(torch.__version__)")
echo "test-exports: installing the libraries beside torch $torch (first time: a few minutes)"
printf 'torch==%s\n' "$torch" | $pip -c - -e '.[exports-check]'
$pip --no-deps 'timm>=1.0.30'

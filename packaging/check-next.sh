#!/usr/bin/env bash
# Compiles and tests against the libraries of the next Debian, in a chroot. Run by `make check-next`; needs root.
set -euo pipefail
cd "$(dirname "$0")/.."
source packaging/chroot.sh
need_root
suite=trixie
folder=$PWD/build/chroot/$suite
mapfile -t packages < <(cmake/setup.sh list test)
chroot_make "$suite" "$folder" "${packages[@]}" git iproute2
rm -rf "$folder/src"
mkdir -p "$folder/src"
git archive HEAD | tar -x -C "$folder/src"
chroot_run "$folder" bash -ec '
  cd /src
  cmake --preset dev >/dev/null
  cmake --build --preset dev
  ctest --preset dev'

#!/usr/bin/env bash
# Installs the Debian packages that a step needs and that are missing. Safe to repeat; quiet when nothing is missing.
# Usage: cmake/setup.sh build|demo|test|clients|lint
set -euo pipefail

build="g++ cmake ninja-build pkg-config ccache
  libboost-dev libssl-dev libsqlite3-dev libc-ares-dev nlohmann-json3-dev libspdlog-dev libcli11-dev libpsl-dev
  libidn2-dev prometheus-cpp-dev"
demo="$build certbot python3-dnslib openssl curl"
case "${1:-}" in
  build) wanted="$build" ;;
  test) wanted="$build doctest-dev libpq-dev postgresql-15 python3 python3-dnslib openssl" ;;
  demo) wanted="$demo" ;;
  clients) wanted="$demo lego uacme dehydrated acme-tiny nodejs npm" ;;
  lint) wanted="$build doctest-dev libpq-dev clang-19 clang-tidy-19 clang-format-19 libclang-rt-19-dev gcovr" ;;
  *) echo "usage: cmake/setup.sh build|demo|test|clients|lint" >&2; exit 2 ;;
esac

# A tool that is there already, however it came, is as good as its package.
have() {
  case "$1" in
    nodejs) command -v node >/dev/null && return 0 ;;
    npm) command -v npm >/dev/null && return 0 ;;
  esac
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=()
for package in $wanted; do
  have "$package" || missing+=("$package")
done
[ "${#missing[@]}" -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
  echo "setup: this needs Debian 12's packages: ${missing[*]}" >&2
  exit 1
fi
root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "setup: run as root or install sudo; missing: ${missing[*]}" >&2; exit 1; }
  root=(sudo)
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "setup: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
if ! { "${root[@]}" apt-get update && "${root[@]}" apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "setup: apt-get failed (above); nothing was built" >&2
  exit 1
fi
echo "setup: done"

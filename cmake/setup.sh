#!/usr/bin/env bash
# Installs the Debian packages that a step needs and that are missing. Safe to repeat; quiet when nothing is missing.
# Usage: cmake/setup.sh build|demo|test|proxies|backends|clients|bench|bench-peers|bench-obtain|lint|package
#        cmake/setup.sh list KIND    prints the packages of that kind and installs nothing
set -euo pipefail

build="g++ cmake ninja-build pkg-config ccache
  libboost-dev libssl-dev libsqlite3-dev libc-ares-dev nlohmann-json3-dev libspdlog-dev libcli11-dev libpsl-dev
  libidn2-dev prometheus-cpp-dev libsystemd-dev libcurl4-openssl-dev"
demo="$build certbot python3-dnslib openssl curl"
kind=${1:-}
[ "$kind" != list ] || kind=${2:-}
case "$kind" in
  build) wanted="$build" ;;
  test) wanted="$build doctest-dev libpq-dev postgresql python3 python3-cryptography python3-dnslib openssl iproute2 unbound ldnsutils
    man-db bsdextrautils zsh fish" ;;
  demo) wanted="$demo" ;;
  proxies) wanted="$demo nginx-light haproxy caddy" ;;
  backends) wanted="$demo golang-go" ;;
  clients) wanted="$demo lego uacme dehydrated acme-tiny caddy apache2-bin ruby-acme-client nodejs npm golang-go cargo-web" ;;
  bench) wanted="$build libbenchmark-dev python3 openssl" ;;
  bench-peers) wanted="$build libpcsclite-dev python3 openssl" ;;
  bench-obtain) wanted="$build libpcsclite-dev python3 python3-dnslib openssl lego certbot socat" ;;
  lint) wanted="$build doctest-dev libpq-dev clang-19 clang-tidy-19 clang-format-19 libclang-rt-19-dev gcovr" ;;
  package) wanted="debhelper dpkg-dev lintian debootstrap iproute2 util-linux" ;;
  *) echo "usage: cmake/setup.sh [list] build|demo|test|proxies|backends|clients|bench|bench-peers|bench-obtain|lint|package" >&2; exit 2 ;;
esac
if [ "$1" = list ]; then
  printf '%s\n' $wanted
  exit 0
fi

# A build folder that was copied with its tree still names the place that it came from, and CMake refuses it.
for cache in build/*/CMakeCache.txt; do
  [ -e "$cache" ] || continue
  home=$(sed -n 's/^CMAKE_HOME_DIRECTORY:INTERNAL=//p' "$cache")
  [ "$home" -ef . ] || rm -rf "$cache" "${cache%/*}/CMakeFiles"
done

# A tool that is there already, however it came, is as good as its package.
have() {
  case "$1" in
    nodejs) command -v node >/dev/null && return 0 ;;
    npm) command -v npm >/dev/null && return 0 ;;
    golang-go) command -v go >/dev/null && return 0 ;;
    cargo-web) command -v cargo >/dev/null && return 0 ;;
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

# Only the programs are wanted: services that come along are started neither now, for which Debian asks policy-rc.d, nor at
# boot. The policy that stood there answers for all others meanwhile and stands there afterwards.
policy=/usr/sbin/policy-rc.d
services=()
for package in "${missing[@]}"; do
  case "$package" in
    caddy) services+=(caddy caddy-api) ;;
    haproxy) services+=(haproxy) ;;
    nginx-light) services+=(nginx) ;;
    unbound) services+=(unbound unbound-resolvconf) ;;
  esac
done
keep_services_quiet() {
  trap 'rm -f "$log"; restore_policy' EXIT
  if [ -e "$policy" ] && ! grep -q "$policy.aside" "$policy"; then "${root[@]}" mv "$policy" "$policy.aside"; fi
  local names
  names=$(IFS='|'; echo "${services[*]}")
  "${root[@]}" tee "$policy" >/dev/null <<SCRIPT
#!/bin/sh
case "\${1%.service}" in $names) exit 101 ;; esac
[ ! -x $policy.aside ] || exec $policy.aside "\$@"
SCRIPT
  "${root[@]}" chmod 755 "$policy"
}
restore_policy() {
  if [ -e "$policy.aside" ]; then "${root[@]}" mv "$policy.aside" "$policy"; else "${root[@]}" rm -f "$policy"; fi
}
[ "${#services[@]}" -eq 0 ] || keep_services_quiet
export DEBIAN_FRONTEND=noninteractive
if ! { "${root[@]}" apt-get update && "${root[@]}" apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "setup: apt-get failed (above); nothing was built" >&2
  exit 1
fi
if [ "${#services[@]}" -gt 0 ] && command -v systemctl >/dev/null; then  # without systemd nothing starts them at boot
  "${root[@]}" systemctl disable --quiet "${services[@]}" >/dev/null 2>&1 ||
    echo "setup: ${services[*]} could not be kept from starting at boot: systemctl disable ${services[*]}" >&2
fi
echo "setup: done"

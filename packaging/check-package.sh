#!/usr/bin/env bash
# Tries the package in a Debian 12 of its own: install, a CA, the server under its own user, upgrade over itself, remove,
# purge. Run by `make check-package`; needs root.
set -euo pipefail
cd "$(dirname "$0")/.."
source packaging/chroot.sh
need_root
base=$PWD/build/chroot/bookworm
work=$PWD/build/chroot/package
chroot_make bookworm "$base" adduser ca-certificates curl openssl man-db libspdlog1.10 libpsl5 libidn2-0 libc-ares2 libsqlite3-0 \
  libprometheus-cpp-core1.0 libcurl4
rm -rf --one-file-system "$work"
cp -a "$base" "$work"
deb=$(echo build/package/gatehouse_*.deb)
cp "$deb" "$work/root/gatehouse.deb"
cp packaging/check-inside.sh "$work/root/"
# Whatever apt has to fetch comes before the network is cut off.
apt_here=(chroot "$work" env DEBIAN_FRONTEND=noninteractive apt-get -o APT::Install-Recommends=false -qq -y)
"${apt_here[@]}" install /root/gatehouse.deb >"$work.log" 2>&1 || { tail -n 30 "$work.log" >&2; exit 1; }
grep -A 4 '^gatehouse:' "$work.log"
chroot_run "$work" bash /root/check-inside.sh
rm -rf --one-file-system "$work"

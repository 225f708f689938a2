#!/usr/bin/env bash
# Makes build/package/gatehouse_<version>_<architecture>.deb from the release binary. Run by `make package`.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=build/release/gatehouse
version=$(sed -n 's/^project(gatehouse VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
out=build/package
stage="$out/gatehouse-$version"
rm -rf "$out"
completions=(bash-completion/completions/gatehouse zsh/vendor-completions/_gatehouse fish/vendor_completions.d/gatehouse.fish)
mkdir -p "$stage/files/usr/bin" "$stage/files/doc"

cp -r packaging/debian "$stage/debian"
cp packaging/systemd/gatehouse.service packaging/systemd/gatehouse.socket "$stage/debian/"
cp packaging/systemd/gatehouse-public.socket "$stage/debian/gatehouse.gatehouse-public.socket"
cp packaging/systemd/gatehouse-signer.service "$stage/debian/gatehouse.gatehouse-signer.service"
install -m 0755 "$binary" "$stage/files/usr/bin/gatehouse"
"$binary" man >"$stage/files/gatehouse.8"
for completion in "${completions[@]}"; do
  mkdir -p "$stage/files/usr/share/$(dirname "$completion")"
  shell=${completion%%/*}
  "$binary" completion "${shell%-completion}" >"$stage/files/usr/share/$completion"
done
cp README.md docs/*.md packaging/monitoring/* config/gatehouse.example.json config/gatehouse.schema.json "$stage/files/doc/"
cp -r docs/backends packaging/examples "$stage/files/doc/"

# One tree gives one package: dates come from the last commit.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CMakeLists.txt)
export SOURCE_DATE_EPOCH
cat >"$stage/debian/changelog" <<CHANGELOG
gatehouse ($version) unstable; urgency=medium

  * Gatehouse $version.

 -- Gatehouse maintainers <maintainers@gatehouse.example>  $(date --utc --date="@$SOURCE_DATE_EPOCH" +'%a, %d %b %Y %H:%M:%S +0000')
CHANGELOG
log="$out/build.log"
if ! (cd "$stage" && DEB_BUILD_OPTIONS=noautodbgsym dpkg-buildpackage --build=binary --unsigned-changes --no-check-builddeps) >"$log" 2>&1; then
  tail -n 30 "$log" >&2
  exit 1
fi
deb=$(echo "$out"/gatehouse_*.deb)
if command -v lintian >/dev/null; then
  lintian --allow-root --fail-on error --tag-display-limit 0 "$deb"
fi
echo "$deb"

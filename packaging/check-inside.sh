#!/usr/bin/env bash
# Inside the chroot of check-package.sh, with the package installed. Every line of output is a thing that was looked at.
set -euo pipefail
step() { echo "--- $*"; }
fail() { echo "FAILED: $*" >&2; exit 1; }
become_server=(setpriv --reuid gatehouse --regid gatehouse --init-groups --no-new-privs)

step "its own user and folders"
getent passwd gatehouse | grep -q ':/var/lib/gatehouse:/usr/sbin/nologin$' || fail "user gatehouse"
for folder in /etc/gatehouse /var/lib/gatehouse; do
  [ "$(stat -c '%U %a' "$folder")" = "gatehouse 700" ] || fail "$folder is $(stat -c '%U %a' "$folder")"
done
[ -z "$(find /usr/bin/gatehouse -perm /6022)" ] || fail "mode of the binary"

step "man page, completion, units"
man -w gatehouse >/dev/null || fail "no man page"
for document in operations.md gatehouse.schema.json; do
  test -s "/usr/share/doc/gatehouse/$document" || fail "no /usr/share/doc/gatehouse/$document, which units and configs name"
done
man --warnings=all -E UTF-8 -Tutf8 -Z gatehouse 2>&1 >/dev/null | { ! grep . || fail "the man page has warnings"; }
bash -n /usr/share/bash-completion/completions/gatehouse
for completion in zsh/vendor-completions/_gatehouse fish/vendor_completions.d/gatehouse.fish; do
  test -s "/usr/share/$completion" || fail "no /usr/share/$completion"
done
for unit in gatehouse.service gatehouse.socket gatehouse-public.socket gatehouse-signer.service; do
  [ -e "/lib/systemd/system/$unit" ] || fail "$unit is not installed"
done

step "a CA, made as the package says"
"${become_server[@]}" gatehouse init --directory /etc/gatehouse --data /var/lib/gatehouse --systemd \
  --base-url https://localhost --name "Package Check" >/dev/null
"${become_server[@]}" gatehouse check-config --config /etc/gatehouse/gatehouse.json >/dev/null

step "the server, as its own user"
start() {
  # What the socket units do is done here by addresses of loopback.
  "${become_server[@]}" gatehouse serve --config /etc/gatehouse/gatehouse.json \
    --set 'listeners={"acme":[{"address":"127.0.0.1","port":14443}],"public":[{"address":"127.0.0.1","port":14080}]}' \
    2>/tmp/server.log &
  server=$!
  until grep -q server.ready /tmp/server.log; do
    kill -0 "$server" 2>/dev/null || { cat /tmp/server.log; fail "no start"; }
    sleep 0.1
  done
}
stop() {
  kill -TERM "$server"
  wait "$server" || fail "the server ended with $?"
}
start
uid=$(awk '/^Uid:/ { print $2 }' "/proc/$server/status")
[ "$uid" = "$(id -u gatehouse)" ] || fail "runs as user $uid"
curl -sS --fail --cacert /etc/gatehouse/ca/root.pem --connect-to localhost:443:127.0.0.1:14443 https://localhost/directory | grep -q newOrder ||
  fail "no directory"
gatehouse status --config /etc/gatehouse/gatehouse.json >/tmp/status || fail "gatehouse status as root"
grep -q localhost /tmp/status || { cat /tmp/status; fail "gatehouse status"; }
stop
[ -z "$(find /etc/gatehouse /var/lib/gatehouse ! -user gatehouse)" ] || fail "files of another user"

step "commands as root leave no file that the server cannot use"
gatehouse certificate list --config /etc/gatehouse/gatehouse.json >/dev/null || fail "gatehouse certificate list"
[ -z "$(find /etc/gatehouse /var/lib/gatehouse ! -user gatehouse)" ] || fail "files of another user"

step "installed over itself: the CA stays"
before=$(sha256sum /etc/gatehouse/ca/issuer.key)
dpkg -i /root/gatehouse.deb >/dev/null 2>&1
[ "$(sha256sum /etc/gatehouse/ca/issuer.key)" = "$before" ] || fail "the key has changed"
start
stop

step "removed: the CA stays, the program goes"
dpkg -r gatehouse >/dev/null 2>&1
[ ! -e /usr/bin/gatehouse ] && [ -e /etc/gatehouse/ca/issuer.key ] || fail "remove"

step "purged: a CA is kept, and said so; an empty installation leaves nothing"
said=$(dpkg -P gatehouse 2>&1)
case "$said" in *"holds a CA"*) ;; *) fail "purge says: $said" ;; esac
[ -e /etc/gatehouse/ca/issuer.key ] || fail "purge has deleted a CA"
rm -rf /etc/gatehouse /var/lib/gatehouse
dpkg -i /root/gatehouse.deb >/dev/null 2>&1
dpkg -P gatehouse >/dev/null 2>&1
left=$(find / -xdev \( -path /proc -o -path /dev -o -path /tmp -o -path /root \) -prune -o -name '*gatehouse*' -print | grep -v '^/var/log\|^/var/cache' || true)
[ -z "$left" ] || fail "left behind: $left"
echo "the package installs, runs under its own user and removes cleanly"

#!/usr/bin/env bash
# What `make demo` runs: a CA, a server, and a certificate for an unmodified certbot, every step shown.
#   --once   stop everything after the check; the exit status is the check's
# Everything it makes is in demo/, made anew each time. Nothing outside is touched; all traffic stays on loopback.
set -euo pipefail
cd "$(dirname "$0")/.."

once=no
case "${1:-}" in
  --once) once=yes ;;
  "") ;;
  *) echo "usage: conformance/demo.sh [--once]" >&2; exit 2 ;;
esac

gatehouse=${GATEHOUSE:-$PWD/build/release/gatehouse}
home=$PWD/demo
acme_port=${DEMO_ACME_PORT:-14000}
public_port=${DEMO_PUBLIC_PORT:-14080}
operations_port=${DEMO_OPERATIONS_PORT:-14090}
http01_port=${DEMO_HTTP01_PORT:-15002}
name=www.demo.test

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
show() {
  printf '  $ %s\n' "$*"
  "$@" 2>&1 | sed 's/^/    /'
  return "${PIPESTATUS[0]}"
}

server= responder=
stop() {
  trap - EXIT INT TERM
  for pid in $server $responder; do kill "$pid" 2>/dev/null || true; done
  for pid in $server $responder; do wait "$pid" 2>/dev/null || true; done
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

[ -x "$gatehouse" ] || { echo "demo: $gatehouse is missing: run make build" >&2; exit 1; }
if [ -e "$home" ] && [ ! -e "$home/.made-by-demo" ]; then
  echo "demo: $home exists and was not made by this demo: move it away" >&2
  exit 1
fi
rm -rf "$home"
mkdir -p "$home"
touch "$home/.made-by-demo"

say "1. Make a CA: a root to take away, an issuer that stays, a config file"
show "$gatehouse" init --directory "$home/gatehouse" --base-url "https://localhost:$acme_port" \
  --public-url "http://localhost:$public_port" --name "Gatehouse Demo"

say "2. Start a DNS responder for *.demo.test on loopback: no name leaves this machine"
/usr/bin/python3 conformance/support/dns_responder.py --port 0 --default-address 127.0.0.1 >"$home/dns.log" 2>&1 &
responder=$!
for _ in $(seq 100); do
  dns=$(sed -n 's/^listening on //p' "$home/dns.log")
  [ -z "$dns" ] || break
  kill -0 "$responder" 2>/dev/null || { cat "$home/dns.log" >&2; exit 1; }
  read -r -t 0.1 <> <(:) || true
done
[ -n "$dns" ] || { echo "demo: the DNS responder did not start: $home/dns.log" >&2; exit 1; }
echo "    listening on $dns"

say "3. Start the server: HTTPS with a certificate from its own CA, SQLite, http-01 on port $http01_port"
settings=(
  --set "listeners.acme=[{\"address\":\"127.0.0.1\",\"port\":$acme_port}]"
  --set "listeners.public=[{\"address\":\"127.0.0.1\",\"port\":$public_port}]"
  --set "listeners.operations=[{\"address\":\"127.0.0.1\",\"port\":$operations_port}]"
  --set "resolver.servers=[\"$dns\"]"
  --set 'resolver.dnssec=off'
  --set "validators.http01.port=$http01_port"
  --set 'profiles.default.allowed_addresses=["127.0.0.1/32"]'
  --set 'log.format=console'
)
serve=("$gatehouse" serve --config "$home/gatehouse/gatehouse.json" "${settings[@]}")
printf '  $ %s serve --config %s' "$gatehouse" "$home/gatehouse/gatehouse.json"
printf " \\\\\n      %s '%s'" "${settings[@]}"
printf '\n'
"${serve[@]}" >"$home/server.log" 2>&1 &
server=$!
ready="http://127.0.0.1:$operations_port/readyz"
for _ in $(seq 100); do
  curl -fsS -o "$home/ready.json" "$ready" 2>/dev/null && break
  kill -0 "$server" 2>/dev/null || { sed 's/^/    /' "$home/server.log" >&2; exit 1; }
  read -r -t 0.1 <> <(:) || true
done
curl -fsS -o /dev/null "$ready" || { sed 's/^/    /' "$home/server.log" >&2; exit 1; }
sed 's/^/    /' "$home/server.log"

say "4. An unmodified certbot asks for $name, proven by http-01"
directory="https://localhost:$acme_port/directory"
root="$home/gatehouse/ca/root.pem"
certbot=(certbot certonly --non-interactive --standalone --preferred-challenges http
  --http-01-address 127.0.0.1 --http-01-port "$http01_port" --server "$directory" --agree-tos --email ops@demo.test --no-eff-email
  --config-dir "$home/certbot" --work-dir "$home/certbot/work" --logs-dir "$home/certbot/logs" -d "$name")
show env REQUESTS_CA_BUNDLE="$root" "${certbot[@]}"

say "5. openssl checks it against the root"
live="$home/certbot/live/$name"
status=0
show openssl verify -CAfile "$root" -untrusted "$live/chain.pem" -verify_hostname "$name" "$live/cert.pem" || status=$?
show openssl x509 -in "$live/cert.pem" -noout -subject -issuer -dates -ext subjectAltName

if [ "$status" -ne 0 ]; then
  echo "demo: the certificate does not verify" >&2
  exit "$status"
fi
echo
echo "The root: $root"
show openssl x509 -in "$root" -noout -fingerprint -sha256

if [ "$once" = yes ]; then
  say "Done: the certificate verifies."
  exit 0
fi

say "The server runs on; Ctrl-C stops it. Try, in another terminal:"
cat <<TEXT
  curl --cacert $root $directory
  REQUESTS_CA_BUNDLE=$root ${certbot[*]:0:2} --standalone \\
    --http-01-port $http01_port --server $directory --config-dir $home/certbot --work-dir $home/certbot/work \\
    --logs-dir $home/certbot/logs -d another.demo.test
  curl http://localhost:$public_port/root.pem
  curl http://localhost:$operations_port/metrics

TEXT
tail -n +1 -f --pid="$server" "$home/server.log" &
tail=$!
wait "$server" || status=$?
kill "$tail" 2>/dev/null || true
exit "$status"

#!/usr/bin/env bash
# What `make proxies` runs: certbot gets a certificate through nginx, HAProxy and Caddy, each with its config beside this file, and
# Gatehouse's log names the client's address, not the proxy's. All traffic stays on loopback; nothing is left behind.
set -euo pipefail
cd "$(dirname "$0")/../.."

gatehouse=${GATEHOUSE:-$PWD/build/release/gatehouse}
folder=$(mktemp -d)
port=14600 upstream=14601 public_port=14602 operations_port=14603 http01_port=14604
pids=()
finish() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$folder"
}
trap finish EXIT

# Waits until a command succeeds; fails when `pid` has ended, or after 10 seconds.
until_done() {
  local pid=$1
  shift
  for _ in $(seq 100); do
    "$@" >/dev/null 2>&1 && return
    kill -0 "$pid" 2>/dev/null || return 1
    read -r -t 0.1 <> <(:) || true
  done
  return 1
}

"$gatehouse" init --directory "$folder/gatehouse" --base-url "https://localhost:$port" --public-url "http://localhost:$public_port" \
  --name "Proxy Test" >"$folder/init.log"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$folder/proxy.key" -out "$folder/proxy.pem" -days 2 \
  -subj /CN=localhost -addext subjectAltName=DNS:localhost 2>/dev/null
cat "$folder/proxy.pem" "$folder/proxy.key" >"$folder/proxy.both"

/usr/bin/python3 conformance/support/dns_responder.py --port 0 --default-address 127.0.0.1 >"$folder/dns.log" 2>&1 &
pids+=($!)
until_done $! grep -q '^listening on ' "$folder/dns.log"
dns=$(sed -n 's/^listening on //p' "$folder/dns.log")

"$gatehouse" serve --config "$folder/gatehouse/gatehouse.json" \
  --set "listeners.acme=[{\"address\":\"127.0.0.1\",\"port\":$upstream,\"tls\":\"off\"}]" \
  --set "listeners.public=[{\"address\":\"127.0.0.1\",\"port\":$public_port}]" \
  --set "listeners.operations=[{\"address\":\"127.0.0.1\",\"port\":$operations_port}]" \
  --set "resolver.servers=[\"$dns\"]" --set resolver.dnssec=off --set "validators.http01.port=$http01_port" \
  --set 'profiles.default.allowed_addresses=["127.0.0.1/32"]' --set 'trusted_proxies=["127.0.0.1/32"]' \
  >"$folder/server.log" 2>&1 &
server=$!
pids+=($server)
until_done $server curl -fsS "http://127.0.0.1:$operations_port/readyz" || { cat "$folder/server.log" >&2; exit 1; }

failed=0
for proxy in nginx haproxy caddy; do
  case $proxy in
    nginx) template=nginx.conf command=(nginx -e stderr -c "$folder/nginx.conf" -g 'daemon off;') ;;
    haproxy) template=haproxy.cfg command=(haproxy -db -f "$folder/haproxy.cfg") ;;
    caddy) template=Caddyfile command=(caddy run --adapter caddyfile --config "$folder/Caddyfile") ;;
  esac
  sed "s|@folder@|$folder|g; s|@port@|$port|g; s|@upstream@|$upstream|g" "conformance/proxies/$template" >"$folder/$template"
  HOME=$folder "${command[@]}" >"$folder/$proxy.log" 2>&1 &
  pid=$!
  pids+=($pid)
  # From an address of its own, so that the log can show whose it is.
  if until_done $pid curl -fsS --cacert "$folder/proxy.pem" "https://localhost:$port/directory" &&
    env REQUESTS_CA_BUNDLE="$folder/proxy.pem" certbot certonly --non-interactive --standalone --preferred-challenges http \
      --http-01-address 127.0.0.1 --http-01-port "$http01_port" --server "https://localhost:$port/directory" --agree-tos \
      --register-unsafely-without-email --config-dir "$folder/$proxy" --work-dir "$folder/$proxy/work" \
      --logs-dir "$folder/$proxy/logs" -d "$proxy.proxies.test" >"$folder/certbot.log" 2>&1 &&
    openssl verify -CAfile "$folder/gatehouse/ca/root.pem" -untrusted "$folder/$proxy/live/$proxy.proxies.test/chain.pem" \
      "$folder/$proxy/live/$proxy.proxies.test/cert.pem" >/dev/null &&
    curl -sS -o /dev/null --interface 127.0.0.7 --cacert "$folder/proxy.pem" "https://localhost:$port/nothing-for-$proxy" &&
    grep "nothing-for-$proxy" "$folder/server.log" | grep -q '127\.0\.0\.7'; then
    echo "$proxy: a certificate for certbot, and the client's address in the log"
  else
    echo "$proxy: FAILED" >&2
    tail -n 20 "$folder/$proxy.log" "$folder/certbot.log" "$folder/server.log" >&2 || true
    failed=1
  fi
  kill "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
done
exit $failed

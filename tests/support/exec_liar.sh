#!/bin/sh
# A program for the exec backend that does what $HOME_OF_CA/says tells: asks the shipped example to
# issue, or lies.
export CA_DIR="$HOME_OF_CA/ca"
says=$(cat "$HOME_OF_CA/says")
case "$GATEHOUSE_ACTION" in
  revoke | check) exec "$EXAMPLE" ;;
  submit) [ "$says" = not_sent ] || echo "$GATEHOUSE_INTENT" >> "$HOME_OF_CA/submitted" ;;
esac
case "$says" in
  issue) ;;
  pend) echo "token: t-$GATEHOUSE_INTENT"; exit 11 ;;
  refuse) echo "not in our zone"; echo "policy 17 says no" >&2; exit 10 ;;
  not_sent) echo "connection refused" >&2; exit 12 ;;
  lose_answer) "$EXAMPLE" > /dev/null; echo issue > "$HOME_OF_CA/says"; kill -9 $$ ;;
  other_key)
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj / \
      -keyout "$HOME_OF_CA/key" 2> /dev/null | "$EXAMPLE"
    exit ;;
  name_dropped) export GATEHOUSE_DNS_NAMES="${GATEHOUSE_DNS_NAMES% *}" ;;
  name_added) export GATEHOUSE_DNS_NAMES="$GATEHOUSE_DNS_NAMES evil.test" ;;
  other_issuer) export CA_DIR="$HOME_OF_CA/other" ;;
  too_long) export GATEHOUSE_VALIDITY_SECONDS=$((GATEHOUSE_VALIDITY_SECONDS + 86400)) ;;
  too_short) export GATEHOUSE_VALIDITY_SECONDS=660 ;;
  begins_tomorrow) STARTS=$(date -u -d tomorrow +%Y%m%d%H%M%SZ); export STARTS ;;
  extra_usage) export EXTENDED_KEY_USAGE="serverAuth,clientAuth" ;;
  missing_usage) export EXTENDED_KEY_USAGE="clientAuth" ;;
  given_before) cat "$HOME_OF_CA/last"; exit 0 ;;
esac
"$EXAMPLE" > "$HOME_OF_CA/answer" || exit
cp "$HOME_OF_CA/answer" "$HOME_OF_CA/last"
cat "$HOME_OF_CA/answer"

#include "acme-server/crypto/chain_checker.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/base/expected.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/chain.h"
#include "acme-server/crypto/digest.h"
#include "acme-server/crypto/jwk.h"

namespace gatehouse::crypto {

namespace {

Sha256 link_of(const Certificate& certificate, const Certificate& issuer) {
  std::array<std::uint8_t, 2 * std::tuple_size_v<Sha256>> both{};
  const auto middle = std::ranges::copy(sha256(certificate.der), both.begin()).out;
  std::ranges::copy(sha256(issuer.spki), middle);
  return sha256(both);
}

}  // namespace

template <class Value>
std::optional<Value> ChainChecker::Memory<Value>::find(const Sha256& key) {
  if (const auto found = newest_.find(key); found != newest_.end()) return found->second;
  const auto found = older_.find(key);
  if (found == older_.end()) return std::nullopt;
  Value value = found->second;
  keep(key, value);
  return value;
}

template <class Value>
void ChainChecker::Memory<Value>::keep(const Sha256& key, Value value) {
  if (newest_.size() >= kRemembered) {
    older_ = std::move(newest_);
    newest_.clear();
  }
  newest_.insert_or_assign(key, std::move(value));
}

Expected<Certificate, std::string> ChainChecker::parse(ByteView der) {
  const Sha256 key = sha256(der);
  if (auto known = held_.with([&](Held& held) { return held.certificates.find(key); })) {
    return std::move(*known);
  }
  auto certificate = parse_certificate(der);
  if (certificate) held_.with([&](Held& held) { held.certificates.keep(key, *certificate); });
  return certificate;
}

Expected<std::vector<Certificate>, std::string> ChainChecker::parse_chain(std::string_view pem) {
  return parse_pem_chain(pem, [this](ByteView der) { return parse(der); });
}

PublicKeyRef ChainChecker::key_of(const Certificate& issuer) {
  const Sha256 id = sha256(issuer.spki);
  if (auto known = held_.with([&](Held& held) { return held.keys.find(id); })) return *known;
  PublicKeyRef key = public_key_of(issuer);
  if (key) held_.with([&](Held& held) { held.keys.keep(id, key); });
  return key;
}

bool ChainChecker::is_signed_by(const Certificate& certificate, const Certificate& issuer) {
  const Sha256 link = link_of(certificate, issuer);
  if (held_.with([&](Held& held) { return held.links.find(link); })) return true;
  const PublicKeyRef key = key_of(issuer);
  if (!key || !is_signed_with(certificate, *key)) return false;
  held_.with([&](Held& held) { held.links.keep(link, true); });
  return true;
}

std::optional<std::string> ChainChecker::why_fails(const std::vector<Certificate>& chain,
                                                   const Certificate& root, Instant now) {
  return why_chain_fails(chain, root, now,
                         [this](const Certificate& certificate, const Certificate& issuer) {
                           return is_signed_by(certificate, issuer);
                         });
}

}  // namespace gatehouse::crypto

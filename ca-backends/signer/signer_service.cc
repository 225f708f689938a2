#include "ca-backends/signer/signer_service.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/crash_point.h"
#include "acme-server/base/deadline.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/digest.h"
#include "acme-server/crypto/signer.h"
#include "acme-server/net/unix_stream.h"
#include "ca-backends/local_ca/local_ca_options.h"
#include "ca-backends/local_ca/signers.h"
#include "ca-backends/registry.h"
#include "ca-backends/signer/protocol.h"
#include "ca-backends/signer/tbs_checks.h"

namespace gatehouse::backends {
namespace {

// A client that stops within a message, or does not take its answer, holds a thread no longer.
constexpr std::chrono::seconds kMessageTime{30};

SignerService::Answer refused(std::string_view why) {
  return {.done = false, .content = Bytes(as_bytes(why).begin(), as_bytes(why).end())};
}

}  // namespace

SignerService::SignerService(std::vector<Key> keys) {
  keys_.reserve(keys.size());
  for (Key& key : keys) {
    keys_.push_back({.id = crypto::sha256(ByteView(key.issuer.spki)),
                     .algorithm = key.signer->algorithm(),
                     .key = std::move(key)});
  }
}

SignerService::Answer SignerService::answer(ByteView message) const {
  const auto request = parse_signer_request(message);
  if (!request) return refused("this is no request");
  const auto held = std::ranges::find(keys_, request->key, &Held::id);
  if (held == keys_.end()) return refused("the key that is asked for is not here");
  const crypto::Certificate& issuer = held->key.issuer;
  std::optional<std::string> why_not;
  switch (request->operation) {
    case SignerOperation::public_key:
      return {.done = true, .content = issuer.spki};
    case SignerOperation::sign_certificate:
      why_not = why_no_leaf(request->tbs, held->algorithm, issuer);
      break;
    case SignerOperation::sign_crl:
      why_not = why_no_crl(request->tbs, held->algorithm, issuer);
      break;
  }
  if (why_not) return refused("what is to be signed is not signed: " + *why_not);
  crash_point("signer.signing");
  Bytes signature = held->key.signer->sign(request->tbs);
  crash_point("signer.signed");
  return {.done = true, .content = std::move(signature)};
}

void SignerService::serve(const net::UnixStream& stream) const {
  for (;;) {
    const Bytes message = read_message(stream, kMaxSignerMessage, kMessageTime);
    const Answer given = answer(message);
    write_answer(stream, given.done, given.content, Deadline::in(kMessageTime));
  }
}

std::vector<SignerService::Key> read_signer_keys(const LocalCaOptions& options,
                                                 const BackendContext& context) {
  std::vector<SignerService::Key> keys;
  const auto add = [&](const IssuerFiles& files) {
    const auto chain = crypto::parse_pem_chain(context.read_file(files.certificate));
    if (!chain) throw std::runtime_error(files.certificate + ": " + chain.error());
    keys.push_back({.issuer = chain->front(), .signer = read_key(context, files)});
    require_key_of(*keys.back().signer, keys.back().issuer, files);
  };
  add(options.issuer);
  for (const IssuerFiles& files : options.previous) add(files);
  return keys;
}

}  // namespace gatehouse::backends

#include "ca-backends/signer/socket_signer.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/deadline.h"
#include "acme-server/base/text.h"
#include "acme-server/crypto/der.h"
#include "acme-server/crypto/der_reader.h"
#include "acme-server/crypto/digest.h"
#include "acme-server/crypto/signer.h"
#include "acme-server/net/unix_stream.h"
#include "ca-backends/signer/protocol.h"

namespace gatehouse::backends {
namespace {

// A CRL of a million entries is looked at, hashed and signed in a second or two.
constexpr std::chrono::seconds kCallTime{30};
constexpr std::chrono::seconds kHealthTime{2};
// A signer that is being started again is there after this; else the job comes back later.
constexpr std::chrono::milliseconds kPatience{1500};
constexpr std::chrono::milliseconds kBetweenTries{20};
// As many as issuance lanes there are by default.
constexpr std::size_t kIdle = 8;
constexpr std::size_t kRefusalShown = 300;

// RFC 5280 sections 4.1 and 5.1: a TBSCertList begins with its version, a plain INTEGER.
SignerOperation operation_for(ByteView tbs) {
  namespace der = crypto::der;
  const auto whole = der::Reader(tbs).next(der::kSequence);
  return whole && der::Reader(whole->content).next_is(der::kInteger)
             ? SignerOperation::sign_crl
             : SignerOperation::sign_certificate;
}

}  // namespace

SocketSigner::SocketSigner(std::string path, Bytes spki)
    : path_(std::move(path)),
      spki_(std::move(spki)),
      algorithm_(crypto::signature_algorithm_for(spki_)),
      key_(crypto::sha256(ByteView(spki_))) {}

Bytes SocketSigner::ask(const net::UnixStream& stream, SignerOperation operation, ByteView tbs,
                        Deadline deadline) const {
  stream.write(signer_request_head(operation, key_, tbs.size()), deadline);
  stream.write(tbs, deadline);
  Bytes answer = read_message(stream, kMaxSignerAnswer, deadline);
  if (answer.empty()) throw net::UnixStreamError("the signer's answer is empty");
  const bool refused = answer.front() != 0;
  answer.erase(answer.begin());
  if (refused) {
    throw std::runtime_error("the signer at " + path_ +
                             " refuses: " + sanitize(as_text(answer), kRefusalShown));
  }
  return answer;
}

net::UnixStream SocketSigner::new_connection(Deadline deadline) const {
  net::UnixStream made = net::UnixStream::connect(path_);
  if (ask(made, SignerOperation::public_key, {}, deadline) != spki_) {
    throw std::runtime_error("the signer at " + path_ +
                             " has another key than the issuer's certificate");
  }
  return made;
}

std::optional<net::UnixStream> SocketSigner::take_idle() {
  return idle_.with([](auto& idle) -> std::optional<net::UnixStream> {
    if (idle.empty()) return std::nullopt;
    net::UnixStream last = std::move(idle.back());
    idle.pop_back();
    return last;
  });
}

Bytes SocketSigner::call_on(net::UnixStream stream, SignerOperation operation, ByteView tbs,
                            Deadline deadline) {
  Bytes answer = ask(stream, operation, tbs, deadline);
  idle_.with([&](auto& idle) {
    if (idle.size() < kIdle) idle.push_back(std::move(stream));
  });
  return answer;
}

Bytes SocketSigner::call(SignerOperation operation, ByteView tbs, Deadline deadline,
                         std::chrono::milliseconds patience) {
  const Deadline give_up = deadline.at_most(patience);
  std::optional<net::UnixStream> held = take_idle();
  for (;;) {
    const bool is_new = !held;
    try {
      return call_on(held ? std::move(*held) : new_connection(deadline), operation, tbs, deadline);
    } catch (const net::UnixStreamError& error) {
      // An old connection ends with the process behind it; a new one may still have reached a
      // process that is dying.
      if (deadline.expired() || (is_new && give_up.expired())) {
        throw std::runtime_error("the signer at " + path_ + " is out of reach: " + error.what());
      }
    }
    held.reset();
    idle_.with([](auto& idle) { idle.clear(); });
    if (is_new) std::this_thread::sleep_for(kBetweenTries);
  }
}

Bytes SocketSigner::sign(ByteView message) {
  return call(operation_for(message), message, Deadline::in(kCallTime), kPatience);
}

std::optional<std::string> SocketSigner::why_out_of_reach() {
  try {
    call(SignerOperation::public_key, {}, Deadline::in(kHealthTime), std::chrono::seconds(0));
    return std::nullopt;
  } catch (const std::runtime_error& error) {
    return error.what();
  }
}

}  // namespace gatehouse::backends

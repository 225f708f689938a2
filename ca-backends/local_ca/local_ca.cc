#include "ca-backends/local_ca/local_ca.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/base64url.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/deadline.h"
#include "acme-server/base/hex.h"
#include "acme-server/base/json.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/base/text.h"
#include "acme-server/base/transient_failure.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/problem.h"
#include "acme-server/core/profile.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/certificate_bag.h"
#include "acme-server/crypto/crl.h"
#include "acme-server/crypto/issue.h"
#include "acme-server/crypto/jwk.h"
#include "acme-server/crypto/name_constraints.h"
#include "acme-server/crypto/path.h"
#include "acme-server/crypto/signer.h"
#include "ca-backends/backend.h"
#include "ca-backends/expectation.h"
#include "ca-backends/issuers.h"
#include "ca-backends/local_ca/local_ca_options.h"
#include "ca-backends/local_ca/rehearsal.h"
#include "ca-backends/local_ca/root_crl.h"
#include "ca-backends/local_ca/signers.h"
#include "ca-backends/registry.h"
#include "ca-backends/signer/socket_signer.h"
#include "ca-backends/validity.h"

namespace gatehouse::backends {
namespace {

using crypto::Certificate;
using crypto::NameConstraints;

constexpr std::size_t kMaxCommonName = 64;  // RFC 5280 appendix A.1: ub-common-name

// In any form that certificates are handed out in; what was put there by hand has to be whole.
std::vector<Certificate> read_chain(const BackendContext& context, const std::string& path) {
  const std::string content = context.read_file(path);
  auto bag = crypto::read_certificate_bag(as_bytes(content));
  if (!bag) throw std::runtime_error(path + ": " + bag.error());
  if (!bag->unreadable.empty()) throw std::runtime_error(path + ": " + bag->unreadable.front());
  return std::move(bag->certificates);
}

// What a subject may not be: a leaf with its issuer's name looks self-signed to whoever builds
// chains by name.
bool is_name_of(const Certificate& ca, const std::string& common_name) {
  return crypto::make_name(common_name, "") == ca.subject_name_der ||
         equals_ignoring_case("CN=" + common_name, ca.subject_name);
}

// Why `chain`, from an issuing CA upwards, cannot stand between a leaf and `root`.
std::optional<std::string> why_no_chain(const std::vector<Certificate>& chain,
                                        const Certificate& root, Instant now) {
  // Its CRLs are ours to make.
  if (chain.front().is_ca && !(chain.front().key_cert_sign && chain.front().crl_sign)) {
    return "its first certificate may not sign certificates and CRLs (keyUsage needs keyCertSign "
           "and cRLSign)";
  }
  return why_not_below(chain, {&root, 1}, now);
}

// A machine without a battery starts with a clock that is behind: what OpenSSL would call a
// certificate that is not valid yet is then a clock that is not set yet, which passes by itself.
void require_begun(const std::string& file, const std::vector<Certificate>& chain,
                   const Certificate& root, Instant now) {
  Instant begin = root.not_before;
  for (const Certificate& each : chain) begin = std::max(begin, each.not_before);
  if (now >= begin) return;
  throw TransientFailure(file + ": it and the CAs above it are valid from " + to_rfc3339(begin) +
                         " on, and the clock says " + to_rfc3339(now) +
                         "; the clock is behind, or the certificate is for later");
}

// What the CAs of `chain` and `root` let the first of them certify. Throws a sentence, without the
// file's name, when verifiers would not agree about it.
std::vector<NameConstraints> constraints_of(const std::vector<Certificate>& chain,
                                            const Certificate& root) {
  std::vector<Certificate> every = chain;
  every.push_back(root);
  std::vector<NameConstraints> constraints;
  for (const Certificate& ca : every) {
    if (const auto problem = crypto::why_constraints_are_read_differently(ca)) {
      throw std::runtime_error("\"" + ca.subject_name + "\" cannot be used: " + *problem);
    }
    auto read = crypto::read_name_constraints(ca).value();
    if (read != NameConstraints()) constraints.push_back(std::move(read));
  }
  return constraints;
}

std::optional<std::string> why_outside_any(const std::vector<NameConstraints>& constraints,
                                           std::string_view name) {
  for (const NameConstraints& each : constraints) {
    if (auto why = crypto::why_outside(each, name)) return why;
  }
  return std::nullopt;
}

// Whether a leaf with these names would verify under `constraints`.
bool permits(const std::vector<NameConstraints>& constraints, const Certificate& leaf) {
  const auto fits = [&](const std::string& name) { return !why_outside_any(constraints, name); };
  const bool subject =
      leaf.common_names.empty() || std::ranges::none_of(constraints, &NameConstraints::of_subjects);
  return subject && std::ranges::all_of(leaf.dns_names, fits) &&
         std::ranges::all_of(leaf.ip_addresses, fits);
}

// The chain as clients get it: without the root, which they have.
std::vector<Certificate> without_root(std::vector<Certificate> chain, const Certificate& root) {
  if (chain.back().der == root.der) chain.pop_back();
  return chain;
}

std::string pem_of(const std::vector<Certificate>& chain) {
  std::string pem;
  for (const Certificate& certificate : chain) pem += crypto::to_pem(certificate.der);
  return pem;
}

// The issuer's own key identifier, so that chains can be built by it (RFC 5280 section 4.2.1.1).
Bytes key_id_of(const Certificate& issuer) {
  return issuer.subject_key_id.empty() ? crypto::subject_key_id_of(issuer.spki)
                                       : issuer.subject_key_id;
}

// keyEncipherment says something of RSA keys alone.
std::vector<std::string> usages_for(const Profile& profile, ByteView spki) {
  const auto key = crypto::jwk_of_spki(spki);
  std::vector<std::string> usages = profile.key_usages;
  if (!key || key->type != crypto::KeyType::rsa) std::erase(usages, "keyEncipherment");
  return usages;
}

std::string common_name_for(const IssueRequest& request) {
  if (!request.profile.common_name) return "";
  const auto fits = [](const Identifier& identifier) {
    return identifier.type == IdentifierType::dns && identifier.value.size() <= kMaxCommonName;
  };
  const auto first = std::ranges::find_if(request.identifiers, fits);
  return first == request.identifiers.end() ? "" : first->value;
}

// A key of ours signs the TBS as it stands, so that nothing is left to be chosen.
CertificateExpectation expectation_of(const crypto::CertificateTemplate& leaf,
                                      const IssueRequest& request, const IssuerId& issuer) {
  return {
      .spki_sha256 = crypto::spki_sha256_of(leaf.spki),
      .names = request.identifiers,
      .subject = leaf.common_name.empty() ? "" : "CN=" + leaf.common_name,
      .key_usages = ExpectedUsages{.required = leaf.key_usages, .allowed = {}},
      .extended_key_usages = ExpectedUsages{.required = leaf.extended_key_usages, .allowed = {}},
      .serial = Exact<std::string>{hex_encode(leaf.serial)},
      .not_before = Exact<Instant>{leaf.not_before},
      .not_after = Exact<Instant>{leaf.not_after},
      .crl_url = Exact<std::string>{leaf.crl_url},
      .issuer = Exact<IssuerId>{issuer}};
}

IssuerId id_of(const Certificate& issuer) {
  return IssuerId(crypto::spki_sha256_of(issuer.spki));
}

CrlShard shard_of(const std::string& public_url, const IssuerId& issuer, std::size_t number) {
  // Shards have names from the first certificate on: a CDP never changes afterwards.
  const std::string file = "/crl/" + issuer.str() + "/" + std::to_string(number) + ".crl";
  return {.issuer = issuer, .url = public_url + file, .file = file};
}

// Spreads serials evenly: they are random.
std::size_t shard_number(ByteView serial, std::size_t shards) {
  std::size_t number = 0;
  for (const std::uint8_t octet : serial.last(4)) number = number << 8 | octet;
  return number % shards;
}

}  // namespace

LocalCa::LocalCa(std::string name, const LocalCaOptions& options, BackendContext context)
    : name_(std::move(name)),
      context_(std::move(context)),
      crl_shards_(static_cast<std::size_t>(options.crl_shards)),
      root_crl_path_(options.root_crl),
      signer_(options.signer) {
  const std::vector<Certificate> root = read_chain(context_, options.root);
  if (root.size() != 1) {
    throw std::runtime_error(options.root + ": holds " + std::to_string(root.size()) +
                             " certificates; the root alone belongs there");
  }
  root_ = root.front();
  const Instant now = context_.clock.now();
  load_issuer(options.issuer, now);
  for (const IssuerFiles& files : options.previous) {
    // An issuer of the past may have ended; what it was is what counts. To OpenSSL notAfter is
    // over.
    const auto chain = read_chain(context_, files.certificate);
    const Instant ended = std::ranges::min_element(chain, {}, &Certificate::not_after)->not_after;
    load_issuer(files, std::min(now, ended - std::chrono::seconds(1)));
  }
  for (const Issuer& issuer : issuers_->all) {
    for (std::size_t number = 0; number < crl_shards_; ++number) {
      issuers_->shards.push_back(shard_of(context_.public_url, issuer.id, number));
    }
  }
  for (const std::string& path : options.alternates) load_alternate(path);
  if (!root_crl_path_.empty()) {
    HeldRootCrl held = current_root_crl();
    if (held.crl.next_update < now) {
      context_.log.warning("root_crl.expired", {{"backend", name_}, {"file", root_crl_path_}});
    }
    root_crl_.with([&](HeldRootCrl& current) { current = std::move(held); });
  }
}

// The key in its file, or the process that has it.
std::unique_ptr<crypto::Signer> LocalCa::signer_of(const IssuerFiles& files,
                                                   const Certificate& issuer) const {
  if (signer_) {
    return context_.decorate_signer(
        std::make_unique<SocketSigner>(signer_socket(name_, *signer_, context_), issuer.spki));
  }
  auto signer = read_key(context_, files);
  require_key_of(*signer, issuer, files);
  return signer;
}

void LocalCa::load_issuer(const IssuerFiles& files, Instant chain_checked_at) {
  const std::vector<Certificate> chain = read_chain(context_, files.certificate);
  require_begun(files.certificate, chain, root_, chain_checked_at);
  if (auto problem = why_no_chain(chain, root_, chain_checked_at)) {
    const bool ended = chain.front().not_after < chain_checked_at;
    throw std::runtime_error(files.certificate + ": this is no issuing CA under the root \"" +
                             root_.subject_name + "\": " + *problem +
                             (ended ? "; make the next one: gatehouse rotate-issuer" : ""));
  }
  Holding holding{.signer = signer_of(files, chain.front()),
                  .chain_pem = pem_of(without_root(chain, root_)),
                  .constraints = {},
                  .alternates = {}};
  try {
    holding.constraints = constraints_of(chain, root_);
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(files.certificate + ": " + error.what());
  }
  const IssuerId id = id_of(chain.front());
  if (std::ranges::any_of(issuers_->all, [&](const Issuer& issuer) { return issuer.id == id; })) {
    throw std::runtime_error(files.certificate + ": backend \"" + name_ +
                             "\" has an issuer with this key already");
  }
  issuers_->all.push_back(
      {.id = id, .certificate = chain.front(), .chain = without_root(chain, root_), .root = root_});
  holdings_.push_back(std::move(holding));
}

// An alternate chain is one of our issuers, name and key, certified by someone else. Its own root,
// if it is in the file, comes last and is what the links are checked up to; else its last
// certificate is.
void LocalCa::load_alternate(const std::string& path) {
  const std::vector<Certificate> chain = read_chain(context_, path);
  const Certificate& first = chain.front();
  const auto same = std::ranges::find_if(issuers_->all, [&](const Issuer& issuer) {
    return first.subject_name_der == issuer.certificate.subject_name_der &&
           first.spki == issuer.certificate.spki &&
           first.subject_key_id == issuer.certificate.subject_key_id;
  });
  if (same == issuers_->all.end()) {
    throw std::runtime_error(path + ": its first certificate is not for the issuing CA \"" +
                             issuers_->all.front().certificate.subject_name +
                             R"(" (same name, key and key identifier), nor for one of "previous")");
  }
  const Instant now = context_.clock.now();
  if (std::ranges::any_of(chain, [&](const Certificate& each) { return each.not_after < now; })) {
    // Clients that needed it have been let down by time, not by us; the others must go on.
    context_.log.warning("alternate_chain.expired", {{"backend", name_}, {"file", path}});
    return;
  }
  if (auto problem = why_no_chain(chain, chain.back(), now)) {
    throw std::runtime_error(path + ": this is no alternate chain: " + *problem);
  }
  Alternate alternate{.chain = chain, .chain_pem = {}, .constraints = {}};
  try {
    alternate.constraints = constraints_of(chain, chain.back());
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(path + ": " + error.what());
  }
  if (crypto::is_self_issued(chain.back())) alternate.chain.pop_back();
  alternate.chain_pem = pem_of(alternate.chain);
  holdings_[static_cast<std::size_t>(same - issuers_->all.begin())].alternates.push_back(
      std::move(alternate));
}

HeldRootCrl LocalCa::current_root_crl() const {
  const std::vector<Certificate>& chain = issuers_->all.front().chain;
  return read_root_crl(context_, root_crl_path_, root_, chain.empty() ? root_ : chain.back());
}

std::size_t LocalCa::index_of(const IssuerId& issuer) const {
  const auto found = std::ranges::find(issuers_->all, issuer, &Issuer::id);
  if (found == issuers_->all.end()) {
    throw std::runtime_error("backend \"" + name_ + "\" has no issuer " + issuer.str() +
                             "; name its files in backends." + name_ + ".previous");
  }
  return static_cast<std::size_t>(found - issuers_->all.begin());
}

std::optional<std::string> LocalCa::why_never(const Identifier& identifier) const {
  return why_outside_any(holdings_.front().constraints, identifier.value);
}

Intent LocalCa::prepare(const IssueRequest& request) {
  const Issuer& issuer = issuers_->all.front();
  const Holding& holding = holdings_.front();
  for (const Identifier& identifier : request.identifiers) {
    if (auto why = why_never(identifier)) reject(ProblemType::rejectedIdentifier, *why);
  }
  const Validity validity = leaf_validity(request.profile,
                                          {.not_before = request.not_before,
                                           .not_after = request.not_after,
                                           .ordered = request.ordered.value_or(request.now)},
                                          lifetime_of(issuer), request.now);

  crypto::CertificateTemplate leaf;
  leaf.serial = crypto::random_serial(context_.entropy);
  leaf.issuer_name_der = issuer.certificate.subject_name_der;
  // Where subjects are constrained an empty one fits for certain, and the names are in the SAN.
  const bool plain = std::ranges::none_of(holding.constraints, &NameConstraints::of_subjects);
  if (plain) leaf.common_name = common_name_for(request);
  for (const Issuer& known : issuers_->all) {
    if (!leaf.common_name.empty() && is_name_of(known.certificate, leaf.common_name)) {
      reject(ProblemType::rejectedIdentifier,
             "\"" + leaf.common_name +
                 "\" is the name of this CA; a certificate with it would look self-signed.");
    }
  }
  leaf.not_before = validity.not_before;
  leaf.not_after = validity.not_after;
  leaf.spki = request.spki;
  for (const Identifier& identifier : request.identifiers) {
    (identifier.type == IdentifierType::dns ? leaf.dns_names : leaf.ip_addresses)
        .push_back(identifier.value);
  }
  leaf.key_usages = usages_for(request.profile, request.spki);
  leaf.extended_key_usages = request.profile.extended_key_usages;
  leaf.authority_key_id = key_id_of(issuer.certificate);
  leaf.crl_url =
      shard_of(context_.public_url, issuer.id, shard_number(leaf.serial, crl_shards_)).url;
  leaf.issuer_url = context_.public_url + "/issuer/" + issuer.id.str() + ".cer";

  return {.request = base64url_encode(crypto::make_tbs(leaf, holding.signer->algorithm())),
          .poll = "",
          .expected = expectation_of(leaf, request, issuer.id)};
}

std::optional<std::string> LocalCa::why_not_accepted(const IssueRequest& request) {
  const Issuer& issuer = issuers_->all.front();
  const Holding& holding = holdings_.front();
  IssueRequest tried = request;
  if (tried.identifiers.empty()) {
    const auto example = example_below(holding.constraints);
    if (!example) {
      return "no name can be ordered under \"" + issuer.certificate.subject_name +
             "\": its name constraints permit none. A constraint is a plain name such as "
             "corp.example, without \"*.\" in front or a dot at the end, and covers all names "
             "below it; have the CA's certificate issued again";
    }
    tried.identifiers = {*example};
  }
  const Intent intent = prepare(tried);
  const auto leaf = crypto::parse_tbs_certificate(base64url_decode(intent.request).value(),
                                                  holding.signer->algorithm());
  if (!leaf) return leaf.error();
  if (auto why = backends::why_not_accepted(*leaf, issuer, request.now)) return why;
  for (const Alternate& alternate : holding.alternates) {
    if (auto why = why_usages_forbidden(*leaf, alternate.chain)) {
      return "of an alternate chain: " + *why;
    }
  }
  return std::nullopt;
}

IssueOutcome LocalCa::submit(const Intent& intent, Deadline /*deadline*/) {
  const std::size_t index = index_of(issuer_of(intent.expected));
  const std::string serial = serial_of(intent.expected);
  const auto tbs = base64url_decode(intent.request);
  if (!tbs) {
    throw std::runtime_error("the stored intent for serial " + serial + " is not base64url");
  }
  const auto leaf =
      context_.chains->parse(crypto::sign_certificate(*tbs, *holdings_[index].signer));
  // What the key gives back is looked at as if a stranger had sent it: HSMs and memory fail, too.
  if (!leaf || leaf->tbs != *tbs || leaf->serial != serial ||
      !context_.chains->is_signed_by(*leaf, issuers_->all[index].certificate)) {
    throw std::runtime_error("what the key of backend \"" + name_ + "\" signed for serial " +
                             serial +
                             " does not verify with the issuer's certificate; check the key");
  }
  const std::string leaf_pem = crypto::to_pem(leaf->der);
  Issued issued{.chain_pem = leaf_pem + holdings_[index].chain_pem, .alternate_chains_pem = {}};
  const Instant now = context_.clock.now();
  for (const Alternate& alternate : holdings_[index].alternates) {
    const bool lasts = std::ranges::none_of(
        alternate.chain, [&](const Certificate& each) { return each.not_after < now; });
    if (lasts && permits(alternate.constraints, *leaf)) {
      issued.alternate_chains_pem.push_back(leaf_pem + alternate.chain_pem);
    }
  }
  return issued;
}

// The key signs what is stored and nothing else, so asking again is signing again: the same
// certificate.
IssueOutcome LocalCa::resume(const Intent& intent, Deadline deadline) {
  return submit(intent, deadline);
}

std::optional<std::string> LocalCa::why_not_ready() {
  return holdings_.front().signer->why_out_of_reach();
}

Bytes LocalCa::sign_crl(const CrlShard& shard, std::int64_t number, Instant this_update,
                        Instant next_update, crypto::CrlBuilder entries) {
  const std::size_t index = index_of(shard.issuer);
  const Certificate& issuer = issuers_->all[index].certificate;
  // finish() verifies with the key's own public half, which load_issuer() has compared with the
  // certificate's.
  return entries.finish({.issuer_name_der = issuer.subject_name_der,
                         .authority_key_id = key_id_of(issuer),
                         .number = number,
                         .this_update = this_update,
                         .next_update = next_update,
                         .distribution_point = shard.url},
                        *holdings_[index].signer);
}

std::vector<OfflineCrl> LocalCa::offline_crls() {
  if (root_crl_path_.empty()) return {};
  try {
    HeldRootCrl read = current_root_crl();
    root_crl_.with([&](HeldRootCrl& held) {
      if (read.number > held.number) held = std::move(read);
    });
  } catch (const std::runtime_error& error) {
    // The file is being replaced, or was spoilt: what is published stays published.
    context_.log.error("root_crl.unreadable", {{"backend", name_}, {"why", error.what()}});
  }
  return {root_crl_.with([](const HeldRootCrl& held) { return held.crl; })};
}

std::vector<CrlShard> crls_of_local_ca(const JsonObject& options, const BackendContext& context) {
  const LocalCaOptions read = read_local_ca_options(options);
  std::vector<IssuerFiles> issuers = {read.issuer};
  issuers.insert(issuers.end(), read.previous.begin(), read.previous.end());
  std::vector<CrlShard> shards;
  for (const IssuerFiles& files : issuers) {
    const IssuerId id = id_of(read_chain(context, files.certificate).front());
    for (int number = 0; number < read.crl_shards; ++number) {
      shards.push_back(shard_of(context.public_url, id, static_cast<std::size_t>(number)));
    }
  }
  return shards;
}

Backend make_local_ca(const std::string& name, const JsonObject& options,
                      const BackendContext& context) {
  auto ca = std::make_unique<LocalCa>(name, read_local_ca_options(options), context);
  CrlSigner* const crls = ca.get();
  return {.name = name, .certificates = std::move(ca), .crls = crls};
}

}  // namespace gatehouse::backends

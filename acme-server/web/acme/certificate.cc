// Download of certificates (RFC 8555 section 7.4.2).
#include <charconv>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "acme-server/core/certificate_record.h"
#include "acme-server/core/ids.h"
#include "acme-server/http/http.h"
#include "acme-server/web/acme/endpoints.h"
#include "acme-server/web/acme/request_auth.h"
#include "acme-server/web/api.h"
#include "acme-server/web/responses.h"

namespace gatehouse::web {
namespace {

constexpr std::string_view kMediaType = "application/pem-certificate-chain";  // section 9.1

CertificateRecord find_certificate(Api& api, const PostAsGet& proof) {
  auto record =
      api.certificates.get(proof.account(), CertificateId(proof.parameter("certificate")));
  if (!record) {
    reject_unknown("certificate");
  }
  return std::move(*record);
}

// Chain `shown` (none: the first one), with links to all others.
http::Response chain_response(const Api& api, const CertificateRecord& record,
                              std::optional<std::size_t> shown) {
  const std::string& pem = shown ? record.alternate_chains_pem.at(*shown) : record.chain_pem;
  http::Response response = text_response(200, kMediaType, pem);
  if (shown) {
    add_link(response, api.links.certificate(record.directory, record.id), "alternate");
  }
  for (std::size_t i = 0; i < record.alternate_chains_pem.size(); ++i) {
    if (shown != i) {
      add_link(response, api.links.alternate(record.directory, record.id, i), "alternate");
    }
  }
  return response;
}

}  // namespace

http::Response download_certificate(Api& api, const PostAsGet& proof) {
  return chain_response(api, find_certificate(api, proof), std::nullopt);
}

http::Response download_alternate(Api& api, const PostAsGet& proof) {
  const CertificateRecord record = find_certificate(api, proof);
  const std::string& text = proof.parameter("number");
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() ||
      number >= record.alternate_chains_pem.size() || std::to_string(number) != text) {
    reject_unknown("certificate chain");
  }
  return chain_response(api, record, number);
}

}  // namespace gatehouse::web

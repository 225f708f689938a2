#include "ca-backends/https/https_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "acme-server/base/clock.h"
#include "acme-server/base/deadline.h"
#include "acme-server/base/duration.h"
#include "acme-server/base/library_version.h"
#include "acme-server/base/text.h"
#include "acme-server/net/http_response.h"
#include "ca-backends/https/https_credentials.h"
#include "ca-backends/https/https_options.h"
#include "ca-backends/registry.h"
#include "ca-backends/remote/places.h"

namespace gatehouse::backends {
namespace {

constexpr std::chrono::seconds kConnectTimeout{10};
constexpr std::chrono::seconds kLongestRetryAfter = std::chrono::hours(24 * 30);
constexpr std::size_t kMaxCurlText = 300;  // characters of what libcurl says

struct FreeCurl {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }

  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

using CurlHandle = std::unique_ptr<CURL, FreeCurl>;
using CurlList = std::unique_ptr<curl_slist, FreeCurl>;

// Before the first handle; libcurl's own is not safe from many threads.
void start_libcurl() {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (started != CURLE_OK) throw std::runtime_error("libcurl does not start");
}

template <class T>
void set(CURL* handle, CURLoption option, T value) {
  if (curl_easy_setopt(handle, option, value) != CURLE_OK) {
    throw std::runtime_error("libcurl refuses option " + std::to_string(option) +
                             "; is it another library than Debian's?");
  }
}

void set_blob(CURL* handle, CURLoption option, std::string_view text) {
  curl_blob blob{.data = const_cast<char*>(text.data()),  // NOLINT(*-const-cast): copied
                 .len = text.size(),
                 .flags = CURL_BLOB_COPY};
  set(handle, option, &blob);
}

// What libcurl tells while a request runs.
struct Exchange {
  net::HttpResponse answer;
  std::size_t head_octets = 0;
  bool in_head = false;
  bool too_long = false;
  int requests = 0, answers = 0;
};

// A line of a head. Each interim answer, and the 401 before a digest, is replaced by the next head.
std::size_t take_head(char* data, std::size_t size, std::size_t count, void* given) noexcept {
  auto& exchange = *static_cast<Exchange*>(given);
  const std::string_view line(data, size * count);
  exchange.head_octets += line.size();
  if (exchange.head_octets > HttpsClient::kMaxHead) {
    exchange.too_long = true;
    return 0;
  }
  if (!exchange.in_head && line.starts_with("HTTP/")) {
    exchange.in_head = true;
    exchange.answer = {};
    // "HTTP/1.1 200 OK"
    const std::string_view status = line.substr(std::min(line.find(' ') + 1, line.size()));
    std::from_chars(status.data(), status.data() + status.size(), exchange.answer.status);
  } else if (trim(line).empty()) {
    if (exchange.in_head && exchange.answer.status >= 200) ++exchange.answers;
    exchange.in_head = false;
  } else if (const std::size_t colon = line.find(':');
             exchange.in_head && colon != std::string_view::npos) {
    exchange.answer.headers.emplace_back(to_lower(trim(line.substr(0, colon))),
                                         std::string(trim(line.substr(colon + 1))));
  }
  return line.size();
}

std::size_t take_body(char* data, std::size_t size, std::size_t count, void* given) noexcept {
  auto& exchange = *static_cast<Exchange*>(given);
  if (exchange.answer.body.size() + size * count > HttpsClient::kMaxBody) {
    exchange.too_long = true;
    return 0;
  }
  exchange.answer.body.append(data, size * count);
  return size * count;
}

// Just before a request is written, TLS and any proxy's tunnel being there. A second one goes out
// only when the first was answered, as for a digest: libcurl would repeat one on a connection that
// was closed before its answer, and a CA could issue twice.
int before_request(void* given, char*, char*, int, int) noexcept {
  auto& exchange = *static_cast<Exchange*>(given);
  if (exchange.requests > exchange.answers) return CURL_PREREQFUNC_ABORT;
  ++exchange.requests;
  return CURL_PREREQFUNC_OK;
}

// The reason code of an alert by which the other side has refused our certificate. In TLS 1.3 our
// side of the handshake has ended by then, and the request may be on its way: it is not read
// without the certificate. RFC 8446 section 6.2, and OpenSSL's SSL_AD_REASON_OFFSET.
bool refuses_certificate(std::string_view openssl_error) {
  constexpr std::string_view kError = "error:";
  const std::size_t at = openssl_error.find(kError);
  if (at == std::string_view::npos) return false;
  std::uint32_t code = 0;
  const std::string_view digits = openssl_error.substr(at + kError.size(), 8);
  const auto [end, failed] =
      std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
  if (failed != std::errc{}) return false;
  constexpr std::uint32_t kReasonMask = 0x7fffff;
  constexpr std::uint32_t kAlerts = 1000;
  const std::uint32_t reason = code & kReasonMask;
  // bad_certificate 42, unsupported 43, revoked 44, expired 45, unknown 46, unknown_ca 48,
  // access_denied 49, certificate_required 116
  return (reason >= kAlerts + 42 && reason <= kAlerts + 46) || reason == kAlerts + 48 ||
         reason == kAlerts + 49 || reason == kAlerts + 116;
}

void set_identity(CURL* handle, const HttpsOptions& options, const HttpsCredentials& files) {
  set_blob(handle, CURLOPT_CAINFO_BLOB, files.ca_pem);
  set(handle, CURLOPT_CAPATH, static_cast<const char*>(nullptr));  // not the system's
  set(handle, CURLOPT_SSL_VERIFYPEER, 1L);
  set(handle, CURLOPT_SSL_VERIFYHOST, 2L);
  set(handle, CURLOPT_SSLVERSION,
      static_cast<long>(options.least_tls == LeastTls::tls_1_3 ? CURL_SSLVERSION_TLSv1_3
                                                               : CURL_SSLVERSION_TLSv1_2));
  if (files.ours) {
    set_blob(handle, CURLOPT_SSLCERT_BLOB, files.certificate_pem);
    set_blob(handle, CURLOPT_SSLKEY_BLOB, files.key_pem.reveal());
    set(handle, CURLOPT_SSLCERTTYPE, "PEM");
    set(handle, CURLOPT_SSLKEYTYPE, "PEM");
    // Never nothing at all: OpenSSL would ask the terminal.
    set(handle, CURLOPT_KEYPASSWD, std::string(files.passphrase.reveal()).c_str());
  }
  if (!options.user.empty()) {
    set(handle, CURLOPT_HTTPAUTH,
        static_cast<long>(options.authentication == HttpAuthentication::digest ? CURLAUTH_DIGEST
                                                                               : CURLAUTH_BASIC));
    set(handle, CURLOPT_USERNAME, options.user.c_str());
    set(handle, CURLOPT_PASSWORD, std::string(files.password.reveal()).c_str());
  }
}

// Set in any case, or the environment's would be taken.
void set_proxy(CURL* handle, const HttpsOptions& options, const HttpsCredentials& files) {
  set(handle, CURLOPT_PROXY, options.proxy ? options.proxy->url.origin().c_str() : "");
  set(handle, CURLOPT_NOPROXY, "");
  set(handle, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  if (!options.proxy || options.proxy->user.empty()) return;
  set(handle, CURLOPT_PROXYAUTH, static_cast<long>(CURLAUTH_BASIC));
  set(handle, CURLOPT_PROXYUSERNAME, options.proxy->user.c_str());
  set(handle, CURLOPT_PROXYPASSWORD, std::string(files.proxy_password.reveal()).c_str());
}

void set_transfer(CURL* handle, const HttpsRequest& request, std::chrono::milliseconds span) {
  set(handle, CURLOPT_URL, request.url.c_str());
  set(handle, CURLOPT_PROTOCOLS_STR, "https");
  set(handle, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(handle, CURLOPT_FOLLOWLOCATION, 0L);
  set(handle, CURLOPT_NOSIGNAL, 1L);
  set(handle, CURLOPT_USERAGENT, "gatehouse");
  set(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(span.count()));
  set(handle, CURLOPT_CONNECTTIMEOUT_MS,
      static_cast<long>(std::min<std::chrono::milliseconds>(span, kConnectTimeout).count()));
  if (request.body) {
    set(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body->size()));
    set(handle, CURLOPT_POSTFIELDS, request.body->c_str());
  }
}

void set_callbacks(CURL* handle, Exchange& exchange) {
  set(handle, CURLOPT_HEADERFUNCTION, &take_head);
  set(handle, CURLOPT_HEADERDATA, &exchange);
  set(handle, CURLOPT_WRITEFUNCTION, &take_body);
  set(handle, CURLOPT_WRITEDATA, &exchange);
  set(handle, CURLOPT_PREREQFUNCTION, &before_request);
  set(handle, CURLOPT_PREREQDATA, &exchange);
}

CurlList header_list(const HttpsRequest& request) {
  CurlList list;
  const auto append = [&](const std::string& line) {
    curl_slist* longer = curl_slist_append(list.get(), line.c_str());
    if (longer == nullptr) throw std::bad_alloc();
    (void)list.release();
    list.reset(longer);
  };
  for (const std::string& line : request.headers) append(line);
  append("Expect:");  // no waiting for 100
  return list;
}

HttpsOutcome outcome_of(CURLcode code, const std::string& said, Exchange exchange,
                        const HttpsRequest& request, std::chrono::milliseconds span) {
  // libcurl takes a head that the connection's end cuts short.
  const bool whole = exchange.answers > 0 && !exchange.in_head;
  if (code == CURLE_OK && whole) return std::move(exchange.answer);
  const std::string detail = sanitize(code == CURLE_OK ? std::string_view("its head was cut short")
                                      : said.empty()   ? std::string_view(curl_easy_strerror(code))
                                                       : trim(said),
                                      kMaxCurlText);
  if (exchange.requests == 0) return HttpsNotSent{request.url + " was not asked: " + detail};
  if (exchange.answers == 0 && refuses_certificate(said)) {
    return HttpsNotSent{request.url + " was not asked: it refuses our TLS certificate: " + detail};
  }
  if (exchange.too_long) {
    return HttpsLost{request.url + " answered with HTTP " + std::to_string(exchange.answer.status) +
                     " and more than " + std::to_string(HttpsClient::kMaxBody) +
                     " octets of body or " + std::to_string(HttpsClient::kMaxHead) + " of headers"};
  }
  if (code == CURLE_OPERATION_TIMEDOUT) {
    return HttpsLost{request.url + " gave no whole answer within " + print_duration(span)};
  }
  return HttpsLost{request.url + " gave no whole answer: " + detail};
}

HttpsOutcome perform(const HttpsRequest& request, const HttpsOptions& options,
                     const HttpsCredentials& files, Deadline deadline) {
  const std::chrono::milliseconds span = deadline.at_most(options.timeout).remaining();
  if (span.count() == 0) return HttpsNotSent{request.url + " was not asked: no time was left"};
  const CurlHandle handle(curl_easy_init());
  if (!handle) throw std::runtime_error("libcurl gives no handle");
  std::string said(CURL_ERROR_SIZE, '\0');
  set(handle.get(), CURLOPT_ERRORBUFFER, said.data());
  set_identity(handle.get(), options, files);
  set_proxy(handle.get(), options, files);
  set_transfer(handle.get(), request, span);
  const CurlList headers = header_list(request);
  set(handle.get(), CURLOPT_HTTPHEADER, headers.get());
  Exchange exchange;
  set_callbacks(handle.get(), exchange);
  const CURLcode code = curl_easy_perform(handle.get());
  said.resize(said.find('\0') == std::string::npos ? said.size() : said.find('\0'));
  return outcome_of(code, said, std::move(exchange), request, span);
}

}  // namespace

HttpsClient::HttpsClient(const std::string& backend, const HttpsOptions& options,
                         const BackendContext& context)
    : backend_(backend), options_(options), context_(context), places_(options.at_once) {
  start_libcurl();
  read_https_credentials(options_, context_);
}

HttpsOutcome HttpsClient::send(const HttpsRequest& request, Deadline deadline) {
  const auto place = places_.take(deadline);
  if (!place) {
    return HttpsNotSent{.why = std::to_string(options_.at_once) +
                               " requests are under way already (backends." + backend_ +
                               ".at_once)",
                        .retry_after = Places::kPause};
  }
  std::optional<HttpsCredentials> credentials;
  try {
    credentials = read_https_credentials(options_, context_);
  } catch (const std::exception& failure) {
    return HttpsNotSent{failure.what()};
  }
  return perform(request, options_, *credentials, deadline);
}

std::optional<std::chrono::seconds> retry_after_of(const net::HttpResponse& answer, Instant now) {
  const auto field = answer.header("retry-after");
  if (!field) return std::nullopt;
  std::uint64_t count = 0;
  const auto [end, failed] = std::from_chars(field->data(), field->data() + field->size(), count);
  if (failed == std::errc{} && end == field->data() + field->size()) {
    return std::chrono::seconds(
        std::min<std::uint64_t>(count, static_cast<std::uint64_t>(kLongestRetryAfter.count())));
  }
  const std::time_t date = curl_getdate(std::string(*field).c_str(), nullptr);
  if (date < 0) return std::nullopt;
  return std::clamp(std::chrono::duration_cast<std::chrono::seconds>(from_unix(date) - now),
                    std::chrono::seconds(0), kLongestRetryAfter);
}

LibraryVersion curl_version_loaded() {
  const unsigned int number = curl_version_info(CURLVERSION_NOW)->version_num;  // 0xMMmmpp
  return {.name = "libcurl",
          .number = {static_cast<int>(number >> 16U), static_cast<int>((number >> 8U) & 0xffU),
                     static_cast<int>(number & 0xffU)}};
}

}  // namespace gatehouse::backends

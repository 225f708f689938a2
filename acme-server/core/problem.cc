#include "acme-server/core/problem.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/check.h"
#include "acme-server/base/json.h"
#include "acme-server/core/identifier.h"

namespace gatehouse {
namespace {

constexpr std::string_view kUrnPrefix = "urn:ietf:params:acme:error:";
constexpr std::string_view kAboutBlank = "about:blank";  // RFC 7807 section 4.2

struct TypeRow {
  ProblemType type;
  std::string_view name;  // RFC 8555 section 6.7
  int status;
};

constexpr std::array kTypes = std::to_array<TypeRow>({
    {ProblemType::accountDoesNotExist, "accountDoesNotExist", 400},
    {ProblemType::alreadyRevoked, "alreadyRevoked", 400},
    {ProblemType::badCSR, "badCSR", 400},
    {ProblemType::badNonce, "badNonce", 400},
    {ProblemType::badPublicKey, "badPublicKey", 400},
    {ProblemType::badRevocationReason, "badRevocationReason", 400},
    {ProblemType::badSignatureAlgorithm, "badSignatureAlgorithm", 400},
    {ProblemType::caa, "caa", 403},
    {ProblemType::compound, "compound", 400},
    {ProblemType::connection, "connection", 400},
    {ProblemType::dns, "dns", 400},
    {ProblemType::externalAccountRequired, "externalAccountRequired", 403},
    {ProblemType::incorrectResponse, "incorrectResponse", 403},
    {ProblemType::invalidContact, "invalidContact", 400},
    {ProblemType::malformed, "malformed", 400},
    {ProblemType::orderNotReady, "orderNotReady", 403},
    {ProblemType::rateLimited, "rateLimited", 429},
    {ProblemType::rejectedIdentifier, "rejectedIdentifier", 403},
    {ProblemType::serverInternal, "serverInternal", 500},
    {ProblemType::tls, "tls", 400},
    {ProblemType::unauthorized, "unauthorized", 403},
    {ProblemType::unsupportedContact, "unsupportedContact", 400},
    {ProblemType::unsupportedIdentifier, "unsupportedIdentifier", 400},
    {ProblemType::userActionRequired, "userActionRequired", 403},
    {ProblemType::unspecified, "", 500},
});

consteval bool every_type_has_its_row() {
  for (std::size_t i = 0; i < kTypes.size(); ++i) {
    if (kTypes[i].type != static_cast<ProblemType>(i)) {
      return false;
    }
  }
  return kTypes.size() == static_cast<std::size_t>(ProblemType::unspecified) + 1;
}

static_assert(every_type_has_its_row());

const TypeRow& row_of(ProblemType type) {
  const auto index = static_cast<std::size_t>(type);
  ACME_CHECK(index < kTypes.size());
  return kTypes[index];
}

Json identifier_json(const Identifier& identifier) {
  return {{"type", to_string(identifier.type)}, {"value", identifier.value}};
}

Identifier identifier_from(const JsonObject& object) {
  const std::string& type = object.string("type");
  if (type != to_string(IdentifierType::dns) && type != to_string(IdentifierType::ip)) {
    throw JsonError(object.path_of("type") + " is neither dns nor ip");
  }
  return {.type = type == to_string(IdentifierType::dns) ? IdentifierType::dns : IdentifierType::ip,
          .value = object.string("value")};
}

ProblemType type_from(const JsonObject& object) {
  const std::string& urn = object.string("type");
  const std::optional<ProblemType> type = problem_type_from_urn(urn);
  if (!type) {
    throw JsonError(object.path_of("type") + " is no error type of RFC 8555: " + urn);
  }
  return *type;
}

}  // namespace

std::string urn_of(ProblemType type) {
  if (type == ProblemType::unspecified) {
    return std::string(kAboutBlank);
  }
  return std::string(kUrnPrefix).append(row_of(type).name);
}

std::optional<ProblemType> problem_type_from_urn(std::string_view urn) {
  if (urn == kAboutBlank) {
    return ProblemType::unspecified;
  }
  if (!urn.starts_with(kUrnPrefix) || urn.size() == kUrnPrefix.size()) {
    return std::nullopt;
  }
  const auto* const row = std::ranges::find(kTypes, urn.substr(kUrnPrefix.size()),
                                            [](const TypeRow& r) { return r.name; });
  return row == kTypes.end() ? std::nullopt : std::optional(row->type);
}

int default_status(ProblemType type) {
  return row_of(type).status;
}

int status_of(const Problem& problem) {
  return problem.status != 0 ? problem.status : default_status(problem.type);
}

Json to_json(const Problem& problem) {
  Json json = {
      {"type", urn_of(problem.type)}, {"detail", problem.detail}, {"status", status_of(problem)}};
  if (!problem.subproblems.empty()) {
    Json& list = json["subproblems"] = Json::array();
    for (const Subproblem& sub : problem.subproblems) {
      Json entry = {{"type", urn_of(sub.type)}, {"detail", sub.detail}};
      if (sub.identifier) {
        entry["identifier"] = identifier_json(*sub.identifier);
      }
      list.push_back(std::move(entry));
    }
  }
  if (!problem.algorithms.empty()) {
    json["algorithms"] = problem.algorithms;
  }
  if (!problem.instance.empty()) {
    json["instance"] = problem.instance;
  }
  return json;
}

Problem problem_from_json(const Json& json) {
  const JsonObject object(json);
  Problem problem{.type = type_from(object), .detail = object.string("detail")};
  const auto status = object.optional_integer("status", 100, 599);
  if (status && *status != default_status(problem.type)) {
    problem.status = static_cast<int>(*status);
  }
  if (const Json* list = object.optional_array("subproblems")) {
    for (const Json& entry : *list) {
      const JsonObject sub(entry, object.path_of("subproblems"));
      Subproblem& read = problem.subproblems.emplace_back(
          Subproblem{.type = type_from(sub), .detail = sub.string("detail"), .identifier = {}});
      if (sub.has("identifier")) {
        read.identifier = identifier_from(sub.object("identifier"));
      }
    }
  }
  problem.algorithms = object.optional_strings("algorithms").value_or(std::vector<std::string>());
  problem.instance = object.optional_string("instance").value_or("");
  return problem;
}

RequestRejected::RequestRejected(Problem problem)
    : std::runtime_error(urn_of(problem.type) + ": " + problem.detail),
      problem_(std::move(problem)) {}

void reject(ProblemType type, std::string detail) {
  throw RequestRejected(Problem{.type = type, .detail = std::move(detail)});
}

void reject(Problem problem) {
  throw RequestRejected(std::move(problem));
}

}  // namespace gatehouse

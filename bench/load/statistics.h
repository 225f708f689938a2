// What a run measured: latencies by step, requests, failures.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "bench/load/loop.h"
#include "bench/load/unwell.h"

namespace gatehouse::bench {

enum class Step {
  new_nonce,
  new_account,
  new_order,
  authorization,
  challenge,
  poll_authorization,
  finalize,
  poll_order,
  download,
  revocation,
  certificate,  // all of it, waits between polls included
};

constexpr std::array<std::string_view, 11> kStepNames = {
    "newNonce", "newAccount", "newOrder", "authorization", "challenge",  "authorization …",
    "finalize", "order …",    "download", "revokeCert",    "certificate"};

struct Statistics {
  std::array<std::vector<float>, kStepNames.size()> milliseconds;
  std::size_t certificates = 0;
  std::size_t signed_requests = 0;
  std::size_t bad_nonces = 0;
  std::size_t connections = 0;
  std::size_t failures = 0;
  std::size_t told_to_come_back = 0;
  std::size_t revocations = 0;
  std::array<std::size_t, kUnwellNames.size()> unwell{};  // orders that ended as they must
  std::vector<std::string> first_failures;                // a few
  Clock::time_point last_progress = Clock::now();

  void took(Step step, Clock::duration span) {
    milliseconds[static_cast<std::size_t>(step)].push_back(
        std::chrono::duration<float, std::milli>(span).count());
  }

  void failed(const std::string& why) {
    ++failures;
    constexpr std::size_t kShown = 5;
    if (first_failures.size() < kShown) first_failures.push_back(why);
  }
};

// The value that `share` (0 to 1) of them do not exceed; 0 of none. Sorts them.
float percentile(std::vector<float>& values, double share);

}  // namespace gatehouse::bench

#include "bench/load/load_report.h"

#include <array>
#include <cmath>
#include <cstdarg>
#include <cstdio>

namespace gatehouse::bench {

namespace {

double per_certificate(const LoadReport& report, double value) {
  const auto count = report.statistics.certificates;
  return count == 0 ? 0 : value / static_cast<double>(count);
}

double rounded(double value) {
  return std::round(value * 10000) / 10000;
}

__attribute__((format(printf, 2, 3))) void print(std::string& out, const char* format, ...) {
  std::array<char, 512> line{};
  std::va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line.data(), line.size(), format, arguments);
  va_end(arguments);
  out += line.data();
}

}  // namespace

Json to_json(LoadReport& report) {
  const Statistics& statistics = report.statistics;
  const double cpu = report.after.cpu_milliseconds - report.before.cpu_milliseconds;
  Json json;
  json["clients"] = report.clients;
  json["certificates"] = statistics.certificates;
  json["seconds"] = rounded(report.seconds);
  json["certificates_per_second"] =
      rounded(static_cast<double>(statistics.certificates) / report.seconds);
  json["stalled"] = report.stalled;
  json["failures"] = statistics.failures;
  json["first_failures"] = statistics.first_failures;
  json["bad_nonces"] = statistics.bad_nonces;
  json["told_to_come_back"] = statistics.told_to_come_back;
  json["revocations"] = statistics.revocations;
  Json& unwell = json["unwell"] = Json::object();
  for (std::size_t kind = 0; kind < kUnwellNames.size(); ++kind) {
    unwell[std::string(kUnwellNames[kind])] = statistics.unwell[kind];
  }
  json["connections"] = statistics.connections;
  json["signed_requests_per_certificate"] =
      rounded(per_certificate(report, static_cast<double>(statistics.signed_requests)));
  json["dns_questions"] = report.dns_questions;
  json["challenges_fetched"] = report.challenges_fetched;
  json["cpu_ms_per_certificate"] = rounded(per_certificate(report, cpu));
  json["user_ms_per_certificate"] = rounded(
      per_certificate(report, report.after.user_milliseconds - report.before.user_milliseconds));
  json["system_ms_per_certificate"] = rounded(per_certificate(
      report, report.after.system_milliseconds - report.before.system_milliseconds));
  json["processes"] = report.after.processes;
  json["rss_kib"] = report.after.rss_kib;
  json["peak_rss_kib"] = report.after.peak_kib;
  json["own_cpu_ms_per_certificate"] =
      rounded(per_certificate(report, report.own_cpu_milliseconds));
  json["own_share_of_one_cpu"] = rounded(report.own_cpu_milliseconds / 1000 / report.seconds);
  Json& steps = json["milliseconds"] = Json::object();
  for (std::size_t step = 0; step < kStepNames.size(); ++step) {
    auto& values = report.statistics.milliseconds[step];
    if (values.empty()) continue;
    steps[std::string(kStepNames[step])] = {{"count", values.size()},
                                            {"p50", rounded(percentile(values, 0.5))},
                                            {"p90", rounded(percentile(values, 0.9))},
                                            {"p99", rounded(percentile(values, 0.99))},
                                            {"max", rounded(percentile(values, 1))}};
  }
  return json;
}

std::string to_table(LoadReport& report) {
  const Json json = to_json(report);
  const auto number = [&](const char* name) { return json.at(name).get<double>(); };
  std::string out;
  print(out, "%zu certificates by %zu clients in %.1f s: %.1f/s, %zu failures, %zu bad nonces\n",
        report.statistics.certificates, report.clients, report.seconds,
        number("certificates_per_second"), report.statistics.failures,
        report.statistics.bad_nonces);
  if (report.stalled) print(out, "STALLED: the server gave no certificate for too long\n");
  for (const std::string& failure : report.statistics.first_failures) {
    print(out, "  failure: %.400s\n", failure.c_str());
  }
  print(out, "signed requests per certificate  %.2f\n", number("signed_requests_per_certificate"));
  if (report.after.processes > 0) {
    print(out, "server CPU ms per certificate    %.3f (user %.3f, system %.3f)\n",
          number("cpu_ms_per_certificate"), number("user_ms_per_certificate"),
          number("system_ms_per_certificate"));
    print(out, "server RSS                       %.1f MiB (peak %.1f)\n", number("rss_kib") / 1024,
          number("peak_rss_kib") / 1024);
  }
  print(out, "generator CPU ms per certificate %.3f (%.0f %% of one CPU)\n",
        number("own_cpu_ms_per_certificate"), 100 * number("own_share_of_one_cpu"));
  print(out, "\n%-18s %9s %9s %9s %9s %9s\n", "milliseconds", "count", "p50", "p90", "p99", "max");
  for (const auto& [name, step] : json.at("milliseconds").items()) {
    // The ellipsis is three octets and one column.
    const int width = 18 + (name.ends_with("…") ? 2 : 0);
    print(out, "%-*s %9zu %9.1f %9.1f %9.1f %9.1f\n", width, name.c_str(),
          step.at("count").get<std::size_t>(), step.at("p50").get<double>(),
          step.at("p90").get<double>(), step.at("p99").get<double>(), step.at("max").get<double>());
  }
  return out;
}

}  // namespace gatehouse::bench

// Metrics: counters, gauges and histograms, printed as Prometheus text.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse {

using MetricLabels = std::map<std::string, std::string>;

// A handle to one time series. Cheap to copy, valid as long as its Metrics; safe to use from any
// thread. A default one counts nowhere.
class Counter {
 public:
  Counter() = default;
  void add(double amount = 1) const;

 private:
  friend class Metrics;
  void* series_ = nullptr;
};

class Gauge {
 public:
  Gauge() = default;
  void set(double value) const;
  void add(double amount) const;

 private:
  friend class Metrics;
  void* series_ = nullptr;
};

class Histogram {
 public:
  Histogram() = default;
  void observe(double value) const;

 private:
  friend class Metrics;
  void* series_ = nullptr;
};

// The registry of one Server. Resolve handles at construction and keep them: a look-up takes a
// lock.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // The series of family `name` with `labels`; asking twice gives the same one. `help` is one
  // sentence. Throws std::invalid_argument when `name` is no Prometheus name or another kind's.
  Counter counter(const std::string& name, const std::string& help,
                  const MetricLabels& labels = {});
  Gauge gauge(const std::string& name, const std::string& help, const MetricLabels& labels = {});
  Histogram histogram(const std::string& name, const std::string& help,
                      const std::vector<double>& buckets, const MetricLabels& labels = {});

  // Everything, in the Prometheus text format 0.0.4.
  std::string text() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gatehouse

#include "acme-server/base/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <memory>
#include <string>
#include <vector>

namespace gatehouse {

void Counter::add(double amount) const {
  if (series_ != nullptr) {
    static_cast<prometheus::Counter*>(series_)->Increment(amount);
  }
}

void Gauge::set(double value) const {
  if (series_ != nullptr) {
    static_cast<prometheus::Gauge*>(series_)->Set(value);
  }
}

void Gauge::add(double amount) const {
  if (series_ != nullptr) {
    static_cast<prometheus::Gauge*>(series_)->Increment(amount);
  }
}

void Histogram::observe(double value) const {
  if (series_ != nullptr) {
    static_cast<prometheus::Histogram*>(series_)->Observe(value);
  }
}

struct Metrics::Impl {
  // The registry merges: a family or series that is asked for again is the one that is there.
  prometheus::Registry registry{prometheus::Registry::InsertBehavior::Merge};
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}

Metrics::~Metrics() = default;

Counter Metrics::counter(const std::string& name, const std::string& help,
                         const MetricLabels& labels) {
  Counter handle;
  handle.series_ =
      &prometheus::BuildCounter().Name(name).Help(help).Register(impl_->registry).Add(labels);
  return handle;
}

Gauge Metrics::gauge(const std::string& name, const std::string& help, const MetricLabels& labels) {
  Gauge handle;
  handle.series_ =
      &prometheus::BuildGauge().Name(name).Help(help).Register(impl_->registry).Add(labels);
  return handle;
}

Histogram Metrics::histogram(const std::string& name, const std::string& help,
                             const std::vector<double>& buckets, const MetricLabels& labels) {
  Histogram handle;
  handle.series_ = &prometheus::BuildHistogram()
                        .Name(name)
                        .Help(help)
                        .Register(impl_->registry)
                        .Add(labels, buckets);
  return handle;
}

std::string Metrics::text() const {
  return prometheus::TextSerializer().Serialize(impl_->registry.Collect());
}

}  // namespace gatehouse

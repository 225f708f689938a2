// TechnicalDetail: what of a failure is for whoever mends the program, such as an SQL statement. It
// goes to the log, and never into what() or what anybody is told.
#pragma once

#include <exception>
#include <string>
#include <utility>

namespace gatehouse {

// A second base of such an exception, as TransientError is one.
class TechnicalDetail {
 public:
  explicit TechnicalDetail(std::string detail) : detail_(std::move(detail)) {}

  virtual ~TechnicalDetail() = default;
  TechnicalDetail(const TechnicalDetail&) = default;
  TechnicalDetail& operator=(const TechnicalDetail&) = default;

  const std::string& technical_detail() const { return detail_; }

 private:
  std::string detail_;
};

// `Error`, an exception made of a message, with such a detail.
template <class Error>
class Detailed final : public Error, public TechnicalDetail {
 public:
  Detailed(const std::string& what, std::string detail)
      : Error(what), TechnicalDetail(std::move(detail)) {}
};

// Of `failure`; empty when it has none.
inline std::string technical_detail_of(const std::exception& failure) {
  const auto* detailed = dynamic_cast<const TechnicalDetail*>(&failure);
  return detailed == nullptr ? "" : detailed->technical_detail();
}

}  // namespace gatehouse

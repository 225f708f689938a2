// Secret: text that must not be printed, logged or compared in variable time.
#pragma once

#include <ostream>
#include <string>
#include <string_view>
#include <utility>

namespace gatehouse {

// Owns the text and wipes it when it goes. There is no operator== on purpose.
class Secret {
 public:
  Secret() = default;

  explicit Secret(std::string text) : text_(std::move(text)) {}

  ~Secret() { wipe(); }

  Secret(const Secret& other) = default;
  Secret& operator=(const Secret& other);
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;

  bool empty() const { return text_.empty(); }

  // The text itself: the name is meant to stand out in review.
  std::string_view reveal() const { return text_; }

  friend std::ostream& operator<<(std::ostream& out, const Secret&) { return out << "***"; }

 private:
  void wipe() noexcept;
  std::string text_;
};

}  // namespace gatehouse

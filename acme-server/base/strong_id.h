// StrongId<Tag>: an identifier as text that does not mix with identifiers of other things.
#pragma once

#include <compare>
#include <functional>
#include <ostream>
#include <string>
#include <utility>

namespace gatehouse {

template <class Tag>
class StrongId {
 public:
  StrongId() = default;

  explicit StrongId(std::string text) : text_(std::move(text)) {}

  const std::string& str() const { return text_; }

  bool empty() const { return text_.empty(); }

  friend auto operator<=>(const StrongId&, const StrongId&) = default;

  friend std::ostream& operator<<(std::ostream& out, const StrongId& id) { return out << id.text_; }

 private:
  std::string text_;
};

}  // namespace gatehouse

template <class Tag>
struct std::hash<gatehouse::StrongId<Tag>> {
  std::size_t operator()(const gatehouse::StrongId<Tag>& id) const noexcept {
    return std::hash<std::string>{}(id.str());
  }
};

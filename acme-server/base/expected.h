// Expected<T, E>: a value or the reason there is none. The names are std::expected's, until C++23.
#pragma once

#include <utility>
#include <variant>

#include "acme-server/base/check.h"

namespace gatehouse {

// Wraps an error so that Expected<T, E> can be built from it, also where T and E are alike.
template <class E>
struct Unexpected {
  E value;
};

template <class E>
Unexpected(E) -> Unexpected<E>;

// Either a T or an E. Asking for the one that is not there is a LogicError.
template <class T, class E>
class Expected {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor): as std::expected
  Expected(T value) : state_(std::in_place_index<0>, std::move(value)) {}

  template <class G>
  // NOLINTNEXTLINE(google-explicit-constructor): as std::expected
  Expected(Unexpected<G> error) : state_(std::in_place_index<1>, std::move(error.value)) {}

  bool has_value() const { return state_.index() == 0; }

  explicit operator bool() const { return has_value(); }

  const T& value() const& {
    ACME_CHECK(has_value());
    return std::get<0>(state_);
  }

  T& value() & {
    ACME_CHECK(has_value());
    return std::get<0>(state_);
  }

  T&& value() && {
    ACME_CHECK(has_value());
    return std::get<0>(std::move(state_));
  }

  const E& error() const& {
    ACME_CHECK(!has_value());
    return std::get<1>(state_);
  }

  E&& error() && {
    ACME_CHECK(!has_value());
    return std::get<1>(std::move(state_));
  }

  const T& operator*() const& { return value(); }

  T& operator*() & { return value(); }

  T&& operator*() && { return std::move(*this).value(); }

  const T* operator->() const { return &value(); }

  T* operator->() { return &value(); }

 private:
  std::variant<T, E> state_;
};

}  // namespace gatehouse

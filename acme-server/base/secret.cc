#include "acme-server/base/secret.h"

#include <cstring>
#include <utility>

namespace gatehouse {

Secret& Secret::operator=(const Secret& other) {
  if (this != &other) {
    wipe();
    text_ = other.text_;
  }
  return *this;
}

// A short text lies inside the string object and stays there when moved from: wipe it too.
Secret::Secret(Secret&& other) noexcept : text_(std::move(other.text_)) {
  other.wipe();
}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this != &other) {
    wipe();
    text_ = std::move(other.text_);
    other.wipe();
  }
  return *this;
}

void Secret::wipe() noexcept {
  // The whole buffer: a shorter text may have been assigned over a longer one. resize() up to the
  // capacity allocates nothing; explicit_bzero, unlike memset, is not optimised away before a
  // destructor.
  text_.resize(text_.capacity());
  ::explicit_bzero(text_.data(), text_.size());
  text_.clear();
}

}  // namespace gatehouse

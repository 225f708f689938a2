#include "acme-server/base/blocking.h"

#include <utility>

namespace gatehouse {

namespace {

thread_local BeforeBlocking* listening = nullptr;

}  // namespace

BlockingListener::BlockingListener(BeforeBlocking& listener)
    : outer_(std::exchange(listening, &listener)) {}

BlockingListener::~BlockingListener() {
  listening = outer_;
}

void about_to_block() noexcept {
  if (listening != nullptr) listening->before_blocking();
}

}  // namespace gatehouse

// RecordingSigner: notes what a key is about to sign in a file that outlives a kill -9. The oracle
// of the restart tests: whatever the database says afterwards, these and no others are the things
// that may have been signed.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include "acme-server/crypto/digest.h"
#include "acme-server/crypto/signer.h"

namespace gatehouse::testing {

// Appends the SHA-256 of every message, in hex, and a line end to `file`, and has it on disk before
// the key signs. Safe to call from many threads.
class RecordingSigner final : public crypto::Signer {
 public:
  RecordingSigner(std::unique_ptr<crypto::Signer> signer, const std::string& file)
      : signer_(std::move(signer)),
        descriptor_(::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600)) {
    if (descriptor_ < 0) fail("opened");
  }

  ~RecordingSigner() override { ::close(descriptor_); }

  RecordingSigner(const RecordingSigner&) = delete;
  RecordingSigner& operator=(const RecordingSigner&) = delete;

  Bytes public_key() const override { return signer_->public_key(); }

  Bytes algorithm() const override { return signer_->algorithm(); }

  Bytes sign(ByteView message) override {
    const std::string line = crypto::sha256_hex(message) + "\n";
    {
      const std::lock_guard lock(mutex_);
      if (::write(descriptor_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
        fail("written");
      }
      if (::fdatasync(descriptor_) != 0) fail("synced");
    }
    return signer_->sign(message);
  }

 private:
  [[noreturn]] static void fail(const std::string& what) {
    throw std::system_error(errno, std::generic_category(),
                            "the record of signatures cannot be " + what);
  }

  std::unique_ptr<crypto::Signer> signer_;
  std::mutex mutex_;
  int descriptor_;
};

}  // namespace gatehouse::testing

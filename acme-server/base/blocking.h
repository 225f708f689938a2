// What a thread that others rely on is told before it waits.
#pragma once

namespace gatehouse {

// Called on the thread that is about to block. Does not block itself, nor throw.
class BeforeBlocking {
 public:
  virtual ~BeforeBlocking() = default;
  virtual void before_blocking() noexcept = 0;
};

// While it lives, about_to_block() on this thread calls `listener`, which outlives it. They nest:
// the innermost is called.
class BlockingListener final {
 public:
  explicit BlockingListener(BeforeBlocking& listener);
  ~BlockingListener();
  BlockingListener(const BlockingListener&) = delete;
  BlockingListener& operator=(const BlockingListener&) = delete;

 private:
  BeforeBlocking* const outer_;
};

// For whatever waits for the work of another thread, before it does and with no lock held: such as
// for a commit, or for a connection to the database. Nearly free where nobody listens; calling it
// and not waiting then does no harm.
void about_to_block() noexcept;

}  // namespace gatehouse

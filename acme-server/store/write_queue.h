// WriteQueue: group commit by the first waiting writer. Private to the store.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <vector>

#include "acme-server/base/guarded.h"
#include "acme-server/base/metrics.h"

namespace gatehouse::store {

class Tx;

// now: the write begins as soon as it can. batched: nobody waits for its answer, so it may wait up
// to Options::batch_delay to share the COMMIT of another write.
enum class CommitMode { now, batched };

// One caller's write, from its request to its answer. Shared by the caller and the leader that runs
// it.
struct WriteMember {
  WriteMember(const std::function<void(Tx&)>& closure, CommitMode given)
      : function(&closure), mode(given) {}

  const std::function<void(Tx&)>* function;  // lives until the caller has its answer
  std::exception_ptr error;
  std::vector<std::function<void()>> after_commit;

  enum class Call { none, lead, answered };

  CommitMode mode;  // under the queue's lock
  Guarded<Call> call{Call::none};
};

using WriteGroup = std::vector<std::shared_ptr<WriteMember>>;

// There is no writer thread. A caller that finds no leader becomes the leader: it runs its own
// write and all that wait as one group, wakes their callers, and hands the lead to the first writer
// that has arrived meanwhile. So a single write needs no thread switch, and under load the next
// group gathers while the one before it goes to disk. Safe to call from any thread.
class WriteQueue {
 public:
  struct Options {
    std::size_t group_limit = 256;            // members in one group
    std::size_t queue_limit = 4096;           // members that wait
    std::chrono::milliseconds batch_delay{};  // of CommitMode::batched; 0: none
  };

  // `run` writes a group: when it returns, each member has its error or none. `after` is called
  // when the members have their answers, and calls what it is given, on any thread, when the next
  // group may run.
  using Run = std::function<void(const WriteGroup&)>;
  using After = std::function<void(std::function<void()>)>;

  WriteQueue(Options options, Gauge waiting, Run run, After after);
  // Waits until nobody leads. No write may be under way or follow.
  ~WriteQueue();
  WriteQueue(const WriteQueue&) = delete;
  WriteQueue& operator=(const WriteQueue&) = delete;

  // Returns when the member was written and has its answer. False, at once, when too many wait.
  bool write(const std::shared_ptr<WriteMember>& member);

 private:
  struct State {
    std::deque<std::shared_ptr<WriteMember>> waiting;
    bool led = false;
  };

  void lead(const WriteMember& self) noexcept;
  WriteGroup take();

  const Options options_;
  Gauge waiting_;
  const Run run_;
  const After after_;
  std::shared_ptr<Guarded<State>> state_;  // the last hand-over may outlive the queue
};

}  // namespace gatehouse::store

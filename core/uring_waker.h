// Wakes shards from a thread that has no reactor: the control thread. It has a small ring of its
// own, because a message to a ring can only come from a ring. Used by that thread alone.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "core/mail_exchange.h"

namespace sallyport::core {

class UringWaker final : public Waker {
 public:
  static absl::StatusOr<std::unique_ptr<UringWaker>> Create();
  UringWaker(const UringWaker&) = delete;
  UringWaker& operator=(const UringWaker&) = delete;
  ~UringWaker();

  // `wake_name` of a UringBackend. One that is gone already is nobody's loss.
  void WakeParty(int wake_name) override;

 private:
  struct Ring;
  explicit UringWaker(std::unique_ptr<Ring> ring);

  const std::unique_ptr<Ring> ring_;
};

}  // namespace sallyport::core

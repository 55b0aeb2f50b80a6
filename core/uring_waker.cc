#include "core/uring_waker.h"

#include <liburing.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/check.h"
#include "core/completion.h"

namespace sallyport::core {

struct UringWaker::Ring {
  io_uring ring;
};

absl::StatusOr<std::unique_ptr<UringWaker>> UringWaker::Create() {
  auto ring = std::make_unique<Ring>();
  const int error = io_uring_queue_init(8, &ring->ring, 0);
  if (error < 0) {
    return absl::UnavailableError(
        absl::StrCat("io_uring for the control thread: ", std::strerror(-error)));
  }
  return std::unique_ptr<UringWaker>(new UringWaker(std::move(ring)));
}

UringWaker::UringWaker(std::unique_ptr<Ring> ring) : ring_(std::move(ring)) {}

UringWaker::~UringWaker() { io_uring_queue_exit(&ring_->ring); }

void UringWaker::WakeParty(int wake_name) {
  io_uring* const ring = &ring_->ring;
  io_uring_sqe* const sqe = io_uring_get_sqe(ring);
  CHECK(sqe != nullptr);  // Each call submits its own.
  io_uring_prep_msg_ring(sqe, wake_name, 0, PackUserData({Operation::kWake, 0, {}}), 0);
  io_uring_sqe_set_data64(sqe, 0);
  int submitted = 0;
  do {
    submitted = io_uring_submit(ring);
  } while (submitted == -EINTR || submitted == -EAGAIN);
  io_uring_cqe* done = nullptr;
  while (io_uring_peek_cqe(ring, &done) == 0) io_uring_cqe_seen(ring, done);
}

}  // namespace sallyport::core

#include "core/log_output.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace sallyport::core {
namespace {

// A pipe that polls as writable takes as much without waiting (pipe(7)).
constexpr size_t kPipeBytes = 4096;

mode_t KindOf(int descriptor) {
  struct stat status {};
  return fstat(descriptor, &status) == 0 ? status.st_mode & S_IFMT : 0;
}

uint64_t CountLines(std::string_view text) {
  return static_cast<uint64_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

LogOutput::LogOutput(int descriptor)
    : descriptor_(descriptor),
      is_file_(KindOf(descriptor) == S_IFREG),
      is_socket_(KindOf(descriptor) == S_IFSOCK) {}

// How much is out; error_ is set if that is not all.
size_t LogOutput::WriteSome(std::string_view bytes) {
  size_t written = 0;
  while (written < bytes.size()) {
    pollfd wait{descriptor_, POLLOUT, 0};
    const int ready = poll(&wait, 1, kWaitMilliseconds);
    if (ready < 0 && errno == EINTR) continue;
    std::string_view next = bytes.substr(written);
    if (!is_file_) next = next.substr(0, kPipeBytes);
    ssize_t took = -1;
    if (ready == 0) {
      errno = EAGAIN;
    } else if (is_socket_) {
      took = send(descriptor_, next.data(), next.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    } else {
      took = write(descriptor_, next.data(), next.size());
    }
    if (took < 0 && errno == EINTR) continue;
    if (took <= 0) {
      error_ = took == 0 ? ENOSPC : errno;
      break;
    }
    written += static_cast<size_t>(took);
  }
  return written;
}

// How many lines could not be written.
uint64_t LogOutput::WriteLines(std::string_view lines) {
  if (!FinishCutLine()) return CountLines(lines);
  const size_t written = WriteSome(lines);
  if (written == lines.size()) return 0;
  const size_t begin = lines.substr(0, written).rfind('\n') + 1;  // Of the line that was cut.
  std::string_view left = lines.substr(begin);
  const size_t out = written - begin;
  if (out > 0 && !TakeBack(out)) {
    const size_t end = left.find('\n') + 1;
    cut_line_ = std::string(left.substr(out, end - out));
    left.remove_prefix(end);
  }
  return CountLines(left);
}

void LogOutput::Write(std::string_view lines) {
  const uint64_t left = WriteLines(lines);
  untold_ += left;
  lost_.store(lost_.load(std::memory_order_relaxed) + left, std::memory_order_relaxed);
}

bool LogOutput::WriteRecovery(std::string_view line) {
  if (WriteLines(line) != 0) return false;
  untold_ = 0;
  return true;
}

bool LogOutput::FinishCutLine() {
  if (cut_line_.empty()) return true;
  cut_line_.erase(0, WriteSome(cut_line_));
  return cut_line_.empty();
}

// Only what is still the end of the file.
bool LogOutput::TakeBack(size_t bytes) {
  struct stat status {};
  if (!is_file_ || fstat(descriptor_, &status) != 0) return false;
  const off_t end = lseek(descriptor_, 0, SEEK_CUR);
  const off_t begin = end - static_cast<off_t>(bytes);
  if (end < 0 || end != status.st_size || ftruncate(descriptor_, begin) != 0) return false;
  return lseek(descriptor_, begin, SEEK_SET) == begin;
}

}  // namespace sallyport::core

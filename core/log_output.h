// Where log lines go: a descriptor that may be full, slow or gone. Never waits long, never leaves
// half a line where it can help it, and counts what it lost.
// Thread: Write on one; lost() on any.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

namespace sallyport::core {

class LogOutput {
 public:
  explicit LogOutput(int descriptor);

  // Whole lines, each with its end. What cannot be written within kWaitMilliseconds is lost, and
  // counted. A line that was cut is taken back (a file) or finished with the next Write.
  void Write(std::string_view lines);

  // One line that tells of losses. False: it cannot be written yet; that is not counted.
  [[nodiscard]] bool WriteRecovery(std::string_view line);

  // Since the last recovery was told; the reason (an errno) of the last loss.
  uint64_t untold() const { return untold_; }
  int error() const { return error_; }
  uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }  // Ever.

  static constexpr int kWaitMilliseconds = 500;

 private:
  size_t WriteSome(std::string_view bytes);
  uint64_t WriteLines(std::string_view lines);
  bool FinishCutLine();
  bool TakeBack(size_t bytes);

  const int descriptor_;
  const bool is_file_;
  const bool is_socket_;
  std::string cut_line_;  // What is left of a line whose beginning is out.
  int error_ = 0;         // Of the last loss.
  uint64_t untold_ = 0;
  std::atomic<uint64_t> lost_{0};
};

}  // namespace sallyport::core

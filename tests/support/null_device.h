// Where tests send what nobody reads.
#pragma once

#include <fcntl.h>

namespace sallyport::test {

// A descriptor of /dev/null, open as long as the process: a log's thread may still write to it.
inline int NullDevice() {
  static const int descriptor = open("/dev/null", O_WRONLY | O_CLOEXEC);
  return descriptor;
}

}  // namespace sallyport::test

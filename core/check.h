// CHECK and DCHECK: our own mistakes stop the process and leave a core file. Peer input never reaches them.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace sallyport::core {

[[noreturn]] inline void CheckFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: CHECK failed: %s\n", file, line, condition);
  std::abort();
}

}  // namespace sallyport::core

// Always on: cold paths.
#define CHECK(condition)                                                   \
  (__builtin_expect(static_cast<bool>(condition), 1)                       \
       ? static_cast<void>(0)                                              \
       : ::sallyport::core::CheckFailed(#condition, __FILE__, __LINE__))

// Per message: on in debug and sanitizer builds.
#if !defined(NDEBUG) || defined(SALLYPORT_SANITIZED)
#define DCHECK(condition) CHECK(condition)
#else
#define DCHECK(condition) static_cast<void>(sizeof(static_cast<bool>(condition)))
#endif

// After a switch that names every enumerator.
#define UNREACHABLE() ::sallyport::core::CheckFailed("unreachable", __FILE__, __LINE__)

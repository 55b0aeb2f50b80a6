// Reads what an operator names: regular files only, whole, bounded, and without ever waiting for
// one. A FIFO, a device, a socket or a directory is refused by its kind and never opened.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace sallyport::core {

struct FileContent {
  std::string text;
  mode_t mode = 0;
};

// Follows symbolic links. An error begins with the path and says what is wrong, and after "; " what
// to do: absent (NotFound), not readable for this user (PermissionDenied), longer than `bytes_max`
// (OutOfRange), or not a file to read (FailedPrecondition).
absl::StatusOr<FileContent> ReadRegularFile(const std::string& path, size_t bytes_max);

// The names in a folder that end with one of `endings`, sorted. More than `names_max`: OutOfRange.
absl::StatusOr<std::vector<std::string>> ListFolder(const std::string& path,
                                                    const std::vector<std::string>& endings,
                                                    size_t names_max);

// Which others than the owner may change the file or folder: "the group", "everybody", or empty;
// also empty if there is none, if it is a device or the like, which the system sets up, or if the
// sticky bit keeps them from what is not theirs.
std::string WritersBesideOwner(const std::string& path);

}  // namespace sallyport::core

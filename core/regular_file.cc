#include "core/regular_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/file_descriptor.h"

namespace sallyport::core {
namespace {

constexpr size_t kChunkBytes = size_t{16} * 1024;

absl::Status Failed(const std::string& path, int error) {
  switch (error) {
    case ENOENT:
      return absl::NotFoundError(absl::StrCat(path, ": does not exist; check the path"));
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(
          absl::StrCat(path, ": user ", geteuid(),
                       " may not read it; check the permissions of the file and of each folder"));
    case EAGAIN:
      return absl::FailedPreconditionError(
          absl::StrCat(path, ": another process holds a lease on it; try again"));
    default:
      return absl::FailedPreconditionError(
          absl::StrCat(path, ": cannot be read (", std::strerror(error), ")"));
  }
}

const char* KindOf(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFIFO:
      return "a FIFO";
    case S_IFSOCK:
      return "a socket";
    case S_IFDIR:
      return "a directory";
    case S_IFCHR:
    case S_IFBLK:
      return "a device";
    default:
      return "no file";
  }
}

absl::Status CheckKind(const std::string& path, mode_t mode) {
  if (S_ISREG(mode)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(path, ": is ", KindOf(mode), "; name a regular file"));
}

absl::Status TooLong(const std::string& path, size_t bytes_max) {
  return absl::OutOfRangeError(
      absl::StrCat(path, ": is longer than ", bytes_max / 1024, " KiB; name the right file"));
}

// Up to the end, or one byte more than allowed.
absl::Status ReadAll(int fd, const std::string& path, size_t bytes_max, std::string& text) {
  while (text.size() <= bytes_max) {
    const size_t had = text.size();
    text.resize(std::min(had + kChunkBytes, bytes_max + 1));
    const ssize_t got = read(fd, text.data() + had, text.size() - had);
    const int error = errno;
    text.resize(had + static_cast<size_t>(std::max<ssize_t>(got, 0)));
    if (got == 0) return absl::OkStatus();
    if (got < 0 && error != EINTR) return Failed(path, error);
  }
  return TooLong(path, bytes_max);
}

struct FolderCloser {
  void operator()(DIR* folder) const { closedir(folder); }
};

}  // namespace

absl::StatusOr<FileContent> ReadRegularFile(const std::string& path, size_t bytes_max) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return Failed(path, errno);
  // Before it is opened: the mere opening of a device may do something.
  if (absl::Status kind = CheckKind(path, status.st_mode); !kind.ok()) return kind;
  const FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file.is_open()) return Failed(path, errno);
  if (fstat(file.get(), &status) != 0) return Failed(path, errno);
  // Another one may have taken the name meanwhile.
  if (absl::Status kind = CheckKind(path, status.st_mode); !kind.ok()) return kind;
  if (static_cast<size_t>(status.st_size) > bytes_max) return TooLong(path, bytes_max);
  FileContent content;
  content.mode = status.st_mode;
  // Never moved while it grows: what is read may be a key, and a copy would stay in freed memory.
  content.text.reserve(static_cast<size_t>(status.st_size) + kChunkBytes);
  if (absl::Status read = ReadAll(file.get(), path, bytes_max, content.text); !read.ok()) {
    return read;
  }
  return content;
}

absl::StatusOr<std::vector<std::string>> ListFolder(const std::string& path,
                                                    const std::vector<std::string>& endings,
                                                    size_t names_max) {
  const std::unique_ptr<DIR, FolderCloser> folder(opendir(path.c_str()));
  if (folder == nullptr) return Failed(path, errno);
  std::vector<std::string> names;
  while (const dirent* const entry = readdir(folder.get())) {
    const std::string name = entry->d_name;
    if (std::none_of(endings.begin(), endings.end(),
                     [&name](const std::string& end) { return absl::EndsWith(name, end); })) {
      continue;
    }
    if (names.size() == names_max) {
      return absl::OutOfRangeError(absl::StrCat(path, ": holds more than ", names_max,
                                                " such files; name the right folder"));
    }
    names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string WritersBesideOwner(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return {};
  if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) return {};
  if (S_ISDIR(status.st_mode) && (status.st_mode & S_ISVTX) != 0) return {};
  if ((status.st_mode & S_IWOTH) != 0) return "everybody";
  if ((status.st_mode & S_IWGRP) != 0) return "the group";
  return {};
}

}  // namespace sallyport::core

#include "sip/proxy/config_loader.h"

#include <sys/eventfd.h>

#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "core/file_descriptor.h"

namespace sallyport::sip {

struct ConfigLoader::Job {
  core::FileDescriptor ended{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  std::mutex mutex;
  std::optional<LoadedConfig> loaded;  // Under the mutex.
};

ConfigLoader::ConfigLoader(Load load) : load_(std::move(load)) {}

ConfigLoader::~ConfigLoader() = default;

bool ConfigLoader::Begin(const std::string& path) {
  auto job = std::make_shared<Job>();
  if (is_loading() || !job->ended.is_open()) return false;
  try {
    std::thread([job, load = load_, path] {
      LoadedConfig loaded = load(path);
      {
        const std::lock_guard lock(job->mutex);
        job->loaded = std::move(loaded);
      }
      eventfd_write(job->ended.get(), 1);
    }).detach();
  } catch (const std::system_error&) {
    return false;
  }
  job_ = std::move(job);
  return true;
}

int ConfigLoader::event_fd() const { return is_loading() ? job_->ended.get() : -1; }

std::optional<LoadedConfig> ConfigLoader::Take() {
  if (!is_loading()) return std::nullopt;
  std::optional<LoadedConfig> loaded;
  {
    const std::lock_guard lock(job_->mutex);
    loaded = std::move(job_->loaded);
  }
  if (loaded.has_value()) job_.reset();
  return loaded;
}

}  // namespace sallyport::sip

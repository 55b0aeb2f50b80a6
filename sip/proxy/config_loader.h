// Loads a configuration on a thread of its own. A file system that does not answer (NFS, FUSE) then
// keeps that thread, and the control thread goes on with signals, mail and the watchdog.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "sip/proxy/edge_config.h"

namespace sallyport::sip {

class ConfigLoader {
 public:
  using Load = std::function<LoadedConfig(const std::string& path)>;

  explicit ConfigLoader(Load load = [](const std::string& path) { return LoadEdgeConfig(path); });
  ConfigLoader(const ConfigLoader&) = delete;
  ConfigLoader& operator=(const ConfigLoader&) = delete;
  // Leaves a thread behind that still waits for a file: it uses nothing of this object. The process
  // must then end by _exit(2).
  ~ConfigLoader();

  // One at a time. False: the system gives no thread or no descriptor.
  [[nodiscard]] bool Begin(const std::string& path);
  [[nodiscard]] bool is_loading() const { return job_ != nullptr; }
  // Readable once what was begun has ended; -1 (which poll(2) ignores) while nothing is loading.
  [[nodiscard]] int event_fd() const;
  // What was begun, if it has ended; the next one may begin then.
  std::optional<LoadedConfig> Take();

 private:
  struct Job;

  const Load load_;
  std::shared_ptr<Job> job_;  // The thread's too.
};

}  // namespace sallyport::sip

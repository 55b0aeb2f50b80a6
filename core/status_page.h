// What the admin server shows to a person (HTML) and to a probe (JSON). Pure text; every value is
// escaped.
#pragma once

#include <string>
#include <vector>

namespace sallyport::core {

// Why the instance is not ready: short stable words such as "draining", "starting".
struct Readiness {
  bool ready = false;
  std::vector<std::string> reasons;  // Empty when ready.
};

struct StatusRow {
  std::string name;
  std::string value;
};

// A table of the page.
struct StatusSection {
  std::string title;
  std::vector<StatusRow> rows;
  std::string when_empty;  // Shown instead of a table without rows.
};

struct StatusPage {
  std::string title;     // "edge.example"
  std::string subtitle;  // "sallyport 0.1.0, instance edge-1"
  Readiness readiness;
  bool draining = false;
  std::vector<StatusRow> tiles;  // The few figures that matter: uptime, connections, requests.
  std::vector<StatusSection> sections;
};

// One self-contained page: no script, nothing fetched, refreshes itself.
std::string RenderStatusPage(const StatusPage& page);

// {"ready":false,"reasons":["draining"]}
std::string RenderReadiness(const Readiness& readiness);

}  // namespace sallyport::core

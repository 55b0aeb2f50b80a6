// Texts of SIP messages as a test writes and reads them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sip/proxy/edge_metrics.h"
#include "tests/simulation/simulated_edge.h"

namespace sallyport::sip::test {

// A request with the headers that every request has.
struct RequestText {
  std::string method = "MESSAGE";
  std::string uri = "sip:bob@edge.example";
  std::string via = "SIP/2.0/TLS client.example";  // Without the branch.
  std::string branch = "1";                        // Behind the cookie.
  std::string from = "<sip:alice@a.example>;tag=1";
  std::string to = "<sip:bob@edge.example>";
  std::string call_id = "call";
  std::string cseq = "1";
  std::string cseq_method = "";  // As `method`.
  std::string headers = "";      // Whole lines.
  std::string body = "";

  [[nodiscard]] std::string Text() const;
};

// The answer of a user agent to a request that it got: Record-Route copied, To-tag "uas".
std::string ResponseText(const std::string& request, uint16_t status, const std::string& reason,
                         const std::string& headers = "");

// Everything in `stream`, message by message.
std::vector<std::string> SplitMessages(std::string stream);

std::string StartLine(const std::string& message);
// Values of all lines of that name, in order, as they are written.
std::vector<std::string> Values(const std::string& message, std::string_view name);
std::string Value(const std::string& message, std::string_view name);  // The first; "".
std::string TopBranch(const std::string& message);

// The route set that a callee's user agent makes of Record-Route (RFC 3261 §12.1.1): one line each.
std::string RouteLinesForCallee(const std::string& request);
// The caller's, of a response: in reverse (§12.1.2).
std::string RouteLinesForCaller(const std::string& response);

uint64_t Transactions(const SimulatedEdge& edge);

}  // namespace sallyport::sip::test

// One request, ready to be sent many times: only the numbers that tell one copy from another are
// written per copy.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sallyport::bench {

struct RequestShape {
  std::string method = "MESSAGE";
  std::string from = "sip:alice@a.example";
  std::string to = "sip:bob@edge.example";
  std::string request_uri = "sip:bob@edge.example";
  size_t body_bytes = 100;
  std::string transport = "TLS";  // Of Via; in Contact in lower case.
  std::string sent_by;            // Of Via and Contact; empty: From's host.
};

// Names one request: its branch, Call-ID and CSeq follow from it.
struct RequestId {
  uint32_t connection;
  uint32_t slot;
  uint32_t sequence;

  friend bool operator==(const RequestId&, const RequestId&) = default;
};

class RequestTemplate {
 public:
  explicit RequestTemplate(const RequestShape& shape);

  const std::string& method() const { return method_; }

  void AppendRequest(const RequestId& id, std::string* out) const;

  // The ACK of a final response to our INVITE: within the transaction for a failure (RFC 3261
  // §17.1.1.3), a transaction of its own for a 2xx (§13.2.2.4).
  void AppendAck(const RequestId& id, bool success, std::string* out) const;

  // True and the id when `branch` is one that AppendRequest wrote.
  static bool ReadBranch(std::string_view branch, RequestId* id);

 private:
  void Append(std::string_view method, std::string_view branch_suffix, std::string_view to_tag,
              bool with_body, const RequestId& id, std::string* out) const;

  const std::string method_;
  const std::string from_;
  const std::string to_;
  const std::string request_uri_;
  const std::string via_;  // Up to the branch.
  const std::string contact_;
  std::string body_;
};

}  // namespace sallyport::bench

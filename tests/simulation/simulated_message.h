// A message taken apart into lines, so that an element of a test may change it and pass it on.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sallyport::sip::test {

struct SimulatedMessage {
  std::string start;
  // As they are written; Via, Route, Record-Route and Path with one value a line.
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;

  static SimulatedMessage Of(const std::string& text);
  std::string Text() const;  // With the Content-Length of the body.

  bool is_response() const { return start.starts_with("SIP/2.0 "); }
  int status() const;          // 0: a request.
  std::string method() const;  // A response's: of its CSeq.
  std::string uri() const;     // A request's.

  std::vector<std::string> All(std::string_view name) const;
  std::string First(std::string_view name) const;  // "" if there is none.
  void Append(std::string_view name, const std::string& value);
  void PutOnTop(std::string_view name, const std::string& value);
  void Set(std::string_view name, const std::string& value);  // Instead of the first, or new.
  void DropFirst(std::string_view name);
  void Drop(std::string_view name);
};

// -- Parts of values.

std::string UriIn(const std::string& value);  // "\"Bob\" <sip:b@x;lr>;tag=1": "sip:b@x;lr".
// A parameter of a header value behind its URI, or of a URI; "" if there is none.
std::string TagOf(const std::string& value);
std::string BranchOf(const std::string& via);
std::string UriParameter(const std::string& uri, const std::string& name);
std::string UserAndHost(const std::string& uri);  // "sip:b@x:5060;lr": "b@x".
std::string HostOf(const std::string& uri);
std::string PortOf(const std::string& uri);  // "" if none is written.

}  // namespace sallyport::sip::test

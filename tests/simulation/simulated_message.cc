#include "tests/simulation/simulated_message.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "sip/message/value_list.h"

namespace sallyport::sip::test {
namespace {

bool IsList(const std::string& name) {
  return name == "Via" || name == "Route" || name == "Record-Route" || name == "Path";
}

auto Named(std::string_view name) {
  return [name](const std::pair<std::string, std::string>& header) {
    return absl::EqualsIgnoreCase(header.first, {name.data(), name.size()});
  };
}

// Behind the user part, up to parameters.
std::string HostAndPort(const std::string& uri) {
  const size_t scheme = uri.find(':') + 1;
  const std::string rest = uri.substr(scheme, uri.find_first_of(";?", scheme) - scheme);
  return rest.substr(rest.find('@') + 1);
}

size_t PortColon(const std::string& host_and_port) {
  return host_and_port.find(':', host_and_port.find(']') + 1);
}

std::string Parameter(const std::string& parameters, const std::string& name) {
  for (size_t at = parameters.find(';'); at != std::string::npos;) {
    const size_t next = parameters.find_first_of(";>", at + 1);
    const std::string one = parameters.substr(at + 1, next - at - 1);
    const size_t equals = one.find('=');
    if (one.substr(0, equals) == name) {
      return equals == std::string::npos ? name : one.substr(equals + 1);
    }
    at = next;
  }
  return {};
}

}  // namespace

SimulatedMessage SimulatedMessage::Of(const std::string& text) {
  SimulatedMessage message;
  const size_t head_end = text.find("\r\n\r\n");
  const std::string head = text.substr(0, head_end) + "\r\n";
  message.body = head_end == std::string::npos ? "" : text.substr(head_end + 4);
  size_t at = head.find("\r\n") + 2;
  message.start = head.substr(0, at - 2);
  while (at < head.size()) {
    const size_t end = head.find("\r\n", at);
    const std::string line = head.substr(at, end - at);
    at = end + 2;
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::string name = line.substr(0, colon);
    const size_t begin = line.find_first_not_of(' ', colon + 1);
    const std::string value = begin == std::string::npos ? "" : line.substr(begin);
    if (!IsList(name)) {
      message.headers.emplace_back(name, value);
      continue;
    }
    ValueList list(value);
    std::string_view one;
    while (list.Next(one)) message.headers.emplace_back(name, std::string(one));
  }
  return message;
}

std::string SimulatedMessage::Text() const {
  std::string text = start + "\r\n";
  for (const auto& [name, value] : headers) {
    if (!Named("Content-Length")({name, value})) absl::StrAppend(&text, name, ": ", value, "\r\n");
  }
  return absl::StrCat(text, "Content-Length: ", body.size(), "\r\n\r\n", body);
}

int SimulatedMessage::status() const { return is_response() ? std::stoi(start.substr(8)) : 0; }

std::string SimulatedMessage::method() const {
  if (!is_response()) return start.substr(0, start.find(' '));
  const std::string cseq = First("CSeq");
  return cseq.substr(cseq.find(' ') + 1);
}

std::string SimulatedMessage::uri() const {
  const size_t begin = start.find(' ') + 1;
  return start.substr(begin, start.rfind(' ') - begin);
}

std::vector<std::string> SimulatedMessage::All(std::string_view name) const {
  std::vector<std::string> values;
  for (const auto& header : headers) {
    if (Named(name)(header)) values.push_back(header.second);
  }
  return values;
}

std::string SimulatedMessage::First(std::string_view name) const {
  const auto found = std::find_if(headers.begin(), headers.end(), Named(name));
  return found == headers.end() ? std::string() : found->second;
}

void SimulatedMessage::Append(std::string_view name, const std::string& value) {
  headers.emplace_back(std::string(name), value);
}

void SimulatedMessage::PutOnTop(std::string_view name, const std::string& value) {
  headers.emplace(headers.begin(), std::string(name), value);
}

void SimulatedMessage::Set(std::string_view name, const std::string& value) {
  const auto found = std::find_if(headers.begin(), headers.end(), Named(name));
  if (found == headers.end()) return Append(name, value);
  found->second = value;
}

void SimulatedMessage::DropFirst(std::string_view name) {
  const auto found = std::find_if(headers.begin(), headers.end(), Named(name));
  if (found != headers.end()) headers.erase(found);
}

void SimulatedMessage::Drop(std::string_view name) { std::erase_if(headers, Named(name)); }

std::string UriIn(const std::string& value) {
  const size_t begin = value.find('<');
  if (begin == std::string::npos) return value.substr(0, value.find(';'));
  return value.substr(begin + 1, value.find('>', begin) - begin - 1);
}

std::string TagOf(const std::string& value) {
  const size_t end = value.find('>');
  return Parameter(end == std::string::npos ? value : value.substr(end), "tag");
}

std::string BranchOf(const std::string& via) { return Parameter(via, "branch"); }

std::string UriParameter(const std::string& uri, const std::string& name) {
  return Parameter(uri, name);
}

std::string UserAndHost(const std::string& uri) {
  const size_t scheme = uri.find(':') + 1;
  const size_t at = uri.find('@');
  const std::string user = at == std::string::npos ? "" : uri.substr(scheme, at + 1 - scheme);
  return user + HostOf(uri);
}

std::string HostOf(const std::string& uri) {
  const std::string both = HostAndPort(uri);
  return both.substr(0, PortColon(both));
}

std::string PortOf(const std::string& uri) {
  const std::string both = HostAndPort(uri);
  const size_t colon = PortColon(both);
  return colon == std::string::npos ? "" : both.substr(colon + 1);
}

}  // namespace sallyport::sip::test

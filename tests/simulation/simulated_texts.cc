#include "tests/simulation/simulated_texts.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "sip/message/framer.h"
#include "sip/message/message_parser.h"
#include "sip/message/message_writer.h"
#include "sip/message/value_list.h"

namespace sallyport::sip::test {
namespace {

std::string RouteLines(const std::vector<std::string>& values) {
  std::string lines;
  for (const std::string& value : values) absl::StrAppend(&lines, "Route: ", value, "\r\n");
  return lines;
}

std::vector<std::string> SingleValues(const std::string& message, std::string_view name) {
  std::vector<std::string> values;
  for (const std::string& line : Values(message, name)) {
    ValueList list(line);
    std::string_view value;
    while (list.Next(value)) values.emplace_back(value);
  }
  return values;
}

}  // namespace

std::string RequestText::Text() const {
  return absl::StrCat(method, " ", uri, " SIP/2.0\r\nVia: ", via, ";branch=z9hG4bK", branch,
                      "\r\nMax-Forwards: 70\r\nFrom: ", from, "\r\nTo: ", to,
                      "\r\nCall-ID: ", call_id, "\r\nCSeq: ", cseq, " ",
                      cseq_method.empty() ? method : cseq_method, "\r\n", headers,
                      "Content-Length: ", body.size(), "\r\n\r\n", body);
}

std::string ResponseText(const std::string& request, uint16_t status, const std::string& reason,
                         const std::string& headers) {
  MessageView view;
  EXPECT_EQ(ParseMessage(request, Framing::kStream, view), ParseOutcome::kOk) << request;
  std::string extra;
  for (const std::string& value : Values(request, "Record-Route")) {
    absl::StrAppend(&extra, "Record-Route: ", value, "\r\n");
  }
  extra += headers;
  ResponseParts parts;
  parts.status = status;
  parts.reason = reason;
  parts.to_tag = "uas";
  parts.via_received = view.top_via().received;
  parts.extra_headers = extra;
  std::string out(65536, '\0');
  out.resize(WriteResponse(parts, view, out));
  return out;
}

std::vector<std::string> SplitMessages(std::string stream) {
  std::vector<std::string> messages;
  for (;;) {
    Framer framer(FramerLimits{});
    const Frame frame = framer.Next(stream);
    if (frame.outcome != FrameOutcome::kMessage) return messages;
    messages.emplace_back(frame.bytes);
    stream.erase(0, frame.bytes.size());
  }
}

std::string StartLine(const std::string& message) {
  return message.substr(0, message.find("\r\n"));
}

std::vector<std::string> Values(const std::string& message, std::string_view name) {
  std::vector<std::string> values;
  const std::string head = message.substr(0, message.find("\r\n\r\n") + 2);
  for (size_t at = head.find("\r\n") + 2; at < head.size();) {
    const size_t end = head.find("\r\n", at);
    const std::string line = head.substr(at, end - at);
    const size_t colon = line.find(':');
    if (absl::EqualsIgnoreCase(line.substr(0, colon), {name.data(), name.size()})) {
      values.push_back(line.substr(line.find_first_not_of(' ', colon + 1)));
    }
    at = end + 2;
  }
  return values;
}

std::string Value(const std::string& message, std::string_view name) {
  const std::vector<std::string> values = Values(message, name);
  return values.empty() ? std::string() : values.front();
}

std::string TopBranch(const std::string& message) {
  MessageView view;
  EXPECT_EQ(ParseMessage(message, Framing::kStream, view), ParseOutcome::kOk) << message;
  return std::string(view.top_via().branch);
}

std::string RouteLinesForCallee(const std::string& request) {
  return RouteLines(SingleValues(request, "Record-Route"));
}

std::string RouteLinesForCaller(const std::string& response) {
  std::vector<std::string> values = SingleValues(response, "Record-Route");
  std::reverse(values.begin(), values.end());
  return RouteLines(values);
}

uint64_t Transactions(const SimulatedEdge& edge) {
  return edge.Counter(edge.metrics().sip_transactions_active.Slot(TransactionKind::kInvite)) +
         edge.Counter(edge.metrics().sip_transactions_active.Slot(TransactionKind::kNonInvite));
}

}  // namespace sallyport::sip::test

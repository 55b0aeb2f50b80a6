// The little SIP that a load generator needs: requests from a template, and what a response says
// about itself. Not the product's parser on purpose: the generator judges that one's output.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sallyport::bench {

// Length of the first message in `bytes`, headers and body; 0 when it is not complete yet. A
// message without Content-Length ends with its headers.
size_t MessageLength(std::string_view bytes);

struct MessageFacts {
  std::string_view first_line;
  int status = 0;           // 0 in a request.
  int via_count = 0;        // Values, not header lines.
  std::string_view branch;  // Of the topmost Via.
  uint64_t cseq = 0;
  std::string_view cseq_method;
};

// Reads one whole message; nothing when its first line is not SIP.
std::optional<MessageFacts> ReadFacts(std::string_view message);

// Calls `visit(name, value)` for each header line of `message`, unfolded lines only, in order.
template <typename Visitor>
void ForEachHeader(std::string_view message, Visitor visit) {
  size_t line = message.find("\r\n");
  while (line != std::string_view::npos) {
    line += 2;
    const size_t end = message.find("\r\n", line);
    if (end == std::string_view::npos || end == line) return;
    const std::string_view text = message.substr(line, end - line);
    const size_t colon = text.find(':');
    if (colon != std::string_view::npos) {
      size_t value = colon + 1;
      while (value < text.size() && (text[value] == ' ' || text[value] == '\t')) ++value;
      visit(text.substr(0, colon), text.substr(value));
    }
    line = end;
  }
}

// Case-insensitive, `compact` is the one-letter form or 0 (RFC 3261 §7.3.3).
bool IsHeader(std::string_view name, std::string_view long_form, char compact);

}  // namespace sallyport::bench

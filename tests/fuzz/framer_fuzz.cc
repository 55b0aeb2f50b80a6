// Framer: the cuts that TCP makes change nothing, what it frames the parser measures the same, and
// the SIMD search for the header end equals its scalar twin. The first byte of the input chooses
// the size of the pieces.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/check.h"
#include "sip/message/framer.h"
#include "sip/message/line_scan.h"
#include "sip/message/message_parser.h"

namespace sallyport::sip {
namespace {

constexpr FramerLimits kLimits = {512, 256};

struct Seen {
  FrameOutcome outcome;
  std::string bytes;
  friend bool operator==(const Seen&, const Seen&) = default;
};

std::vector<Seen> FrameAll(std::string_view wire, size_t piece) {
  Framer framer(kLimits);
  std::vector<Seen> seen;
  size_t consumed = 0;
  size_t arrived = 0;
  bool in_too_large = false;
  while (true) {
    // A copy of its own size: the sanitizer sees any read beyond what has arrived.
    const std::vector<char> unread(wire.begin() + static_cast<ptrdiff_t>(consumed),
                                   wire.begin() + static_cast<ptrdiff_t>(arrived));
    const Frame frame = framer.Next({unread.data(), unread.size()});
    switch (frame.outcome) {
      case FrameOutcome::kMessage:
      case FrameOutcome::kKeepAlive:
      case FrameOutcome::kIgnored:
      case FrameOutcome::kTooLarge:
        CHECK(!frame.bytes.empty());
        consumed += frame.bytes.size();
        if (in_too_large) {
          seen.back().bytes += frame.bytes;
        } else {
          seen.push_back({frame.outcome, std::string(frame.bytes)});
        }
        in_too_large =
            seen.back().outcome == FrameOutcome::kTooLarge && !framer.is_between_messages();
        break;
      case FrameOutcome::kFarTooLarge:
      case FrameOutcome::kBadFraming:
        // Which of the two, and whether that was seen before anything was read past, depends on the
        // cuts.
        if (in_too_large) seen.pop_back();
        seen.push_back({FrameOutcome::kBadFraming, {}});
        return seen;
      case FrameOutcome::kNeedMore:
        if (arrived == wire.size()) return seen;
        arrived = std::min(wire.size(), arrived + piece);
        break;
    }
  }
}

// Either the parser refuses what was framed, or it sees the same body.
void CheckMeasure(const std::string& message) {
  static MessageView view;
  const ParseOutcome outcome = ParseMessage(message, Framing::kStream, view);
  CHECK(outcome != ParseOutcome::kMissingContentLength);
  if (outcome == ParseOutcome::kOk) {
    CHECK(view.header_block().size() + view.body().size() == message.size());
    CHECK(view.content_length() == view.body().size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view wire(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t piece = 1 + data[0] % 64;
  const std::vector<Seen> whole = FrameAll(wire, wire.size() + 1);
  CHECK(FrameAll(wire, 1) == whole);
  CHECK(FrameAll(wire, piece) == whole);
  for (const Seen& seen : whole) {
    if (seen.outcome == FrameOutcome::kMessage) CheckMeasure(seen.bytes);
  }
  const size_t from = wire.empty() ? 0 : data[0] % wire.size();
  CHECK(FindHeaderEnd(wire, from) == FindHeaderEndScalar(wire, from));
  return 0;
}

}  // namespace sallyport::sip
